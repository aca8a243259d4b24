"""Reset line: registers that bring a reset to one block.

A reset that goes to all blocks at once is late everywhere, so each block gets it from registers of its own. They are
a module, so that synthesis, which works module by module, does not find the lines equal and merge them.
"""

from amaranth.hdl import Cat, Module, ResetSignal, Signal
from amaranth.lib.wiring import In, Out

from .block import Block, instantiate

__all__ = ["ResetLine", "ResetLines"]


class ResetLine(Block):
    """`o` is `i`, `latency` cycles later, and 1 until then.

    Ports:
        i (1 bit, input): the reset of all blocks.
        o (1 bit, output): the reset of one block.
    """

    module_name = "reset_line"
    reset_less = True
    latency = 2

    def __init__(self):
        super().__init__({"i": In(1), "o": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        halfway = Signal(init=1)
        m.d.sync += [halfway.eq(self.i), self.o.eq(halfway)]
        return m


class ResetLines:
    """The reset of each block, and whether the ports to the outside are closed.

    A soft reset clears every block but the registers, and what is on its way from block to block. It takes some cycles
    to get there. Until then the ports are closed: what is behind them belongs to the past.

    Args:
        m (Module): the module that holds the blocks.
        reset_line (ResetLine): the block that a line is an instance of.
        soft_reset (Value): clears all blocks, for one cycle or more; so does the reset of the module itself.

    Attributes:
        closed (Signal): a reset is under way.
    """

    def __init__(self, m, reset_line, soft_reset):
        self._m = m
        self._reset_line = reset_line
        self._ends = {}
        reset = soft_reset | ResetSignal()
        self._any_reset = any_reset = Signal(init=1, reset_less=True, name="any_reset")
        self.closed = Signal(init=1, reset_less=True, name="closed")
        under_way = [any_reset]
        for step in range(1, reset_line.latency):
            under_way.append(Signal(init=1, reset_less=True, name=f"any_reset_{step}"))
            m.d.sync += under_way[-1].eq(under_way[-2])
        m.d.sync += [any_reset.eq(reset), self.closed.eq(reset | Cat(under_way).any())]

    def line(self, name):
        """The end of the reset line of the block or the registers called `name`, made when it is first asked for."""
        if name not in self._ends:
            line = instantiate(self._m, f"{name}_reset", self._reset_line)
            self._m.d.comb += line.i.eq(self._any_reset)
            self._ends[name] = line.o
        return self._ends[name]

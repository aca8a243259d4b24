"""Reset line: registers that bring a reset to one block.

A reset that goes to all blocks at once is late everywhere, so each block gets it from registers of its own. They are
a module, so that synthesis, which works module by module, does not find the lines equal and merge them.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from .block import Block

__all__ = ["ResetLine"]


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

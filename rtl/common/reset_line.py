"""Reset line: the way of a reset to one block.

A reset that goes to every block at once is late everywhere, so each block gets it from registers of its own. They are
a module, so that synthesis module by module does not find them equal, and make one of them again.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from .block import Block

__all__ = ["ResetLine"]


class ResetLine(Block):
    """`o` is `i`, `latency` cycles later, and 1 until then."""

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

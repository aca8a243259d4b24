"""Copied register: one of several that hold the same, each beside the logic that it serves.

A register with hundreds of distant loads is late everywhere. Of two registers with half of the loads each, any placer
puts each close to its own. The register is a module, so that synthesis, which works module by module, does not find
the copies equal and merge them.
"""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from .block import Block

__all__ = ["CopiedRegister"]


class CopiedRegister(Block):
    """`o` is `i`, one cycle later; 0 after a reset.

    Ports:
        i (1 bit, input): what all copies hold.
        o (1 bit, output): this copy.
    """

    module_name = "copied_register"

    def __init__(self):
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.i)
        return m

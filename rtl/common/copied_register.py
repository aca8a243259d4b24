"""Copied register: one of several that hold the same, each beside the logic that it serves.

A register with hundreds of loads far away is late everywhere. Two of them, each with its share of the loads, are drawn
to these by any placer. The register is a module, so that synthesis module by module does not find the copies equal, and
make one of them again.
"""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from .block import Block

__all__ = ["CopiedRegister"]


class CopiedRegister(Block):
    """`o` is `i`, one cycle later; 0 after a reset."""

    module_name = "copied_register"

    def __init__(self):
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.i)
        return m

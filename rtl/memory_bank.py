"""Memory bank: one write port, one read port, the form that block RAM has on every FPGA family."""

from amaranth.hdl import Module
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .block import Block
from .bundles import index_width

__all__ = ["MemoryBank"]


class MemoryBank(Block):
    """`depth` words of `width` bits, zero at power-up.

    Ports
    -----
    write_enable, write_address, write_data: the word is written at the end of this cycle.
    read_address, read_data: `read_data` follows one cycle later; a word being written in the cycle of `read_address`
        reads as it was before. Addresses of `depth` and above read and write nothing in particular.
    """

    reset_less = True

    def __init__(self, *, depth, width):
        self.depth = depth
        self.width = width
        self.module_name = f"memory_{depth}x{width}"
        address_width = index_width(depth)
        super().__init__({
            "write_enable": In(1),
            "write_address": In(address_width),
            "write_data": In(width),
            "read_address": In(address_width),
            "read_data": Out(width),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.width, depth=self.depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.en.eq(self.write_enable),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            read.en.eq(1),
            read.addr.eq(self.read_address),
            self.read_data.eq(read.data),
        ]
        return m

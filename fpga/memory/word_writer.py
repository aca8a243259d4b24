"""Writes words that come one by one, the tape from a host, through an AXI4 master.

    write --> [address, data] --> AW, one beat of W after the other --> B --> next word

A word takes some ten cycles, which is a hundred times as fast as they come over a serial line.
"""

from amaranth.hdl import Const, Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.fpga.link.interfaces import MemoryWrite
from taylorvit.rtl.common.axi import AxiWrite, Burst
from taylorvit.rtl.common.block import Block

__all__ = ["WordWriter"]

#: Bits of a word.
_WORD_WIDTH = 32


class WordWriter(Block):
    """Each word is a burst, and is written before the next is taken.

    Args:
        address_width (int): bits of an address of the memory; those above are ignored.
        data_width (int): bits of a beat, 8, 16 or 32.

    Ports:
        write (MemoryWrite, input): the words; of the address the two lowest bits are ignored.
        m (AxiWrite, master): the memory.
    """

    module_name = "word_writer"
    waivers = {
        ("UNUSEDSIGNAL", "write_address"): "Addresses are those of words, in the memory.",
        ("UNUSEDSIGNAL", "m_bresp"): "The memory accepts everything.",
    }

    def __init__(self, *, address_width, data_width):
        self.address_width = address_width
        self.data_width = data_width
        memory = AxiWrite(address_width=address_width, data_width=data_width)
        super().__init__({"write": In(MemoryWrite()), "m": Out(memory)})

    def elaborate(self, platform):
        m = Module()
        beats = _WORD_WIDTH // self.data_width
        rest = Signal(_WORD_WIDTH)
        left = Signal(range(beats + 1))
        busy = Signal()
        bus = self.m
        m.d.comb += [
            self.write.ready.eq(~busy),
            bus.awlen.eq(beats - 1),
            bus.awsize.eq(Const((self.data_width // 8 - 1).bit_length(), 3)),
            bus.awburst.eq(Burst.INCR),
            bus.wdata.eq(rest[: self.data_width]),
            bus.wstrb.eq(~Const(0, self.data_width // 8)),
            bus.wlast.eq(left == 1),
            bus.bready.eq(1),
        ]
        with m.If(bus.awready):
            m.d.sync += bus.awvalid.eq(0)
        with m.If(bus.wvalid & bus.wready):
            m.d.sync += [rest.eq(rest >> self.data_width), left.eq(left - 1), bus.wvalid.eq(~bus.wlast)]
        with m.If(bus.bvalid):
            m.d.sync += busy.eq(0)
        with m.If(self.write.valid & self.write.ready):
            m.d.sync += [
                busy.eq(1),
                rest.eq(self.write.data),
                left.eq(beats),
                bus.awaddr[2:].eq(self.write.address[2 : self.address_width]),
                bus.awvalid.eq(1),
                bus.wvalid.eq(1),
            ]
        return m

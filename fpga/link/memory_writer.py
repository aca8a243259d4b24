"""Memory writer: makes words for the memory of tapes from the bytes of packets.

    bytes 0..3: address | bytes 4..7: word | bytes 8..11: word | ... | end

One register gathers the address and the words; a counter keeps the address of the next word. While a word waits for the
memory, no byte is taken, so the memory may take as long as it likes.

Only whole words inside the memory are written. What is wrong with a packet is reported when it ends; the words before
what is wrong are written.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.validation import require_multiple, require_range

from .interfaces import MemoryBytes, MemoryWrite

__all__ = ["MemoryWriter"]


class MemoryWriter(Block):
    """Packets to words with addresses.

    A reset forgets the packet, and the word that waits; its address and data stay on the port.

    Args:
        memory_bytes (int): size of the memory, a multiple of 4, at most 2^32.

    Ports:
        packets (MemoryBytes, input): the bytes of packets.
        write (MemoryWrite, output): their words.
        malformed (1 bit, output): for one cycle: a packet has ended that has no word, or ends within a word, or whose
            address is no multiple of 4, or that goes beyond the end of the memory.

    Raises:
        TypeError: `memory_bytes` is not an integer.
        ValueError: `memory_bytes` is no positive multiple of 4, or too large.
    """

    module_name = "memory_writer"

    def __init__(self, *, memory_bytes):
        require_multiple("memory_bytes", memory_bytes, 4, "bytes of a word")
        require_range("memory_bytes", memory_bytes, 4, 1 << 32)
        self.memory_bytes = memory_bytes
        super().__init__({"packets": In(MemoryBytes()), "write": Out(MemoryWrite()), "malformed": Out(1)})

    @property
    def latency(self):
        """Cycles from the last byte of a word to `write.valid`."""
        return 2

    def elaborate(self, platform):
        m = Module()
        packets, write = self.packets, self.write
        # These two outlast a reset, since a memory may still be writing them.
        word = Signal(32, reset_less=True)
        address = Signal(range(self.memory_bytes + 1), reset_less=True)
        byte = Signal(2)  # number of the next byte of a word
        gathered = Signal()  # a word is complete, which is the address or is to be written
        addressed = Signal()  # the address has come
        wrong = Signal(init=1)  # there was no word to write yet, or one that has no place
        impossible = Signal()  # address, which has just come
        m.d.comb += [
            packets.ready.eq(~gathered & ~write.valid),
            write.address.eq(address),
            write.data.eq(word),
            impossible.eq(word[len(address) :].any() | word[:2].any()),
            self.malformed.eq(packets.end & (wrong | byte.any())),
        ]
        m.d.sync += gathered.eq(0)
        with m.If(packets.valid & packets.ready):
            m.d.sync += [word.eq(Cat(word[8:], packets.data)), byte.eq(byte + 1), gathered.eq(byte == 3)]
        with m.If(gathered):
            m.d.sync += addressed.eq(1)
            with m.If(~addressed):
                # All ones are beyond the end, and no word follows them to another address.
                m.d.sync += address.eq(word | impossible.replicate(len(address)))
            with m.Elif(address < self.memory_bytes):
                m.d.sync += [write.valid.eq(1), wrong.eq(0)]
            with m.Else():
                m.d.sync += wrong.eq(1)
        with m.If(write.valid & write.ready):
            m.d.sync += [write.valid.eq(0), address[2:].eq(address[2:] + 1)]
        with m.If(packets.end):
            m.d.sync += [byte.eq(0), addressed.eq(0), wrong.eq(1)]
        return m

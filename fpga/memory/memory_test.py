"""Test of a memory: writes a pattern that depends on the address over all of it, and reads it back.

    pattern(address) = low bits of the beat's number, with the bits above them, and their opposites, in exclusive or

Addresses that differ in one bit have different patterns, and each data bit is 0 at some and 1 at other addresses: an
address or data line that is open or stuck is found. It runs at the memory's speed, with bursts of 256 beats.
"""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.axi import AxiRead, AxiWrite, Burst
from taylorvit.rtl.common.block import Block
from taylorvit.rtl.control.register_block import count_up

__all__ = ["MemoryTest"]

_BURST = 256
#: Bits of the counts that a host reads.
_COUNT_WIDTH = 32


class MemoryTest(Block):
    """Writes, reads and compares the whole memory, once for each `start`.

    Args:
        address_width (int): bits of an address of a byte; the memory has 2^address_width bytes, at least 256 beats.
        data_width (int): bits of a beat, a power of two from 8 on.

    Ports:
        start (1 bit, input): begins a test, unless one runs.
        busy (1 bit, output): a test runs; from the cycle after `start`.
        errors (32 bits, output): bad beats of the last test; stops at its maximum.
        first (32 bits, output): address of the first byte of the first bad beat, 0 if there is none.
        read (AxiRead, master): the memory.
        write (AxiWrite, master): the memory.
    """

    module_name = "memory_test"
    waivers = {
        ("UNUSEDSIGNAL", "write_bresp"): "What the memory did not take is found when it is read.",
        ("UNUSEDSIGNAL", "read_rlast"): "Beats are counted.",
        ("UNUSEDSIGNAL", "read_rresp"): "A beat that could not be read is a bad one, by its data.",
    }

    def __init__(self, *, address_width, data_width):
        self.address_width = address_width
        self.data_width = data_width
        widths = {"address_width": address_width, "data_width": data_width}
        super().__init__(
            {
                "start": In(1),
                "busy": Out(1),
                "errors": Out(_COUNT_WIDTH),
                "first": Out(_COUNT_WIDTH),
                "read": Out(AxiRead(**widths)),
                "write": Out(AxiWrite(**widths)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        shift = (self.data_width // 8 - 1).bit_length()
        beat_bits = self.address_width - shift
        reading = Signal()
        burst = Signal(beat_bits - 8 + 1)  # the next one to be asked for
        beat = Signal(beat_bits + 1)  # the next one to be written or compared
        ask = Signal()  # a burst is asked for
        moves = Signal()
        pattern = Signal(self.data_width)
        m.d.comb += pattern.eq(_pattern(beat[:beat_bits], self.data_width))

        for bus, prefix in ((self.write, "aw"), (self.read, "ar")):
            m.d.comb += [
                getattr(bus, f"{prefix}addr").eq(Cat(Const(0, shift + 8), burst[:-1])),
                getattr(bus, f"{prefix}len").eq(_BURST - 1),
                getattr(bus, f"{prefix}size").eq(Const(shift, 3)),
                getattr(bus, f"{prefix}burst").eq(Burst.INCR),
            ]
        # Beats of a burst are offered once it has been taken: no more bursts are under way than counted here.
        offered = Signal()
        m.d.comb += [
            ask.eq(self.busy & ~burst[-1]),
            self.write.awvalid.eq(ask & ~reading),
            self.read.arvalid.eq(ask & reading),
            offered.eq(self.busy & ~reading & (beat[8:] != burst)),
            self.write.wvalid.eq(offered),
            self.write.wdata.eq(pattern),
            self.write.wstrb.eq(~Const(0, self.data_width // 8)),
            self.write.wlast.eq(beat[:8].all()),
            self.write.bready.eq(1),
            self.read.rready.eq(1),
            moves.eq((offered & self.write.wready) | (self.busy & reading & self.read.rvalid)),
        ]
        answers = Signal(beat_bits - 8 + 1)
        with m.If((self.write.awvalid & self.write.awready) | (self.read.arvalid & self.read.arready)):
            m.d.sync += burst.eq(burst + 1)
        with m.If(moves):
            m.d.sync += beat.eq(beat + 1)
        with m.If(self.write.bvalid):
            m.d.sync += answers.eq(answers + 1)

        bad = Signal()
        bad_beat = Signal(beat_bits)
        m.d.sync += [bad.eq(reading & moves & (self.read.rdata != pattern)), bad_beat.eq(beat)]
        with m.If(bad & (self.errors == 0)):
            m.d.sync += self.first.eq(bad_beat << shift)
        count_up(m, self.errors, bad)

        with m.If(self.busy & ~reading & answers[-1]):
            m.d.sync += [reading.eq(1), burst.eq(0), beat.eq(0), answers.eq(0)]
        with m.If(self.busy & reading & beat[-1]):
            m.d.sync += self.busy.eq(0)
        with m.If(self.start & ~self.busy):
            m.d.sync += [self.busy.eq(1), reading.eq(0), burst.eq(0), beat.eq(0), self.errors.eq(0), self.first.eq(0)]
        return m


def _pattern(beat, width):
    """The pattern of a beat, by its number."""
    low, high = beat[:width], beat[width:]
    if not len(high):
        return low
    return low ^ Cat(*[high ^ ~Const(0, len(high)) if copy % 2 else high for copy in range(-(-width // len(high)))])

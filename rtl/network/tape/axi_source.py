"""Source of the tape: an AXI4 read master.

    [address, words left] --> AR        R --> words

Bursts end at multiples of `burst_words` words, and so never cross a 4 KB boundary. Several may be outstanding; answers
come in their order, since all have the same (that is, no) identifier. When a job is ended, what has been asked for is
taken and dropped: only then is anything asked for again. So this block has no soft reset.
"""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.axi import AxiRead, Burst
from taylorvit.rtl.common.block import Block
from taylorvit.rtl.network.control.registers import IMAGES_WIDTH

from .words import TapeWords

__all__ = ["AxiTapeSource"]

_PAGE = 4096
_MOST_BEATS = 64


class AxiTapeSource(Block):
    """Reads one tape over and over, once for each image.

    Args:
        config (NetworkConfig): the configuration, with `tape_source` "axi".

    Ports:
        m (AxiRead of tape_width bits, master): the memory.
        start (1 bit, input): a job begins.
        images (16 bits, input): how often the tape is read.
        base (32 bits, input): address of its first byte; the bits below a word of the tape are ignored.
        length (32 bits, input): its bytes; like `base` constant while the job runs.
        ending (1 bit, input): the job is being ended: from the next cycle on nothing more is asked for, and there are
            no more words.
        words (TapeWords, output): the tape.
        waiting (1 bit, output): the job has not yet got all of its tapes.
        error (1 bit, output): pulse: a word came with SLVERR or DECERR.
    """

    module_name = "tape_reader"
    waivers = {
        ("UNUSEDSIGNAL", "base"): "Addresses are those of words.",
        ("UNUSEDSIGNAL", "m_rresp"): "Its upper bit tells of errors.",
    }

    def __init__(self, config):
        self.tape_bytes = config.tape_bytes
        self.outstanding = config.axi_outstanding
        self.burst_words = min(_MOST_BEATS, _PAGE // config.tape_bytes)
        super().__init__(
            {
                "m": Out(AxiRead(address_width=config.address_width, data_width=config.tape_width)),
                "start": In(1),
                "images": In(IMAGES_WIDTH),
                "base": In(config.address_width),
                "length": In(32),
                "ending": In(1),
                "words": Out(TapeWords(config)),
                "waiting": Out(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bursts = Signal(range(self.outstanding + 1))  # that are asked for and not yet answered
        bursts_next = Signal.like(bursts)
        some = Signal()
        full = Signal()
        draining = Signal()
        images_left = Signal(IMAGES_WIDTH)
        issues = self._ask(m, images_left, draining, full)
        answered = Signal()
        m.d.comb += [
            self.m.rready.eq(draining | self.words.ready),
            self.words.data.eq(self.m.rdata),
            self.words.valid.eq(self.m.rvalid & ~draining),
            answered.eq(self.m.rvalid & self.m.rready & self.m.rlast),
            bursts_next.eq(bursts + issues - answered),
            self.waiting.eq((images_left != 0) | (some & ~draining)),
        ]
        m.d.sync += [
            bursts.eq(bursts_next),
            some.eq(bursts_next != 0),
            full.eq(bursts_next == self.outstanding),
            self.error.eq(self.words.valid & self.words.ready & self.m.rresp[1]),
        ]
        with m.If(self.ending):
            m.d.sync += draining.eq(1)
        with m.Elif(~some):
            m.d.sync += draining.eq(0)
        return m

    def _ask(self, m, images_left, draining, full):
        """Asks for one burst after the other, a burst every other cycle at most; returns when it does."""
        shift = (self.tape_bytes - 1).bit_length()
        address = Signal(len(self.base) - shift)
        words = Signal(len(self.length) + 1 - shift)  # of a tape
        left = Signal.like(words)
        room = Signal(range(self.burst_words + 1))  # from `address` to the end of its burst
        is_last = Signal()
        prepared = Signal()  # what is asked for next is known; not with `begins`
        asks = Signal()
        begins = Signal()
        beats = Mux(is_last, left[: len(room)], room)
        # What is asked for in the first cycle of `ending` is as good as what was asked for in the cycle before.
        m.d.comb += asks.eq(prepared & ~full & ~draining & (~self.m.arvalid | self.m.arready))
        m.d.sync += [
            words.eq(self.length[shift:] + (self.length[:shift].any() if shift else 0)),
            room.eq(self.burst_words - (address & (self.burst_words - 1))),
            is_last.eq(left <= self.burst_words - (address & (self.burst_words - 1))),
            prepared.eq((images_left != 0) & ~begins & ~asks),
        ]
        with m.If(self.m.arready):
            m.d.sync += self.m.arvalid.eq(0)
        with m.If(begins):
            m.d.sync += [begins.eq(0), address.eq(self.base[shift:]), left.eq(words)]
        with m.If(asks):
            m.d.sync += [
                self.m.arvalid.eq(1),
                self.m.araddr.eq(address << shift),
                self.m.arlen.eq(beats - 1),
                address.eq(address + beats),
                left.eq(left - beats),
            ]
            with m.If(is_last):
                m.d.sync += [images_left.eq(images_left - 1), address.eq(self.base[shift:]), left.eq(words)]
        with m.If(self.ending):
            m.d.sync += images_left.eq(0)
        with m.If(self.start):
            m.d.sync += [images_left.eq(self.images), begins.eq(1)]
        m.d.comb += [
            self.m.arsize.eq(Const(shift, 3)),
            self.m.arburst.eq(Burst.INCR),
        ]
        return asks

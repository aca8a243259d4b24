"""Source of the tape: an AXI4-Stream, one packet for each image.

It only counts packets, so that no beat of one job is taken for one of the next. Whether they are right, the checker
says. When a job is ended, the rest of the packet that has begun is dropped up to its TLAST.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.axi import AxiStream
from taylorvit.rtl.common.block import Block
from taylorvit.rtl.network.control.registers import IMAGES_WIDTH

from .words import TapeWords

__all__ = ["StreamTapeSource"]


class StreamTapeSource(Block):
    """Takes as many packets as a job has images.

    Args:
        config (NetworkConfig): the configuration, with `tape_source` "stream".

    Ports:
        s (AxiStream of tape_width bits, sink): the stream.
        closed (1 bit, input): no beat is taken, whatever else.
        start (1 bit, input): a job begins.
        images (16 bits, input): packets of the job.
        gave_up (1 bit, input): the stream is not waited for any longer; a packet that has begun is over.
        ending (1 bit, input): the job is being ended: there are no more words.
        words (TapeWords, output): the tape.
        waiting (1 bit, output): the job has not yet got all of its tapes.
    """

    module_name = "tape_stream"

    def __init__(self, config):
        super().__init__(
            {
                "s": In(AxiStream(config.tape_width)),
                "closed": In(1),
                "start": In(1),
                "images": In(IMAGES_WIDTH),
                "gave_up": In(1),
                "ending": In(1),
                "words": Out(TapeWords(config)),
                "waiting": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        images_left = Signal(IMAGES_WIDTH)
        within = Signal()  # a packet
        dropping = Signal()
        open_ = Signal()
        moves = Signal()
        m.d.comb += [
            self.waiting.eq(images_left != 0),
            open_.eq(self.waiting & ~dropping & ~self.ending & ~self.closed),
            self.words.data.eq(self.s.tdata),
            self.words.last.eq(self.s.tlast),
            self.words.valid.eq(self.s.tvalid & open_),
            self.s.tready.eq((self.words.ready & open_) | (dropping & ~self.closed)),
            moves.eq(self.s.tvalid & self.s.tready),
        ]
        with m.If(moves):
            m.d.sync += within.eq(~self.s.tlast)
            with m.If(self.s.tlast & dropping):
                m.d.sync += dropping.eq(0)
            with m.If(self.s.tlast & ~dropping):
                m.d.sync += images_left.eq(images_left - 1)
        with m.If(self.ending):
            m.d.sync += [images_left.eq(0), dropping.eq(within & ~(moves & self.s.tlast))]
        with m.If(self.gave_up):
            m.d.sync += [within.eq(0), dropping.eq(0)]
        with m.If(self.start):
            m.d.sync += images_left.eq(self.images)
        return m

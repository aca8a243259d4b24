"""Beat splitter: cuts the beats of an AXI4-Stream of results into bytes."""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.axi import AxiStream
from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.widths import index_width

__all__ = ["BeatSplitter"]


class BeatSplitter(Block):
    """The bytes of each beat, the lowest first; packets are not told apart.

    Args:
        stream_bytes (int): bytes of a beat, at least 1.

    Ports:
        s (AxiStream of 8 stream_bytes bits, sink): a beat is taken when the bytes of the one before are gone.
        data (8 bits, output): the next byte.
        valid (1 bit, output): there is one.
        ready (1 bit, input): it is taken.
    """

    module_name = "beat_splitter"
    waivers = {("UNUSEDSIGNAL", "s_tlast"): "Results are one sequence of bytes."}

    def __init__(self, *, stream_bytes):
        self.stream_bytes = stream_bytes
        super().__init__(
            {
                "s": In(AxiStream(8 * stream_bytes)),
                "data": Out(8),
                "valid": Out(1),
                "ready": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lane = Signal(index_width(self.stream_bytes))
        beat = Signal.like(self.s.tdata)
        empty = Signal(init=1)  # the complement of `valid`, a register of its own, which may be near the source
        m.d.comb += [self.s.tready.eq(empty), self.data.eq(beat.word_select(lane, 8))]
        with m.If(~self.valid):
            m.d.sync += [beat.eq(self.s.tdata), self.valid.eq(self.s.tvalid), empty.eq(~self.s.tvalid)]
        with m.Elif(self.ready):
            m.d.sync += lane.eq(lane + 1)
            with m.If(lane == self.stream_bytes - 1):
                m.d.sync += [lane.eq(0), self.valid.eq(0), empty.eq(1)]
        return m

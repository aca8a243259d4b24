"""Beat splitter: an AXI4-Stream of results, byte by byte."""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.widths import index_width

__all__ = ["BeatSplitter"]


class BeatSplitter(Block):
    """The bytes of each beat, the lowest first; packets are not told apart.

    Parameters
    ----------
    stream_bytes: bytes of a beat.

    Ports
    -----
    s_tdata, s_tvalid, s_tready: the stream; a beat is taken when the bytes of the one before are gone. `s_tready` is a
        register of its own, ~valid, which may be near the source.
    data, valid, ready: the bytes.
    """

    module_name = "beat_splitter"

    def __init__(self, *, stream_bytes):
        self.stream_bytes = stream_bytes
        super().__init__(
            {
                "s_tdata": In(8 * stream_bytes),
                "s_tvalid": In(1),
                "s_tready": Out(1, init=1),
                "data": Out(8),
                "valid": Out(1),
                "ready": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lane = Signal(index_width(self.stream_bytes))
        beat = Signal.like(self.s_tdata)
        m.d.comb += self.data.eq(beat.word_select(lane, 8))
        with m.If(~self.valid):
            m.d.sync += [beat.eq(self.s_tdata), self.valid.eq(self.s_tvalid), self.s_tready.eq(~self.s_tvalid)]
        with m.Elif(self.ready):
            m.d.sync += lane.eq(lane + 1)
            with m.If(lane == self.stream_bytes - 1):
                m.d.sync += [lane.eq(0), self.valid.eq(0), self.s_tready.eq(1)]
        return m

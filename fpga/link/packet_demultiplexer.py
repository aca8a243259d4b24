"""Packet demultiplexer: makes beats of the input streams from tensor bytes, and bytes for the memory of tapes.

    byte 0: stream | bytes 1..3: length | length bytes                      | next packet
                                          beat | beat | ... | beat, TLAST
                                          or, for the memory, byte | byte | ... | byte, end

The first byte of a beat is its lowest. A packet that ends within a beat is filled up with zeros. While a stream does
not take a beat, all bytes behind it wait, so the packets must come in an order in which the accelerator can take them.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.fpga.protocol import Stream
from taylorvit.rtl.common.axi import AxiStream
from taylorvit.rtl.common.block import Block

from .interfaces import MemoryBytes

__all__ = ["PacketDemultiplexer"]


class PacketDemultiplexer(Block):
    """Tensor bytes to AXI4-Streams.

    Bytes for the memory of tapes leave as they come, with the end of their packet.

    Args:
        stream_bytes (int): bytes of a beat, at least 1.
        streams (tuple[Stream, ...]): the streams, either one, or several whose numbers are 0, 1 and so on.
        memory (bool): whether there is a memory of tapes.

    Ports:
        data (8 bits, input): the next byte.
        valid (1 bit, input): there is one.
        ready (1 bit, output): it is taken in this cycle.
        malformed (1 bit, output): for one cycle: a packet has no bytes, or a number that no stream has. It is dropped.
        m_axis_q, m_axis_k, m_axis_v, or m_axis_image (AxiStream of 8 stream_bytes bits, source): what goes to each of
            the streams.
        memory (MemoryBytes, output): if there is a memory of tapes: what goes there.

    Raises:
        ValueError: the numbers of the streams are others.
    """

    module_name = "packet_demultiplexer"

    def __init__(self, *, stream_bytes, streams=(Stream.Q, Stream.K, Stream.V), memory=False):
        if len(streams) != 1 and tuple(streams) != tuple(range(len(streams) or 1)):
            raise ValueError(f"streams must be one, or numbered from 0 on, not {streams!r}")
        self.stream_bytes = stream_bytes
        self.streams = tuple(streams)
        self.has_memory = memory
        super().__init__(
            {
                "data": In(8),
                "valid": In(1),
                "ready": Out(1),
                "malformed": Out(1),
                **{f"m_axis_{stream.name.lower()}": Out(AxiStream(8 * stream_bytes)) for stream in self.streams},
                **({"memory": Out(MemoryBytes())} if memory else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        stream = Signal(8)
        left = Signal(24)  # bytes of the packet still to come
        ended = Signal()  # of the cycle before
        lane = Signal(range(max(3, self.stream_bytes)))  # counts the bytes of the length as well
        taken = Signal()
        beat = Signal(8 * self.stream_bytes)
        streams = len(self.streams)
        offered = Signal(streams)  # to which stream the beat is offered
        ready = Signal(streams)
        m.d.comb += taken.eq((offered & ready).any())
        for number, name in enumerate(self.streams):
            port = getattr(self, f"m_axis_{name.name.lower()}")
            m.d.comb += [
                port.tdata.eq(beat),
                port.tvalid.eq(offered[number]),
                port.tlast.eq(ended),
                ready[number].eq(port.tready),
            ]

        m.d.sync += ended.eq(left == 0)
        with m.FSM():
            with m.State("STREAM"):
                m.d.comb += self.ready.eq(self.valid)
                m.d.sync += [stream.eq(self.data), lane.eq(0)]
                with m.If(self.valid):
                    m.next = "LENGTH"
            with m.State("LENGTH"):
                m.d.comb += self.ready.eq(self.valid)
                with m.If(self.valid):
                    m.d.sync += [left.eq(Cat(left[8:], self.data)), lane.eq(lane + 1)]
                    with m.If(lane == 2):
                        m.next = "LENGTH_IN"
            with m.State("LENGTH_IN"):
                m.next = "CHECK"
            with m.State("CHECK"):
                m.d.sync += lane.eq(0)
                with m.If(ended):
                    m.d.comb += self.malformed.eq(1)
                    m.next = "STREAM"
                if self.has_memory:
                    with m.Elif(stream == Stream.MEMORY):
                        m.next = "MEMORY"
                with m.Elif(stream >= streams if streams > 1 else stream != self.streams[0]):
                    m.d.comb += self.malformed.eq(1)
                    m.next = "DROP"
                with m.Else():
                    m.next = "BYTES"
            with m.State("BYTES"):
                m.d.comb += self.ready.eq(self.valid & ~ended)
                with m.If(self.ready | ended):
                    byte = Mux(ended, Const(0, 8), self.data)
                    m.d.sync += [
                        beat.eq(Cat(beat, byte)[8:]),
                        left.eq(left - ~ended),
                        lane.eq(lane + 1),
                    ]
                    with m.If(lane == self.stream_bytes - 1):
                        m.d.sync += lane.eq(0)
                        m.next = "BEAT_FULL"
            with m.State("BEAT_FULL"):
                m.d.sync += offered.eq(1 << stream[:2] if streams > 1 else 1)
                m.next = "BEAT"
            with m.State("BEAT"):
                with m.If(taken):
                    m.d.sync += offered.eq(0)
                    m.next = "BYTES"
                    with m.If(ended):
                        m.next = "STREAM"
            with m.State("DROP"):
                m.d.comb += self.ready.eq(self.valid & ~ended)
                m.d.sync += left.eq(left - self.ready)
                with m.If(ended):
                    m.next = "STREAM"
            if self.has_memory:
                self._to_memory(m, left, ended)
        return m

    def _to_memory(self, m, left, ended):
        """State in which the bytes go to the memory of tapes as they come."""
        memory = self.memory
        m.d.comb += memory.data.eq(self.data)
        with m.State("MEMORY"):
            m.d.comb += [
                memory.valid.eq(self.valid & ~ended),
                self.ready.eq(memory.valid & memory.ready),
                memory.end.eq(ended),
            ]
            m.d.sync += left.eq(left - self.ready)
            with m.If(ended):
                m.next = "STREAM"

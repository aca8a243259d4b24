"""Packet demultiplexer: tensor bytes into the beats of the three input streams.

    byte 0: stream | bytes 1..3: length | length bytes                      | next packet
                                          beat | beat | ... | beat, TLAST

A beat's first byte is the lowest. A packet that ends within a beat is filled up with zeros. While a stream does not
take a beat, everything behind it waits: the order of the packets must be one in which the accelerator can take them.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.fpga.protocol import Stream
from taylorvit.rtl.common.block import Block

__all__ = ["PacketDemultiplexer"]

STREAMS = len(Stream)


class PacketDemultiplexer(Block):
    """Tensor bytes to AXI4-Streams.

    Parameters
    ----------
    stream_bytes: bytes of a beat.

    Ports
    -----
    data, valid, ready: the bytes; `ready` is high in the cycle in which one is taken.
    malformed: one cycle: a packet has no bytes, or a number that no stream has. It is dropped.
    m_tdata, m_tlast: to all streams.
    m_tvalid, m_tready: bit s is that of the stream with the number s (`fpga.protocol.Stream`).
    """

    module_name = "packet_demultiplexer"

    def __init__(self, *, stream_bytes):
        self.stream_bytes = stream_bytes
        super().__init__(
            {
                "data": In(8),
                "valid": In(1),
                "ready": Out(1),
                "malformed": Out(1),
                "m_tdata": Out(8 * stream_bytes),
                "m_tvalid": Out(STREAMS),
                "m_tready": In(STREAMS),
                "m_tlast": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        stream = Signal(8)
        left = Signal(24)  # bytes of the packet still to come
        ended = Signal()  # of the cycle before
        lane = Signal(range(max(3, self.stream_bytes)))  # counts the bytes of the length as well
        taken = Signal()
        m.d.comb += [
            self.m_tlast.eq(ended),
            taken.eq((self.m_tvalid & self.m_tready).any()),
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
                with m.Elif(stream >= STREAMS):
                    m.d.comb += self.malformed.eq(1)
                    m.next = "DROP"
                with m.Else():
                    m.next = "BYTES"
            with m.State("BYTES"):
                m.d.comb += self.ready.eq(self.valid & ~ended)
                with m.If(self.ready | ended):
                    byte = Mux(ended, Const(0, 8), self.data)
                    m.d.sync += [
                        self.m_tdata.eq(Cat(self.m_tdata, byte)[8:]),
                        left.eq(left - ~ended),
                        lane.eq(lane + 1),
                    ]
                    with m.If(lane == self.stream_bytes - 1):
                        m.d.sync += lane.eq(0)
                        m.next = "BEAT_FULL"
            with m.State("BEAT_FULL"):
                m.d.sync += self.m_tvalid.eq(1 << stream[:2])
                m.next = "BEAT"
            with m.State("BEAT"):
                with m.If(taken):
                    m.d.sync += self.m_tvalid.eq(0)
                    m.next = "BYTES"
                    with m.If(ended):
                        m.next = "STREAM"
            with m.State("DROP"):
                m.d.comb += self.ready.eq(self.valid & ~ended)
                m.d.sync += left.eq(left - self.ready)
                with m.If(ended):
                    m.next = "STREAM"
        return m

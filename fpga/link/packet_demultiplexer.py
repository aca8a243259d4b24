"""Packet demultiplexer: tensor bytes into the beats of the three input streams.

    byte 0: stream | bytes 1..3: length | length bytes                      | next packet
                                          beat | beat | ... | beat, TLAST

A beat's first byte is the lowest. A packet that ends within a beat is filled up with zeros. While a stream does not
take a beat, everything behind it waits: the order of the packets must be one in which the accelerator can take them.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from rtl.block import Block

__all__ = ["PacketDemultiplexer"]

_STREAMS = "qkv"  # in the order of `fpga.protocol.Stream`


class PacketDemultiplexer(Block):
    """Tensor bytes to AXI4-Streams.

    Parameters
    ----------
    stream_bytes: bytes of a beat.

    Ports
    -----
    data, valid, ready: the bytes; `ready` is high in the cycle in which one is taken.
    malformed: one cycle: a packet has no bytes, or a number that no stream has. It is dropped.
    m_axis_q_*, m_axis_k_*, m_axis_v_*: the streams; the same TDATA and TLAST go to all of them.
    """

    module_name = "packet_demultiplexer"

    def __init__(self, *, stream_bytes):
        self.stream_bytes = stream_bytes
        ports = {"data": In(8), "valid": In(1), "ready": Out(1), "malformed": Out(1)}
        for stream in _STREAMS:
            ports |= {
                f"m_axis_{stream}_tdata": Out(8 * stream_bytes),
                f"m_axis_{stream}_tvalid": Out(1),
                f"m_axis_{stream}_tready": In(1),
                f"m_axis_{stream}_tlast": Out(1),
            }
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        stream = Signal(8)
        left = Signal(24)  # bytes of the packet still to come
        ended = Signal()
        lane = Signal(range(max(3, self.stream_bytes)))  # counts the bytes of the length as well
        beat = Signal(8 * self.stream_bytes)
        offered, taken = Signal(), Signal()
        m.d.comb += ended.eq(left == 0)
        for number, name in enumerate(_STREAMS):
            chosen = stream == number
            m.d.comb += [
                getattr(self, f"m_axis_{name}_tdata").eq(beat),
                getattr(self, f"m_axis_{name}_tlast").eq(ended),
                getattr(self, f"m_axis_{name}_tvalid").eq(offered & chosen),
            ]
            with m.If(chosen):
                m.d.comb += taken.eq(getattr(self, f"m_axis_{name}_tready"))

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
                        m.next = "CHECK"
            with m.State("CHECK"):
                m.d.sync += lane.eq(0)
                with m.If(ended):
                    m.d.comb += self.malformed.eq(1)
                    m.next = "STREAM"
                with m.Elif(stream >= len(_STREAMS)):
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
                        m.next = "BEAT"
            with m.State("BEAT"):
                m.d.comb += offered.eq(1)
                with m.If(taken):
                    m.next = "BYTES"
                    with m.If(ended):
                        m.next = "STREAM"
            with m.State("DROP"):
                m.d.comb += self.ready.eq(self.valid & ~ended)
                m.d.sync += left.eq(left - self.ready)
                with m.If(ended):
                    m.next = "STREAM"
        return m

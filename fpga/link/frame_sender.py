"""Frame sender: heading and CRCs around a payload that comes byte by byte.

Each byte is put into a register first, then given to the UART and to the CRC that covers it. The next one is fetched
when the CRC has taken it: the payload has 10 cycles to follow.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from fpga.protocol import HEADER_BYTES, SYNC
from rtl.block import Block, instantiate

from .frame_crc import FrameCrc

__all__ = ["FrameSender"]


class FrameSender(Block):
    """Sends frames.

    Parameters
    ----------
    payload_max: bytes of a payload, at most.

    Ports
    -----
    start: one cycle: send a frame; kind, tag, length: its header, constant until `done`; `length` is not 0.
    payload: its next byte; advance: it was taken, the next one is to follow within `FrameCrc.latency` cycles.
    done: one cycle: the last byte has been given to the UART.
    data, valid, ready: the bytes.
    """

    module_name = "frame_sender"

    def __init__(self, *, payload_max):
        self.payload_max = payload_max
        super().__init__({
            "start": In(1),
            "kind": In(8),
            "tag": In(8),
            "length": In(range(payload_max + 1)),
            "payload": In(8),
            "advance": Out(1),
            "done": Out(1),
            "data": Out(8),
            "valid": Out(1),
            "ready": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        crc = instantiate(m, "crc", FrameCrc())
        position = Signal.like(self.length)
        heading, payload = Signal(), Signal()  # the part of the frame; neither: the payload's CRC
        checked, checking = Signal(), Signal()  # the byte belongs to a CRC; which is taking it

        last_heading, last_payload, last_crc = Signal(), Signal(), Signal()
        m.d.comb += [
            last_heading.eq(heading & (position == HEADER_BYTES - 1)),
            last_payload.eq(payload & (position + 1 == self.length)),
            last_crc.eq(~heading & ~payload & (position == 3)),
            checked.eq(payload | (heading & (position >= 2) & (position < 6))),
            crc.data.eq(self.data),
            crc.header.eq(heading),
            crc.header_clear.eq(self.start),
            crc.payload_clear.eq(self.start),
            self.advance.eq(self.valid & self.ready & payload),
        ]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [heading.eq(1), payload.eq(0), position.eq(0)]
                with m.If(self.start):
                    m.next = "FETCH"
            with m.State("FETCH"):
                with m.If(payload):
                    m.d.sync += self.data.eq(self.payload)
                with m.Elif(heading):
                    with m.Switch(position[:3]):
                        for number, byte in enumerate((*SYNC, self.kind, self.tag, self.length[:8], self.length[8:],
                                                       crc.header_crc[:8], crc.header_crc[8:])):  # fmt: skip
                            with m.Case(number):
                                m.d.sync += self.data.eq(byte)
                with m.Else():
                    m.d.sync += self.data.eq(crc.payload_crc.word_select(position[:2], 8))
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += self.valid.eq(1)
                with m.If(self.ready):
                    m.d.comb += crc.start.eq(checked)
                    m.d.sync += checking.eq(checked)
                    m.next = "CHECK"
            with m.State("CHECK"):
                with m.If(~checking | crc.done):
                    m.d.sync += position.eq(position + 1)
                    m.next = "FETCH"
                    with m.If(last_heading | last_payload):
                        m.d.sync += [position.eq(0), heading.eq(0), payload.eq(last_heading)]
                    with m.If(last_crc):
                        m.d.comb += self.done.eq(1)
                        m.next = "IDLE"
        return m

"""Frame sender: puts a heading and CRCs around a payload that comes byte by byte.

Each byte goes into a register first, then to the UART and to the CRC that covers it. The next one is fetched when the
CRC contains it, so the payload has `FrameCrc.latency` cycles to follow.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.fpga.protocol import HEADER_BYTES, SYNC
from taylorvit.rtl.common.block import Block

from .interfaces import Reply

__all__ = ["FrameSender"]


class FrameSender(Block):
    """Sends frames.

    Args:
        payload_max (int): most bytes of a payload, at least 1.

    Ports:
        reply (Reply, input): the frame to send.
        data (8 bits, output): the next byte of the line.
        valid (1 bit, output): there is one.
        ready (1 bit, input): it is taken.
        crc_header (1 bit, output): `FrameCrc.header`; the CRC takes `data`, and is the sender's from `start` to `done`.
        crc_start (1 bit, output): `FrameCrc.start`.
        crc_done (1 bit, input): `FrameCrc.done`.
        crc_clear (1 bit, output): begin both CRCs.
        crc_header_crc (16 bits, input): `FrameCrc.header_crc`.
        crc_payload_crc (8 bits, input): `FrameCrc.payload_crc`.
        crc_drain (1 bit, output): `FrameCrc.drain`.
    """

    module_name = "frame_sender"

    def __init__(self, *, payload_max):
        self.payload_max = payload_max
        super().__init__(
            {
                "reply": In(Reply(payload_max=payload_max)),
                "data": Out(8),
                "valid": Out(1),
                "ready": In(1),
                "crc_header": Out(1),
                "crc_start": Out(1),
                "crc_done": In(1),
                "crc_clear": Out(1),
                "crc_header_crc": In(16),
                "crc_payload_crc": In(8),
                "crc_drain": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        reply = self.reply
        position = Signal.like(reply.length)  # in this part of the frame, the byte on its way included once it is sent
        # The part of the frame; with neither, the payload's CRC.
        heading = Signal()
        payload = Signal()
        checked = Signal()  # a CRC moves on with the byte
        checking = Signal()  # it does so now
        m.d.comb += [
            checked.eq(~heading | (position[1] ^ position[2])),  # bytes 2 to 5 of the heading
            self.crc_header.eq(heading),
            self.crc_drain.eq(~heading & ~payload),
            self.crc_clear.eq(reply.start),
            reply.advance.eq(self.valid & self.ready & payload),
        ]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [heading.eq(1), payload.eq(0), position.eq(0)]
                with m.If(reply.start):
                    m.next = "FETCH"
            with m.State("FETCH"):
                with m.If(payload):
                    m.d.sync += self.data.eq(reply.payload)
                with m.Elif(heading):
                    header = Cat(
                        Const(int.from_bytes(SYNC, "little"), 16),
                        reply.kind,
                        reply.tag,
                        reply.length,
                        Const(0, 16 - len(reply.length)),
                        self.crc_header_crc,
                    )
                    m.d.sync += self.data.eq(header.word_select(position[:3], 8))
                with m.Else():
                    m.d.sync += self.data.eq(self.crc_payload_crc)
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += self.valid.eq(1)
                with m.If(self.ready):
                    m.d.comb += self.crc_start.eq(checked)
                    m.d.sync += [checking.eq(checked), position.eq(position + 1)]
                    m.next = "CHECK"
            with m.State("CHECK"):
                with m.If(~checking | self.crc_done):
                    m.next = "FETCH"
                    with m.If(Mux(payload, position == reply.length, heading & (position == HEADER_BYTES))):
                        m.d.sync += [position.eq(0), heading.eq(0), payload.eq(heading)]
                    with m.Elif(~heading & ~payload & (position == 4)):
                        m.d.comb += reply.done.eq(1)
                        m.next = "IDLE"
        return m

"""Frame sender: heading and CRCs around a payload that comes byte by byte.

Each byte is put into a register first, then given to the UART and to the CRC that covers it. The next one is fetched
when the CRC has taken it: the payload has 10 cycles to follow.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.fpga.protocol import HEADER_BYTES, SYNC
from taylorvit.rtl.common.block import Block

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
    crc_*: of the `FrameCrc`, which takes `data` for it from `start` to `done`.
    """

    module_name = "frame_sender"

    def __init__(self, *, payload_max):
        self.payload_max = payload_max
        super().__init__(
            {
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
        position = Signal.like(self.length)  # in this part of the frame, the byte on its way included once it is sent
        # The part of the frame; with neither, the payload's CRC.
        heading = Signal()
        payload = Signal()
        checked = Signal()  # a CRC moves on with the byte
        checking = Signal()  # it does so now
        m.d.comb += [
            checked.eq(~heading | (position[1] ^ position[2])),  # bytes 2 to 5 of the heading
            self.crc_header.eq(heading),
            self.crc_drain.eq(~heading & ~payload),
            self.crc_clear.eq(self.start),
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
                    header = Cat(Const(int.from_bytes(SYNC, "little"), 16), self.kind, self.tag,
                                 self.length, Const(0, 16 - len(self.length)), self.crc_header_crc)  # fmt: skip
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
                    with m.If(Mux(payload, position == self.length, heading & (position == HEADER_BYTES))):
                        m.d.sync += [position.eq(0), heading.eq(0), payload.eq(heading)]
                    with m.Elif(~heading & ~payload & (position == 4)):
                        m.d.comb += self.done.eq(1)
                        m.next = "IDLE"
        return m

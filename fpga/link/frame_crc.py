"""The two CRCs of a frame, bit by bit.

A byte of the line lasts 30 cycles or more, so there is time for one bit a cycle, which takes an eighth of the area of
one byte a cycle. The header's CRC takes the highest bit of a byte first and shifts left, the payload's the lowest first
and shifts right:

    header:  crc <= (crc << 1) ^ (0x1021 if crc[15] ^ bit else 0), from 0xFFFF
    payload: crc <= (crc >> 1) ^ (0xEDB88320 if crc[0] ^ bit else 0), from 0xFFFFFFFF; its complement is sent
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.crc import Algorithm
from amaranth.lib.crc.catalog import CRC16_IBM_3740, CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block

__all__ = ["FrameCrc"]

HEADER: Algorithm = CRC16_IBM_3740
PAYLOAD: Algorithm = CRC32_ISO_HDLC


def _reflected(value, width):
    return int(f"{value:0{width}b}"[::-1], 2)


class FrameCrc(Block):
    """CRC-16/IBM-3740 and CRC-32/ISO-HDLC of bytes, one byte at a time.

    Ports:
        data (8 bits, input): a byte, constant from `start` to `done`, like the next two.
        header (1 bit, input): the header's CRC takes the byte, else the payload's.
        drain (1 bit, input): the payload's CRC takes no byte but moves on by one, so that `payload_crc` is its next.
        start (1 bit, input): for one cycle, while no byte is in progress: take the byte.
        done (1 bit, output): for one cycle, `latency` cycles after `start`: the CRC contains the byte.
        header_clear (1 bit, input): begin a new CRC of a header; not while a byte is in progress.
        payload_clear (1 bit, input): begin a new CRC of a payload; not while a byte is in progress.
        header_crc (16 bits, output): CRC of the header's bytes so far.
        payload_crc (8 bits, output): lowest byte of the payload's CRC, which is sent first.
        payload_good (1 bit, output): the payload's bytes so far end with the CRC of those before.
    """

    module_name = "frame_crc"
    latency = 10

    def __init__(self):
        super().__init__(
            {
                "data": In(8),
                "header": In(1),
                "drain": In(1),
                "start": In(1),
                "done": Out(1),
                "header_clear": In(1),
                "payload_clear": In(1),
                "header_crc": Out(HEADER.crc_width),
                "payload_crc": Out(8),
                "payload_good": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        busy = Signal()
        bit = Signal(3)
        finished = Signal()
        m.d.sync += [finished.eq(0), self.done.eq(finished)]
        with m.If(self.start):
            m.d.sync += busy.eq(1)
        with m.If(busy):
            m.d.sync += bit.eq(bit + 1)
            with m.If(bit == 7):
                m.d.sync += [busy.eq(0), finished.eq(1)]

        # As they were in the cycle before: a byte is not shifted in before the cycle after `start`.
        data = Signal(8, reset_less=True)
        is_header = Signal()
        is_drained = Signal()
        header_clear = Signal()
        payload_clear = Signal()
        m.d.sync += [
            data.eq(self.data),
            is_header.eq(self.header),
            is_drained.eq(self.drain),
            header_clear.eq(self.header_clear),
            payload_clear.eq(self.payload_clear),
        ]

        header = Signal(HEADER.crc_width, init=HEADER.initial_crc)
        taken = data.bit_select(~bit, 1)
        with m.If(busy & is_header):
            feedback = Mux(header[-1] ^ taken, HEADER.polynomial, 0)
            m.d.sync += header.eq(Cat(0, header[:-1]) ^ feedback)
        with m.If(header_clear):
            m.d.sync += header.eq(HEADER.initial_crc)

        payload = Signal(PAYLOAD.crc_width, init=PAYLOAD.initial_crc)
        taken = data.bit_select(bit, 1)
        with m.If(busy & ~is_header):
            feedback = Mux((payload[0] ^ taken) & ~is_drained, _reflected(PAYLOAD.polynomial, PAYLOAD.crc_width), 0)
            m.d.sync += payload.eq(payload[1:] ^ feedback)
        with m.If(payload_clear):
            m.d.sync += payload.eq(PAYLOAD.initial_crc)

        m.d.comb += [
            self.header_crc.eq(header ^ HEADER.xor_output),
            self.payload_crc.eq(payload[:8] ^ (PAYLOAD.xor_output & 0xFF)),
        ]
        m.d.sync += self.payload_good.eq(payload == PAYLOAD(data_width=8).residue())
        return m

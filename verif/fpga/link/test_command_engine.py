"""Command engine: what it asks of its neighbours, and how long an answer can be.

Everything that it does for a host is tested at the link's pins, in `test_host_link`. Here is what does not show there:
an answer is of one moment even if what it tells moves on, and nothing is asked of anyone without need.
"""

from __future__ import annotations

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.fpga.link.command_engine import CommandEngine
from taylorvit.fpga.protocol import BoardStatus, FrameType, Status
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, run, start
from verif.rtl.harness import idle_inputs

IDENTIFICATION = tuple(range(200, 229))
SIZES = {"payload_max": 100, "identification": IDENTIFICATION, "send_bytes": 1024, "result_bytes": 512}
BYTE_CYCLES = 12  # of the receiver and of the sender


class Bench:
    """Receiver and sender of one engine, and every cycle in which it asks for something."""

    REQUESTS = ("bus_start", "send_commit", "result_seek", "clear", "send_write", "result_read")

    def __init__(self, dut):
        self.dut = dut
        self.edge = RisingEdge(dut.clk)
        self.asked = dict.fromkeys(self.REQUESTS, 0)
        self.moving = ()  # ports that change with every byte of an answer

    async def cycles(self, count=1):
        for _ in range(count):
            await self.edge
            for name in self.REQUESTS:
                self.asked[name] += int(getattr(self.dut, name).value)

    async def request(self, kind, payload=b"", tag=1, status=Status.OK):
        """Hand a request over; returns the payload of the answer."""
        dut = self.dut
        self.asked = dict.fromkeys(self.REQUESTS, 0)
        dut.kind.value, dut.tag.value, dut.length.value, dut.status.value = kind, tag, len(payload), status
        dut.frame_start.value = 1
        await self.cycles()
        dut.frame_start.value = 0
        for byte in payload:
            await self.cycles(BYTE_CYCLES)
            dut.payload.value, dut.payload_valid.value = byte, 1
            await self.cycles()
            dut.payload_valid.value = 0
        await self.cycles(BYTE_CYCLES)
        dut.done.value = 1
        for _ in range(100):
            await self.cycles()
            if dut.bus_start.value:
                dut.bus_done.value = 1
            if dut.reply_start.value:
                break
        expect_equal("an answer", dut.reply_start.value, 1)
        answer = b""
        for _ in range(int(dut.reply_length.value)):
            await self.cycles(BYTE_CYCLES)
            answer += bytes([int(dut.reply_payload.value)])
            for port in self.moving:
                getattr(dut, port).value = (int(getattr(dut, port).value) + 0xFF) % (1 << len(getattr(dut, port)))
            dut.reply_advance.value = 1
            await self.cycles()
            dut.reply_advance.value = 0
        dut.reply_done.value = 1
        await self.cycles()
        dut.reply_done.value = 0
        expect_equal("proceed", dut.proceed.value, 0)
        await self.cycles()
        expect_equal("proceed", dut.proceed.value, 1)
        dut.done.value = dut.bus_done.value = 0
        await self.cycles(2)
        return answer

    def expect_asked(self, **counts):
        expected = dict.fromkeys(self.REQUESTS, 0) | counts
        expect_equal("asked of others", list(self.asked.values()), list(expected.values()))


@cocotb.test()
async def an_answer_is_of_one_moment(dut):
    """The numbers of a status answer are those of one cycle, even while they change."""
    await start(dut, **idle_inputs(CommandEngine(**SIZES)))
    bench = Bench(dut)
    dut.send_free.value, dut.result_available.value = 0x2FF, 0x0FF
    dut.send_next_offset.value, dut.result_offset.value = 0x89ABCDEF, 0x01234567
    bench.moving = ("send_free", "result_available")
    answer = await bench.request(FrameType.STATUS)
    expected = BoardStatus(0x89ABCDEF, 0x2FF, 0x01234567, 0x0FF, False, False, False, 0, 0)
    expect_equal("status", list(answer), [Status.OK, *expected.encode()])
    bench.expect_asked()
    expect_equal("identification", list(await bench.request(FrameType.IDENTIFY)), [Status.OK, *IDENTIFICATION])


@cocotb.test()
async def nothing_is_asked_without_need(dut):
    """A request touches only the part of the board that it is for, and a repeated or damaged one none."""
    await start(dut, **idle_inputs(CommandEngine(**SIZES)))
    bench = Bench(dut)
    dut.result_available.value = 300
    offset = bytes(4)
    expect_equal("READ", list(await bench.request(FrameType.READ, b"\x04\x00")), [Status.OK, 0, 0, 0, 0])
    bench.expect_asked(bus_start=1)
    for repetition in range(2):
        await bench.request(FrameType.WRITE, b"\x04\x00abcd", tag=7)
        bench.expect_asked(bus_start=1 - repetition)
    await bench.request(FrameType.SEND, offset + b"xyz")
    bench.expect_asked(send_write=3, send_commit=1)
    await bench.request(FrameType.SEND, b"\x01\x00\x00\x00xyz")
    bench.expect_asked(send_write=3)
    answer = await bench.request(FrameType.RECEIVE, b"\x2c\x01\x00\x00\x02\x00")  # as far as there is anything
    expect_equal("bytes of the answer", len(answer), 7)
    bench.expect_asked(result_seek=1, result_read=2)
    await bench.request(FrameType.RECEIVE, b"\x2d\x01\x00\x00\x02\x00")
    bench.expect_asked()
    await bench.request(FrameType.RESET)
    bench.expect_asked(clear=16)
    for kind, payload in (
        (FrameType.READ, b"\x04\x00"),
        (FrameType.WRITE, b"\x04\x00abcd"),
        (FrameType.SEND, offset + b"xyz"),
        (FrameType.RECEIVE, offset + b"\x02\x00"),
        (FrameType.RESET, b""),
    ):
        answer = await bench.request(kind, payload, status=Status.BAD_CRC)
        expect_equal("answer", list(answer), [Status.BAD_CRC])
        bench.expect_asked(send_write=3 * (kind == FrameType.SEND))


@cocotb.test()
async def counts_stop_at_their_maximum(dut):
    """Counts of bad headers and payloads do not wrap."""
    await start(dut, **idle_inputs(CommandEngine(**SIZES)))
    bench = Bench(dut)
    for _ in range(257):
        await bench.request(FrameType.STATUS, status=Status.BAD_CRC)
        await bench.request(FrameType.ERROR, status=Status.BAD_HEADER)
    status = BoardStatus.decode((await bench.request(FrameType.STATUS))[1:])
    expect_equal("counts", (status.bad_headers, status.bad_payloads), (255, 255))


def test_command_engine():
    assert run(build(emit(CommandEngine(**SIZES)), CommandEngine.module_name), __name__).tests == 3


@pytest.mark.parametrize(("payload_max", "longest"), [(1, 30), (24, 30), (25, 30), (26, 31), (1024, 1029)])
def test_the_longest_answer(payload_max, longest):
    engine = CommandEngine(**(SIZES | {"payload_max": payload_max}))
    assert engine.reply_max == longest
    assert engine.send_max == payload_max + 4

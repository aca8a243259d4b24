"""Frame receiver, with the CRC that belongs to it: what it reports for frames, damaged frames and other bytes."""

from __future__ import annotations

import random

import cocotb
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out
from cocotb.triggers import RisingEdge, Timer

from taylorvit.fpga.link.frame_crc import FrameCrc
from taylorvit.fpga.link.frame_receiver import FrameReceiver
from taylorvit.fpga.protocol import PAYLOAD_EXTRA, Frame, FrameType, Status
from taylorvit.gen.verilog import emit
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.simulation import build, expect_equal, run, start
from verif.rtl.harness import idle_inputs, ports_of

PAYLOAD_MAX = 20
STALL_CYCLES = 100
NOTHING = (FrameType.ERROR, 0, 0)


class CheckedReceiver(Block):
    """A frame receiver and its CRC."""

    module_name = "checked_receiver"

    def __init__(self):
        self.receiver = FrameReceiver(payload_max=PAYLOAD_MAX, stall_cycles=STALL_CYCLES)
        super().__init__(
            {
                name: (In if incoming else Out)(width)
                for name, (width, incoming) in ports_of(self.receiver).items()
                if not name.startswith("crc_")
            }
        )

    def elaborate(self, platform):
        m = Module()
        receiver = instantiate(m, "receiver", self.receiver)
        crc = instantiate(m, "crc", FrameCrc())
        for name, member in self.signature.members.items():
            inner, outer = getattr(receiver, name), getattr(self, name)
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        for name, member in self.receiver.signature.members.items():
            if name.startswith("crc_"):
                ours, theirs = getattr(receiver, name), getattr(crc, name.removeprefix("crc_"))
                m.d.comb += ours.eq(theirs) if member.flow == In else theirs.eq(ours)
        m.d.comb += crc.data.eq(self.data)
        return m


class Bench:
    """Feeds bytes, and collects what is reported: (status, (kind, tag, length), payload)."""

    def __init__(self, dut):
        self.dut = dut
        self.random = random.Random(cocotb.RANDOM_SEED)
        self.edge = RisingEdge(dut.clk)
        self.reports = []
        self.payload = b""

    @classmethod
    async def start(cls, dut):
        await start(dut, **idle_inputs(CheckedReceiver()))
        return cls(dut)

    async def cycle(self):
        dut = self.dut
        await self.edge
        if dut.frame_start.value:
            self.payload = b""
        if dut.payload_valid.value:
            self.payload += bytes([int(dut.data.value)])
        done = bool(dut.done.value)
        expect_equal("no byte is taken while something is reported", done and bool(dut.ready.value), False)
        if done and not dut.proceed.value:
            header = int(dut.kind.value), int(dut.tag.value), int(dut.length.value)
            self.reports.append((int(dut.status.value), header, list(self.payload)))
            self.payload = b""
            for _ in range(self.random.choice((0, 5))):
                await self.edge
            dut.proceed.value = 1
            await self.edge
            dut.proceed.value = 0
            await Timer(1, "ns")

    async def feed(self, data, pause=3):
        for byte in data:
            self.dut.data.value, self.dut.valid.value = byte, 1
            taken = False
            while not taken:
                await self.cycle()
                taken = bool(self.dut.ready.value)
            self.dut.valid.value = 0
            self.dut.data.value = self.random.randrange(256)
            for _ in range(pause):
                await self.cycle()

    async def rest(self, cycles):
        for _ in range(cycles):
            await self.cycle()

    def expect(self, name, *reports):
        expected = [(status, header, list(payload)) for status, header, payload in reports]
        expect_equal(name, self.reports, expected)
        self.reports.clear()


def good(frame):
    """What is reported of an intact frame."""
    return Status.OK, (frame.type, frame.tag, len(frame.payload)), frame.payload


def error(status):
    """What is reported where there is no frame."""
    return status, NOTHING, b""


@cocotb.test()
async def intact_frames(dut):
    """Frames of every length arrive as they were sent."""
    bench = await Bench.start(dut)
    for length in (0, 1, 2, 3, 4, 0, 11, PAYLOAD_MAX, PAYLOAD_MAX + PAYLOAD_EXTRA):
        frame = Frame(bench.random.randrange(256), bench.random.randrange(256), bench.random.randbytes(length))
        await bench.feed(frame.encode(), pause=bench.random.choice((1, 3, 20)))
        await bench.rest(4)
        bench.expect(f"frame of {length} bytes", good(frame))


@cocotb.test()
async def single_bit_errors_are_noticed(dut):
    """An error in any bit is reported as one of the header or of the payload, and the next frame arrives."""
    bench = await Bench.start(dut)
    frame, witness = Frame(4, 9, b"\x01\xfe"), Frame(6, 1)
    sent = frame.encode()
    for bit in (*range(0, 64, 3), *range(64, 8 * len(sent), 5)):
        damaged = bytearray(sent)
        damaged[bit // 8] ^= 1 << bit % 8
        await bench.feed(damaged)
        await bench.feed(witness.encode())
        if bit < 64:
            bench.expect(f"bit {bit}", error(Status.BAD_HEADER), good(witness))
        else:
            payload = bytes(damaged[8:10])
            bench.expect(f"bit {bit}", (Status.BAD_CRC, (4, 9, 2), payload), good(witness))


@cocotb.test()
async def lengths_that_cannot_be(dut):
    """A header with a length that is too large is a bad header."""
    bench = await Bench.start(dut)
    for length in (PAYLOAD_MAX + PAYLOAD_EXTRA + 1, 1000, 0xFFFF):
        await bench.feed(Frame(4, 7, bytes(length)).encode()[:8])
        await bench.feed(Frame(6, 1).encode())
        bench.expect(f"length {length}", error(Status.BAD_HEADER), good(Frame(6, 1)))


@cocotb.test()
async def other_bytes_are_reported_once(dut):
    """Bytes before a frame are one error, and the frame arrives."""
    bench = await Bench.start(dut)
    frame = Frame(2, 3, b"ab")
    for noise in (b"\x00", b"\x5a", b"\xa5\xa5", b"\xa5\x00\xa5", b"\xa5\x5a" + bytes(6) + b"x", b"noise \xa5 noise"):
        await bench.feed(noise + frame.encode())
        await bench.rest(4)
        bench.expect(f"noise {noise!r}", error(Status.BAD_HEADER), good(frame))


@cocotb.test()
async def silence_within_a_frame(dut):
    """A frame that falls silent is given up after the stated time, and silence between frames is no error."""
    bench = await Bench.start(dut)
    frame = Frame(2, 3, b"ab").encode()
    for length in range(1, len(frame)):
        await bench.feed(frame[:length], pause=STALL_CYCLES - 15)
        begun = bench.payload
        bench.expect("not yet")
        expect_equal("active", dut.active.value, 1)
        await bench.rest(20)
        bench.expect(f"after {length} bytes", (Status.STALLED, NOTHING, begun))
        expect_equal("active", dut.active.value, 0)
        # Before an intact header, another silence is nothing new.
        await bench.feed(frame[:1])
        await bench.rest(STALL_CYCLES + 10)
        bench.expect("nothing new")
        await bench.feed(Frame(6, 1).encode())
        bench.expect("next frame", good(Frame(6, 1)))
    await bench.rest(2 * STALL_CYCLES)
    bench.expect("silence between frames")


def test_frame_receiver():
    block = CheckedReceiver()
    assert run(build(emit(block), block.module_name), __name__).tests == 5

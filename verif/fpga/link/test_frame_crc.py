"""The CRCs of a frame, against those of Python's library."""

from __future__ import annotations

import binascii
import random
import zlib

import cocotb
from cocotb.triggers import RisingEdge

from taylorvit.fpga.link.frame_crc import FrameCrc
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, run, start
from verif.rtl.harness import idle_inputs


class Bench:
    def __init__(self, dut):
        self.dut = dut
        self.edge = RisingEdge(dut.clk)

    async def clear(self, crc):
        getattr(self.dut, f"{crc}_clear").value = 1
        await self.edge
        getattr(self.dut, f"{crc}_clear").value = 0

    async def take(self, byte, *, header=0, drain=0):
        dut = self.dut
        dut.data.value, dut.header.value, dut.drain.value, dut.start.value = byte, header, drain, 1
        await self.edge
        dut.start.value = 0
        for cycle in range(1, FrameCrc.latency + 1):
            await self.edge
            expect_equal("done", dut.done.value, cycle == FrameCrc.latency)


@cocotb.test()
async def crcs_are_those_of_the_library(dut):
    """The CRCs of header and payload are those of Python's binascii and zlib."""
    await start(dut, **idle_inputs(FrameCrc()))
    bench = Bench(dut)
    generator = random.Random(cocotb.RANDOM_SEED)
    for length in (1, 2, 4, 4, 9, 30):
        data = generator.randbytes(length)
        await bench.clear("header")
        await bench.clear("payload")
        for byte in data:  # the two do not disturb each other
            await bench.take(byte, header=1)
            await bench.take(byte ^ 0x5A)
        expect_equal("header's CRC", dut.header_crc.value, binascii.crc_hqx(data, 0xFFFF))
        expect_equal("not the end of a payload", dut.payload_good.value, 0)
        crc = zlib.crc32(bytes(byte ^ 0x5A for byte in data)).to_bytes(4, "little")
        for byte in crc:
            expect_equal("payload's CRC", dut.payload_crc.value, byte)
            await bench.take(generator.randrange(256), drain=1)


@cocotb.test()
async def a_payload_with_its_crc_is_good(dut):
    """A payload is good with its last byte if all bits are right, and only then."""
    await start(dut, **idle_inputs(FrameCrc()))
    bench = Bench(dut)
    generator = random.Random(cocotb.RANDOM_SEED)
    for length in (1, 5, 12):
        data = generator.randbytes(length)
        frame = data + zlib.crc32(data).to_bytes(4, "little")
        for wrong in (None, *generator.sample(range(8 * len(frame)), 4)):
            await bench.clear("payload")
            for number, byte in enumerate(frame):
                await bench.take(byte ^ (1 << wrong % 8 if wrong is not None and number == wrong // 8 else 0))
                expect_equal("good", dut.payload_good.value, number == len(frame) - 1 and wrong is None)


def test_frame_crc():
    result = run(build(emit(FrameCrc()), FrameCrc.module_name), __name__)
    assert result.tests == 2

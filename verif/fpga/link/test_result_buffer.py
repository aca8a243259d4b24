"""Result buffer against a list: reading again, giving up, and being full."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.fpga.link.result_buffer import ResultBuffer
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, on_every_block

DEPTHS = {"two": 2, "small": 8, "large": 64}
READS = 60


def blocks():
    return {name: ResultBuffer(depth=depth) for name, depth in DEPTHS.items()}


@cocotb.test()
async def bytes_are_kept_until_they_are_given_up(dut):
    """Bytes can be read again until they are given up, and none is taken that finds no room."""

    async def job(view, name, seed):
        generator = random.Random(seed)
        edge = RisingEdge(view.clk)
        depth, latency = DEPTHS[name], blocks()[name].latency
        written = bytearray()
        offset = refused = repeated = 0
        room = True  # for a byte, by the offset of a cycle ago

        async def cycle():
            """One cycle, in which a result may come."""
            nonlocal refused, room
            valid, byte = generator.random() < 0.3, generator.randrange(256)
            view.write_valid.value, view.write_data.value = valid, byte
            await edge
            expect_equal("write_ready", view.write_ready.value, room)
            expect_equal("offset", view.result_offset.value, offset)
            expect_equal("available", view.result_available.value, len(written) - offset)
            if valid and room:
                written.append(byte)
            refused += valid and not room
            room = len(written) - offset < depth

        await edge  # the first out of reset
        for _ in range(READS):
            for _ in range(generator.choice((0, 3, 4 * depth))):
                await cycle()
            target = offset + generator.choice((0, generator.randint(0, len(written) - offset)))
            repeated += target == offset
            view.result_seek.value, view.result_seek_offset.value = 1, target
            await cycle()
            view.result_seek.value = 0
            offset = target
            for position in range(target, target + generator.randint(0, len(written) - target)):
                for _ in range(latency - 1):
                    await cycle()
                view.result_read.value = 1
                await cycle()
                view.result_read.value = 0
                expect_equal(f"byte {position}", view.result_read_data.value, written[position])
        expect_equal("some of each", (offset > depth, refused > 5, repeated > 5), (True, True, True))

    await on_every_block(dut, blocks(), job)


def test_result_buffer():
    block = SideBySide(blocks())
    run(build(emit(block), block.module_name), __name__)


def test_what_cannot_be_built():
    with pytest.raises(ValueError, match="^depth must be a power of two, 2 or more, not 0$"):
        ResultBuffer(depth=0)

"""Byte FIFO against a queue: order, overflow, and the cycle in which a byte can be read."""

from __future__ import annotations

import random
from collections import deque

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.fpga.link.byte_fifo import ByteFifo
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, on_every_block

DEPTHS = {"two": 2, "small": 8, "large": 64}
CYCLES = 1500


def blocks():
    return {name: ByteFifo(depth=depth) for name, depth in DEPTHS.items()}


@cocotb.test()
async def bytes_come_out_as_they_went_in(dut):
    """Bytes leave in their order after the stated latency, and a byte that finds the FIFO full is reported."""

    async def job(view, name, seed):
        generator = random.Random(seed)
        edge = RisingEdge(view.clk)
        depth, latency = DEPTHS[name], ByteFifo(depth=DEPTHS[name]).latency
        queue = deque()  # (byte, the first cycle in which it may be read)
        last_read = -latency
        overflows = reads = 0
        for cycle in range(CYCLES):
            write, byte = generator.random() < (0.7 if cycle % 600 < 300 else 0.1), generator.randrange(256)
            view.write.value, view.write_data.value = write, byte
            there = bool(queue) and cycle >= max(queue[0][1], last_read + latency)
            read = there and generator.random() < 0.8
            view.read.value = read
            await edge
            expect_equal("read_valid", view.read_valid.value, there)
            if there:
                expect_equal("read_data", view.read_data.value, queue[0][0])
            full = len(queue) == depth
            expect_equal("overflow", view.overflow.value, write and full)
            overflows += write and full
            if write and not full:
                queue.append((byte, cycle + latency))
            if read:
                queue.popleft()
                last_read = cycle
                reads += 1
        expect_equal("overflowed and passed bytes on", (overflows > 20, reads > 100), (True, True))

    await on_every_block(dut, blocks(), job)


def test_byte_fifo():
    block = SideBySide(blocks())
    run(build(emit(block), block.module_name), __name__)


def test_what_cannot_be_built():
    with pytest.raises(ValueError, match="^depth must be a power of two, 2 or more, not 12$"):
        ByteFifo(depth=12)

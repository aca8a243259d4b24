"""Read queue behind a memory of any latency: every word once, in order, one a cycle where nothing is in its way."""

from __future__ import annotations

import random
from collections import deque

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.common.read_queue import ReadQueue
from taylorvit.simulation import PATTERNS, build, expect_equal, pattern, run
from verif.rtl.harness import SideBySide, on_every_block

WIDTH = 9
LATENCIES = {"fast": 1, "pipelined": 2, "slow": 3}
WORDS = 200


def blocks():
    return {name: ReadQueue(name="test", width=WIDTH, memory_latency=latency) for name, latency in LATENCIES.items()}


@cocotb.test()
async def words_come_in_order(dut):
    """Whatever the paces of both sides, the words come as they were asked for."""

    async def job(view, name, seed):
        generator = random.Random(seed)
        block, edge = blocks()[name], RisingEdge(view.clk)
        for asking in PATTERNS:
            for taking in PATTERNS:
                asks, takes = pattern(asking, f"{seed}-{taking}"), pattern(taking, f"{asking}-{seed}")
                total = 30 if "rare" in (asking, taking) else WORDS
                words = deque(generator.getrandbits(WIDTH) for _ in range(total))
                expected, coming = deque(), deque([None] * block.memory_latency)
                cycles = count = 0
                while words or expected:
                    room = len(expected) < block.depth
                    asked = room and bool(words) and next(asks)
                    view.ask.value = asked
                    word = coming.popleft()
                    view.word.value = generator.getrandbits(WIDTH) if word is None else word
                    view.ready.value = next(takes)
                    if asked:
                        expected.append(words.popleft())
                    coming.append(expected[-1] if asked else None)
                    await edge
                    expect_equal("room", view.room.value, room)
                    if view.valid.value and view.ready.value:
                        expect_equal("word", view.data.value, expected.popleft())
                        count += 1
                    cycles += 1
                    if cycles > 60 * WORDS:
                        raise AssertionError(f"{total} words must come, not {count}")
                view.ask.value = 0
                if asking == taking == "always":
                    expect_equal("cycles", cycles, total + block.latency)

    await on_every_block(dut, blocks(), job)


def test_read_queue():
    block = SideBySide(blocks())
    assert run(build(emit(block), block.module_name), __name__).compared > 1000


@pytest.mark.parametrize("parameter", ["width", "memory_latency"])
def test_parameters_must_be_positive(parameter):
    with pytest.raises(ValueError, match=f"^{parameter} must be 1 or more, not 0$"):
        ReadQueue(**({"name": "q", "width": 1, "memory_latency": 1} | {parameter: 0}))

"""Pair queue: all words come through, in their order, and one a cycle if nothing holds them up."""

from __future__ import annotations

import random
from collections import deque

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.common.pair_queue import PairQueue
from taylorvit.simulation import build, expect_equal, run, start
from verif.rtl.harness import idle_inputs

WIDTH = 9
WORDS = 400


def block():
    return PairQueue(name="test", width=WIDTH)


@cocotb.test()
async def words_come_through(dut):
    """At every pace of both sides; between two full-speed sides without a gap."""
    generator = random.Random(cocotb.RANDOM_SEED)
    await start(dut, **idle_inputs(block()))
    edge, latency = RisingEdge(dut.clk), block().latency
    for put, take in ((1, 1), (1, 0.3), (0.3, 1), (0.6, 0.6)):
        held, sent, received, cycles = deque(), 0, 0, 0
        while received < WORDS:
            puts = sent < WORDS and bool(dut.room.value) and generator.random() < put
            word = generator.getrandbits(WIDTH)
            dut.put.value, dut.incoming.value = puts, word
            takes = generator.random() < take
            expect_equal("valid", bool(dut.valid.value), bool(held))
            expect_equal("room", bool(dut.room.value), len(held) < 2)
            if held:
                expect_equal("word", int(dut.word.value), held[0])
            dut.taken.value = takes  # of an empty queue nothing is taken
            taken = bool(held) and takes
            await edge
            if taken:
                held.popleft()
                received += 1
            if puts:
                held.append(word)
                sent += 1
            cycles += 1
            if cycles > 20 * WORDS:
                raise AssertionError(f"{WORDS} words must come through in {cycles} cycles, not {received}")
            dut.put.value, dut.taken.value = 0, 0
            await cocotb.triggers.ReadOnly()
            await cocotb.triggers.NextTimeStep()
        if (put, take) == (1, 1):
            expect_equal("cycles", cycles, WORDS + latency)


def test_pair_queue():
    design = block()
    result = run(build(emit(design), design.module_name), __name__)
    assert result.compared > 4 * WORDS


@pytest.mark.parametrize(("width", "error"), [(0, ValueError), ("1", TypeError)])
def test_rules(width, error):
    with pytest.raises(error, match="width must be"):
        PairQueue(name="test", width=width)

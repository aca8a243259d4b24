"""Reciprocal root against the golden model's square root: smallest, largest and random variances, at every interval."""

from __future__ import annotations

import random

import cocotb
import numpy as np

from taylorvit.gen.verilog import emit
from taylorvit.golden.network.integer_layers import integer_sqrt
from taylorvit.rtl.network.reciprocal_root import ReciprocalRoot
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, drive, on_every_block

INTERVALS = (1, 2, 3, 4, 7, 16)
WIDTHS = {1: 48, 2: 71, 3: 49, 4: 30, 7: 64, 16: 71}  # by interval
VALUES = 600


def blocks():
    return {
        f"interval_{interval}": ReciprocalRoot(variance_width=WIDTHS[interval], interval=interval)
        for interval in INTERVALS
    }


def golden(variance):
    """The reciprocal and m, as the golden LayerNorm has them."""
    half_shift = (variance.bit_length() - 30 + 1) >> 1
    scaled = variance >> 2 * half_shift if half_shift >= 0 else variance << -2 * half_shift
    return int(integer_sqrt(np.array((1 << 58) // scaled))), half_shift


def variances(generator, width):
    """All sizes of numbers; powers of two and squares, where the root is next to an integer; the ends of the range."""
    top = (1 << width) - 1
    values = [1, 2, 3, 4, 5, top, top - 1, 1 << (width - 1), 1 << 28, (1 << 28) + 1, (1 << 30) - 1, (1 << 28) - 1]
    for size in range(1, width + 1):
        low, high = 1 << (size - 1), (1 << size) - 1
        values += [low, high, min(low + 1, high), generator.randint(low, high)]
    while len(values) < VALUES:
        # 2^58 / y^2 and its neighbours, at any even shift: the last bit depends on the last bit.
        y = generator.randint(1 << 14, 1 << 15)
        scaled = min(max((1 << 58) // (y * y) + generator.randint(-1, 1), 1 << 28), (1 << 30) - 1)
        shift = 2 * generator.randint(-14, (width - 30) // 2)
        values.append(scaled << shift | generator.getrandbits(shift) if shift > 0 else max(scaled >> -shift, 1))
    generator.shuffle(values)
    return values


async def roots_of(view, block, interval, seed):
    """Variances at least `interval` cycles apart, some of which are cancelled."""
    generator = random.Random(seed)
    inputs = {"start": [], "cancel": [], "variance": []}
    expected = {}
    for value in variances(generator, len(block.variance)):
        for _ in range(interval - 1 + generator.choice((0, 0, 0, 1, 5))):
            inputs["start"].append(0)
            inputs["variance"].append(generator.getrandbits(len(block.variance)))
        expected[len(inputs["start"]) + block.latency] = value
        inputs["start"].append(1)
        inputs["variance"].append(value)
    cycles = len(inputs["start"])
    inputs["start"].append(0)
    inputs["cancel"] = [0] * cycles
    # What was started up to a cancellation is not done.
    for cycle in generator.sample(range(cycles), 12):
        inputs["cancel"][cycle] = 1
        for other in range(cycle + 1 - block.latency, cycle + 1):
            expected.pop(other + block.latency, None)
    got = await drive(view, inputs, ["done", "reciprocal", "half_shift"], extra=block.latency)
    done = [cycle for cycle, value in enumerate(got["done"]) if int(value)]
    expect_equal("cycles with a root", done, sorted(expected))
    assert len(expected) > VALUES // 2
    for cycle, variance in expected.items():
        seen = (int(got["reciprocal"][cycle]), int(got["half_shift"][cycle]) - 14)
        expect_equal(f"reciprocal and m of {variance:#x}", seen, golden(variance))


async def roots(view, name, seed):
    block = blocks()[name]
    await roots_of(view, block, block.interval, seed)


@cocotb.test()
async def roots_equal_golden(dut):
    """Every root comes when it must, and is the golden model's."""
    await on_every_block(dut, blocks(), roots)


def test_reciprocal_root():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared > len(INTERVALS) * VALUES // 2

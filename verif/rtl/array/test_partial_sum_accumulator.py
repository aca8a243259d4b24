"""Accumulation of tiles below a column, against Python sums modulo the width."""

from __future__ import annotations

import random

import cocotb

from taylorvit.gen.verilog import emit
from taylorvit.rtl.array.partial_sum_accumulator import PartialSumAccumulator
from taylorvit.simulation import build, expect_equal, pattern, run, start
from verif.rtl.harness import SideBySide, View, drive, idle_inputs, integers, wrapped

# Sum width, depth, registers behind the memory, whether sums are written late.
SIZES = {
    "tiny": (8, 2, 0, False),
    "odd": (13, 7, 1, False),
    "default": (27, 256, 1, False),
    "wide": (36, 198, 2, False),
    "late": (11, 17, 1, True),
    "late_tiny": (8, 2, 0, True),
}


def blocks():
    return {
        name: PartialSumAccumulator(sum_width=width, depth=depth, memory_pipeline=pipeline, written_late=late)
        for name, (width, depth, pipeline, late) in SIZES.items()
    }


def reductions(generator, depth):
    """(elements, passes) of one reduction after the other: the sizes of tokens and features that fit, and both ends."""
    for elements in sorted({min(depth, size) for size in (1, 2, 7, 8, 12, 16, 32, 50, 64, 197, 198, 256)}):
        for passes in (1, 2, 3, generator.randint(4, 13)):
            yield elements, passes


@cocotb.test()
async def totals_are_exact(dut):
    """Totals of reductions of every size and number of passes are the sums, modulo the width."""
    accumulators = blocks()
    await start(dut, **idle_inputs(SideBySide(accumulators)))
    tasks = [
        cocotb.start_soon(check(View(dut, name), accumulators[name], *SIZES[name][:2], f"{cocotb.RANDOM_SEED}-{name}"))
        for name in SIZES
    ]
    for task in tasks:
        await task


async def check(view, accumulator, width, depth, seed):
    generator = random.Random(seed)
    controls, sums, expected = [], [], []  # a cycle each: (valid, first, last, index), partial sum, total or None

    def cycle(valid, first, last, index, partial_sum, total=None):
        controls.append((valid, first, last, index))
        sums.append(partial_sum)
        expected.append(total)

    def idle():
        cycle(0, generator.getrandbits(1), generator.getrandbits(1), generator.randrange(depth),
              *integers(generator, width, 1))  # fmt: skip

    for number, (elements, passes) in enumerate(reductions(generator, depth)):
        activity = pattern("random" if number % 2 else "always", generator.getrandbits(32))
        totals = [0] * elements
        for one_pass in range(passes):
            for index in range(elements):
                while not next(activity):
                    idle()
                [partial_sum] = integers(generator, width, 1)
                totals[index] = wrapped(totals[index] + partial_sum, width)
                last = one_pass == passes - 1
                cycle(1, int(one_pass == 0), int(last), index, partial_sum, totals[index] if last else None)
            for _ in range(accumulator.return_delay - elements):
                idle()

    valid, first, last, index = map(list, zip(*controls))
    inputs = {
        "valid": [*valid, 0],
        "first": first,
        "last": last,
        "index": index,
        "partial_sum": [0] * accumulator.sum_delay + [value % (1 << width) for value in sums],
    }
    outputs = await drive(view, inputs, ["total_valid", "total"], extra=accumulator.latency)
    for at, total in enumerate(expected):
        seen = outputs["total_valid"][at + accumulator.latency]
        expect_equal(f"total_valid of cycle {at}", seen, total is not None)
        if total is not None:
            expect_equal(f"total of cycle {at}", outputs["total"][at + accumulator.latency].to_signed(), total)


def test_partial_sum_accumulator():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared > 20_000

"""Divider lane against exact division: every numerator and divisor where that is few, else halves, edges, random."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction
from math import floor

import cocotb

from taylorvit.gen.verilog import emit
from taylorvit.golden.arithmetic.number_format import divide_round_half_up, saturate
from taylorvit.rtl.attention.divider_lane import DividerLane
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import build, expect_equal, pack, run, start, unpack
from verif.rtl.harness import SideBySide, View, drive, idle_inputs, integers, limits

# Data width 4: k_sum of 16 tokens by anything. (mean_fraction, interval, pipelined) of the lanes, all their iterations
# included.
EXHAUSTIVE_COPIES = 16
EXHAUSTIVE_WIDTHS = {"numerator_width": 8, "divisor_width": 7, "data_width": 4}
EXHAUSTIVE_LANES = ((0, 1, False), (0, 1, True), (1, 2, True), (2, 3, False), (3, 4, True), (3, 8, False))

# Widths of whole accelerators, (data_width, mean_fraction, tokens, head_dim) with the intervals of their lanes; those
# of an even interval are pipelined.
COPIES = 2
ACCELERATORS = {
    (8, 3, 256, 64): (1, 2, 3, 4, 8, 12),
    (4, 0, 7, 5): (2, 5),
    (6, 1, 50, 12): (3, 8),
    (12, 2, 198, 32): (4, 15),
    (12, 0, 16, 8): (1, 13),
}


def exhaustive_lanes():
    return {
        f"fraction_{fraction}_interval_{interval}{'_pipelined' * pipelined}": DividerLane(
            **EXHAUSTIVE_WIDTHS,
            mean_width=EXHAUSTIVE_WIDTHS["data_width"] + fraction,
            interval=interval,
            pipelined=pipelined,
        )
        for fraction, interval, pipelined in EXHAUSTIVE_LANES
    }


def accelerator_lanes():
    lanes = {}
    for (data_width, fraction, tokens, head_dim), intervals in ACCELERATORS.items():
        config = AcceleratorConfig(
            name="lane", rows=4, columns=4, data_width=data_width, mean_fraction=fraction, max_tokens=tokens,
            max_head_dim=head_dim, stream_width=-(-data_width // 8) * 8,
        )  # fmt: skip
        for interval in intervals:
            lanes[f"width_{data_width}_fraction_{fraction}_interval_{interval}"] = DividerLane(
                numerator_width=config.numerator_width,
                divisor_width=config.divisor_width,
                data_width=data_width,
                mean_width=config.mean_width,
                interval=interval,
                pipelined=interval % 2 == 0,
            )
    return lanes


# Benches: run inside the simulator.


def widths_of(lane):
    return len(lane.numerator), len(lane.divisor)


async def divide(view, lane, copies, divisions, generator=None):
    """Compares `divisions` (numerator, divisor, invalid): as many at once as there are copies.

    Each starts `interval` cycles after the one before, or with a `generator` up to some cycles later; between, it puts
    anything on the other inputs.
    """
    numerator_width, divisor_width = widths_of(lane)
    inputs = {port: [] for port in ("start", "numerator", "divisor", "invalid")}
    begins = []

    def cycle(start, numerators, divisors, invalids):
        inputs["start"].append(((1 << copies) - 1) * start)
        inputs["numerator"].append(pack(numerators, numerator_width))
        inputs["divisor"].append(pack(divisors, divisor_width))
        inputs["invalid"].append(pack(invalids, 1))

    rows = [divisions[at : at + copies] for at in range(0, len(divisions), copies)]
    for row in rows:
        begins.append(len(inputs["start"]))
        cycle(1, *zip(*row))
        gap = lane.interval - 1
        if generator is None:
            for values in inputs.values():
                values.extend(values[-1:] * gap)
            inputs["start"][begins[-1] + 1 :] = [0] * gap
        else:
            for _ in range(gap + generator.choice((0, 0, 1, generator.randrange(2 * lane.latency)))):
                cycle(
                    0,
                    integers(generator, numerator_width, copies),
                    integers(generator, divisor_width, copies, signed=False),
                    [generator.getrandbits(1) for _ in range(copies)],
                )
    inputs["start"].append(0)
    for port in ("numerator", "divisor", "invalid"):
        inputs[port].insert(0, 0)  # they follow `start` by a cycle

    got = await drive(view, inputs, ["mean", "z"], extra=lane.latency)
    for begin, row in zip((begin + 1 for begin in begins), rows):
        for port, width in (("mean", lane.mean_width), ("z", lane.data_width)):
            quotients = unpack(got[port][begin + lane.latency], width, copies)
            expect_equal(
                f"{port} of (numerator, divisor, invalid) = {row}",
                quotients,
                [golden(*division, width) for division in row],
            )


def golden(numerator, divisor, invalid, width):
    """The quotient of `width` bits: numerator / divisor is a fraction of 2^(width-1)."""
    if invalid:
        return limits(width)[numerator >= 0]
    return saturate(divide_round_half_up(numerator << (width - 1), divisor), width)


@cocotb.test()
async def every_numerator_and_divisor(dut):
    """Narrow lanes round every quotient exactly."""
    lanes = exhaustive_lanes()
    await start(dut, **idle_inputs(SideBySide(lanes, EXHAUSTIVE_COPIES)))
    (low, high), (_zero, largest) = (
        limits(EXHAUSTIVE_WIDTHS["numerator_width"]),
        limits(EXHAUSTIVE_WIDTHS["divisor_width"], signed=False),
    )
    divisions = [*itertools.product(range(low, high + 1), range(1, largest + 1), [0])]
    divisions += itertools.product(range(low, high + 1), [0, 1, largest, 100], [1])
    tasks = [
        cocotb.start_soon(divide(View(dut, name), lane, EXHAUSTIVE_COPIES, divisions)) for name, lane in lanes.items()
    ]
    for task in tasks:
        await task


@cocotb.test()
async def halves_edges_and_random_divisions(dut):
    """Lanes of accelerators round halves, quotients at the limits and random ones exactly."""
    lanes = accelerator_lanes()
    await start(dut, **idle_inputs(SideBySide(lanes, COPIES)))
    tasks = []
    for name, lane in lanes.items():
        generator = random.Random(f"{cocotb.RANDOM_SEED}-{name}")
        divisions = [*hard_divisions(generator, lane)]
        generator.shuffle(divisions)
        divisions += divisions[: -len(divisions) % COPIES]
        tasks.append(cocotb.start_soon(divide(View(dut, name), lane, COPIES, divisions, generator)))
    for task in tasks:
        await task


def hard_divisions(generator, lane):
    """What an inexact divider would get wrong, what saturates, and what has no divisor."""
    numerator_width, divisor_width = widths_of(lane)
    low, high = limits(numerator_width)
    for width in (lane.data_width, lane.mean_width):
        for _ in range(60):
            # (2 q + 1) / 2 units: the numerator is whole where the divisor is a multiple of 2^width.
            unit = generator.randint(1, (1 << generator.randint(1, divisor_width - width)) - 1)
            quotient = generator.randint(-(1 << (width - 1)) - 1, 1 << (width - 1))
            for offset in (-1, 0, 1):
                numerator = (2 * quotient + 1) * unit + offset
                if low <= numerator <= high:
                    yield numerator, unit << width, 0
    for _ in range(40):
        divisor = generator.randint(1, (1 << generator.randint(1, divisor_width)) - 1)
        for numerator in (-divisor - 1, -divisor, 1 - divisor, -1, 0, 1, divisor - 1, divisor, divisor + 1,
                          divisor - (divisor >> lane.data_width), divisor - (divisor >> lane.mean_width), low, high,
                          generator.randint(-divisor, divisor), generator.randint(low, high)):  # fmt: skip
            if low <= numerator <= high:
                yield numerator, divisor, 0
        yield generator.choice((low, -1, 0, 1, high)), generator.choice((0, divisor)), 1
    for extreme in (1, (1 << divisor_width) - 1):
        for numerator in (low, -extreme, 0, high):
            yield numerator, extreme, 0


# Tests: run by pytest.


def check(lanes, copies, testcase):
    block = SideBySide(lanes, copies)
    modules = tuple(lane.module_name for lane in lanes.values())
    return run(build(emit(block), block.module_name, no_inline=modules), __name__, testcase=testcase)


def test_every_numerator_and_divisor():
    result = check(exhaustive_lanes(), EXHAUSTIVE_COPIES, "every_numerator_and_divisor")
    assert result.compared > 2 * len(EXHAUSTIVE_LANES) * 256 * 127


def test_halves_edges_and_random_divisions():
    result = check(accelerator_lanes(), COPIES, "halves_edges_and_random_divisions")
    assert result.compared > 2 * len(accelerator_lanes()) * 800


def test_golden_is_the_exact_quotient():
    for numerator, divisor, width in itertools.product(range(-9, 10), range(1, 8), (2, 4)):
        exact = floor(Fraction(numerator, divisor) * 2 ** (width - 1) + Fraction(1, 2))
        assert golden(numerator, divisor, 0, width) == min(max(exact, -(2 ** (width - 1))), 2 ** (width - 1) - 1)

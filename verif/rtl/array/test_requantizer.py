"""Requantizer against the golden's rounding shift and saturation."""

from __future__ import annotations

import random

import cocotb

from taylorvit.gen.verilog import emit
from taylorvit.golden.arithmetic.number_format import saturate, shift_right_round_half_up
from taylorvit.rtl.array.requantizer import Requantizer
from taylorvit.simulation import build, expect_equal, pack, run, start, unpack
from verif.rtl.harness import SideBySide, View, drive, idle_inputs, integers, limits

COPIES = 16
SIZES = {  # name: widths as the accelerator has them (2 W + f + log2 N), and one small enough for every value
    "exhaustive": {"i_width": 9, "o_width": 4, "shift_max": 9},
    "width_4": {"i_width": 15, "o_width": 4, "shift_max": 15},
    "width_6": {"i_width": 20, "o_width": 6, "shift_max": 20},
    "width_8": {"i_width": 27, "o_width": 8, "shift_max": 27},
    "width_12": {"i_width": 33, "o_width": 12, "shift_max": 33},
    "slow": {"i_width": 15, "o_width": 4, "shift_max": 15, "pipelined": False},
    "slow_odd": {"i_width": 9, "o_width": 3, "shift_max": 5, "pipelined": False},
}


def blocks():
    return {name: Requantizer(**size) for name, size in SIZES.items()}


# Benches: run inside the simulator.


async def check(view, size, values, shifts):
    """Runs `values` with `shifts`, one of each a copy and cycle, through the copies."""
    values, shifts = ([row[at : at + COPIES] for at in range(0, len(row), COPIES)] for row in (values, shifts))
    shift_width = size["shift_max"].bit_length()
    inputs = {
        "i": [pack(row, size["i_width"]) for row in values],
        "shift": [pack(row, shift_width) for row in shifts],
    }
    latency = Requantizer(**size).latency
    got = await drive(view, inputs, ["o"], extra=latency)
    for cycle, row in enumerate(values):
        expected = [
            saturate(shift_right_round_half_up(value, shift), size["o_width"])
            for value, shift in zip(row, shifts[cycle])
        ]
        outputs = unpack(got["o"][cycle + latency], size["o_width"], COPIES)
        expect_equal(f"{row} >> {shifts[cycle]}", outputs, expected)


@cocotb.test()
async def every_value_and_shift(dut):
    """A narrow requantizer rounds and saturates every value by every shift as the golden model does."""
    await start(dut, **idle_inputs(SideBySide(blocks(), COPIES)))
    size = SIZES["exhaustive"]
    low, high = limits(size["i_width"])
    for shift in range(size["shift_max"] + 1):
        values = list(range(low, high + 1))
        await check(View(dut, "exhaustive"), size, values, [shift] * len(values))


@cocotb.test()
async def halves_edges_and_random_values(dut):
    """Halves, values around the limits of the output and random ones come out as in the golden model."""
    await start(dut, **idle_inputs(SideBySide(blocks(), COPIES)))
    generator = random.Random(cocotb.RANDOM_SEED)

    def around_the_edges(size):
        """For each shift: what rounds to the limits of the output and just beyond, and halves of either sign."""
        low, high = limits(size["i_width"])
        for shift in range(size["shift_max"] + 1):
            half = 1 << shift >> 1
            for quotient in (*limits(size["o_width"]), -2, -1, 0, 1, generator.randrange(1 << size["o_width"])):
                for offset in (-half - 1, -half, -half + 1, 0, half - 1, half, half + 1):
                    value = (quotient << shift) + offset
                    if low <= value <= high:
                        yield value, shift

    for name in list(SIZES)[1:]:
        size = SIZES[name]
        vectors = list(around_the_edges(size))
        vectors += [
            (value, generator.randint(0, size["shift_max"])) for value in integers(generator, size["i_width"], 2000)
        ]
        vectors += vectors[: -len(vectors) % COPIES]
        generator.shuffle(vectors)
        await check(View(dut, name), size, *zip(*vectors))


# Tests: run by pytest.


def test_requantizer():
    block = SideBySide(blocks(), COPIES)
    result = run(build(emit(block), block.module_name), __name__)
    assert result.tests == 2
    assert result.compared > 13_000

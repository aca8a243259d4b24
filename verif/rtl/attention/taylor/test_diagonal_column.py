"""The column of SA-Diag: k^_sum, its totals with Q, and the divisors, against Python integers.

As in `test_array_column`, totals arrive for one half of the k^_sum bank and every other place of the row queue,
while tiles are loaded and rows divided from the others, and the halves change roles from round to round.
"""

from __future__ import annotations

import random

import cocotb
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.attention.taylor.array_column import ArrayColumn
from taylorvit.rtl.attention.taylor.diagonal_column import DiagonalColumn
from taylorvit.rtl.common.bundles import Phase
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import build, expect_equal, parameters, run, start
from verif.rtl.harness import (
    PASSED_ON,
    Timeline,
    bits,
    drive,
    expect_passed_on,
    idle_inputs,
    limits,
    passed_to,
    tile_bits,
)
from verif.rtl.models import Totals, partial_sums, queue_slots

ROUNDS = 6
REDUCTIONS = 10  # a round
STROBES = ("accumulate_in__valid", "divide_in__start")
CONFIGURATIONS = {
    "default": {"rows": 4, "columns": 4, "max_tokens": 64, "max_head_dim": 32},
    "odd": {"rows": 5, "columns": 3, "data_width": 6, "mean_fraction": 1, "max_tokens": 17, "max_head_dim": 13,
            "stream_width": 8, "memory_pipeline": 2},
    "wide": {"rows": 16, "columns": 8, "data_width": 12, "mean_fraction": 2, "max_tokens": 198, "max_head_dim": 64,
             "memory_pipeline": 1},
    "narrow": {"rows": 8, "columns": 4, "data_width": 4, "mean_fraction": 0, "max_tokens": 16, "max_head_dim": 12,
               "stream_width": 16, "constant_fraction": 0},
    "smallest": {"rows": 2, "columns": 1, "max_tokens": 1, "max_head_dim": 1, "stream_width": 8},
}  # fmt: skip


def config_of(name):
    return AcceleratorConfig(name="diagonal", **CONFIGURATIONS[name])


def column_of(config):
    return DiagonalColumn(config, divisor_delay=ArrayColumn(config).divisor_delay)


# Benches: run inside the simulator.


class Diagonal:
    """Model of the column's memories, and what a round of inputs must do to them."""

    def __init__(self, config, generator):
        self.config = config
        self.generator = generator
        self.column = column_of(config)
        self.load_latency = ArrayColumn(config).load_latency  # cycles from a load's control to its element
        self.k_hat_sums, self.queue = {}, {}  # by (half, feature); by place
        self.half = 0

    def address(self, half, feature):
        """{half, any column tile, feature}: every column tile's tiles carry the same k^_sum."""
        tile = self.generator.randrange(self.config.column_tiles)
        return (half << tile_bits(self.config.column_tiles) | tile) << bits(self.config.max_head_dim) | feature

    def reductions(self, timeline):
        """Passes of partial sums; returns the k^_sum and Q k^_sum that they give, and the cycles of the latter."""
        config, accumulator = self.config, self.column.accumulator
        kinds = {
            Phase.G: Totals(
                config.k_hat_sum_width, range(config.max_head_dim), lambda feature: self.address(self.half, feature)
            ),
            Phase.QG: Totals(config.q_k_hat_sum_width, queue_slots(config, self.half)),
        }
        k_hat_sums, queue, queued = {}, {}, []
        for phase, totals, ends in partial_sums(
            timeline, self.generator, accumulator, reductions=REDUCTIONS, kinds=kinds,
            longest=min(40, max(config.max_tokens, config.max_head_dim)), sum_width=config.diagonal_sum_width,
        ):  # fmt: skip
            if phase == Phase.G:
                k_hat_sums |= {(self.half, place): total for place, total in totals.items()}
            else:
                queue |= totals
                queued += [cycle + accumulator.latency for cycle in ends]
        return k_hat_sums, queue, queued

    def loads(self, timeline):
        """Rows of tiles, ones or k^_sum of the half that is not written; returns [(cycle, stationary operand)]."""
        config, generator = self.config, self.generator
        expected = []
        for cycle in range(300):
            phase = generator.choice((Phase.G, Phase.QG))
            blank = int(generator.random() < 0.2)
            feature = generator.randrange(config.max_head_dim)
            if phase == Phase.G:
                address, element = generator.getrandbits(len(self.column.load_in.address)), 1
            else:
                address = self.address(1 - self.half, feature)
                element = self.k_hat_sums.get((1 - self.half, feature), 0)
            timeline.set(cycle, load_in__phase=phase, load_in__blank=blank, load_in__address=address)
            expected.append((cycle + self.load_latency, 0 if blank else element))
        return expected

    def divisions(self, timeline, c_d, tokens, shift):
        """Rows of Q G and of means; returns [(cycle, divisor or None where it is invalid)] and the rows' errors."""
        config, generator = self.config, self.generator
        expected, errors = [], 0
        cycle = 0
        for _ in range(150):
            mean = int(generator.random() < 0.3)
            slot = generator.choice(queue_slots(config, 1 - self.half))
            timeline.set(cycle, divide_in__start=1, divide_in__mean=mean, divide_in__queue_address=slot)
            denominator = c_d + (self.queue.get(slot, 0) << config.constant_fraction)
            invalid = not mean and denominator <= 0
            errors += invalid
            divisor = tokens << (config.data_width - 1) if mean else denominator << shift
            expected.append((cycle + PASSED_ON + self.column.divisor_delay, None if invalid else divisor))
            cycle += 1 + generator.choice((0, 0, 1, 3))
        return expected, errors


@cocotb.test()
async def rounds_equal_the_model(dut):
    """Stationary operands, divisors and errors equal the model, round after round."""
    config = config_of(parameters()["name"])
    generator = random.Random(cocotb.RANDOM_SEED)
    model = Diagonal(config, generator)
    await start(dut, **idle_inputs(model.column))
    errors_in_all = 0
    for number in range(ROUNDS):
        timeline = Timeline(model.column, generator, STROBES)
        # The ends, and constants of the products' size, so that t_D is of either sign.
        largest = limits(config.c_d_width, signed=False)[1]
        product = generator.getrandbits(config.q_k_hat_sum_width + config.constant_fraction - 2)
        c_d = (0, largest)[number] if number < 2 else min(largest, product)
        tokens = generator.choice((1, config.max_tokens, generator.randint(1, config.max_tokens)))
        shift = generator.choice((0, config.divisor_shift_max, generator.randint(0, config.divisor_shift_max)))
        k_hat_sums, queue, queued = model.reductions(timeline)
        stationary = model.loads(timeline)
        divisors, errors = model.divisions(timeline, c_d, tokens, shift)

        inputs = timeline.inputs(c_d=c_d, tokens=tokens, divisor_shift=shift)
        passed = [port for port in inputs if "_in__" in port]
        outputs = [
            "stationary",
            "divisor_out",
            "invalid_out",
            "denominator_error",
            "row_queued",
            *map(passed_to, passed),
        ]
        got = await drive(dut, inputs, outputs, extra=PASSED_ON + model.column.divisor_delay + model.load_latency)
        cycles, values = zip(*stationary)
        seen = [got["stationary"][cycle].to_signed() for cycle in cycles]
        expect_equal(f"stationary of round {number}", seen, list(values))
        for cycle, divisor in divisors:
            expect_equal(f"invalid of cycle {cycle} of round {number}", got["invalid_out"][cycle], divisor is None)
            if divisor is not None:
                expect_equal(f"divisor of cycle {cycle} of round {number}", int(got["divisor_out"][cycle]), divisor)
        expect_equal(f"errors of round {number}", sum(map(int, got["denominator_error"])), errors)
        seen = [cycle for cycle, value in enumerate(got["row_queued"]) if int(value)]
        expect_equal(f"rows queued in round {number}", seen, queued)
        expect_passed_on(got, inputs, passed, timeline.length, f" of round {number}")
        errors_in_all += errors

        model.k_hat_sums |= k_hat_sums
        model.queue |= queue
        model.half = 1 - model.half
    expect_equal("some divisors were invalid", errors_in_all > 0, True)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_diagonal_column(name):
    block = column_of(config_of(name))
    result = run(build(emit(block), block.module_name), __name__, parameters={"name": name})
    assert result.compared > ROUNDS * 10 * 300

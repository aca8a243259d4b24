"""Output stage against the golden rounding shift and saturation: extreme constants, halves, ends of ranges, tables."""

from __future__ import annotations

import random

import cocotb

from taylorvit.gen.verilog import emit
from taylorvit.golden.arithmetic.number_format import saturate, shift_right_round_half_up
from taylorvit.rtl.network.output_stage import OutputStage
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, Timeline, drive, integers, limits, on_every_block, wrapped
from verif.rtl.network.configurations import CONFIGURATIONS, config_of

TABLES = 3
TOTALS = 900  # behind each table


def blocks():
    return {name: OutputStage(config_of(name)) for name in CONFIGURATIONS}


def total_of(config, generator, constants, add):
    """A total: any, or one whose result is next to a half or to the end of a range."""
    [total] = integers(generator, config.partial_sum_width, 1)
    if add or generator.random() < 0.5:
        return total
    ends = [*limits(config.residual_width), *limits(8), -1, 0, generator.randint(*limits(config.residual_width))]
    right_shift, branch_shift = constants["right_shift"], constants["branch_shift"]
    aligned = (
        (generator.choice(ends) << right_shift)
        + generator.choice((0, 1 << right_shift >> 1))
        + generator.randint(-1, 1)
    )
    total = (aligned >> branch_shift) - constants["bias"]
    low, high = limits(config.partial_sum_width)
    return min(max(total, low), high)


async def check(view, name, seed):
    """One total a cycle, each with constants of its own; a table between."""
    config, generator = config_of(name), random.Random(seed)
    block = OutputStage(config)
    timeline = Timeline(block, generator, ("table_write",))
    sums, features, values = {}, {}, {}
    cycle = 0
    for _ in range(TABLES):
        table = integers(generator, 8, 256)
        for entry, data in enumerate(table):
            timeline.set(cycle, table_write=1, table_entry=entry, table_data=data)
            cycle += 1
        for number in range(TOTALS):
            constants = {
                shift: generator.choice((0, most, generator.randint(0, most)))
                for shift, most in (
                    ("stream_shift", config.stream_shift_max), ("branch_shift", config.branch_shift_max),
                    ("right_shift", config.right_shift_limit),
                )
            }  # fmt: skip
            [constants["bias"]] = integers(generator, config.sum_width, 1)
            add, through_table = generator.getrandbits(1), generator.getrandbits(1)
            total = total_of(config, generator, constants, add)
            if number < 256:  # each entry of the table
                constants |= {"bias": number - 128, "branch_shift": 0, "right_shift": 0}
                total, add, through_table = 0, 0, 1
            [residual] = integers(generator, config.residual_width, 1)
            timeline.set(cycle, total=total, add=add, through_table=through_table, **constants)
            timeline.set(cycle + block.residual_delay, residual=residual)

            total = wrapped(total + constants["bias"], config.sum_width)
            aligned = (total << constants["branch_shift"]) + add * (residual << constants["stream_shift"])
            shifted = shift_right_round_half_up(wrapped(aligned, config.aligned_width), constants["right_shift"])
            sums[cycle + block.sum_latency] = total
            features[cycle + block.feature_latency] = saturate(shifted, config.residual_width)
            value = saturate(shifted, 8)
            values[cycle + block.latency] = table[value + 128] if through_table else value
            cycle += 1
        cycle += block.latency
    got = await drive(view, timeline.inputs(), ["sum", "feature", "value"], extra=block.latency)
    for port, expected in (("sum", sums), ("feature", features), ("value", values)):
        expect_equal(port, [got[port][cycle].to_signed() for cycle in expected], list(expected.values()))


@cocotb.test()
async def totals_become_what_they_must(dut):
    """Stages of all configurations, at once."""
    await on_every_block(dut, blocks(), check)


def test_output_stage():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared >= 3 * TABLES * TOTALS * len(CONFIGURATIONS)

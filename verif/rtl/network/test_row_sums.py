"""One column's share of the row sums: its feature and the square are added, what says of which token goes along."""

from __future__ import annotations

import random

import cocotb

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.row_sums import FeatureSums
from taylorvit.simulation import build, expect_equal, run
from taylorvit.simulation.dsp_cells import with_dsp_models
from verif.rtl.harness import SideBySide, Timeline, drive, expect_passed_on, integers, limits, on_every_block
from verif.rtl.network.configurations import CONFIGURATIONS, IN_CELLS, config_of

TOKENS = 500


def blocks():
    return {name: FeatureSums(config_of(name)) for name in CONFIGURATIONS | IN_CELLS}


async def check(view, name, seed):
    """A token in each cycle; the sums get as large as those of the widest token."""
    config, generator = config_of(name), random.Random(seed)
    block = FeatureSums(config)
    timeline = Timeline(block, generator, ("sums_in__valid",))
    totals, squares = {}, {}
    low, high = (limit << config.left_shift_max for limit in limits(config.residual_width))
    for cycle in range(TOKENS):
        [feature] = integers(generator, config.residual_width, 1)
        left_shift = generator.choice((0, config.left_shift_max, generator.randint(0, config.left_shift_max)))
        before = generator.choice((0, config.max_width - 1, generator.randrange(config.max_width)))
        total, square = generator.choice((before * low, before * high, 0)), generator.choice((before * low * low, 0))
        later = cycle + block.sums_delay
        timeline.set(cycle, feature=feature, left_shift=left_shift)
        timeline.set(later, sums_in__valid=generator.getrandbits(1), sums_in__total=total, sums_in__squares=square)
        value = feature << left_shift
        totals[cycle + block.latency], squares[cycle + block.latency] = total + value, square + value * value
    inputs = timeline.inputs()
    passed = [f"sums_in__{member}" for member in ("valid", "index", "first_tile", "last_tile")]
    outputs = [f"sums_out__{member}" for member in block.sums_out.signature.members]
    got = await drive(view, inputs, outputs, extra=block.latency)
    expect_passed_on(got, inputs, passed, timeline.length)
    seen = [got["sums_out__total"][cycle].to_signed() for cycle in totals]
    expect_equal("total", seen, list(totals.values()))
    expect_equal("squares", [int(got["sums_out__squares"][cycle]) for cycle in squares], list(squares.values()))


@cocotb.test()
async def features_are_added(dut):
    """Blocks of all configurations, at once."""
    await on_every_block(dut, blocks(), check)


def test_row_sums():
    block = SideBySide(blocks())
    result = run(build(with_dsp_models(emit(block)), block.module_name), __name__)
    assert result.compared >= 6 * TOKENS * len(blocks())

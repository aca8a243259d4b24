"""Any configuration that is accepted generates, without a warning of any tool, and computes to the bit.

Random configurations (`verif.regression.random_configurations`). A handful of them is a test of every day; all are one
of the night, `make nightly`, and `SEED=random` draws others.
"""

from __future__ import annotations

import cocotb
import numpy as np
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.jobs import Job
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.array.multiplier import FORMS
from taylorvit.rtl.attention import KERNELS
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import build, parameters, run
from taylorvit.simulation.dsp_cells import with_dsp_models
from taylorvit.simulation.host import AcceleratorHost
from taylorvit.simulation.settings import DEFAULT_SEED, selected_seed
from verif.tools.lint import verilator_warnings

from .checks import run_and_check
from .jobs import EXTREMES, extreme_job, limits_of_constants, random_job, random_operands
from .random_configurations import INTERVALS, draw, draws

GENERATED, SIMULATED = 200, 2 * INTERVALS
HANDFUL = 4
LONGEST = 10_000  # cycles of array work of a job


@cocotb.test()
async def jobs_at_the_limits(dut):
    """Jobs at the limits of operands, constants and sizes equal the golden model."""
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config)
    await host.wait_for_ever()
    generator = np.random.default_rng(cocotb.RANDOM_SEED)
    tokens, head_dim = min(config.max_tokens, 9), min(config.max_head_dim, 5)
    heads = min(config.max_heads, 2)
    for number, constants in enumerate(limits_of_constants(config)):
        kind = EXTREMES[number % len(EXTREMES)]
        await run_and_check(host, extreme_job(kind, config, 1, tokens, head_dim, constants))
        operands = random_operands(generator, config, heads, tokens, head_dim)
        await run_and_check(host, Job(*operands, constants, kernel=config.kernel))
    most_tokens, most_features = largest_sizes(config)
    for shape in ((most_tokens, most_features), (most_tokens, 1), (1, most_features), (1, 1)):
        await run_and_check(host, random_job(generator, config, heads, *shape))
    for kind in EXTREMES:
        constants = limits_of_constants(config)[1]
        await run_and_check(host, extreme_job(kind, config, 1, most_tokens, most_features, constants))


def largest_sizes(config):
    """Most tokens and features of a job that does not take long."""
    tokens, head_dim = config.max_tokens, config.max_head_dim
    while config.array_cycles(tokens, head_dim) > LONGEST:
        tokens, head_dim = (tokens, head_dim // 2) if head_dim > tokens else (tokens // 2, head_dim)
    return tokens, head_dim


# Tests: run by pytest.


def check(number, folder, *, simulated):
    config = draw(selected_seed(), number)
    print(config)  # shown if it fails
    accelerator = Accelerator(config)
    verilog, top = emit(accelerator), accelerator.module_name
    (folder / f"{top}.v").write_text(verilog, encoding="utf-8")
    assert verilator_warnings(folder, top) == []
    if simulated:
        simulation = build(with_dsp_models(verilog), top)
        run(simulation, __name__, testcase="jobs_at_the_limits", parameters={"config": config.to_mapping()})


@pytest.mark.parametrize("number", range(HANDFUL))
def test_a_handful(number, tmp_path):
    check(number, tmp_path, simulated=number == 0)


@pytest.mark.nightly
@pytest.mark.parametrize("number", range(GENERATED))
def test_random_configurations(number, tmp_path):
    check(number, tmp_path, simulated=number < SIMULATED)


@pytest.mark.parametrize("count", [GENERATED, SIMULATED])
def test_corners_are_among_them(count):
    """Among those that are generated, and among those that are simulated."""
    drawn = draws(DEFAULT_SEED, range(count))

    def values(field):
        return {getattr(config, field) for config in drawn}

    limits = {
        "data_width": (2, 16), "mean_fraction": (0, 8), "constant_fraction": (0, 16), "max_heads": (1, 65535),
        "max_tokens": (1,), "max_head_dim": (1,), "pe_pipeline": (0, 4), "memory_pipeline": (0, 1, 2),
        "shift_z_min": (-8, 0), "shift_z_max": (0, 31), "counter_width": (8, 32), "error_count_width": (1, 16),
        "input_timeout": (1,), "stream_lanes": (1, 2, 3, 4, 8), "multiplier": tuple(FORMS), "element_width": (8, 16),
        "rows": (2,), "columns": (1,),
    }  # fmt: skip
    for field, reached in limits.items():
        assert set(reached) <= values(field), field
    assert max(values("max_tokens")) > 1000 and max(values("max_head_dim")) > 200
    assert any(config.shift_z_min == config.shift_z_max for config in drawn)
    assert any(config.shift_z_max < config.data_width for config in drawn)
    assert any(config.input_timeout == (1 << config.counter_width) - 1 for config in drawn)
    assert any(config.divider_interval == config.divider_iterations for config in drawn)
    assert values("divider_interval") == set(range(INTERVALS))
    assert any(getattr(config, "c_d_width", 0) > 63 for config in drawn)
    assert values("kernel") == set(KERNELS)
    assert {len(prefix) for prefix in values("prefix")} == {0, 2, 32}
    none_some_all = {min(config.booth_columns, 1) + (config.booth_columns == config.columns) for config in drawn}
    assert none_some_all == {0, 1, 2}

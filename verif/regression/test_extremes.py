"""Extremes: operands and constants at and within the edges of their ranges, and denominators that are not positive."""

from __future__ import annotations

from dataclasses import replace

import cocotb
import numpy as np
import pytest

from taylorvit.golden.attention.integer_attention import JobConstants
from taylorvit.jobs import Job, golden_steps
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import parameters, run
from taylorvit.simulation.host import AcceleratorHost

from .checks import run_and_check
from .configurations import CONFIGURATIONS, and_other_kernels, build_accelerator
from .jobs import EXTREMES, extreme_job, limits_of_constants, random_constants, random_job, random_operands

DRAWN = 12  # constants within their ranges


async def set_up(dut):
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config)
    return host, config, np.random.default_rng(cocotb.RANDOM_SEED)


@cocotb.test()
async def operands_and_constants_at_their_limits(dut):
    """Operands and constants at the limits of their ranges, and any constants within, give the golden model's bits."""
    host, config, generator = await set_up(dut)
    tokens, head_dim = min(config.max_tokens, 9), min(config.max_head_dim, 5)
    for constants in limits_of_constants(config):
        for kind in EXTREMES:
            await run_and_check(host, extreme_job(kind, config, 1, tokens, head_dim, constants))
        for shape in ((2, tokens, head_dim), (2, 1, head_dim), (2, tokens, 1)):
            operands = random_operands(generator, config, *shape)
            await run_and_check(host, Job(*operands, constants, kernel=config.kernel))
    for _trial in range(DRAWN):  # whether or not the operands fit them
        operands = random_operands(generator, config, 1, min(tokens, 5), min(head_dim, 3))
        await run_and_check(host, Job(*operands, random_constants(config, generator), kernel=config.kernel))


@cocotb.test()
async def largest_sums(dut):
    """The largest sums that a job can make do not overflow."""
    host, config, _generator = await set_up(dut)
    for kind in EXTREMES:
        for constants in (limits_of_constants(config)[1], limits_of_constants(config)[-2]):
            job = extreme_job(kind, config, 1, config.max_tokens, config.max_head_dim, constants)
            await run_and_check(host, job)


@cocotb.test()
async def denominators_that_are_not_positive(dut):
    """Rows with t_D <= 0 saturate and are counted, and the others are right."""
    host, config, generator = await set_up(dut)
    rows = valid = 0
    for trial in range(12):
        heads, tokens = 2, int(generator.integers(2, min(config.max_tokens, 24) + 1))
        job = random_job(generator, config, heads, tokens, int(generator.integers(1, config.max_head_dim + 1)))
        t_d = golden_steps(job, config).t_d - job.constants.c_d
        c_d = max(0, int(np.median(-t_d))) if trial % 2 else int(generator.integers(0, 2))
        constants = JobConstants(job.constants.shift_g, job.constants.shift_z, job.constants.c_v, c_d)
        errors = await run_and_check(host, replace(job, constants=constants))
        rows, valid = rows + errors, valid + heads * tokens - errors
    if not rows or not valid:
        raise AssertionError(f"some rows must have a denominator and some must not, not {rows} without, {valid} with")
    job = random_job(generator, config, 1, 2, 1)
    await run_and_check(host, job)


TAYLOR = ("tiny-4x4", "array-8x4", "array-5x3", "array-16x8-d6", "array-2x2-w16")


@pytest.mark.parametrize("name", and_other_kernels(*TAYLOR))
@pytest.mark.parametrize("bench", [operands_and_constants_at_their_limits, largest_sums], ids=lambda test: test.name)
def test_extremes(name, bench):
    parameters = {"config": CONFIGURATIONS[name].to_mapping()}
    run(build_accelerator(name), __name__, testcase=bench.name, parameters=parameters)


@pytest.mark.parametrize("name", TAYLOR)
def test_denominators(name):
    """Of Taylor attention: its constants decide the sign of t_D."""
    parameters = {"config": CONFIGURATIONS[name].to_mapping()}
    run(build_accelerator(name), __name__, testcase="denominators_that_are_not_positive", parameters=parameters)

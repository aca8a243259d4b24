"""Performance counters, exactly as they are defined, and the sustained rate."""

from __future__ import annotations

import itertools
import random

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import expect_equal, parameters, record, run
from taylorvit.simulation.host import AcceleratorHost
from taylorvit.simulation.settings import selected_seed

from .checks import expect_result
from .configurations import CONFIGURATIONS, and_other_kernels, build_accelerator
from .jobs import random_job

HEADS_OF_A_RATE = 14


@cocotb.test()
async def counters_over_many_sizes(dut):
    """CYCLES against the ports, ARRAY_BUSY against the formula (in `expect_result`), for random sizes."""
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config)
    generator = np.random.default_rng(cocotb.RANDOM_SEED)
    for _trial in range(30):
        heads, tokens = int(generator.integers(1, 4)), int(generator.integers(1, min(40, config.max_tokens) + 1))
        job = random_job(generator, config, heads, tokens, int(generator.integers(1, config.max_head_dim + 1)))
        await host.set_up(job)
        watching = cocotb.start_soon(cycles_at_the_ports(dut, heads))
        result = await host.start_and_collect(job)
        expect_result(job, result, config)
        expect_equal(f"cycles of {job.shape}", result.counters["CYCLES"], await watching)


async def cycles_at_the_ports(dut, heads):
    """Cycles of the job that is started next, as the ports show them.

    START takes effect in the cycle after the one in which its write is answered, the job runs from the next cycle on;
    it ends with the second cycle after the one in which the last beat of Z is taken.
    """
    edge = RisingEdge(dut.clk)
    cycle = answered = 0
    while heads:
        await edge
        cycle += 1
        if not answered and dut.s_axil_bvalid.value:
            answered = cycle
        heads -= bool(dut.m_axis_z_tvalid.value and dut.m_axis_z_tready.value and dut.m_axis_z_tlast.value)
    return cycle + 1 - answered


@cocotb.test()
async def sustained_rate(dut):
    """Streams kept full, heads follow each other in at most 1.03 times the cycles of array work."""
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config)
    heads, tokens, head_dim = 12, 197, 64
    job = random_job(np.random.default_rng(cocotb.RANDOM_SEED), config, heads, tokens, head_dim)
    result = await host.run(job)
    expect_result(job, result, config)
    # Between the results of neighbouring heads; the last comes earlier, since no G is computed beside its Q G.
    between = np.diff(result.head_cycles)[:-1]
    record("cycles_a_head", [int(cycles) for cycles in between])
    work = config.array_cycles(tokens, head_dim)
    if between.mean() > 1.03 * work:
        raise AssertionError(f"cycles a head must be at most 1.03 x {work}, not {between}")
    busy, least = result.counters["ARRAY_BUSY"] / result.counters["CYCLES"], parameters()["least_busy"]
    if busy < least:
        raise AssertionError(f"array must be busy in {least:.0%} of all cycles at least, not in {busy:.1%}")


@cocotb.test()
async def rate_of_many_sizes(dut):
    """Where `AttentionKernel.sustains` says so a head takes T_SA cycles, to the cycle; nowhere fewer."""
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config)
    generator = np.random.default_rng(cocotb.RANDOM_SEED)
    kernel = Accelerator(config).kernel
    for tokens, head_dim in parameters()["sizes"]:
        job = random_job(generator, config, HEADS_OF_A_RATE, tokens, head_dim)
        result = await host.run(job)
        expect_result(job, result, config)
        # From when the pipeline is full to when the first stream has sent everything.
        between = np.diff(result.head_cycles)[4:-4]
        work = config.array_cycles(tokens, head_dim)
        if kernel.sustains(tokens, head_dim):
            expect_equal(f"cycles a head of {tokens} x {head_dim}", between, np.full(len(between), work))
        elif between.mean() < work:
            raise AssertionError(f"heads of {tokens} x {head_dim} must take {work} cycles at least, not {between}")


def sizes_to_rate(config):
    """Some sizes that are sustained, the largest and the smallest of them too; some that are not."""
    every = list(itertools.product(range(1, config.max_tokens + 1), range(1, config.max_head_dim + 1)))
    accelerator = Accelerator(config)
    sustained = [size for size in every if accelerator.kernel.sustains(*size)]
    sustained.sort(key=lambda size: config.array_cycles(*size))
    others = sorted(set(every) - set(sustained))
    chosen = random.Random(selected_seed())
    full = config.max_tokens, chosen.choice(sustained)[1]
    some, slower = chosen.sample(sustained, 4), chosen.sample(others, min(4, len(others)))
    return [*sustained[:6], sustained[-1], full, *some, *slower]


@pytest.mark.parametrize("name", and_other_kernels("tiny-4x4", "array-8x4", "array-6x6-ecp5", "array-5x3-w8"))
def test_rate(name):
    config = CONFIGURATIONS[name]
    parameters = {"config": config.to_mapping(), "sizes": sizes_to_rate(config)}
    run(build_accelerator(name), __name__, testcase="rate_of_many_sizes", parameters=parameters)


@pytest.mark.parametrize("name", and_other_kernels("tiny-4x4", "array-8x4", "array-5x3", "array-16x8-d6"))
def test_counters(name):
    parameters = {"config": CONFIGURATIONS[name].to_mapping()}
    run(build_accelerator(name), __name__, testcase="counters_over_many_sizes", parameters=parameters)


@pytest.mark.parametrize(
    ("name", "least_busy"), [("edge-16x8", 0.95), ("edge-16x16", 0.9), ("edge-16x16-softmax", 0.97)]
)
def test_sustained_rate(name, least_busy):
    parameters = {"config": CONFIGURATIONS[name].to_mapping(), "least_busy": least_busy}
    result = run(build_accelerator(name), __name__, testcase="sustained_rate", parameters=parameters)
    print(f"{result.measurements['cycles_a_head']} cycles a head")

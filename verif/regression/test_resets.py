"""Resets in the middle of a job, at random moments: the next job comes out right, whatever was under way."""

from __future__ import annotations

from dataclasses import replace

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles

from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import expect_equal, parameters, run
from taylorvit.simulation.host import AcceleratorHost

from .checks import expect_errors, expect_result
from .configurations import CONFIGURATIONS, and_other_kernels, build_accelerator
from .jobs import random_job

TRIALS = 40


async def interrupted_jobs(dut, reset):
    """Start a job, `await reset(host, job)` after some cycles, and run another job; `TRIALS` times."""
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config)
    generator = np.random.default_rng(cocotb.RANDOM_SEED)
    tokens, head_dim = min(12, config.max_tokens), min(8, config.max_head_dim)
    typical = (await host.run(random_job(generator, config, 3, tokens, head_dim))).counters["CYCLES"]
    for trial in range(TRIALS):
        job = random_job(generator, config, 3, tokens, head_dim)
        packets = host.packets(job)
        if trial % 4 == 3:  # so that the reset finds loaders filling up and dropping beats, too
            packets["k"][0] += [1] * len(packets["k"][0])
            packets["v"][0] = packets["v"][0][:1]
        host.set_patterns({"z": "bursts", "q": "bursts"} if trial % 2 else {})
        await host.set_up(job)
        await host.write_checked("CONTROL", 1)
        for stream, beats in packets.items():
            for packet in beats:
                host.send_packet(stream, packet)
        await ClockCycles(dut.clk, int(generator.integers(1, typical + 1)))
        await reset(host, job)
        host.set_patterns({})
        expect_equal("busy after reset", await host.read("STATUS"), 0)
        await host.clear_events()
        job = random_job(generator, config, 2, int(generator.integers(1, tokens + 1)), head_dim)
        expect_result(job, await host.run(job), config)
        await expect_errors(host, {})


@cocotb.test()
async def soft_reset(dut):
    """After a soft reset at a random moment the parameters are kept, and the next job comes out right."""

    async def reset(host, job):
        await host.soft_reset()
        kept = [await host.read(name) for name in ("HEADS", "TOKENS", "HEAD_DIM")]
        expect_equal("parameters after a soft reset", kept, list(job.shape))

    await interrupted_jobs(dut, reset)


@cocotb.test()
async def hard_reset(dut):
    """After a hard reset at a random moment all registers are at their reset values, and the next job is right."""

    async def reset(host, _job):
        await host.hard_reset()
        for register in host.registers:
            expect_equal(f"{register.name} after reset", await host.read(register.name), register.reset)

    await interrupted_jobs(dut, reset)


@cocotb.test()
async def start_right_after_a_soft_reset(dut):
    """The next job's first beats follow within a few cycles, while the array still moves what was left in it."""
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config)
    generator = np.random.default_rng(cocotb.RANDOM_SEED)
    tokens, head_dim = min(12, config.max_tokens), min(8, config.max_head_dim)
    for _trial in range(TRIALS):
        job = random_job(generator, config, 3, tokens, head_dim)
        await host.set_up(job)
        await host.write_checked("CONTROL", 1)
        for head in range(job.shape[0]):
            host.send_head(job, head)
        next_job = random_job(generator, config, 2, int(generator.integers(1, 3)), int(generator.integers(1, 3)))
        # A table is not written while a job runs: the next job has the same.
        next_job = replace(next_job, constants=replace(next_job.constants, **job.constants.tables))
        await host.set_up(next_job)
        await ClockCycles(dut.clk, int(generator.integers(1, 200)))
        await host.soft_reset()
        expect_result(next_job, await host.start_and_collect(next_job), config)
    await host.clear_events()
    expect_equal("errors", len(await host.error_counts()), 0)


@pytest.mark.parametrize("name", and_other_kernels("tiny-4x4", "array-8x4", "array-5x3"))
def test_resets(name):
    config = CONFIGURATIONS[name]
    result = run(build_accelerator(name), __name__, parameters={"config": config.to_mapping()})
    assert result.tests == 3

"""Streams: idle and back-pressure on every channel, streams that run apart, jobs that follow each other closely."""

from __future__ import annotations

import random
from dataclasses import replace

import cocotb
import numpy as np
import pytest

from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import PATTERNS, expect_equal, parameters, run
from taylorvit.simulation.host import STREAMS, AcceleratorHost

from .checks import expect_errors, expect_result
from .configurations import CONFIGURATIONS, and_other_kernels, build_accelerator
from .jobs import random_job

CHANNELS = (*STREAMS, "z", "axil")


async def set_up(dut):
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config)
    cocotb.start_soon(host.watch_output())
    generator = np.random.default_rng(cocotb.RANDOM_SEED)

    def new_job():
        tokens = int(generator.integers(1, min(20, config.max_tokens) + 1))
        head_dim = int(generator.integers(1, config.max_head_dim + 1))
        return random_job(generator, config, int(generator.integers(1, 5)), tokens, head_dim)

    return host, config, new_job


@cocotb.test()
async def idle_and_back_pressure(dut):
    """Jobs come out right with every mixture of idle and back-pressure on the channels."""
    host, config, new_job = await set_up(dut)
    generator = random.Random(cocotb.RANDOM_SEED)
    mixtures = [dict.fromkeys(CHANNELS, kind) for kind in PATTERNS]
    mixtures += [{channel: "rare"} for channel in CHANNELS]
    mixtures += [{channel: generator.choice(PATTERNS) for channel in CHANNELS} for _trial in range(8)]
    for patterns in mixtures:
        host.set_patterns(patterns)
        job = new_job()
        expect_result(job, await host.run(job), config)
        await expect_errors(host, {})


@cocotb.test()
async def one_stream_early_or_late(dut):
    """Jobs come out right if some streams come much later than the others, and the counters show the wait."""
    host, config, _new_job = await set_up(dut)
    generator = np.random.default_rng(cocotb.RANDOM_SEED)
    tokens, head_dim = min(16, config.max_tokens), config.max_head_dim
    # More than two heads take, so that the others fill both halves of their buffers and have to wait.
    late = 4 * config.array_cycles(tokens, head_dim) + 1_000
    for streams in (*STREAMS, "qk", "qv", "kv", "z", "qz"):
        job = random_job(generator, config, 4, tokens, head_dim)
        for stream in streams:
            cocotb.start_soon(host.hold_back(stream, late))
        result = await host.run(job)
        expect_result(job, result, config)
        await expect_errors(host, {})
        waited = result.counters["STALL_OUTPUT" if streams == "z" else "STALL_INPUT"]
        if waited < late // 8:
            raise AssertionError(f"stalls must show that {streams} was late by {late} cycles, not {result.counters}")


@cocotb.test()
async def next_head_after_the_last_result(dut):
    """A source may wait for the result of each head before it sends the next one."""
    host, config, new_job = await set_up(dut)
    for _trial in range(5):
        job = new_job()
        expect_result(job, await host.run(job, head_by_head=True), config)
    await expect_errors(host, {})


@cocotb.test()
async def next_job_prepared_while_one_runs(dut):
    """The registers of the next job may be written while one runs, if it has the same tables."""
    host, config, new_job = await set_up(dut)
    job = new_job()
    await host.set_up(job)
    for _trial in range(6):
        running = cocotb.start_soon(host.start_and_collect(job))
        next_job = new_job()
        next_job = replace(next_job, constants=replace(next_job.constants, **job.constants.tables))
        # The start has to come first: after it, registers belong to the next job.
        while not await host.read("STATUS") & 1:
            pass
        await host.set_up(next_job)
        expect_result(job, await running, config)
        job = next_job
    expect_result(job, await host.start_and_collect(job), config)
    await expect_errors(host, {})


@cocotb.test()
async def next_job_sent_while_one_runs(dut):
    """The heads of the next jobs may wait at the streams while one runs."""
    host, config, new_job = await set_up(dut)
    jobs = [new_job() for _number in range(6)]
    for job in jobs:
        for head in range(job.shape[0]):
            host.send_head(job, head)
    for job in jobs:
        expect_result(job, await host.run(job, packets={}), config)
    await expect_errors(host, {})


@cocotb.test()
async def same_seed_same_run(dut):
    """The same seed gives the same run, to the cycle."""
    host, config, new_job = await set_up(dut)
    host.set_patterns(dict.fromkeys(CHANNELS, "random"))
    job = new_job()
    first = await host.run(job)
    await host.hard_reset()
    host.set_patterns(dict.fromkeys(CHANNELS, "random"))
    host.garbage = np.random.default_rng(cocotb.RANDOM_SEED)
    second = await host.run(job)
    expect_equal("counters", list(second.counters.values()), list(first.counters.values()))
    expect_equal("cycles of the heads", second.head_cycles, first.head_cycles)
    expect_result(job, second, config)


@pytest.mark.parametrize("name", and_other_kernels("tiny-4x4", "array-8x4", "array-16x8-d6"))
def test_streams(name):
    config = CONFIGURATIONS[name]
    result = run(build_accelerator(name), __name__, parameters={"config": config.to_mapping()})
    assert result.tests == 6

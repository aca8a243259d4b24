"""The table of exponentials: whose job it belongs to, what is refused, and what no reset takes away."""

from __future__ import annotations

from dataclasses import replace

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiResp

from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import expect_equal, parameters, run
from taylorvit.simulation.host import AcceleratorHost

from .checks import expect_errors, expect_result
from .configurations import CONFIGURATIONS, and_other_kernels, build_accelerator
from .jobs import random_constants, random_job

TABLE = "EXPONENTIALS"
SHAPE = 3, 9, 5  # heads, tokens, features


async def begin(dut):
    """A host, a generator, and a job whose table has nothing in common with another."""
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config)
    generator = np.random.default_rng(cocotb.RANDOM_SEED)

    def job():
        return replace(random_job(generator, config, *SHAPE), constants=random_constants(config, generator))

    return host, config, job


async def expect_refused(host, words):
    for word in words:
        response = await host.write(TABLE, word)
        if response != AxiResp.SLVERR:
            raise AssertionError(f"write of {word:#x} to {TABLE} must be answered with SLVERR, not {response.name}")
    await expect_errors(host, {"BAD_VALUE": len(words)}, done=False)


@cocotb.test()
async def table_is_that_of_the_job(dut):
    """A write while a job runs is refused and counted: the job and the table are as they were."""
    host, config, job = await begin(dut)
    for _trial in range(3):
        one, other = job(), job()
        await host.set_up(one)
        packets = host.packets(one)
        v_packets = packets.pop("v")
        running = cocotb.start_soon(host.start_and_collect(one, packets=packets))
        while not await host.read("STATUS") & 1:
            pass
        await expect_refused(host, host.registers.table_words(TABLE, other.settings[TABLE]))
        for packet in v_packets:
            host.send_packet("v", packet)
        expect_result(one, await running, config)
        await expect_errors(host, {})
        again = replace(job(), constants=one.constants)
        await host.set_up(again)
        expect_result(again, await host.start_and_collect(again), config)
        await expect_errors(host, {})


@cocotb.test()
async def entries_out_of_range(dut):
    """A number that is too wide, and an entry that the table does not have."""
    host, config, job = await begin(dut)
    one = job()
    await host.set_up(one)
    bad = [1 << config.exponential_width, 0xFFFF] if config.exponential_width < 16 else []
    places = [config.exponential_entries, 2 * config.exponential_entries, 0xFFFF]
    await expect_refused(host, [*bad, *(place << 16 | 1 for place in places)])
    expect_result(one, await host.start_and_collect(one), config)
    expect_equal(f"{TABLE} as read", await host.read(TABLE), 0)


@cocotb.test()
async def resets_keep_the_table(dut):
    """A soft reset just after the last entry, and one during a job, which is still in the way of the entries."""
    host, config, job = await begin(dut)
    for cycles in (0, 1, 30, 200):
        one = job()
        await host.set_up(one)
        await host.soft_reset()
        expect_result(one, await host.start_and_collect(one), config)
        await expect_errors(host, {})
        other = job()
        await host.set_up(other)
        packets = host.packets(other)
        await host.write_checked("CONTROL", 1)
        for name, [packet, *_rest] in packets.items():
            host.send_packet(name, packet)
        await ClockCycles(dut.clk, cycles)
        await host.soft_reset()
        following = replace(job(), constants=other.constants)
        await host.set_up(following)
        expect_result(following, await host.start_and_collect(following), config)
        await host.clear_events()


@cocotb.test()
async def table_of_zeros(dut):
    """No row has a divisor: Z is the largest number, as the quotient of a numerator that is not negative."""
    host, config, job = await begin(dut)
    heads, tokens, head_dim = SHAPE
    one = job()
    zeros = replace(one.constants, exponentials=(0,) * config.exponential_entries)
    one = replace(one, constants=zeros)
    result = await host.run(one)
    most = (1 << (config.data_width - 1)) - 1
    expect_equal("z without divisors", result.z, np.full_like(one.q, most))
    column_tiles = -(-head_dim // config.columns)
    await expect_errors(host, {"DENOMINATOR": heads * tokens * column_tiles})


@pytest.mark.parametrize("name", and_other_kernels())
def test_tables(name):
    result = run(build_accelerator(name), __name__, parameters={"config": CONFIGURATIONS[name].to_mapping()})
    assert result.tests == 4

"""Benches that run on a netlist beside its RTL (`verif.netlist.pair`)."""

from __future__ import annotations

import random

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from taylorvit.golden.network.vit import VitShape
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import expect_equal, parameters, record, start
from taylorvit.simulation.host import AcceleratorHost
from verif.regression.checks import expect_errors, expect_result
from verif.regression.jobs import random_job
from verif.regression.network.checks import run_and_check
from verif.regression.network.host import NetworkHost
from verif.regression.network.models import network_of


def expect_no_differences(dut) -> None:
    """No output of the netlist was unequal to that of the RTL in any cycle."""
    expect_equal("cycles in which the netlist is not as the RTL", int(dut.differences.value), 0)


@cocotb.test()
async def accelerator_equals_golden_and_rtl(dut):
    """Random jobs of each of the shapes, first with all channels always active, then with each idle at random."""
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config)
    generator = np.random.default_rng(cocotb.RANDOM_SEED)
    for heads, tokens, head_dim in parameters()["shapes"]:
        for activity in ("always", "random"):
            host.set_patterns(dict.fromkeys(host.channels, activity))
            job = random_job(generator, config, heads, tokens, head_dim)
            expect_result(job, await host.run(job), config)
            await expect_errors(host, {})
    expect_no_differences(dut)


@cocotb.test()
async def network_equals_golden_and_rtl(dut):
    """A random model of each of the shapes computes images, with all channels always active or idle at random."""
    config = NetworkConfig.from_mapping(parameters()["config"])
    host = await NetworkHost.start(dut, config)
    for seed, (shape, activity) in enumerate(parameters()["networks"]):
        host.set_patterns(dict.fromkeys(host.channels, activity))
        outcome = await run_and_check(host, network_of(VitShape(**shape), seed, config), parameters()["images"])
        record(f"network {seed}", {"shape": shape, "cycles": outcome.cycles})
    expect_no_differences(dut)


@cocotb.test()
async def blocks_equal_rtl(dut):
    """Random bits on every input in every cycle; now and then all zeros, all ones, or what was there."""
    generator = random.Random(cocotb.RANDOM_SEED)
    inputs = {name: getattr(dut, name) for name in parameters()["inputs"]}
    await start(dut, **dict.fromkeys(inputs, 0))
    edge = RisingEdge(dut.clk)
    for _cycle in range(parameters()["cycles"]):
        for port in inputs.values():
            kind = generator.randrange(8)
            if kind > 1:
                port.value = generator.getrandbits(len(port))
            elif kind == 1:
                port.value = generator.choice((0, (1 << len(port)) - 1))
        await edge
    expect_no_differences(dut)

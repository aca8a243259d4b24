"""Registers of the whole accelerator: what a host may write, and when."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiResp

from taylorvit.rtl.control.description import Access
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import expect_equal, parameters, run
from taylorvit.simulation.host import counted
from taylorvit.simulation.register_host import START

from .checks import expect_right, run_and_check
from .configurations import CONFIGURATIONS, build_accelerator
from .host import NetworkHost
from .models import TINY, network_of


async def set_up(dut):
    host = await NetworkHost.start(dut, NetworkConfig.from_mapping(parameters()["config"]))
    return host, random.Random(cocotb.RANDOM_SEED), network_of(TINY, 6, host.config)


@cocotb.test()
async def start_while_busy(dut):
    """START while a job runs is refused, told and counted, and the job is undisturbed."""
    host, generator, network = await set_up(dut)
    width = host.config.error_count_width
    for trial in range(1, 4):
        pictures = network.images(host.generator, 2)
        await host.set_up(network, 2)
        host.send_images(network, pictures)
        await host.write_checked("CONTROL", START)
        for _ in range(2):
            await ClockCycles(dut.clk, generator.randint(1, 300))
            expect_equal("answer to START", await host.write("CONTROL", START), AxiResp.SLVERR)
        await expect_right(host, network, pictures, await host.finish(network, 2), "START_WHILE_BUSY")
        expect_equal("count", await host.read("COUNT_START_WHILE_BUSY"), counted(2 * trial, width))


@cocotb.test()
async def values_out_of_range(dut):
    """A parameter that is written a value out of its range keeps its own, and the job computes with that."""
    host, _generator, network = await set_up(dut)
    width, refused = host.config.error_count_width, 0
    pictures = network.images(host.generator, 1)
    await host.set_up(network, 1)
    for register in host.registers:
        field = register.fields[0]
        if register.access is not Access.READ_WRITE or field.maximum is None:
            continue
        before = await host.read(register.name)
        for value in (field.minimum - 1, field.maximum + 1, (1 << 32) - 1):
            if not 0 <= value < 1 << 32 or field.minimum <= value <= field.maximum:
                continue
            expect_equal(f"answer to {register.name} = {value}", await host.write(register.name, value), AxiResp.SLVERR)
            refused += 1
        expect_equal(register.name, await host.read(register.name), before)
    host.send_images(network, pictures)
    await expect_right(host, network, pictures, await host.start_and_finish(network, 1), "BAD_VALUE")
    expect_equal("count", await host.read("COUNT_BAD_VALUE"), counted(refused, width))


@cocotb.test()
async def what_cannot_be_written(dut):
    """Writes to registers that are only read, and to what is no register, are refused and change nothing."""
    host, generator, network = await set_up(dut)
    await run_and_check(host, network)
    offsets = {register.offset for register in host.registers}
    for register in host.registers:
        if register.access in (Access.CONSTANT, Access.READ_ONLY):
            before = await host.read(register.name)
            answer = await host.write(register.name, generator.getrandbits(32))
            expect_equal(f"answer to {register.name}", answer, AxiResp.SLVERR)
            expect_equal(register.name, await host.read(register.name), before)
    free = [offset for offset in range(0, 0x200, 4) if offset not in offsets]
    for offset in generator.sample(free, 10):
        expect_equal("answer", (await host.axil.write(offset, bytes(4))).resp, AxiResp.SLVERR)
        expect_equal("answer", (await host.axil.read(offset, 4)).resp, AxiResp.SLVERR)
    await run_and_check(host, network)


@cocotb.test()
async def interrupt_while_an_event_is_set(dut):
    """The interrupt is high while an event that raises it is set."""
    host, _generator, network = await set_up(dut)
    done = 1 << host.registers.events["DONE"][0]
    pictures = network.images(host.generator, 1)
    await host.set_up(network, 1)
    await host.write_checked("INTERRUPT_ENABLE", 0)
    host.send_images(network, pictures)
    await host.write_checked("CONTROL", START)
    await host.wait_idle(host.limit(network, 1))
    for enabled, cleared, expected in ((0, 0, 0), (done, 0, 1), (~done, 0, 0), (done, 0, 1), (done, done, 0)):
        await host.write_checked("INTERRUPT_ENABLE", enabled & host.registers["INTERRUPT_ENABLE"].mask)
        await host.write_checked("EVENTS", cleared)
        await ClockCycles(dut.clk, 2)
        expect_equal("interrupt", int(dut.interrupt.value), expected)
    expect_equal("logits", host.received()[0], network.logits(pictures))


@pytest.mark.parametrize("name", ["stream-5x3", "memory-8x4", "axi-8x4"])
def test_registers(name):
    run(build_accelerator(name), __name__, parameters={"config": CONFIGURATIONS[name].to_mapping()})

"""Resets at any time: the next job comes out right."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles

from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import PATTERNS, expect_equal, parameters, run
from taylorvit.simulation.register_host import START

from .checks import expect_right, run_and_check
from .configurations import CONFIGURATIONS, build_accelerator
from .damages import scrambled
from .host import NetworkHost
from .models import TINY, drawn, network_of

TRIALS = 6
AROUND_END = 40  # cycles before the end of a job; more than from the last total to the last logit


async def interrupted_jobs(dut, reset):
    """Interrupts jobs at random moments, good ones and bad ones, by `reset(host)`, and checks the next ones."""
    host = await NetworkHost.start(dut, NetworkConfig.from_mapping(parameters()["config"]))
    generator = random.Random(cocotb.RANDOM_SEED)
    small = network_of(TINY, 3, host.config)
    typical = (await run_and_check(host, small)).cycles
    for trial in range(TRIALS):
        network = drawn(7, host.config) if trial == 0 else small
        images = generator.randint(1, 3)
        packets = [network.beats(image, host.generator) for image in network.images(host.generator, images)]
        tape = scrambled(network, generator) if trial % 4 == 3 else None
        if trial % 4 == 2:  # so that the reset finds the loader filling up and dropping beats, too
            packets[0] = packets[0][: host.config.image_lanes]
            packets[-1] += bytes(4 * len(packets[-1]))
        await host.set_up(network, images, tape=tape)
        host.set_patterns({name: generator.choice(PATTERNS) for name in ("tape", "image", "logits")})
        host.send_packets(packets)
        await host.write_checked("CONTROL", START)
        await ClockCycles(dut.clk, generator.randint(1, images * typical))
        await reset(host)
        host.set_patterns({})
        expect_equal("busy after reset", await host.read("STATUS"), 0)
        await host.write_checked("EVENTS", host.registers["EVENTS"].mask)
        await run_and_check(host, small, generator.randint(1, 2))


@cocotb.test()
async def soft_reset(dut):
    """After a soft reset at a random moment the registers are kept, and the next job comes out right."""

    async def reset(host):
        names = ("IMAGES", "PATCHES", "PATCH_PIXELS", "CLASSES", "TAPE_LENGTH", "TIMEOUT", "INTERRUPT_ENABLE")
        before = [await host.read(name) for name in names]
        await host.soft_reset()
        expect_equal("registers after a soft reset", [await host.read(name) for name in names], before)

    await interrupted_jobs(dut, reset)


@cocotb.test()
async def hard_reset(dut):
    """After a hard reset at a random moment all registers are at their reset values, and the next job is right."""
    checked = []

    async def reset(host):
        await host.hard_reset()
        if not checked:
            for register in host.registers:
                expect_equal(f"{register.name} after reset", await host.read(register.name), register.reset)
            checked.append(True)

    await interrupted_jobs(dut, reset)


@cocotb.test()
async def soft_reset_around_the_end_of_an_image(dut):
    """Whichever cycle near the end of an image a soft reset comes in, nothing of the image leaves after it."""
    host = await NetworkHost.start(dut, NetworkConfig.from_mapping(parameters()["config"]))
    network = network_of(TINY, 5, host.config)
    whole = (await run_and_check(host, network)).cycles
    for before in range(AROUND_END):
        await host.set_up(network, 1)
        host.send_images(network, network.images(host.generator, 1))
        await host.write_checked("CONTROL", START)
        await ClockCycles(dut.clk, whole - before)
        await host.soft_reset()
        await ClockCycles(dut.clk, 2 * AROUND_END)
        expect_equal(f"images after a soft reset {before} cycles before the end", len(host.received()[0]), 0)
        await host.clear_events()
    await run_and_check(host, network)


@cocotb.test()
async def start_right_after_a_soft_reset(dut):
    """The next job begins within a few cycles, while what was left is still being cleared."""
    host = await NetworkHost.start(dut, NetworkConfig.from_mapping(parameters()["config"]))
    generator = random.Random(cocotb.RANDOM_SEED)
    network = network_of(TINY, 4, host.config)
    for _trial in range(TRIALS):
        await host.set_up(network, 2)
        host.send_images(network, network.images(host.generator, 2))
        await host.write_checked("CONTROL", START)
        await ClockCycles(dut.clk, generator.randint(1, 600))
        await host.soft_reset()
        if host.tapes is not None:
            host.send_tapes([network.tape])
        pictures = network.images(host.generator, 1)
        await host.write_checked("IMAGES", 1)
        host.send_images(network, pictures)
        outcome = await host.start_and_finish(network, 1)
        await expect_right(host, network, pictures, outcome)
    expect_equal("errors", len(await host.error_counts()), 0)


@pytest.mark.parametrize("name", ["axi-4x4", "stream-5x3", "memory-8x4"])
def test_resets(name):
    run(build_accelerator(name), __name__, parameters={"config": CONFIGURATIONS[name].to_mapping()})

"""Ports: pauses of everything, images back to back, sinks that stall, jobs that follow each other closely; counters."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.control.registers import KIND_COUNTERS
from taylorvit.simulation import PATTERNS, expect_equal, parameters, run
from taylorvit.simulation.register_host import START

from .checks import STALLS, expect_right, run_and_check
from .configurations import CONFIGURATIONS, build_accelerator
from .host import NetworkHost
from .models import TINY, drawn, network_of

CHANNELS = ("tape", "image", "logits", "axil")


async def set_up(dut):
    host = await NetworkHost.start(dut, NetworkConfig.from_mapping(parameters()["config"]))
    return host, random.Random(cocotb.RANDOM_SEED), network_of(TINY, 2, host.config)


async def watch(dut, prefix, names, valid, ready):
    """Runs beside jobs: `AssertionError` if what a port offers is taken back or changed before it was accepted."""
    edge, offered = RisingEdge(dut.clk), None
    ports = [getattr(dut, f"{prefix}_{name}") for name in names]
    valid, ready = getattr(dut, f"{prefix}_{valid}"), getattr(dut, f"{prefix}_{ready}")
    while True:
        await edge
        beat = [int(port.value) for port in ports] if valid.value else None
        if offered is not None and beat != offered:
            raise AssertionError(f"{prefix} must keep {offered!r} until it is taken, not change to {beat!r}")
        offered = None if ready.value else beat


@cocotb.test()
async def idle_and_back_pressure(dut):
    """Jobs come out right with every mixture of pauses of the channels."""
    host, generator, network = await set_up(dut)
    cocotb.start_soon(watch(dut, "m_axis_logits", ("tdata", "tlast"), "tvalid", "tready"))
    if host.memory is not None:
        cocotb.start_soon(watch(dut, "m_axi_tape", ("araddr", "arlen", "arsize", "arburst"), "arvalid", "arready"))
    mixtures = [dict.fromkeys(CHANNELS, kind) for kind in PATTERNS]
    mixtures += [{channel: "rare"} for channel in CHANNELS[1:]]
    mixtures += [{channel: generator.choice(PATTERNS) for channel in CHANNELS} for _trial in range(2)]
    for patterns in mixtures:
        host.set_patterns(patterns)
        await run_and_check(host, network, generator.randint(1, 4))
    host.set_patterns(dict.fromkeys(CHANNELS, "bursts"))
    await run_and_check(host, drawn(generator.choice((0, 5)), host.config), 2)


@cocotb.test()
async def images_back_to_back(dut):
    """Nothing of an image depends on how many come before it; counters tell the cycles to the cycle."""
    host, _generator, network = await set_up(dut)
    width, seen = host.config.counter_width, {}
    for images in (1, 2, 3, 6, 6):
        outcome = await run_and_check(host, network, images)
        counters = outcome.counters
        if counters["CYCLES"] == (1 << width) - 1:
            continue
        # START is answered some cycles before the job begins, and the interrupt comes some cycles after its end.
        seen.setdefault("cycles around the job", set()).add(outcome.cycles - counters["CYCLES"])
        if images > 2:
            spacing = [end - start for start, end in zip(outcome.image_ends, outcome.image_ends[1:])]
            expect_equal("IMAGE_CYCLES", counters["IMAGE_CYCLES"], spacing[-1])
            seen.setdefault("cycles of an image", set()).update(spacing[1:])
        seen.setdefault(f"counters of {images} images", set()).add(
            tuple(counters[name] for name in ("CYCLES", *STALLS, *KIND_COUNTERS))
        )
    if host.memory is None:  # that of the bench is not always as fast
        for what, values in seen.items():
            expect_equal(f"different values of {what}, {values}", len(values), 1)


@cocotb.test()
async def a_sink_that_stalls(dut):
    """The logits of two images are kept while the sink takes none; no source is given up for that."""
    host, _generator, network = await set_up(dut)
    timeout = 200
    for images in (1, 2, 6):
        pictures = network.images(host.generator, images)
        await host.set_up(network, images, timeout=timeout)
        host.send_images(network, pictures)
        host.sink.pause = True
        await host.write_checked("CONTROL", START)
        await ClockCycles(dut.clk, images * len(network.tape) + 10 * timeout)
        expect_equal("busy", await host.read("STATUS"), 1)
        expect_equal("images done", await host.read("IMAGES_DONE"), 0)
        stalled = await host.read("STALL_OUTPUT")
        if (stalled > timeout) != (images > 2):
            raise AssertionError(f"STALL_OUTPUT must tell that {images} images wait for the sink, not {stalled}")
        host.sink.pause = False
        await expect_right(host, network, pictures, await host.finish(network, images))


@cocotb.test()
async def sources_that_are_late(dut):
    """A job waits for a source for less than TIMEOUT cycles, and the counters show what it waited for."""
    host, _generator, network = await set_up(dut)
    late = 700
    for channel, stall in (("image", "STALL_IMAGE"), ("tape", "STALL_TAPE")):
        if channel not in host.channels:
            continue
        pictures = network.images(host.generator, 2)
        await host.set_up(network, 2, timeout=late + 300)
        host.send_images(network, pictures)
        for end in host.channels[channel]:
            end.pause = True
        await host.write_checked("CONTROL", START)
        await ClockCycles(dut.clk, late)
        for end in host.channels[channel]:
            end.pause = False
        outcome = await host.finish(network, 2)
        await expect_right(host, network, pictures, outcome)
        if outcome.counters[stall] < late // 2:
            raise AssertionError(f"{stall} must show that the {channel} was late by {late}, not {outcome.counters}")


@cocotb.test()
async def next_job_prepared_while_one_runs(dut):
    """Registers, tape and images of the next job may be there while one runs, those of another network, too."""
    host, generator, _network = await set_up(dut)
    networks = [drawn(seed, host.config, tokens=4) for seed in (0, 2, 11, 7)]
    pictures = [network.images(host.generator, generator.randint(1, 2)) for network in networks]
    for network, images in zip(networks, pictures):
        host.send_images(network, images)
    on_chip = host.config.tape_source == "memory"  # which holds one tape at a time here
    await host.set_up(networks[0], len(pictures[0]))
    for number, (network, images) in enumerate(zip(networks, pictures)):
        await host.write_checked("CONTROL", START)
        running = cocotb.start_soon(host.finish(network, len(images)))
        following = number + 1 < len(networks)
        if following and not on_chip:
            await host.set_up(networks[number + 1], len(pictures[number + 1]))
        await expect_right(host, network, images, await running)
        if following and on_chip:
            await host.set_up(networks[number + 1], len(pictures[number + 1]))


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_streams(name):
    run(build_accelerator(name), __name__, parameters={"config": CONFIGURATIONS[name].to_mapping()})

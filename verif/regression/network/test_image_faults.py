"""Images that are too short, too long or missing: an event, and every other image comes out right."""

from __future__ import annotations

import random
from dataclasses import replace

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import expect_equal, parameters, run
from taylorvit.simulation.host import counted

from .checks import expect_events, expect_right, run_and_check
from .configurations import CONFIGURATIONS, build_accelerator
from .host import NetworkHost
from .models import TINY, drawn, network_of

PATTERNS = ("always", "random", "bursts")


class Bench:
    """A host, and a small network."""

    def __init__(self, host):
        self.host, self.config = host, host.config
        self.random = random.Random(cocotb.RANDOM_SEED)
        self.network = network_of(TINY, 5, self.config)

    @classmethod
    async def start(cls, dut):
        return cls(await NetworkHost.start(dut, NetworkConfig.from_mapping(parameters()["config"])))

    def packets(self, images):
        pictures = self.network.images(self.host.generator, images)
        return pictures, [self.network.beats(picture, self.host.generator) for picture in pictures]

    def damage(self, pictures, packets, number):
        """Makes an image too short or too long; returns the event that tells of it."""
        lanes = self.config.image_lanes
        beats = len(packets[number]) // lanes
        if self.random.random() < 0.5 and beats > 1:
            length = self.random.choice((1, beats - 1, self.random.randrange(1, beats)))
            packets[number] = packets[number][: length * lanes]
            pictures[number] = self.network.cut(pictures[number], length)
            return "IMAGE_SHORT"
        packets[number] += self.random.randbytes(lanes * self.random.choice((1, 2, beats + 1)))
        return "IMAGE_LONG"

    async def job(self, pictures, packets, **how):
        await self.host.set_up(self.network, len(pictures), **how)
        self.host.set_patterns({name: self.random.choice(PATTERNS) for name in ("image", "tape", "logits")})
        self.host.send_packets(packets)
        return await self.host.start_and_finish(self.network, len(pictures))


@cocotb.test()
async def too_short_or_too_long(dut):
    """A short image is filled up with zeros, the rest of a long one is dropped; each is one event."""
    bench = await Bench.start(dut)
    width = bench.config.error_count_width
    for trial in range(7):
        if trial == 5:  # with patches of more beats
            bench.network = drawn(7, bench.config)
        if trial in (2, 6):
            bench.network = bench.network.row_by_row()
        images = bench.random.randint(1, 4)
        pictures, packets = bench.packets(images)
        numbers = bench.random.sample(range(images), bench.random.randint(1, images))
        events = [bench.damage(pictures, packets, number) for number in numbers]
        outcome = await bench.job(pictures, packets)
        await expect_right(bench.host, bench.network, pictures, outcome, *events)
        for name in ("IMAGE_SHORT", "IMAGE_LONG"):
            count = await bench.host.read(f"COUNT_{name}")
            expect_equal(f"count of {name}", count, counted(events.count(name), width))
            await bench.host.write_checked(f"COUNT_{name}", 0)
    await run_and_check(bench.host, bench.network)


@cocotb.test()
async def missing(dut):
    """A job whose image does not come is ended; the images before it come out right, and so does the next job."""
    bench = await Bench.start(dut)
    by_patch = bench.network
    for images in (1, 2, 3):
        bench.network = by_patch.row_by_row() if images == 2 else by_patch
        for how in ("carry on", "soft reset", "hard reset"):
            pictures, packets = bench.packets(images)
            missing = bench.random.choice(("all of it", "its end"))
            if missing == "its end" and len(packets[-1]) > bench.config.image_lanes:
                # The source is in the middle of a packet, whose next beat comes too late.
                await bench.host.set_up(bench.network, images, timeout=250)
                bench.host.send_packets(packets[:-1])
                stopped = cocotb.start_soon(stop_within(bench, packets[-1]))
                outcome = await bench.host.start_and_finish(bench.network, images)
                await stopped
            else:
                await bench.host.set_up(bench.network, images, timeout=250)
                bench.host.send_packets(packets[:-1])
                outcome = await bench.host.start_and_finish(bench.network, images)
            expect_events("a missing image", outcome, "IMAGE_TIMEOUT")
            expect_equal("images", len(outcome.logits), images - 1)
            if images > 1:
                expect_equal("logits", outcome.logits, bench.network.logits(pictures[:-1]))
            waiting = await bench.host.recover(bench.network, pictures[:-1], how)
            await run_and_check(bench.host, bench.network, 2, waiting=waiting)


@cocotb.test()
async def sizes_that_do_not_fit(dut):
    """A job with images row by row whose sizes do not fit each other is ended, and the next job comes out right."""
    bench = await Bench.start(dut)
    by_row = replace(bench.network, by_row=True)  # 2 x 2 patches of 2 x 2 pixels
    for number, wrong in enumerate(({"PATCH_SIZE": 1, "PATCH_PIXELS": 3}, {"PATCHES_A_ROW": 3}, {"PATCH_SIZE": 3})):
        if wrong.get("PATCH_SIZE") == 1 and bench.config.image_lanes == 1:
            continue  # three colours
        pictures, packets = bench.packets(1)
        await bench.host.set_up(by_row, 1)
        for name, value in wrong.items():
            await bench.host.write_checked(name, value)
        bench.host.send_packets(packets)
        outcome = await bench.host.start_and_finish(bench.network, 1)
        expect_events(f"wrong sizes {wrong}", outcome, "IMAGE_SIZES")
        expect_equal("images", len(outcome.logits), 0)
        expect_equal("count", await bench.host.read("COUNT_IMAGE_SIZES"), number + 1)
        waiting = await bench.host.recover(bench.network, pictures, "carry on")
        await run_and_check(bench.host, bench.network, waiting=waiting)


async def stop_within(bench, packet):
    """Sends a part of a packet, behind those that are queued, and then nothing more."""
    source, lanes = bench.host.images, bench.config.image_lanes
    await source.wait()
    beats = len(packet) // lanes
    taken, most = 0, bench.random.randrange(1, beats)
    bench.host.send_packets([packet])
    while taken < most:
        await RisingEdge(bench.host.dut.clk)
        taken += bool(source.bus.tvalid.value and source.bus.tready.value)
    source.assert_reset(True)  # takes the rest back
    source.clear()
    source.assert_reset(False)


@cocotb.test()
async def two_in_one_packet(dut):
    """The second of two images in one packet is dropped as the rest of the first, and one is missing at the end."""
    bench = await Bench.start(dut)
    for number in range(2):
        pictures, packets = bench.packets(3)
        packets[number : number + 2] = [packets[number] + packets[number + 1]]
        seen = pictures[: number + 1] + pictures[number + 2 :]
        outcome = await bench.job(pictures, packets, timeout=250)
        expect_events("two images in one packet", outcome, "IMAGE_LONG", "IMAGE_TIMEOUT")
        expect_equal("logits", outcome.logits, bench.network.logits(seen))
        waiting = await bench.host.recover(bench.network, pictures, "soft reset")
        await run_and_check(bench.host, bench.network, waiting=waiting)


@pytest.mark.parametrize("name", ["axi-4x4", "stream-5x3", "axi-16x8"])
def test_image_faults(name):
    run(build_accelerator(name), __name__, parameters={"config": CONFIGURATIONS[name].to_mapping()})

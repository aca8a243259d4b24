"""Image loader against a model of the image banks: every pixel of every image, whatever the stream does."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.image_loader import ImageLoader
from taylorvit.simulation import build, expect_equal, pattern, run
from verif.rtl.harness import SideBySide, on_every_block
from verif.rtl.network.configurations import config_of

LIMIT = 5_000
SIZES = {  # rows, lanes, most tokens, most pixels of a patch
    "default": (4, 1, 17, 12),
    "lanes": (8, 4, 9, 34),
    "thirds": (6, 2, 13, 27),
    "whole": (5, 5, 6, 53),
    "smallest": (2, 1, 2, 1),
    "shared": (6, 3, 9, 20),
}


def configuration(name):
    rows, lanes, tokens, patch = SIZES[name]
    changes = {"rows": rows, "columns": 1, "tape_width": 8, "image_lanes": lanes, "max_tokens": tokens}
    changes |= {"max_patch": patch, "image_banks": "activations" if name == "shared" else "own"}
    return NetworkConfig.from_mapping(config_of("default").to_mapping() | changes)


def blocks():
    return {name: ImageLoader(configuration(name)) for name in SIZES}


def patch_order(patches, pixels, lanes):
    """(patch, pixel) of each lane of each beat, None where a patch's last beat has no pixel."""
    firsts = range(0, pixels, lanes)
    return [
        [(patch, pixel) if pixel < pixels else None for pixel in range(first, first + lanes)]
        for patch in range(patches)
        for first in firsts
    ]


def raster_order(patches, pixels, side, across, lanes):
    """Likewise of an image that comes row by row, some neighbouring pixels of each colour in turn."""
    return [
        [
            (y // side * across + x // side, colour * side * side + y % side * side + x % side)
            for x in range(first, first + lanes)
        ]
        for y in range(patches // across * side)
        for first in range(0, across * side, lanes)
        for colour in range(pixels // side**2)
    ]


class Bench:
    """Source, array and model of the banks of one loader."""

    def __init__(self, view, name, seed):
        self.view, self.config = view, configuration(name)
        self.generator = random.Random(seed)
        self.edge = RisingEdge(view.clk)
        self.pixels = {}

    async def cycle(self, beat=None, **inputs):
        """A cycle with a beat offered, (bytes, last); returns what was told, and whether the beat was taken."""
        view = self.view
        lanes = self.config.image_lanes
        data, last = (self.generator.randbytes(lanes), self.generator.getrandbits(1)) if beat is None else beat
        view.s_tvalid.value, view.s_tlast.value = beat is not None, last
        view.s_tdata.value = int.from_bytes(data, "little")
        for name in ("image_release", "image_done", "gave_up", "ending", "closed", "start"):
            if name != "image_done" or self.config.shares_image_banks:
                getattr(view, name).value = inputs.get(name, 0)
        await self.edge
        taken = beat is not None and bool(view.s_tready.value)
        expect_equal("starving", view.starving.value, int(view.s_tready.value) & (beat is None))
        if view.write__valid.value:
            group, address = int(view.write__group.value), int(view.write__address.value)
            for lane in range(lanes):
                byte = int(view.write__data.value) >> 8 * lane & 0xFF
                self.pixels[group * lanes + lane, address] = byte ^ 0x80
        return [name for name in ("image_short", "image_long") if getattr(view, name).value], taken

    async def start(self, images, patches, pixels, raster=None):
        """A job begins; `raster` is (side of a patch, patches beside each other) of images that come row by row."""
        view = self.view
        view.patches.value, view.patch_pixels.value, view.images.value = patches, pixels, images
        view.image_order.value = raster is not None
        side, across = (self.generator.randint(1, limit) for limit in (self.config.largest_patch_size, patches))
        view.patch_size.value, view.patches_a_row.value = raster or (side, across)
        self.size = patches, pixels
        lanes = self.config.image_lanes
        self.places = (
            patch_order(patches, pixels, lanes) if raster is None else raster_order(*self.size, *raster, lanes)
        )
        await self.cycle(start=1)

    def picture(self):
        """An image, patch by patch, and its beats."""
        patches, pixels = self.size
        image = [list(self.generator.randbytes(pixels)) for _ in range(patches)]
        beats = [
            bytes(image[place[0]][place[1]] if place else self.generator.randrange(256) for place in beat)
            for beat in self.places
        ]
        return image, [(beat, int(number == len(beats) - 1)) for number, beat in enumerate(beats)]

    def cut(self, image, count):
        """The image of which only so many beats came: zeros take the place of the others."""
        came = {place for beat in self.places[:count] for place in beat}
        return [[pixel * ((n, p) in came) for p, pixel in enumerate(patch)] for n, patch in enumerate(image)]

    async def send(self, beats, pace="always", until_ready=True):
        """Sends beats, and waits for the image; returns what was told."""
        active, told, place = pattern(pace, self.generator.getrandbits(32)), [], 0
        for _ in range(LIMIT):
            offered = beats[place] if place < len(beats) and next(active) else None
            more, taken = await self.cycle(offered)
            told += more
            place += taken
            if place == len(beats) and (self.view.image_ready.value or not until_ready):
                return told
        raise AssertionError(f"{len(beats)} beats must be taken, and an image be ready, not {place} beats")

    def expect_image(self, image):
        patches, _pixels = self.size
        rows = self.config.rows
        got = [
            [self.pixels.get((pixel % rows, pixel // rows * patches + number)) for pixel in range(len(patch))]
            for number, patch in enumerate(image)
        ]
        expect_equal("image", got, image)

    async def release(self):
        """The array has read the image: there is none until the next one has come; in shared banks, it is finished."""
        await self.cycle(image_release=1)
        await self.cycle()
        expect_equal("image_ready after the release", self.view.image_ready.value, 0)
        if self.config.shares_image_banks:
            for _ in range(3):
                await self.cycle()
                expect_equal("s_tready until the image is finished", self.view.s_tready.value, 0)
            await self.cycle(image_done=1)


def sizes(bench):
    """Patches, their pixels, and for some (side of a patch, patches beside each other), if images come row by row."""
    most_patches, most_pixels = bench.config.max_tokens - 1, bench.config.max_patch
    yield 1, 1, None
    yield most_patches, most_pixels, None
    sides = range(bench.config.image_lanes, bench.config.largest_patch_size + 1, bench.config.image_lanes)
    yield from (raster(bench, side, most_pixels // side**2, most_patches) for side in sides)
    for _ in range(4):
        yield bench.generator.randint(1, most_patches), bench.generator.randint(1, most_pixels), None
        side = bench.generator.choice(sides)
        colours = bench.generator.randint(1, most_pixels // side**2)
        yield raster(bench, side, colours, bench.generator.randint(1, most_patches))


def raster(bench, side, colours, patches):
    """Sizes of images that come row by row, with at most so many patches."""
    across = bench.generator.randint(1, patches)
    return patches // across * across, colours * side**2, (side, across)


@cocotb.test()
async def images_of_every_size(dut):
    """Images get into the banks, one at a time, at every pace; none is taken that the job does not have."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        for size in sizes(bench):
            images = bench.generator.randint(1, 3)
            await bench.start(images, *size)
            for number in range(images):
                image, beats = bench.picture()
                told = await bench.send(beats, bench.generator.choice(("always", "random", "bursts")))
                expect_equal(f"faults, {told}", len(told), 0)
                bench.expect_image(image)
                for _ in range(3):
                    _told, taken = await bench.cycle(beats[0])
                    expect_equal("beats taken while an image is in the banks", int(taken), 0)
                expect_equal("idle", view.idle.value, number == images - 1)
                await bench.release()
            _told, taken = await bench.cycle(beats[0])
            expect_equal("beats taken between jobs", int(taken), 0)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def packets_of_any_length(dut):
    """What is too short is filled up, what is too long is dropped; the next image is right."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        for size in sizes(bench):
            await bench.start(4, *size)
            for kind in ("short", "long", "good", "short"):
                image, beats = bench.picture()
                lanes, expected = bench.config.image_lanes, []
                if kind == "short" and len(beats) > 1:
                    cut = bench.generator.randrange(1, len(beats))
                    beats = [*beats[: cut - 1], (beats[cut - 1][0], 1)]
                    image = bench.cut(image, cut)
                    expected = ["image_short"]
                elif kind == "long":
                    more = bench.generator.randint(1, 9)
                    beats[-1] = (beats[-1][0], 0)
                    beats += [(bench.generator.randbytes(lanes), int(place == more - 1)) for place in range(more)]
                    expected = ["image_long"]
                told = await bench.send(beats, bench.generator.choice(("always", "random")))
                expect_equal(f"{told} of a packet that is {kind}", told == expected, True)
                bench.expect_image(image)
                await bench.release()

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def jobs_that_are_ended(dut):
    """The rest of a packet that has begun is dropped; one that has been given up is over at once."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        orders = [size for size in sizes(bench) if size[0] > 1 or bench.config.max_tokens == 2]
        for given_up in (False, True, False, True):
            await bench.start(2, *bench.generator.choice(orders))
            _image, beats = bench.picture()
            cut = bench.generator.randrange(len(beats))
            await bench.send(beats[:cut], until_ready=False)
            if given_up:
                await bench.cycle(gave_up=1)
            for _ in range(5):
                await bench.cycle(ending=1)
            await bench.cycle()
            expect_equal("idle", view.idle.value, given_up or not cut)
            if not given_up and cut:
                await bench.send(beats[cut:], "random", until_ready=False)
                await bench.cycle()
                expect_equal("idle behind the packet", view.idle.value, 1)
            await bench.start(1, *bench.generator.choice(orders))
            image, beats = bench.picture()
            await bench.send(beats)
            bench.expect_image(image)
            await bench.release()

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def sizes_that_do_not_fit(dut):
    """No beat is taken of images row by row whose sizes do not fit each other, and this is told once."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        lanes, most_side = bench.config.image_lanes, bench.config.largest_patch_size
        most_patches, most_pixels = bench.config.max_tokens - 1, bench.config.max_patch
        refused = 0
        for _ in range(40):
            side, across = bench.generator.randint(1, most_side), bench.generator.randint(1, most_patches)
            patches, pixels = bench.generator.randint(1, most_patches), bench.generator.randint(1, most_pixels)
            if side % lanes == 0 and bench.generator.random() < 0.8:
                pixels = most_pixels // side**2 * side**2
            view.image_order.value, view.patch_size.value, view.patches_a_row.value = 1, side, across
            view.patches.value, view.patch_pixels.value, view.images.value = patches, pixels, 1
            await bench.cycle(start=1)
            told = 0
            for _ in range(pixels + patches + 9):
                told += int(view.sizes_error.value)
                await bench.cycle()
                expect_equal("idle", view.idle.value, 0)
                if view.s_tready.value:
                    break
            fit = not (side % lanes or pixels % side**2 or patches % across)
            what = f"{side} x {side} pixels, {pixels} in a patch, {across} of {patches} patches in a row"
            expect_equal(f"sizes_error, beats taken of {what}", (told, int(view.s_tready.value)), (not fit, fit))
            expect_equal("preparing", view.preparing.value, not fit)
            refused += not fit
            for _ in range(3):
                await bench.cycle(ending=1)
            await bench.cycle()
            expect_equal("idle, preparing", (view.idle.value, view.preparing.value), (1, 0))
        if refused < 5 and most_patches > 1:
            raise AssertionError(f"sizes that do not fit must be 5 or more, not {refused}")

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def closed(dut):
    """Nothing is taken while the ports are closed."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        await bench.start(1, *next(iter(sizes(bench))))
        image, beats = bench.picture()
        for _ in range(5):
            _told, taken = await bench.cycle(beats[0], closed=1)
            expect_equal("taken", int(taken), 0)
        await bench.send(beats)
        bench.expect_image(image)

    await on_every_block(dut, blocks(), job)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize(
    "testcase",
    ["images_of_every_size", "packets_of_any_length", "jobs_that_are_ended", "sizes_that_do_not_fit", "closed"],
)
def test_image_loader(simulation, testcase):
    run(simulation, __name__, testcase=testcase)

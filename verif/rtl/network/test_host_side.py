"""The host side as a whole: jobs, faults of every sort, resets, with a stand-in for the engine behind it."""

from __future__ import annotations

import logging
import random
import zlib

import cocotb
import pytest
from cocotb.triggers import ClockCycles, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
)

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.command import Opcode
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.control.registers import EVENTS, register_map
from taylorvit.rtl.network.host_side import HostSide
from taylorvit.simulation import build, expect_equal, pack, parameters, pattern, run
from taylorvit.simulation.stream_source import StreamSource
from verif.rtl.harness import SideBySide, on_every_block
from verif.rtl.network.axi_memory import TapeMemory, random_delays
from verif.rtl.network.configurations import config_of
from verif.rtl.network.fake_engine import FakeEngine, logits_of
from verif.rtl.network.tapes import DAMAGES, damaged, random_tape

LIMIT_NS = 600_000

VARIANTS = {
    "axi": {"rows": 4, "columns": 4, "tape_width": 16, "tape_source": "axi"},
    "stream": {"rows": 5, "columns": 3, "tape_width": 24, "tape_source": "stream", "image_lanes": 5,
               "kernel": "taylor+softmax", "exponential_entries": 16},
    "memory": {"rows": 4, "columns": 4, "tape_width": 8, "tape_source": "memory", "tape_memory_bytes": 8192,
               "memory_pipeline": 1, "image_lanes": 2},
    "wide": {"rows": 128, "columns": 128, "tape_width": 1024, "tape_source": "axi", "image_lanes": 4,
             "tape_queue_rows": 256},
}  # fmt: skip


NARROW = [name for name in VARIANTS if name != "wide"]  # the widest words take the bench the most time


def configuration(name):
    return NetworkConfig.from_mapping(config_of("default").to_mapping() | VARIANTS[name])


def blocks(names=tuple(VARIANTS)):
    return {name: HostSide(configuration(name)) for name in names}


class Bench:
    """All that is around a host side: host, memory or source of the tape, source of images, sink, engine."""

    def __init__(self, view, name, seed):
        dut = view._dut
        self.view, self.name = view, name
        logging.getLogger("cocotb.side_by_side").setLevel(logging.ERROR)
        self.config = configuration(name)
        self.generator = random.Random(seed)
        self.map = register_map(self.config)
        self.axil = AxiLiteMaster(AxiLiteBus.from_prefix(dut, f"{name}_s_axil"), dut.clk, dut.rst)
        self.images = StreamSource(AxiStreamBus.from_prefix(dut, f"{name}_s_axis_image"), dut.clk, dut.rst)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, f"{name}_m_axis_logits"), dut.clk, dut.rst)
        self.memory = self.tapes = None
        if self.config.tape_source == "axi":
            self.memory = TapeMemory(dut, f"{name}_m_axi_tape", size=1 << 20)
        elif self.config.tape_source == "stream":
            self.tapes = StreamSource(AxiStreamBus.from_prefix(dut, f"{name}_s_axis_tape"), dut.clk, dut.rst)
        self.engine = FakeEngine(view, self.config, seed)
        cocotb.start_soon(self.engine.run())
        self.patches, self.pixels, self.classes = 3, 7, 5
        self.stream_content = None  # what the stream of the tape sends instead of the tape
        self.offered = None  # an image that an ended job has not begun to take

    # Host

    async def read(self, name):
        result = await with_timeout(self.axil.read(self.map[name].offset, 4), LIMIT_NS, "ns")
        expect_equal(f"response to a read of {name}", result.resp, AxiResp.OKAY)
        return int.from_bytes(result.data, "little")

    async def write(self, name, value, response=AxiResp.OKAY):
        data = value.to_bytes(4, "little")
        result = await with_timeout(self.axil.write(self.map[name].offset, data), LIMIT_NS, "ns")
        expect_equal(f"response to {name} = {value:#x}", result.resp, response)

    async def start_job(self, content, images, *, base=0, timeout=400, control=1):
        """Puts the tape where it belongs, writes the parameters and starts, or what else is written to CONTROL."""
        for name, value in {
            "IMAGES": images, "PATCHES": self.patches, "PATCH_PIXELS": self.pixels, "CLASSES": self.classes,
            "TAPE_LENGTH": len(content), "TIMEOUT": timeout,
        }.items():  # fmt: skip
            await self.write(name, value)
        if self.memory is not None:
            self.memory.write(base, content)
            await self.write("TAPE_BASE", base)
        elif self.tapes is None:
            await self.write("TAPE_BASE", base)
            await self.write("TAPE_ADDRESS", base)
            padded = content + bytes(-len(content) % 4)
            for first in range(0, len(padded), 4):
                await self.write("TAPE_DATA", int.from_bytes(padded[first : first + 4], "little"))
        else:
            sent = content if self.stream_content is None else self.stream_content
            for _ in range(images if sent else 0):
                await self.tapes.send(AxiStreamFrame(sent))
        await self.write("CONTROL", control)

    async def expect_end(self, what, *expected):
        """Waits until no job runs, compares the events by their names, and clears them."""
        for _ in range(2000):
            if not await self.read("STATUS"):
                break
        else:
            raise AssertionError(f"{self.name}: a job must end, and has the events {await self.read('EVENTS'):#x}")
        events = await self.read("EVENTS")
        await self.write("EVENTS", events)
        names = [name for name, (bit, _text) in EVENTS.items() if events >> bit & 1]
        if names != sorted(expected, key=list(EVENTS).index):
            raise AssertionError(f"{self.name}: events of {what} must be {expected}, not {names}")
        expect_equal(f"events of {what}", events, sum(1 << EVENTS[name][0] for name in expected))

    # Images and logits

    def random_images(self, count):
        return [[list(self.generator.randbytes(self.pixels)) for _ in range(self.patches)] for _ in range(count)]

    def beats(self, image):
        """The bytes of an image on its stream."""
        lanes = self.config.image_lanes
        return b"".join(bytes(patch) + self.generator.randbytes(-len(patch) % lanes) for patch in image)

    def expect_logits(self, numbers):
        """What the sink got: the logits of these images, and nothing else."""
        frames = []
        while not self.sink.empty():
            frames.append(bytes(self.sink.recv_nowait().tdata))
        expected = [
            pack(logits_of(number, self.classes, self.config), 32).to_bytes(4 * self.classes, "little")
            for number in numbers
        ]
        expect_equal("packets of logits", len(frames), len(expected))
        expect_equal("logits", [list(frame) for frame in frames], [list(frame) for frame in expected])

    def paces(self, kind):
        """Gives everything around the host side a pace."""
        sources = [self.images, self.sink, *([self.tapes] if self.tapes else [])]
        if self.memory is not None:
            sources += [self.memory.ar_channel, self.memory.r_channel]
            self.memory.delays = random_delays(self.generator, 0 if kind == "always" else 10)
        for source in sources:
            activity = pattern(kind, self.generator.getrandbits(32))
            source.set_pause_generator(not active for active in activity)
        self.engine.pace = 1.0 if kind == "always" else self.generator.choice((0.3, 0.8))

    def tape(self, products=4, most_rows=12):
        if self.config.tape_source == "memory":  # which is filled word by word
            products, most_rows = min(products, 2), min(most_rows, 6)
        return random_tape(self.config, self.generator, products, most_rows=most_rows)

    async def good_job(self, images=1, kind="always", **sizes):
        """A job that must come out right."""
        tape = self.tape(**sizes)
        pictures = self.random_images(images)
        self.engine.job(tape, self.classes, pictures.__getitem__)
        self.paces(kind)
        # An image that an ended job has not begun to take is the first one of this job.
        if self.offered is not None:
            pictures[0] = self.offered
        for picture in pictures[self.offered is not None :]:
            await self.images.send(AxiStreamFrame(self.beats(picture)))
        base = 4 * self.generator.randrange(16) * self.config.tape_bytes
        await self.start_job(tape.content, images, base=base, timeout=4000)
        await self.expect_end("a good job", "DONE")
        self.expect_logits(range(images))
        expect_equal("IMAGES_DONE", await self.read("IMAGES_DONE"), images)
        await self.expect_at_rest()

    async def expect_at_rest(self):
        self.offered = None
        expect_equal("images left", self.images.count(), 0)
        expect_equal("running", self.view.running.value, 0)

    def cut(self, picture, beats):
        """The image whose packet had only so many beats: zeros take the place of the others."""
        lanes, per_patch = self.config.image_lanes, -(-self.pixels // self.config.image_lanes)
        return [
            [pixel if number * per_patch + place // lanes < beats else 0 for place, pixel in enumerate(patch)]
            for number, patch in enumerate(picture)
        ]

    def empty_sink(self):
        while not self.sink.empty():
            self.sink.recv_nowait()

    async def stop_sources(self):
        """Takes back what sources offer, as a host that resets them does."""
        for source in (self.images, self.tapes):
            if source is not None:
                source.clear_pause_generator()
                source.pause = True
                source.assert_reset(True)
        await ClockCycles(self.view.clk, 2)
        for source in (self.images, self.tapes):
            if source is not None:
                source.clear()
                source.assert_reset(False)
                source.pause = False

    async def drop_tapes(self):
        """Takes back the tapes of an ended job; the soft reset says that the end of a packet does not come."""
        if self.tapes is not None:
            await self.stop_sources()
            await self.write("CONTROL", 2)

    async def check(self, what, content, **job):
        """A job that only reads: the sum of the bytes, and nothing else happens."""
        size = self.config.tape_bytes
        images = 1 if self.tapes is not None else self.generator.randint(2, 9)  # which means nothing to it
        await self.start_job(content, images, control=4, **job)
        await self.expect_end(what, "DONE")
        whole = content + bytes(-len(content) % size)
        expect_equal(f"sum of {what}", await self.read("TAPE_SUM"), zlib.crc32(whole))
        expect_equal(f"images of {what}", await self.read("IMAGES_DONE"), 0)
        self.expect_logits([])

    async def bad_job(self, what, content, *events, **job):
        """A job of one image that must end with some events and without logits."""
        self.engine.job(None, self.classes, lambda number: [])
        if self.offered is None:
            (self.offered,) = self.random_images(1)
            await self.images.send(AxiStreamFrame(self.beats(self.offered)))
        await self.start_job(content, 1, **job)
        await self.expect_end(what, *events)
        self.expect_logits([])
        # What has been begun is dropped to its end.
        for source in (self.images, self.tapes):
            if source is not None:
                source.clear_pause_generator()
                source.pause = False
        await ClockCycles(self.view.clk, 100)
        if self.images.idle():
            self.offered = None


async def on_all(dut, job, names=tuple(VARIANTS)):
    """Runs `job(bench)` on the host sides of these names at once, as far as they are simulated."""

    async def on_one(view, name, seed):
        if name in names:
            await job(Bench(view, name, seed))

    await on_every_block(dut, blocks(parameters().get("names", tuple(VARIANTS))), on_one)


@cocotb.test()
async def jobs_in_good_order(dut):
    """Images come out in order, one or many, at every pace of what is around."""

    async def job(bench):
        await bench.write("INTERRUPT_ENABLE", 1)
        await bench.good_job()
        for kind in ("always", "random", "bursts")[: 2 if bench.name == "wide" else None]:
            bench.patches = bench.generator.randint(1, bench.config.max_tokens - 1)
            bench.pixels = bench.generator.randint(1, bench.config.max_patch)
            bench.classes = bench.generator.randint(1, bench.config.max_classes)
            await bench.good_job(images=3, kind=kind, products=bench.generator.randint(1, 6))
        # More rows than the ring has.
        if bench.name != "wide":
            await bench.good_job(images=1, kind="random", products=3, most_rows=2 * bench.config.tape_queue_rows)

    await on_all(dut, job)


@cocotb.test()
async def images_back_to_back(dut):
    """While an image is still computed, the next one is in the banks, and its commands are there."""

    async def job(bench):
        tape, pictures = bench.tape(products=2), bench.random_images(2)
        bench.engine.job(tape, bench.classes, pictures.__getitem__)
        bench.engine.holds_end = True
        for picture in pictures:
            await bench.images.send(AxiStreamFrame(bench.beats(picture)))
        await bench.start_job(tape.content, 2, timeout=4000)
        for _ in range(4000):
            await ClockCycles(bench.view.clk, 1)
            if bench.engine.work and bench.engine.work[0]["opcode"] == Opcode.END:
                break
        await ClockCycles(bench.view.clk, 400)
        expect_equal("images that have left their source", int(bench.images.idle()), 1)
        ready = (bench.view.image_ready.value, bench.view.command_valid.value, bench.view.m_axis_logits_tvalid.value)
        expect_equal("the next image, its command, logits", ready, (1, 1, 0))
        bench.engine.holds_end = False
        await bench.expect_end("images back to back", "DONE")
        bench.expect_logits(range(2))

    await on_all(dut, job, NARROW)


@cocotb.test()
async def damaged_tapes(dut):
    """Each damage is told by its event, gives no logits, and leaves nothing behind."""

    async def job(bench):
        kinds = list(DAMAGES)
        bench.generator.shuffle(kinds)
        # The widest words take the bench the most time.
        for number, kind in enumerate(kinds[: 6 if bench.name == "wide" else None]):
            if number % 3 == 0:
                await bench.good_job(kind=bench.generator.choice(("always", "random")), products=2)
            content = damaged(bench.tape(products=3), kind, bench.generator)
            bench.paces(bench.generator.choice(("always", "random")))
            before = await bench.read(f"COUNT_{DAMAGES[kind]}")
            await bench.bad_job(f"a tape with a wrong {kind}", content, DAMAGES[kind])
            expect_equal(f"count of {kind}", await bench.read(f"COUNT_{DAMAGES[kind]}"), before + 1)
        await bench.good_job(images=2)

    await on_all(dut, job)


@cocotb.test()
async def tapes_that_are_only_read(dut):
    """CHECK gives the sum of any bytes, takes no image, and ends like any job where its source fails."""

    async def job(bench):
        generator, size = bench.generator, bench.config.tape_bytes
        for kind in ("always", "random", "bursts"):
            bench.engine.job(None, bench.classes, lambda number: [])
            bench.paces(kind)
            some = generator.randbytes(size * (bench.config.shortest_tape // size + generator.randint(0, 30)))
            for what, content in (
                ("a tape", bench.tape(products=2).content),
                ("no tape", some),
                ("a damaged tape", damaged(bench.tape(products=2), generator.choice(list(DAMAGES)), generator)),
            ):
                # An image that is already offered waits for the job after it.
                if bench.offered is None:
                    (bench.offered,) = bench.random_images(1)
                    await bench.images.send(AxiStreamFrame(bench.beats(bench.offered)))
                await bench.check(what, content, base=4 * generator.randrange(16) * size)
            await bench.good_job(images=2, kind=kind)
        some = generator.randbytes(4 * bench.config.shortest_tape)
        if bench.memory is not None:
            bench.memory.bad = {generator.randrange(len(some) // size) * size: AxiResp.SLVERR}
            await bench.bad_job("a check with SLVERR", some, "AXI_ERROR", control=4)
            bench.memory.bad = {}
            bench.memory.stops_at = generator.randrange(len(some) // size) * size
            await bench.bad_job("a check of a memory that stops", some, "TAPE_TIMEOUT", control=4, timeout=60)
            bench.memory.stops_at = None
            bench.memory.resumes.set()
        elif bench.tapes is not None:
            for content in (some[:-size], some + bytes(size)):
                bench.stream_content = content
                await bench.bad_job("a check of another length", some, "TAPE_LENGTH", control=4)
            bench.stream_content = b""
            await bench.bad_job("a check of nothing", some, "TAPE_TIMEOUT", control=4, timeout=60)
            bench.stream_content = None
        # In the middle: another start is refused, and a soft reset ends it.
        await bench.start_job(some, 1, control=4)
        await bench.write("CONTROL", generator.choice((1, 4)), AxiResp.SLVERR)
        await bench.expect_end("a check that is started twice", "DONE", "START_WHILE_BUSY")
        await bench.start_job(some, 1, control=4)
        await ClockCycles(bench.view.clk, generator.randint(0, 40))
        await bench.stop_sources()
        bench.offered = None
        await bench.write("CONTROL", 2)
        await ClockCycles(bench.view.clk, 10)
        expect_equal("busy, sum", (await bench.read("STATUS"), await bench.read("TAPE_SUM")), (0, 0))
        await bench.good_job()

    await on_all(dut, job, NARROW)


@cocotb.test()
async def sizes_of_images_that_do_not_fit(dut):
    """A job with images row by row whose sizes do not fit is ended, and the next one comes out right."""

    async def job(bench):
        for _ in range(2):
            for name, value in {"IMAGE_ORDER": 1, "PATCH_SIZE": 2, "PATCHES_A_ROW": 1}.items():
                await bench.write(name, value)
            await bench.bad_job(f"patches of {bench.pixels} pixels", bench.tape().content, "IMAGE_SIZES")
            await bench.write("IMAGE_ORDER", 0)
            await bench.good_job()

    await on_all(dut, job, NARROW)


@cocotb.test()
async def faults_of_the_memory(dut):
    """Errors of the memory, and a memory that stops, end the job; the next one comes out right."""

    async def job(bench):
        if bench.memory is None:
            return
        size, memory = bench.config.tape_bytes, bench.memory
        for answer in (AxiResp.SLVERR, AxiResp.DECERR):
            content = bench.tape().content
            memory.bad = {bench.generator.randrange(len(content) // size) * size: answer}
            await bench.bad_job(f"a memory with {answer.name}", content, "AXI_ERROR")
            memory.bad = {}
            await bench.good_job()
        content = bench.tape().content
        memory.stops_at = bench.generator.randrange(len(content) // size) * size
        await bench.bad_job("a memory that stops", content, "TAPE_TIMEOUT", timeout=100)
        # It has not come back: neither has the next job its tape.
        await bench.bad_job("a memory that is still silent", content, "TAPE_TIMEOUT", timeout=60)
        memory.stops_at = None
        memory.resumes.set()
        await bench.good_job(images=2, kind="random")

    await on_all(dut, job, NARROW)


@cocotb.test()
async def faults_of_the_tape_stream(dut):
    """Packets that are too short, too long, or stop, end the job; the next one comes out right."""

    async def job(bench):
        size = bench.config.tape_bytes
        for what, change in (
            ("short", lambda content: content[: size * bench.generator.randrange(1, len(content) // size)]),
            ("long", lambda content: content + bench.generator.randbytes(size * bench.generator.randint(1, 40))),
        ):
            for _ in range(3):
                content = bench.tape().content
                bench.engine.job(None, bench.classes, lambda number: [])
                bench.stream_content = change(content)
                await bench.bad_job(f"a tape that is too {what}", content, "TAPE_LENGTH")
            bench.stream_content = None
            await bench.good_job(images=2, kind="random")
        # A source that stops in the middle of a packet, and begins a new one when it comes back.
        bench.stream_content = b""
        await bench.bad_job("a tape that does not come", bench.tape().content, "TAPE_TIMEOUT", timeout=100)
        bench.stream_content = None
        await bench.good_job()

    await on_all(dut, job, ["stream"])


@cocotb.test()
async def faults_of_the_images(dut):
    """Images that are too short are filled up, of those that are too long the rest is dropped; one may be missing."""

    async def job(bench):
        for what, event in (("short", "IMAGE_SHORT"), ("long", "IMAGE_LONG")):
            for kind in ("always", "random"):
                tape, pictures = bench.tape(products=2), bench.random_images(3)
                content = [bench.beats(picture) for picture in pictures]
                lanes = bench.config.image_lanes
                if what == "long":
                    content[1] += bench.generator.randbytes(lanes * bench.generator.randint(1, 30))
                else:
                    beats = bench.generator.randrange(1, len(content[1]) // lanes)
                    content[1] = content[1][: beats * lanes]
                    pictures[1] = bench.cut(pictures[1], beats)
                bench.engine.job(tape, bench.classes, pictures.__getitem__)
                bench.paces(kind)
                for each in content:
                    await bench.images.send(AxiStreamFrame(each))
                await bench.start_job(tape.content, 3, timeout=4000)
                await bench.expect_end(f"an image that is too {what}", "DONE", event)
                bench.expect_logits(range(3))
        for pictures in (0, 1):
            # The first image is missing, or the second.
            tape, images = bench.tape(products=2), bench.random_images(1)
            bench.engine.job(tape, bench.classes, images.__getitem__)
            bench.paces("always")
            for picture in images[:pictures]:
                await bench.images.send(AxiStreamFrame(bench.beats(picture)))
            await bench.start_job(tape.content, 1 + pictures, timeout=100)
            await bench.expect_end("an image that is missing", "IMAGE_TIMEOUT")
            bench.expect_logits(range(pictures))
            await bench.drop_tapes()
            await bench.good_job(kind="random")

    await on_all(dut, job, NARROW)


@cocotb.test()
async def soft_resets(dut):
    """After a soft reset at any time the next job comes out right, and no register has changed."""

    async def job(bench):
        for number in range(4):
            bench.engine.job(None, bench.classes, lambda number: [])
            bench.paces("always")
            content = bench.tape().content
            await bench.start_job(content, 1)
            await ClockCycles(bench.view.clk, bench.generator.randint(0, 150))
            if bench.generator.random() < 0.5:
                # In the middle of an image whose end never comes.
                picture = bench.beats(bench.random_images(1)[0])
                await bench.images.send(AxiStreamFrame(picture))
                await ClockCycles(bench.view.clk, bench.generator.randint(0, 10))
            await bench.stop_sources()
            await bench.write("CONTROL", 2)
            await ClockCycles(bench.view.clk, 10)
            expect_equal("busy", await bench.read("STATUS"), 0)
            expect_equal("TAPE_LENGTH", await bench.read("TAPE_LENGTH"), len(content))
            await bench.write("EVENTS", (1 << 32) - 1)
            bench.empty_sink()
            await bench.good_job(images=1 + number % 2)

    await on_all(dut, job, NARROW)


@cocotb.test()
async def an_engine_that_hangs(dut):
    """A job whose engine takes nothing any more is ended; so is one that a host starts twice, but only once."""

    async def job(bench):
        tape = bench.tape(products=3)
        bench.engine.job(None, bench.classes, lambda number: [])
        bench.engine.hangs = True
        if bench.offered is None:
            bench.offered = bench.random_images(1)[0]
            await bench.images.send(AxiStreamFrame(bench.beats(bench.offered)))
        await bench.start_job(tape.content, 1)
        await bench.write("CONTROL", 1, AxiResp.SLVERR)
        await bench.expect_end("an engine that hangs", "STUCK", "START_WHILE_BUSY")
        bench.expect_logits([])
        bench.offered = None
        await bench.drop_tapes()
        await bench.good_job()

    await on_all(dut, job, NARROW)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize(
    "testcase",
    [
        "jobs_in_good_order",
        "images_back_to_back",
        "damaged_tapes",
        "tapes_that_are_only_read",
        "sizes_of_images_that_do_not_fit",
        "faults_of_the_memory",
        "faults_of_the_tape_stream",
        "faults_of_the_images",
        "soft_resets",
        "an_engine_that_hangs",
    ],
)
def test_host_side(simulation, testcase):
    run(simulation, __name__, testcase=testcase)

"""AXI4 read master against the memories of cocotbext-axi: whatever these do, the words of the tape come in order."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiResp

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.tape.axi_source import AxiTapeSource
from taylorvit.simulation import build, expect_equal, pattern, run, wait_until
from verif.rtl.harness import SideBySide, on_every_block
from verif.rtl.network.axi_memory import TapeMemory, random_delays
from verif.rtl.network.configurations import config_of

LIMIT = 20_000
PAGE = 4096
SIZES = {  # rows, columns, bits of a word, most bursts outstanding
    "byte": (4, 4, 8, 4),
    "word": (4, 4, 32, 2),
    "single": (4, 2, 16, 1),
    "wide": (128, 128, 1024, 16),
}


def configuration(name):
    rows, columns, width, outstanding = SIZES[name]
    base = config_of("default").to_mapping() | {"tape_queue_rows": 256}
    return NetworkConfig.from_mapping(
        base | {"rows": rows, "columns": columns, "tape_width": width, "axi_outstanding": outstanding}
    )


def blocks():
    return {name: AxiTapeSource(configuration(name)) for name in SIZES}


class Bench:
    """The block, its memory, and what takes the words."""

    def __init__(self, view, name, seed):
        self.view = view
        self.config = configuration(name)
        self.generator = random.Random(seed)
        self.memory = TapeMemory(view._dut, f"{name}_m")
        self.memory.write(0, self.generator.randbytes(1 << 16))
        self.edge = RisingEdge(view.clk)
        cocotb.start_soon(self.watch())

    async def watch(self):
        """There are never more bursts outstanding than there may be."""
        view, bursts = self.view, 0
        while True:
            await self.edge
            bursts += int(view.m_arvalid.value) & int(view.m_arready.value)
            bursts -= int(view.m_rvalid.value) & int(view.m_rready.value) & int(view.m_rlast.value)
            if bursts > self.config.axi_outstanding:
                raise AssertionError(f"bursts must be at most {self.config.axi_outstanding} at once, not {bursts}")

    def paces(self, seed):
        """Gives all sides new paces."""
        for number, channel in enumerate((self.memory.ar_channel, self.memory.r_channel)):
            activity = pattern(self.generator.choice(("always", "random", "bursts")), f"{seed}-{number}")
            channel.set_pause_generator(not active for active in activity)
        self.memory.delays = random_delays(self.generator, self.generator.choice((0, 5, 20)))

    async def start(self, base, length, images):
        view = self.view
        view.base.value, view.length.value, view.images.value, view.start.value = base, length, images, 1
        await self.edge
        view.start.value = 0

    async def words(self, count, activity="always"):
        """The next words, as bytes."""
        view, taken = self.view, bytearray()
        active = pattern(activity, self.generator.getrandbits(32))
        for _ in range(LIMIT):
            if len(taken) == count * self.config.tape_bytes:
                view.words__ready.value = 0
                return bytes(taken)
            view.words__ready.value = next(active)
            await self.edge
            if view.words__valid.value and view.words__ready.value:
                taken += int(view.words__data.value).to_bytes(self.config.tape_bytes, "little")
        raise AssertionError(f"{count} words must come within {LIMIT} cycles, not {len(taken)} bytes")

    async def end(self):
        """Ends the job, as job control does."""
        self.view.ending.value = 1
        await ClockCycles(self.view.clk, 16)
        self.view.ending.value = 0

    def expect_bursts(self, base, length, images):
        """Every word was asked for once, in order, by bursts that stay in their pages, as long as can be."""
        size = self.config.tape_bytes
        longest = min(64 * size, PAGE)
        expected = []
        for _ in range(images):
            address = base
            while address < base + length:
                end = min(base + length, (address // longest + 1) * longest)
                expected.append((address, end - address))
                address = end
        expect_equal("bursts", self.memory.bursts, expected)
        self.memory.bursts.clear()


@cocotb.test()
async def tapes_of_every_length_and_place(dut):
    """Tapes of any length, at any place, over 4 KB boundaries, are read as often as there are images."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        size = bench.config.tape_bytes
        for number, words in enumerate(
            [1, 2, 64, 65, bench.generator.randint(3, 200), bench.generator.randint(3, 200)]
        ):
            bench.paces(f"{seed}-{number}")
            room = (1 << 16) // size - words
            first = bench.generator.choice((0, PAGE // size - 1, bench.generator.randrange(room))) % room
            images = bench.generator.randint(1, 3) if words < 100 else 1
            await bench.start(first * size + bench.generator.randrange(size), words * size, images)
            tape = bench.memory.read(first * size, words * size)
            got = await bench.words(words * images, bench.generator.choice(("always", "random", "bursts")))
            expect_equal("tape", list(got), list(tape * images))
            bench.expect_bursts(first * size, words * size, images)
            for _ in range(3):
                await bench.edge
                expect_equal("waiting", view.waiting.value, 0)
                expect_equal("a word after the last one", view.words__valid.value, 0)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def errors_of_the_memory(dut):
    """SLVERR and DECERR are told with the word that they come with, and with no other."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        size = bench.config.tape_bytes
        for answer in (AxiResp.SLVERR, AxiResp.DECERR, AxiResp.EXOKAY):
            place = bench.generator.randrange(40)
            bench.memory.bad = {place * size: answer}
            bench.paces(f"{seed}-{answer}")
            await bench.start(0, 40 * size, 1)
            errors = [0]

            async def count(errors=errors):
                while True:
                    await bench.edge
                    errors[0] += int(view.error.value)

            counting = cocotb.start_soon(count())
            await bench.words(place)
            expect_equal("errors before", errors[0], 0)
            await bench.words(40 - place)
            await ClockCycles(view.clk, 3)
            expect_equal(f"errors with {answer.name}", errors[0], int(answer != AxiResp.EXOKAY))
            counting.cancel()
            bench.memory.bad = {}

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def jobs_that_are_ended(dut):
    """After the end of a job in the middle of bursts, the next one gets its own words, and none of the old ones."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        size = bench.config.tape_bytes
        for number in range(4):
            bench.paces(f"{seed}-{number}")
            await bench.start(0, 400 * size, 2)
            await bench.words(bench.generator.randint(0, 150))
            await bench.end()
            expect_equal("waiting", view.waiting.value, 0)
            first, words = bench.generator.randrange(100), bench.generator.randint(1, 100)
            await bench.start(first * size, words * size, 1)
            expect_equal("tape", list(await bench.words(words)), list(bench.memory.read(first * size, words * size)))
        await ClockCycles(view.clk, 3)
        expect_equal("waiting", view.waiting.value, 0)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def a_memory_that_stops(dut):
    """Nothing is asked for while an ended job's words are missing; when they have come, all goes on."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        size = bench.config.tape_bytes
        bench.memory.stops_at = 10 * size
        await bench.start(0, 200 * size, 1)
        await bench.words(10)
        await bench.end()
        await bench.start(0, 5 * size, 1)
        await ClockCycles(view.clk, 200)
        asked = len(bench.memory.bursts)
        expect_equal("a word, and whether it is waited for", (view.words__valid.value, view.waiting.value), (0, 1))
        bench.memory.stops_at = None
        bench.memory.resumes.set()
        expect_equal("tape", list(await bench.words(5)), list(bench.memory.read(0, 5 * size)))
        expect_equal(
            "bursts beyond those outstanding",
            len(bench.memory.bursts) <= asked + bench.config.axi_outstanding + 1,
            True,
        )

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def a_word_a_cycle(dut):
    """With enough bursts outstanding, a memory that answers late still gives a word a cycle."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        if bench.config.axi_outstanding < 2:
            return
        size = bench.config.tape_bytes
        await bench.start(0, 300 * size, 1)
        view.words__ready.value = 1
        await wait_until(view, lambda: bool(view.words__valid.value), what="the first word", limit=100)
        gaps = await _gaps(bench, 299)
        # The memory of the bench itself rests for a cycle or two between bursts.
        expect_equal("gaps are few", gaps <= 3 * (300 // min(64, PAGE // size) + 1), True)

    await on_every_block(dut, blocks(), job)


async def _gaps(bench, words):
    gaps = 0
    while words:
        await bench.edge
        words -= int(bench.view.words__valid.value)
        gaps += 1 - int(bench.view.words__valid.value)
    bench.view.words__ready.value = 0
    return gaps


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize(
    "testcase",
    [
        "tapes_of_every_length_and_place",
        "errors_of_the_memory",
        "jobs_that_are_ended",
        "a_memory_that_stops",
        "a_word_a_cycle",
    ],
)
def test_axi_source(simulation, testcase):
    run(simulation, __name__, testcase=testcase)

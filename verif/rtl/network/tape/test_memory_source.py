"""Memory on the chip as the source of the tape: what was written comes out, word by word, as often as asked for."""

from __future__ import annotations

import json
import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.tape.memory_source import MemoryTapeSource
from taylorvit.simulation import PATTERNS, build, expect_equal, pattern, run
from verif.rtl.harness import SideBySide, on_every_block
from verif.rtl.network.configurations import config_of
from verif.tools.yosys import run_yosys

LIMIT = 5_000
SIZES = {  # bits of a word, bytes of the memory, registers behind it, its kind
    "byte": (8, 256, 0, "auto"),
    "pair": (16, 132, 1, "huge"),
    "word": (32, 512, 2, "block"),
    "double": (64, 1024, 1, "huge"),
    "wide": (128, 144, 0, "distributed"),
}


def configuration(name):
    width, size, pipeline, kind = SIZES[name]
    changes = {"rows": 16, "columns": 16, "tape_width": width, "tape_source": "memory", "tape_memory_bytes": size,
               "tape_memory": kind}  # fmt: skip
    base = config_of("default").to_mapping() | {"memory_pipeline": pipeline}
    return NetworkConfig.from_mapping(base | changes)


def tape_of(name):
    """What is in the memory at power-up, if its kind lets there be something: not whole words of four bytes."""
    _width, size, _pipeline, kind = SIZES[name]
    return None if kind == "huge" else random.Random(name).randbytes(size - 17)


def blocks():
    return {name: MemoryTapeSource(configuration(name), tape_of(name)) for name in SIZES}


class Bench:
    def __init__(self, view, name, seed):
        self.view, self.config = view, configuration(name)
        self.generator = random.Random(seed)
        self.edge = RisingEdge(view.clk)
        self.content = bytearray(self.config.tape_memory_bytes)

    async def fill(self, first, count):
        """Writes `count` random words of four bytes from the word `first` on."""
        view = self.view
        for place in range(first, first + count):
            word = self.generator.randbytes(4)
            self.content[4 * place : 4 * place + 4] = word
            view.write__valid.value, view.write__address.value = 1, place
            view.write__data.value = int.from_bytes(word, "little")
            await self.edge
        view.write__valid.value = 0

    async def fill_slowly(self, first, count):
        """Writes words as `fill` does, with pauses."""
        for place in range(first, first + count):
            await self.fill(place, 1)
            for _ in range(self.generator.randrange(4)):
                await self.edge

    async def start(self, base, length, images):
        view = self.view
        view.base.value, view.length.value, view.images.value, view.start.value = base, length, images, 1
        await self.edge
        view.start.value = 0

    async def words(self, count, activity):
        """The next words, as bytes, and the cycles that they took."""
        view, taken, size = self.view, bytearray(), self.config.tape_bytes
        active = pattern(activity, self.generator.getrandbits(32))
        for cycle in range(LIMIT):
            if len(taken) == count * size:
                view.words__ready.value = 0
                return list(taken), cycle
            view.words__ready.value = next(active)
            await self.edge
            if view.words__valid.value and view.words__ready.value:
                taken += int(view.words__data.value).to_bytes(size, "little")
        raise AssertionError(f"{count} words must come within {LIMIT} cycles, not {len(taken)} bytes")

    def part(self, words):
        """Where a tape of so many words may be: a random place."""
        return self.generator.randrange(len(self.content) // self.config.tape_bytes - words + 1)


@cocotb.test()
async def a_tape_is_there_at_power_up(dut):
    """What the memory contains at power-up comes out before anything is written, and zeros behind it."""

    async def job(view, name, seed):
        if (tape := tape_of(name)) is None:
            return
        bench = Bench(view, name, seed)
        await bench.start(0, len(bench.content), 1)
        got, _cycles = await bench.words(len(bench.content) // bench.config.tape_bytes, "random")
        expect_equal("tape", got, list(tape.ljust(len(bench.content), b"\0")))

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def tapes_come_out(dut):
    """Tapes of any length, at any place, come as often as there are images, a word a cycle if they are taken."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        size = bench.config.tape_bytes
        await bench.fill(0, len(bench.content) // 4)
        most = len(bench.content) // size
        for number, words in enumerate([1, most, *(bench.generator.randint(1, most) for _ in range(6))]):
            first, images = bench.part(words), bench.generator.randint(1, 3)
            await bench.start(first * size + bench.generator.randrange(size), words * size, images)
            activity = PATTERNS[number % 2]
            got, cycles = await bench.words(words * images, activity)
            expect_equal("tape", got, list(bench.content[first * size : (first + words) * size]) * images)
            if activity == "always":
                expect_equal("cycles", cycles <= words * images + bench.config.memory_pipeline + 6, True)
            for _ in range(5):
                await bench.edge
                expect_equal("waiting, a word", (view.waiting.value, view.words__valid.value), (0, 0))
            await bench.fill(bench.generator.randrange(len(bench.content) // 4), 1)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def host_writes_while_a_job_runs(dut):
    """A job reads its tape undisturbed while the host writes another one beside it, whose words are kept."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        size = bench.config.tape_bytes
        await bench.fill(0, len(bench.content) // 4)
        half = len(bench.content) // 2 // max(4, size) * max(4, size)
        for first, beside in ((0, half), (half, 0)) * 3:
            words = half // size
            await bench.start(first, words * size, 2)
            writing = cocotb.start_soon(bench.fill_slowly(beside // 4, half // 4))
            got, _cycles = await bench.words(2 * words, bench.generator.choice(("always", "random")))
            await writing
            expect_equal("tape", got, list(bench.content[first : first + words * size]) * 2)
            await bench.start(beside, words * size, 1)
            got, _cycles = await bench.words(words, "always")
            expect_equal("tape written meanwhile", got, list(bench.content[beside : beside + words * size]))

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def jobs_that_are_ended(dut):
    """After the end of a job in the middle of a tape, the next one gets its own words."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        size = bench.config.tape_bytes
        await bench.fill(0, len(bench.content) // 4)
        most = len(bench.content) // size
        for _ in range(6):
            await bench.start(0, most * size, 3)
            await bench.words(bench.generator.randrange(most), "random")
            view.ending.value = 1
            for _ in range(8):
                await bench.edge
            view.ending.value = 0
            words = bench.generator.randint(1, most)
            first = bench.part(words)
            await bench.start(first * size, words * size, 1)
            got, _cycles = await bench.words(words, "random")
            expect_equal("tape", got, list(bench.content[first * size : (first + words) * size]))

    await on_every_block(dut, blocks(), job)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize(
    "testcase",
    ["a_tape_is_there_at_power_up", "tapes_come_out", "host_writes_while_a_job_runs", "jobs_that_are_ended"],
)
def test_memory_source(simulation, testcase):
    run(simulation, __name__, testcase=testcase)


def test_tapes_that_cannot_be_there():
    with pytest.raises(ValueError, match="^tape must have at most tape_memory_bytes = 256 bytes, not 257$"):
        MemoryTapeSource(configuration("byte"), bytes(257))
    with pytest.raises(ValueError, match="^kind must be one of memory with contents at power-up, not 'huge'$"):
        MemoryTapeSource(configuration("double"), bytes(8))


def test_synthesis_keeps_a_tape_in_block_ram(tmp_path):
    """Yosys makes block RAM of it, with all bits of the tape and no other in its contents."""
    block, tape = MemoryTapeSource(configuration("word"), tape_of("word")), tape_of("word")
    (tmp_path / "tape.v").write_text(emit(block))
    script = f"read_verilog tape.v; synth_ecp5 -top {block.module_name} -run begin:map_ffram"
    succeeded, told = run_yosys(
        tmp_path, "-q", "-p", f"{script}; select {block.module_name}; write_json -selected t.json"
    )
    assert succeeded, told
    cells = json.loads((tmp_path / "t.json").read_text())["modules"][block.module_name]["cells"].values()
    memories = [cell for cell in cells if cell["type"] == "DP16KD"]
    assert memories and "$__TRELLIS_DPR16X4_" not in {cell["type"] for cell in cells}
    contents = [text for cell in memories for name, text in cell["parameters"].items() if name.startswith("INITVAL")]
    assert sum(text.count("1") for text in contents) == int.from_bytes(tape, "little").bit_count()

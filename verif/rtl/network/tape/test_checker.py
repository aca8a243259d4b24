"""Tape checker: what it lets pass, when it says that a tape has passed, and what it says of a damaged one."""

from __future__ import annotations

import random
import zlib

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.command import HEADER_BYTES
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.tape.checker import TapeChecker
from taylorvit.simulation import build, expect_equal, pattern, run
from verif.rtl.harness import SideBySide, View, on_every_block
from verif.rtl.network.configurations import config_of
from verif.rtl.network.tapes import damaged, random_tape, words_of

SIZES = {  # rows, columns, bits of a word, source
    "byte": (4, 4, 8, "axi"),
    "word": (4, 4, 32, "axi"),
    "odd": (5, 3, 24, "stream"),
    "column": (2, 1, 8, "stream"),
    "wide": (128, 128, 1024, "axi"),
    "half": (32, 32, 128, "stream"),
    "memory": (4, 4, 16, "memory"),
}
MEMORY_BYTES = 1500
TOLD = ("passed", "been_read", "magic_error", "version_error", "configuration_error", "length_error", "crc_error")
FAULTS = {
    "magic": "magic_error", "version": "version_error", "configuration": "configuration_error",
    "length": "length_error", "payload bit": "crc_error", "header bit": "crc_error", "crc": "crc_error",
}  # fmt: skip


def configuration(name):
    rows, columns, width, source = SIZES[name]
    base = config_of("default").to_mapping() | {"tape_queue_rows": 256}
    base |= {"tape_memory_bytes": MEMORY_BYTES if source == "memory" else 0}
    return NetworkConfig.from_mapping(
        base | {"rows": rows, "columns": columns, "tape_width": width, "tape_source": source}
    )


def blocks():
    return {name: TapeChecker(configuration(name)) for name in SIZES}


class Bench:
    def __init__(self, view, name, seed):
        self.view, self.config = view, configuration(name)
        self.generator = random.Random(seed)
        self.edge = RisingEdge(view.clk)

    async def start(self, length, only_read=0):
        view = self.view
        view.only_read.value = only_read
        view.length.value, view.start.value, view.words__valid.value = length, 1, 0
        await self.edge
        view.start.value = 0

    async def send(self, words, offering="always", taking="always", lasts=None):
        """Sends words; returns those of the body, with `last`, and what was told, each with the words sent before."""
        view, generator, body, told = self.view, self.generator, [], []
        offers, takes = pattern(offering, generator.getrandbits(32)), pattern(taking, generator.getrandbits(32))
        lasts = [int(place == len(words) - 1) for place in range(len(words))] if lasts is None else lasts
        place = 0
        for _ in range(20 * len(words) + 100):
            valid = place < len(words) and next(offers)
            view.words__valid.value = valid
            view.words__data.value = words[place] if valid else generator.getrandbits(self.config.tape_width)
            if self.config.tape_source == "stream":
                view.words__last.value = lasts[place] if valid else generator.getrandbits(1)
            view.body__ready.value = next(takes)
            await self.edge
            told += [(name, place) for name in TOLD if getattr(view, name).value]
            if view.body__valid.value and view.body__ready.value:
                body.append((int(view.body__data.value), int(view.body__last.value)))
            place += int(valid and bool(view.words__ready.value))
            if place == len(words) and not valid:
                break
        view.words__valid.value = 0
        for _ in range(6):
            await self.edge
            told += [(name, place) for name in TOLD if getattr(view, name).value]
        return body, told

    def body_of(self, content):
        """Words of the body of a tape, the last one marked."""
        config = self.config
        header = -(-HEADER_BYTES // config.columns) * config.columns
        trailer = -(-4 // config.columns) * config.columns
        words = words_of(content[header : len(content) - trailer], config)
        return [(word, int(place == len(words) - 1)) for place, word in enumerate(words)]


@cocotb.test()
async def good_tapes_pass(dut):
    """The body of each tape passes, and its end is told, however the words come; also of tapes behind each other."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        for kind in ("always", "random", "bursts", "always"):
            tape = random_tape(bench.config, bench.generator, bench.generator.randint(1, 3), most_rows=4)
            content = tape.content
            await bench.start(len(content))
            images = bench.generator.randint(1, 3)
            words = words_of(content, bench.config)
            lasts = [int(place == len(words) - 1) for place in range(len(words))] * images
            body, told = await bench.send(words * images, kind, kind, lasts)
            expect_equal("body", body, bench.body_of(content) * images)
            expect_equal("tapes that passed", [what for what, _place in told].count("passed"), images)
            expect_equal("errors", len(told) - images, 0)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def faults_are_told(dut):
    """Each fault is told once, by its own error, and such a tape never passes."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        for kind, error in FAULTS.items():
            tape = random_tape(bench.config, bench.generator, 2, most_rows=4)
            if kind == "payload bit" and not any(command.rows or command.table for command in tape.commands):
                continue
            content = damaged(tape, kind, bench.generator)
            await bench.start(len(content))
            _body, told = await bench.send(words_of(content, bench.config), "random", "random")
            names = [what for what, _place in told]
            if set(names) - {"passed"} != {error} or ("passed" in names and error == "crc_error"):
                raise AssertionError(f"a tape with a wrong {kind} must give {error}, not {names}")
            expect_equal(f"errors of a wrong {kind}", names.count(error), 1)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def a_misplaced_tlast_is_told(dut):
    """TLAST before the end of the tape, or none there, is told in time."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        if bench.config.tape_source != "stream":
            return
        for kind in ("early", "none"):
            content = random_tape(bench.config, bench.generator, 2, most_rows=4).content
            words = words_of(content, bench.config)
            lasts = [0] * len(words)
            if kind == "early":
                lasts[bench.generator.randrange(len(words) - 1)] = lasts[-1] = 1
            await bench.start(len(content))
            _body, told = await bench.send(words, lasts=lasts)
            expect_equal(f"errors of a tape with TLAST {kind}", [what for what, _ in told].count("length_error"), 1)

    await on_every_block(dut, blocks(), job)


def expect_told(told, name):
    if [what for what, _place in told] != [name]:
        raise AssertionError(f"what is told must be {name} once, not {told}")


@cocotb.test()
async def what_is_only_read(dut):
    """Of a tape that is only read the sum is told, whatever its bytes are, and nothing of it passes."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        config, generator = bench.config, bench.generator
        for kind in ("always", "random", "bursts"):
            size = config.tape_bytes
            some = generator.randbytes(size * (config.shortest_tape // size + generator.randint(0, 20)))
            tape = random_tape(config, generator, 2, most_rows=4).content
            for content in (some, tape, bytes(len(some))):
                await bench.start(len(content), only_read=1)
                body, told = await bench.send(words_of(content, config), kind, "random")
                expect_equal("words that passed", len(body), 0)
                expect_told(told, "been_read")
                expect_equal("sum", int(view.sum.value), zlib.crc32(content))
            await bench.start(len(tape))
            body, told = await bench.send(words_of(tape, config), kind)
            expect_equal("body", body, bench.body_of(tape))
            expect_told(told, "passed")

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def after_a_reset_a_tape_passes(dut):
    """A reset in the middle of a tape leaves nothing behind."""

    async def job(view, name, seed):
        bench = Bench(view, name, seed)
        content = random_tape(bench.config, bench.generator, 2).content
        words = words_of(content, bench.config)
        await bench.start(len(content))
        await bench.send(words[: bench.generator.randrange(len(words))])

    await on_every_block(dut, blocks(), job)
    dut.rst.value = 1
    await ClockCycles(dut.clk, 1)
    dut.rst.value = 0

    async def again(view, name, seed):
        bench = Bench(view, name, seed)
        content = random_tape(bench.config, bench.generator, 2).content
        await bench.start(len(content))
        body, told = await bench.send(words_of(content, bench.config))
        expect_equal("body", body, bench.body_of(content))
        expect_equal("what was told", len(told), 1)

    for name in blocks():
        await again(View(dut, name), name, f"{cocotb.RANDOM_SEED}-{name}")


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize(
    "testcase",
    [
        "good_tapes_pass",
        "faults_are_told",
        "a_misplaced_tlast_is_told",
        "what_is_only_read",
        "after_a_reset_a_tape_passes",
    ],
)
def test_checker(simulation, testcase):
    run(simulation, __name__, testcase=testcase)

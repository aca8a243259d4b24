"""CHECK: the sum of what lies where a tape is read, of good and of damaged bytes; and no job is the worse for it."""

from __future__ import annotations

import random
import zlib

import cocotb
import pytest
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiResp

from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import expect_equal, parameters, run
from taylorvit.simulation.register_host import CHECK, START

from .checks import expect_events, expect_right, run_and_check
from .configurations import CONFIGURATIONS, build_accelerator
from .damages import damaged
from .host import NetworkHost
from .models import TINY, network_of

PATTERNS = ("always", "random", "bursts")


class Bench:
    """A host, and a small network."""

    def __init__(self, host):
        self.host, self.config = host, host.config
        self.random = random.Random(cocotb.RANDOM_SEED)
        self.network = network_of(TINY, 2, self.config)

    @classmethod
    async def start(cls, dut):
        return cls(await NetworkHost.start(dut, NetworkConfig.from_mapping(parameters()["config"])))

    async def begin(self, content, length=None, timeout=None):
        """Bytes where a tape belongs, and CHECK; IMAGES, which has no meaning for it, is more than one."""
        host = self.host
        await host.set_up(self.network, 1, tape=content, length=length or len(content), timeout=timeout)
        await host.write_checked("IMAGES", self.random.randint(1, 9))
        host.set_patterns({"tape": self.random.choice(PATTERNS)})
        await host.write_checked("CONTROL", CHECK)

    async def finish(self, what, *events):
        outcome = await self.host.finish(self.network, 1)
        self.host.set_patterns({})
        expect_events(what, outcome, *events)
        expect_equal(f"logits, images of {what}", (len(outcome.logits), outcome.counters["IMAGES_DONE"]), (0, 0))

    async def check(self, what, content):
        """The sum of the content is right."""
        await self.begin(content)
        await self.finish(what, "DONE")
        expect_equal(f"sum of {what}", await self.host.read("TAPE_SUM"), zlib.crc32(content))

    def anything(self):
        """Bytes that are no tape, in whole words."""
        words = -(-self.config.shortest_tape // self.config.tape_bytes) + self.random.randint(0, 40)
        return self.random.randbytes(words * self.config.tape_bytes)


@cocotb.test()
async def sums_of_all_sorts(dut):
    """A tape, a damaged one, and what is none: CHECK gives the sum of each, and jobs between them come out right."""
    bench = await Bench.start(dut)
    tape = bench.network.tape
    for _ in range(2):
        await bench.check("a tape", tape)
        flipped = bytearray(tape)
        flipped[bench.random.randrange(len(tape))] ^= 1 << bench.random.randrange(8)
        await bench.check("a tape with a wrong bit", bytes(flipped))
        await run_and_check(bench.host, bench.network, 2)
        await bench.check("anything", bench.anything())
        await run_and_check(bench.host, bench.network)


@cocotb.test()
async def parts_of_a_tape(dut):
    """Any part of the memory has its sum, from TAPE_BASE on, without being written again."""
    bench = await Bench.start(dut)
    host, tape, unit = bench.host, bench.network.tape, max(bench.config.tape_bytes, 4)
    if host.tapes is not None:
        return
    host.next_base = base = 3 * unit
    await host.set_up(bench.network, 1)
    for _ in range(8):
        first = unit * bench.random.randrange((len(tape) - bench.config.shortest_tape) // unit)
        length = bench.random.randint(bench.config.shortest_tape, len(tape) - first) // unit * unit
        length = max(length, -(-bench.config.shortest_tape // unit) * unit)
        part = tape[first : first + length]
        await host.write_checked("TAPE_BASE", base + first)
        await host.write_checked("TAPE_LENGTH", len(part))
        await host.write_checked("CONTROL", CHECK)
        await bench.finish(f"bytes {first} to {first + length}", "DONE")
        expect_equal(f"sum of bytes {first} to {first + length}", await host.read("TAPE_SUM"), zlib.crc32(part))
    host.next_base = base
    await run_and_check(host, bench.network)


@cocotb.test()
async def sources_that_fail(dut):
    """A memory with an error, a source that stops: the check is ended by its event, and the next one is right."""
    bench = await Bench.start(dut)
    host, memory, content = bench.host, bench.host.memory, bench.anything()
    if memory is not None:
        for answer in (AxiResp.SLVERR, AxiResp.DECERR):
            host.next_base = 0
            memory.bad = {bench.config.tape_bytes * bench.random.randrange(20): answer}
            await bench.begin(content)
            await bench.finish(f"a check with {answer.name}", "AXI_ERROR")
            memory.bad = {}
            await bench.check("anything", content)
        host.next_base, memory.stops_at = 0, bench.config.tape_bytes * bench.random.randrange(20)
        memory.resumes.clear()
        await bench.begin(content, timeout=300)
        await bench.finish("a check of a memory that stops", "TAPE_TIMEOUT")
        memory.stops_at = None
        memory.resumes.set()
        await ClockCycles(dut.clk, 2000)
    elif host.tapes is not None:
        for sent, event in ((b"", "TAPE_TIMEOUT"), (content[: -bench.config.tape_bytes], "TAPE_LENGTH")):
            host.tapes.clear()
            await bench.begin(sent, len(content), timeout=300)
            await bench.finish(f"a check of {len(sent)} bytes in place of {len(content)}", event)
    await bench.check("anything", content)
    await run_and_check(host, bench.network)


@cocotb.test()
async def beside_other_jobs(dut):
    """CHECK while a job runs is refused, as is a job while CHECK runs; neither disturbs the other."""
    bench = await Bench.start(dut)
    host, network = bench.host, bench.network
    pictures = network.images(host.generator, 2)
    await host.set_up(network, 2)
    host.send_images(network, pictures)
    await host.write_checked("CONTROL", START)
    await ClockCycles(dut.clk, bench.random.randint(1, 300))
    expect_equal("answer to CHECK", await host.write("CONTROL", CHECK), AxiResp.SLVERR)
    await expect_right(host, network, pictures, await host.finish(network, 2), "START_WHILE_BUSY")
    content = bench.anything() * 4
    await bench.begin(content)
    expect_equal("answer to START", await host.write("CONTROL", START), AxiResp.SLVERR)
    await bench.finish("a check", "DONE", "START_WHILE_BUSY")
    expect_equal("sum", await host.read("TAPE_SUM"), zlib.crc32(content))


@cocotb.test()
async def beside_an_image(dut):
    """CHECK neither takes an image that waits nor waits for the rest of one whose job was ended."""
    bench = await Bench.start(dut)
    host, network = bench.host, bench.network
    # A job that is ended in the middle of an image, whose source then stops.
    (picture,) = network.images(host.generator, 1)
    await host.set_up(network, 1, tape=damaged(network, "magic", bench.random))
    host.images.set_pause_generator(not active for active in _beats(2))
    host.send_images(network, [picture])
    await host.write_checked("CONTROL", START)
    expect_events("a damaged tape", await host.finish(network, 1), "TAPE_MAGIC")
    expect_equal("rest of an image", int(dut.s_axis_image_tready.value), 1)
    content = bench.anything()
    await host.set_up(network, 1, tape=content, length=len(content))
    await host.write_checked("CONTROL", CHECK)
    expect_events("a check", await host.finish(network, 1), "DONE")
    expect_equal("sum", await host.read("TAPE_SUM"), zlib.crc32(content))
    host.images.clear_pause_generator()
    host.images.pause = False
    # An image that waits is that of the next job.
    waiting = network.images(host.generator, 1)
    host.send_images(network, waiting)
    await bench.check("a tape", network.tape)
    await run_and_check(host, network, 2, waiting=waiting)


def _beats(count):
    """A source that is active for so many cycles in which its beat may be taken, at most."""
    yield from [True] * count
    while True:
        yield False


@cocotb.test()
async def soft_resets(dut):
    """A soft reset in the middle of a check ends it: no sum, and the next check and the next job are right."""
    bench = await Bench.start(dut)
    host = bench.host
    for _ in range(4):
        await bench.begin(bench.network.tape)
        await ClockCycles(dut.clk, bench.random.randint(1, len(bench.network.tape) // bench.config.tape_bytes // 2))
        await host.soft_reset()
        host.set_patterns({})
        expect_equal("busy, sum", (await host.read("STATUS"), await host.read("TAPE_SUM")), (0, 0))
        await bench.check("a tape", bench.network.tape)
    await run_and_check(host, bench.network)


@pytest.mark.parametrize("name", ["axi-4x4", "stream-5x3", "memory-8x4", "axi-8x4"])
def test_checks(name):
    run(build_accelerator(name), __name__, parameters={"config": CONFIGURATIONS[name].to_mapping()})

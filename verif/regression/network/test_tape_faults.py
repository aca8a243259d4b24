"""Damaged tapes, and sources of tapes that fail: an event, no wrong logits, and the next job comes out right."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiResp

from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import expect_equal, parameters, run

from .checks import run_and_check
from .configurations import CONFIGURATIONS, build_accelerator
from .damages import DAMAGES, body_of, changed_field, damaged, scrambled
from .host import ENDING, NetworkHost
from .models import TINY, drawn, network_of

RECOVERIES = ("carry on", "soft reset", "hard reset")
PATTERNS = ("always", "always", "random", "bursts")
TRIALS = 6


class Bench:
    """A host, and a small network."""

    def __init__(self, host):
        self.host, self.config = host, host.config
        self.random = random.Random(cocotb.RANDOM_SEED)
        self.network = network_of(TINY, 1, self.config)
        self.waiting = []

    @classmethod
    async def start(cls, dut):
        return cls(await NetworkHost.start(dut, NetworkConfig.from_mapping(parameters()["config"])))

    def paces(self):
        """Gives everything at the ports a pace."""
        self.host.set_patterns({name: self.random.choice(PATTERNS) for name in ("tape", "image", "logits")})

    async def recover(self, sent, how=None):
        """Makes ready for the next job, and sees it come out right."""
        how = how or self.random.choice(RECOVERIES)
        self.waiting = await self.host.recover(self.network, sent, how)
        self.paces()
        await run_and_check(self.host, self.network, self.random.randint(1, 2), waiting=self.waiting)
        self.host.set_patterns({})
        self.waiting = []

    async def bad_job(self, what, *events, images=1, complete=(0,), how=None, **job):
        """A job that must end with one of these events, and with the logits of so many images, all of them right."""
        self.paces()
        pictures = self.network.images(self.host.generator, images)
        await self.host.set_up(self.network, images, **job)
        self.host.send_images(self.network, pictures)
        outcome = await self.host.start_and_finish(self.network, images)
        self.expect_ended(what, outcome, pictures, events, complete)
        await self.recover(pictures, how)

    def expect_ended(self, what, outcome, pictures, events, complete):
        if not outcome.events <= {*events, "DENOMINATOR"} or not outcome.events & set(events):
            raise AssertionError(f"events of {what} must be of {sorted(events)}, not {sorted(outcome.events)}")
        if len(outcome.logits) not in complete:
            raise AssertionError(f"images of {what} must be one of {complete}, not {len(outcome.logits)}")
        if outcome.logits:
            expect_equal(f"logits before {what}", outcome.logits, self.network.logits(pictures)[: len(outcome.logits)])


@cocotb.test()
async def each_damage_has_its_event(dut):
    """Each sort of damage is told by its event, is counted, and gives no logits."""
    bench = await Bench.start(dut)
    for kind, event in DAMAGES.items():
        before = await bench.host.read(f"COUNT_{event}")
        tape = damaged(bench.network, kind, bench.random)
        await bench.bad_job(f"a tape with a wrong {kind}", event, tape=tape, how="carry on")
        expect_equal(f"count of {kind}", await bench.host.read(f"COUNT_{event}"), min(before + 1, counted_most(bench)))


def counted_most(bench):
    return (1 << bench.config.error_count_width) - 1


@cocotb.test()
async def length_of_the_register(dut):
    """TAPE_LENGTH is not the length that the tape names: no logits come."""
    bench = await Bench.start(dut)
    size, columns = len(bench.network.tape), bench.config.columns
    shortest = bench.host.registers["TAPE_LENGTH"].fields[0].minimum
    for length in (size + columns, size - columns, size + 1, shortest, 2 * size):
        await bench.bad_job(f"length {length} of {size}", "TAPE_LENGTH", length=length)


@cocotb.test()
async def any_damage(dut):
    """Whatever happens to the bytes of a tape, no logits are given as good, and the job ends."""
    bench = await Bench.start(dut)
    for trial in range(2 * TRIALS):
        tape = scrambled(bench.network, bench.random)
        end = body_of(bench.network).stop
        if tape[: end + 4] != bench.network.tape[: end + 4]:
            await bench.bad_job(f"damage {trial}", *ENDING, tape=tape)


@cocotb.test()
async def wrong_commands_with_a_right_crc(dut):
    """Commands that no compiler writes: the job ends, or a soft reset ends it, and the next one is right."""
    bench = await Bench.start(dut)
    fields = ("wait", "length", "input_tiles", "output_tiles", "pass_length", "payload", "norm_tiles", "norm_rows",
              "stationary_limit", "destination_base", "embedding_chunk", "prefix")  # fmt: skip
    for _ in range(2 * TRIALS):
        part = bench.random.choice([part for part in bench.network.compiled.parts if part.step.opcode == 1])
        tape = changed_field(bench.network, part.offset, bench.random.choice(fields), bench.random.randint(0, 20))
        pictures = bench.network.images(bench.host.generator, 1)
        await bench.host.set_up(bench.network, 1, tape=tape)
        bench.host.send_images(bench.network, pictures)
        await bench.host.write_checked("CONTROL", 1)
        await ClockCycles(dut.clk, 6000)
        await bench.recover(pictures, "soft reset" if await bench.host.read("STATUS") else None)


@cocotb.test()
async def damage_between_images(dut):
    """The tape becomes wrong while a job of several images runs: those before it come out right, the others not."""
    bench = await Bench.start(dut)
    host, images = bench.host, 4
    for _ in range(TRIALS // 2):
        bench.paces()
        pictures = bench.network.images(host.generator, images)
        await host.set_up(bench.network, images)
        host.send_images(bench.network, pictures)
        if host.tapes is not None:
            number = bench.random.randrange(images)
            host.tapes.clear()
            kind = bench.random.choice(list(DAMAGES))
            tapes = [bench.network.tape] * number + [damaged(bench.network, kind, bench.random)]
            host.send_tapes(tapes + [bench.network.tape] * (images - number - 1))
        await host.write_checked("CONTROL", 1)
        if host.tapes is None:
            await ClockCycles(dut.clk, bench.random.randint(1, images * len(bench.network.tape) // 8))
            place = bench.random.choice(body_of(bench.network))
            await flip(host, place)
        outcome = await host.finish(bench.network, images)
        if outcome.events - {"DENOMINATOR"} == {"DONE"} and host.tapes is None:  # it came too late
            expect_equal("logits", outcome.logits, bench.network.logits(pictures))
        else:
            bench.expect_ended("a tape that changes", outcome, pictures, ENDING, range(images))
        await bench.recover(pictures)


async def flip(host, place):
    """Changes a byte of the tape in its memory."""
    if host.memory is not None:
        host.memory.write(host.base + place, bytes([host.memory.read(host.base + place, 1)[0] ^ 0x10]))
        return
    word = (host.base + place) // 4 * 4
    await host.write_checked("TAPE_ADDRESS", word)
    await host.write_word(word, host.random.getrandbits(32))


@cocotb.test()
async def faults_of_the_memory(dut):
    """A memory that answers with an error, or stops."""
    bench = await Bench.start(dut)
    memory, size = bench.host.memory, bench.config.tape_bytes
    if memory is None:
        return
    for answer in (AxiResp.SLVERR, AxiResp.DECERR) * 2:
        words = len(bench.network.tape) // size
        bench.host.next_base = 64 * bench.random.randrange(100)
        memory.bad = {bench.host.next_base + size * bench.random.randrange(words): answer}
        bench.paces()
        pictures = bench.network.images(bench.host.generator, 2)
        await bench.host.set_up(bench.network, 2)
        bench.host.send_images(bench.network, pictures)
        outcome = await bench.host.start_and_finish(bench.network, 2)
        bench.expect_ended(f"a memory with {answer.name}", outcome, pictures, ["AXI_ERROR"], [0])
        memory.bad = {}
        await bench.recover(pictures)
    for how in RECOVERIES:
        bench.host.next_base = 64 * bench.random.randrange(100)
        memory.stops_at = bench.host.next_base + size * bench.random.randrange(len(bench.network.tape) // size)
        memory.resumes.clear()
        pictures = bench.network.images(bench.host.generator, 1)
        await bench.host.set_up(bench.network, 1, timeout=300)
        bench.host.send_images(bench.network, pictures)
        outcome = await bench.host.start_and_finish(bench.network, 1)
        bench.expect_ended("a memory that stops", outcome, pictures, ["TAPE_TIMEOUT"], [0])
        memory.stops_at = None
        memory.resumes.set()
        await bench.recover(pictures, how)


@cocotb.test()
async def faults_of_the_stream(dut):
    """Packets that are too short, too long, or do not come."""
    bench = await Bench.start(dut)
    if bench.host.tapes is None:
        return
    tape, size = bench.network.tape, bench.config.tape_bytes
    for _ in range(TRIALS // 2):
        short = tape[: size * bench.random.randrange(1, len(tape) // size)]
        await bench.bad_job("a tape that is too short", "TAPE_LENGTH", tape=short, length=len(tape))
        long = tape + bench.random.randbytes(size * bench.random.randint(1, 100))
        await bench.bad_job("a tape that is too long", "TAPE_LENGTH", tape=long, length=len(tape))
    for number in range(2):
        # The second tape is missing.
        pictures = bench.network.images(bench.host.generator, 1 + number)
        await bench.host.set_up(bench.network, 1 + number, timeout=300)
        bench.host.tapes.clear()
        bench.host.send_tapes([tape] * number)
        bench.host.send_images(bench.network, pictures)
        outcome = await bench.host.start_and_finish(bench.network, 1 + number)
        bench.expect_ended("a tape that is missing", outcome, pictures, ["TAPE_TIMEOUT"], [number])
        await bench.recover(pictures)


@cocotb.test()
async def tape_of_another_network(dut):
    """A right tape, but for other sizes of images than the registers have: the job ends, and the next one is right."""
    bench = await Bench.start(dut)
    for seed in range(20, 24):
        other = drawn(seed, bench.config, tokens=4)
        pictures = bench.network.images(bench.host.generator, 1)
        await bench.host.set_up(bench.network, 1, tape=other.tape, length=len(other.tape))
        bench.host.send_images(bench.network, pictures)
        await bench.host.start_and_finish(other, 1)
        await bench.recover(pictures)


@pytest.mark.parametrize("name", ["axi-4x4", "stream-5x3", "memory-8x4", "axi-16x8"])
def test_tape_faults(name):
    run(build_accelerator(name), __name__, parameters={"config": CONFIGURATIONS[name].to_mapping()})

"""Errors of the host and of its streams: a status bit, a count, and everything else comes out right.

What a damaged stream means is modelled here without the hardware's help: a packet ends with TLAST; head h of a job is
packet h of the stream, filled up with zeros where it is too short and cut where it is too long.
"""

from __future__ import annotations

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiResp

from taylorvit.jobs import Job, golden_steps
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import parameters, run
from taylorvit.simulation.host import STREAMS, AcceleratorHost, matrix_of

from .checks import expect_errors, expect_result
from .configurations import CONFIGURATIONS, and_other_kernels, build_accelerator
from .jobs import random_job

HEADS = 3
TIMEOUT = 300  # cycles without a beat: more than any wait inside of the small jobs below


class Bench:
    """A host, and jobs of a few small heads."""

    def __init__(self, host, config):
        self.host, self.config = host, config
        self.generator = np.random.default_rng(cocotb.RANDOM_SEED)
        self.tokens, self.head_dim = min(9, config.max_tokens), min(7, config.max_head_dim)

    @classmethod
    async def start(cls, dut):
        config = AcceleratorConfig.from_mapping(parameters()["config"])
        return cls(await AcceleratorHost.start(dut, config), config)

    def job(self, heads=HEADS):
        """A job, its packets as a list of beats for each stream and head."""
        job = random_job(self.generator, self.config, heads, self.tokens, self.head_dim)
        return job, self.host.packets(job)

    def beats(self):
        """Beats of a whole packet."""
        return self.tokens * -(-self.head_dim // self.config.stream_lanes)

    def as_received(self, job, packets):
        """The job that the packets (one list of beats a head) amount to."""
        half = 1 << (self.config.data_width - 1)
        operands = []
        for name in STREAMS:
            heads = []
            for packet in packets[name]:
                beats = (packet + [0] * self.beats())[: self.beats()]
                matrix = matrix_of(beats, self.tokens, self.head_dim, self.config)
                heads.append(((matrix + half) & (2 * half - 1)) - half)  # the rest of the container does not count
            operands.append(np.stack(heads))
        return Job(*operands, job.constants, kernel=job.kernel)

    async def expect_undisturbed(self):
        """The next job comes out right, without any error."""
        job, packets = self.job(heads=2)
        expect_result(job, await self.host.run(job, packets=packets), self.config)
        await expect_errors(self.host, {})

    async def run_damaged(self, job, packets, counts):
        """Send the packets; results as if received so, exactly these errors, and a right job afterwards."""
        await self.expect(job, packets, await self.host.run(job, packets=packets), counts)

    async def expect(self, job, packets, result, counts):
        received = self.as_received(job, packets)
        errors = golden_steps(received, self.config).denominator_errors
        if errors:
            counts = {**counts, "DENOMINATOR": errors * -(-self.head_dim // self.config.columns)}
        expect_result(received, result, self.config)
        await expect_errors(self.host, counts)
        await self.expect_undisturbed()


@cocotb.test()
async def tlast_early(dut):
    """A packet that ends early is filled up with zeros, is one event, and damages no other head."""
    bench = await Bench.start(dut)
    whole, per_row = bench.beats(), bench.beats() // bench.tokens
    for stream in STREAMS:
        for head in range(HEADS):
            for length in {1, per_row, per_row + 1, whole // 2, whole - 1}:
                job, packets = bench.job()
                packets[stream][head] = packets[stream][head][:length]
                await bench.run_damaged(job, packets, {f"TLAST_EARLY_{stream.upper()}": 1})


@cocotb.test()
async def tlast_late(dut):
    """What a packet has beyond its head is dropped, is one event, and damages no other head."""
    bench = await Bench.start(dut)
    for stream in STREAMS:
        for head in range(HEADS):
            for extra in (1, 2, bench.beats() + 1):
                job, packets = bench.job()
                packets[stream][head] = packets[stream][head] + [1] * extra
                await bench.run_damaged(job, packets, {f"TLAST_LATE_{stream.upper()}": 1})


@cocotb.test()
async def many_damaged_packets(dut):
    """Several damaged packets in a job, on several streams, are counted exactly."""
    bench = await Bench.start(dut)
    for trial in range(12):
        bench.host.set_patterns(dict.fromkeys((*STREAMS, "z"), "bursts") if trial % 2 else {})
        job, packets = bench.job(heads=5)
        counts = {}
        for stream in STREAMS:
            for head in range(5):
                length = int(bench.generator.integers(1, 2 * bench.beats()))
                if length == bench.beats() or bench.generator.random() < 0.4:
                    continue
                packets[stream][head] = (packets[stream][head] + [3] * bench.beats())[:length]
                event = f"TLAST_{'EARLY' if length < bench.beats() else 'LATE'}_{stream.upper()}"
                counts[event] = counts.get(event, 0) + 1
        await bench.run_damaged(job, packets, counts)


@cocotb.test()
async def tlast_missing(dut):
    """Two heads in one packet: the second is dropped as the rest of the first, and one is missing at the end."""
    bench = await Bench.start(dut)
    await bench.host.write_checked("TIMEOUT", TIMEOUT)
    for stream in STREAMS:
        for head in range(HEADS - 1):
            job, packets = bench.job()
            packets[stream][head : head + 2] = [packets[stream][head] + packets[stream][head + 1]]
            result = await bench.host.run(job, packets=packets)
            packets[stream].append([])
            await bench.expect(job, packets, result, {f"TLAST_LATE_{stream.upper()}": 1, "INPUT_TIMEOUT": 1})


@cocotb.test()
async def source_stops(dut):
    """A source sends some heads, a part of the next one and nothing more: each missing head costs one timeout."""
    bench = await Bench.start(dut)
    await bench.host.write_checked("TIMEOUT", TIMEOUT)
    for streams in (*STREAMS, "qkv"):
        for head in range(HEADS):
            for length in (0, 1, bench.beats() - 1, bench.beats()):  # 0: it never began this head
                job, packets = bench.job()
                received = {name: [list(beats) for beats in packets[name]] for name in STREAMS}
                for stream in streams:
                    received[stream][head:] = [packets[stream][head][:length]] + [[]] * (HEADS - head - 1)
                    cocotb.start_soon(send_part(bench, stream, packets.pop(stream), head, length))
                result = await bench.host.run(job, packets=packets)
                # A packet that only lacks its TLAST counts as late, and is waited for like a missing one.
                counts = {f"TLAST_LATE_{stream.upper()}": 1 for stream in streams if length == bench.beats()}
                await bench.expect(job, received, result, {**counts, "INPUT_TIMEOUT": HEADS - head})


async def send_part(bench, stream, packets, head, length):
    """The first `head` packets whole, then `length` beats of the next without TLAST."""
    for packet in packets[:head]:
        bench.host.send_packet(stream, packet)
    while not bench.host.sources[stream].idle():
        await ClockCycles(bench.host.dut.clk, 1)
    await bench.host.send_and_stop(stream, packets[head][:length])


@cocotb.test()
async def source_returns_around_the_timeout(dut):
    """Whatever cycle a source comes back in: the event is there where zeros are for its beats, and only there."""
    bench = await Bench.start(dut)
    await bench.host.write_checked("TIMEOUT", 20)
    for stream in STREAMS:
        for first in (0, 2):  # beats before the silence
            longest, shortest = 0, 1_000  # silence that is waited for, and that is not
            while shortest - longest > 1:
                silence = (longest + shortest) // 2
                if await is_given_up(bench, stream, first, silence):
                    shortest = silence
                else:
                    longest = silence
            for silence in range(longest - 4, shortest + 5):
                if await is_given_up(bench, stream, first, silence) != (silence >= shortest):
                    raise AssertionError(f"{stream} must be given up from {shortest} cycles of silence on")


async def is_given_up(bench, stream, first, silence):
    """Whether a stream that is silent for that many cycles, after its first beats, is given up; all else is checked."""
    host = bench.host
    job, packets = bench.job(heads=1)
    [packet] = packets.pop(stream)

    async def send():
        await host.send_and_stop(stream, packet[:first])
        await ClockCycles(host.dut.clk, silence)
        host.send_packet(stream, packet[first:])

    await host.set_up(job)  # of a table, only what is new is written: that takes some cycles or others
    sending = cocotb.start_soon(send())
    result = await host.start_and_collect(job, packets=packets)
    await sending
    given_up = "INPUT_TIMEOUT" in await host.error_counts()
    if given_up:
        host.take_back(stream)
    received = {**packets, stream: [packet[:first] if given_up else packet]}
    await bench.expect(job, received, result, {"INPUT_TIMEOUT": 1} if given_up else {})
    return given_up


@cocotb.test()
async def slow_sink_is_no_timeout(dut):
    """The source waits for a result that the sink does not take: nobody is to blame but the sink."""
    bench = await Bench.start(dut)
    await bench.host.write_checked("TIMEOUT", TIMEOUT)
    job, packets = bench.job()
    cocotb.start_soon(bench.host.hold_back("z", 6 * TIMEOUT))
    result = await bench.host.run(job, packets=packets, head_by_head=True)
    if result.counters["CYCLES"] < 5 * TIMEOUT:
        raise AssertionError(f"the sink must have held the job up, not {result.counters}")
    await bench.expect(job, packets, result, {})


def values_out_of_range(registers, config):
    """Below the least and above the largest value of each register, as (name, word), where a word can be so."""
    bad = []
    for register in registers:
        (field, *others) = register.fields
        if field.minimum is None or others:
            continue
        words = {value & 0xFFFFFFFF for value in (field.minimum - 1, field.maximum + 1)}
        bad += [(register.name, word) for word in words if not field.minimum <= field.of(word) <= field.maximum]
    of_the_kernel = {register.name.upper() for register in config.spec.job_registers(config) if not register.words}
    assert {"TOKENS", "HEAD_DIM", "HEADS", "TIMEOUT", *of_the_kernel} <= {name for name, _word in bad}
    return bad


@cocotb.test()
async def register_values_out_of_range(dut):
    """Refused, counted and without effect, while a job runs and for the next one."""
    bench = await Bench.start(dut)
    host, config = bench.host, bench.config
    bad = values_out_of_range(host.registers, config)
    job, packets = bench.job()
    await host.set_up(job)
    running = cocotb.start_soon(host.start_and_collect(job, packets={"q": packets["q"], "k": packets["k"]}))
    while not await host.read("STATUS") & 1:
        pass
    for name, value in bad:
        response = await host.write(name, value)
        if response != AxiResp.SLVERR:
            raise AssertionError(f"write of {value} to {name} must be answered with SLVERR, not {response.name}")
    for packet in packets["v"]:
        host.send_packet("v", packet)
    expect_result(job, await running, config)
    await expect_errors(host, {"BAD_VALUE": len(bad)})
    job, _packets = bench.job()
    await host.set_up(job)
    for name, value in bad:
        await host.write(name, value)
    await host.clear_events()
    expect_result(job, await host.start_and_collect(job), config)
    await expect_errors(host, {})


@cocotb.test()
async def start_while_busy(dut):
    """START during a job is refused and counted, and the job is undisturbed."""
    bench = await Bench.start(dut)
    host = bench.host
    for trial in range(4):
        job, packets = bench.job()
        await host.set_up(job)
        v_packets = packets.pop("v")
        running = cocotb.start_soon(host.start_and_collect(job, packets=packets))
        while not await host.read("STATUS") & 1:
            pass
        for _attempt in range(trial + 1):
            response = await host.write("CONTROL", 1)
            if response != AxiResp.SLVERR:
                raise AssertionError(f"START while busy must be answered with SLVERR, not {response.name}")
        for packet in v_packets:
            host.send_packet("v", packet)
        expect_result(job, await running, bench.config)
        await expect_errors(host, {"START_WHILE_BUSY": trial + 1})
    await bench.expect_undisturbed()


@cocotb.test()
async def interrupts(dut):
    """High while an enabled event is set, and only then."""
    bench = await Bench.start(dut)
    host = bench.host
    done = host.registers["EVENTS"]["DONE"].mask
    early = host.registers["EVENTS"]["TLAST_EARLY_K"].mask

    async def expect_interrupt(level):
        await ClockCycles(dut.clk, 3)
        if bool(dut.interrupt.value) != level:
            raise AssertionError(f"interrupt must be {level}, not {bool(dut.interrupt.value)}")

    job, packets = bench.job()
    await host.run(job)
    await expect_interrupt(False)  # not enabled
    await host.write_checked("INTERRUPT_ENABLE", done)
    await expect_interrupt(True)  # the event is still set
    await host.write_checked("EVENTS", early)
    await expect_interrupt(True)  # another event was cleared
    await host.write_checked("EVENTS", done)
    await expect_interrupt(False)

    job, packets = bench.job()
    await host.set_up(job)
    running = cocotb.start_soon(host.start_and_collect(job))
    await host.wait_interrupt(host.head_limit(job))
    expect_result(job, await running, bench.config)
    await expect_errors(host, {})
    await expect_interrupt(False)

    await host.write_checked("INTERRUPT_ENABLE", early)
    job, packets = bench.job()
    packets["k"][1] = packets["k"][1][:-1]
    await bench.run_damaged(job, packets, {"TLAST_EARLY_K": 1})
    job, packets = bench.job()
    packets["k"][0] = packets["k"][0][:1]
    running = cocotb.start_soon(host.run(job, packets=packets))
    await host.wait_interrupt(host.head_limit(job))
    await bench.expect(job, packets, await running, {"TLAST_EARLY_K": 1})
    await expect_interrupt(False)


NAMES = and_other_kernels("tiny-4x4", "array-8x4", "array-5x3")
# Softmax attention with one block of queries, and with several, stays in the suite: 4x4 and 3x8.
LONGER = ("softmax-8x4", "softmax-5x3")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.nightly] * (name in LONGER)) for name in NAMES])
def test_errors(name):
    config = CONFIGURATIONS[name]
    result = run(build_accelerator(name), __name__, parameters={"config": config.to_mapping()})
    assert result.tests == 10

"""Driving the whole accelerator: registers over AXI4-Lite, tensors over AXI4-Stream, as a host would.

    host = await AcceleratorHost.start(dut, config)
    result = await host.run(job)
    expect_equal("z", result.z, golden_steps(job, config).z)

Everything goes through the design's ports by cocotbext-axi: what is compared is what came out of `m_axis_z`. What the
accelerator must not look at (the rest of a row's last beat, the bits of a container above `data_width`) is sent as
random bits.

A head is a packet of beats, a job a list of packets for each stream. `AcceleratorHost.packets` makes them from a job;
a bench that damages some hands its own to `run`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge, SimTimeoutError, with_timeout
from cocotb.utils import get_sim_time
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from taylorvit.fpga.driver.tensors import matrix_bytes, matrix_from_bytes, result_bytes
from taylorvit.golden.attention.job import Job
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.description import DATA_WIDTH
from taylorvit.rtl.control.host_view import HostView
from taylorvit.rtl.control.registers import ALL_EVENTS, EVENTS, events_in, register_map

from .lockstep import CLOCK_PERIOD_NS, WaitError, pattern, start, wait_until

__all__ = ["STREAMS", "AcceleratorHost", "SimulatedJob", "beats_of", "counted", "matrix_of"]

STREAMS = ("q", "k", "v")
START, SOFT_RESET = 1, 2  # bits of CONTROL
ACCESS_LIMIT = 1_000  # cycles that a register access may take


def counted(count: int, width: int) -> int:
    """What a counter of `width` bits shows of `count`: it stops at its maximum."""
    return min(count, (1 << width) - 1)


@dataclass(frozen=True)
class SimulatedJob:
    """What a job left.

    Attributes:
        z (np.ndarray): what came out, int64 (heads, tokens, head_dim).
        counters (dict[str, int]): register name -> value.
        events (int): the register EVENTS.
        head_cycles (list[int]): when the last beat of each head came, in cycles after the start.
    """

    z: np.ndarray
    counters: dict[str, int]
    events: int
    head_cycles: list[int]


def beats_of(
    matrix: np.ndarray, config: AcceleratorConfig | HostView, noise: np.random.Generator | None = None
) -> list[int]:
    """The beats of one head's packet; arguments as for `fpga.driver.tensors.matrix_bytes`."""
    data, size = matrix_bytes(matrix, config, noise), config.stream_width // 8
    return [int.from_bytes(data[start : start + size], "little") for start in range(0, len(data), size)]


def matrix_of(beats: list[int], tokens: int, head_dim: int, config: AcceleratorConfig | HostView) -> np.ndarray:
    """The (tokens, head_dim) matrix of a packet's beats, without the padding; inverse of `beats_of`."""
    expected = result_bytes(tokens, head_dim, config) * 8 // config.stream_width
    if len(beats) != expected:
        raise AssertionError(f"packet must have {expected} beats, not {len(beats)}")
    data = b"".join(beat.to_bytes(config.stream_width // 8, "little") for beat in beats)
    return matrix_from_bytes(data, tokens, head_dim, config)


async def _within(cycles: int, what_comes, name: str):
    """What is waited for; `WaitError` if it does not come within so many cycles."""
    try:
        return await with_timeout(what_comes, cycles * CLOCK_PERIOD_NS, "ns")
    except SimTimeoutError:
        raise WaitError(f"{name} did not come within {cycles:,} cycles") from None


class AcceleratorHost:
    """A host with one AXI4-Lite port, three stream sources and a stream sink.

    Args:
        dut (HierarchyObject): the accelerator.
        config (AcceleratorConfig): what it was built from.
        patterns (dict[str, str]): channel ("q", "k", "v", "z", "axil") -> its activity, a kind of
            `taylorvit.simulation.pattern`; a channel that is left out is always active.
    """

    def __init__(self, dut, config: AcceleratorConfig, patterns: dict[str, str] | None = None):
        self.dut = dut
        self.config = config
        self.registers = register_map(config)
        self.garbage = np.random.default_rng(cocotb.RANDOM_SEED)
        for name in ("s_axil", "s_axis_q", "s_axis_k", "s_axis_v", "m_axis_z"):
            logging.getLogger(f"cocotb.{dut._name}.{name}").setLevel(logging.ERROR)
        self.axil = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.sources = {
            name: AxiStreamSource(AxiStreamBus.from_prefix(dut, f"s_axis_{name}"), dut.clk, dut.rst, byte_lanes=1)
            for name in STREAMS
        }
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_z"), dut.clk, dut.rst, byte_lanes=1)
        self.channels = {
            **{name: [source] for name, source in self.sources.items()},
            "z": [self.sink],
            "axil": [
                self.axil.write_if.aw_channel,
                self.axil.write_if.w_channel,
                self.axil.write_if.b_channel,
                self.axil.read_if.ar_channel,
                self.axil.read_if.r_channel,
            ],
        }
        self.set_patterns(patterns or {})

    def set_patterns(self, patterns: dict[str, str]) -> None:
        """Sets the activity of the channels from now on; those that are left out are always active."""
        for name, channels in self.channels.items():
            for number, channel in enumerate(channels):
                channel.clear_pause_generator()
                channel.pause = False
                if name in patterns:
                    activity = pattern(patterns[name], f"{cocotb.RANDOM_SEED}-{name}-{number}")
                    channel.set_pause_generator(not active for active in activity)

    @classmethod
    async def start(cls, dut, config: AcceleratorConfig, patterns: dict[str, str] | None = None) -> AcceleratorHost:
        """Clock running, out of reset, with a host at the ports."""
        host = cls(dut, config, patterns)
        await start(dut)
        await ClockCycles(dut.clk, 2)
        return host

    def now(self) -> int:
        """The clock cycle that the simulation is in."""
        return round(get_sim_time("ns") / CLOCK_PERIOD_NS)

    # Registers

    async def write(self, name: str, value: int) -> AxiResp:
        """Writes one register; returns the response."""
        data = (value & 0xFFFFFFFF).to_bytes(4, "little")
        access = self.axil.write(self.registers[name].offset, data)
        return (await _within(ACCESS_LIMIT, access, f"answer to the write of {name}")).resp

    async def write_checked(self, name: str, value: int) -> None:
        """Writes one register; `AssertionError` unless the accelerator takes it."""
        response = await self.write(name, value)
        if response != AxiResp.OKAY:
            raise AssertionError(f"write of {value} to {name} was answered with {response.name}")

    async def read(self, name: str) -> int:
        """Reads one register."""
        access = self.axil.read(self.registers[name].offset, 4)
        result = await _within(ACCESS_LIMIT, access, f"answer to the read of {name}")
        return int.from_bytes(result.data, "little")

    async def set_up(self, job: Job) -> None:
        """Writes sizes and constants of a job."""
        heads, tokens, head_dim = job.shape
        for name, value in ({"TOKENS": tokens, "HEAD_DIM": head_dim, "HEADS": heads} | job.registers).items():
            for index, register in enumerate(self.registers.words(name)):
                await self.write_checked(register.name, value >> (DATA_WIDTH * index))

    async def wait_for_ever(self) -> None:
        """Has jobs wait for their sources as long as can be: TIMEOUT at its largest."""
        await self.write_checked("TIMEOUT", self.registers["TIMEOUT"].fields[0].maximum)

    async def events(self) -> frozenset[str]:
        """Names of the events that are set."""
        return events_in(await self.read("EVENTS"))

    async def error_counts(self) -> dict[str, int]:
        """The error counts that are not 0, by event."""
        counts = {name: await self.read(f"COUNT_{name}") for name in EVENTS if name != "DONE"}
        return {name: count for name, count in counts.items() if count}

    async def clear_events(self) -> None:
        """Clears all events and error counts."""
        await self.write_checked("EVENTS", ALL_EVENTS)
        for name in EVENTS:
            if name != "DONE":
                await self.write_checked(f"COUNT_{name}", 0)

    async def counters(self) -> dict[str, int]:
        """The performance counters of the running or last job."""
        names = ("CYCLES", "ARRAY_BUSY", "STALL_INPUT", "STALL_OUTPUT", "HEADS_DONE")
        return {name: await self.read(name) for name in names}

    # Streams

    def packets(self, job: Job) -> dict[str, list[list[int]]]:
        """For each stream the packets of the job, one a head."""
        return {
            name: [beats_of(matrix, self.config, self.garbage) for matrix in getattr(job, name)] for name in STREAMS
        }

    def send_head(self, job: Job, head: int) -> None:
        """Queues one head of Q, K and V for sending."""
        for name in STREAMS:
            self.send_packet(name, beats_of(getattr(job, name)[head], self.config, self.garbage))

    def send_packet(self, stream: str, beats: list[int]) -> None:
        """Queues one packet."""
        self.sources[stream].send_nowait(AxiStreamFrame(beats))

    async def send_and_stop(self, stream: str, beats: Sequence[int]) -> None:
        """Sends beats without TLAST, then no more, as a source does that breaks off; returns after the last one."""
        if not beats:
            return
        edge, bus = RisingEdge(self.dut.clk), self.sources[stream].bus
        self.send_packet(stream, [*beats, 0])
        taken = 0
        while taken < len(beats):
            await edge
            taken += bool(bus.tvalid.value and bus.tready.value)
        self.sources[stream].assert_reset()  # takes the beat back that would have ended the packet

    def take_back(self, stream: str) -> None:
        """Drops what a source has not sent yet."""
        _empty(self.sources[stream])

    async def hold_back(self, stream: str, cycles: int) -> None:
        """Keeps a source (or the sink, "z") from taking part for some cycles."""
        end = self.sink if stream == "z" else self.sources[stream]
        end.pause = True
        await ClockCycles(self.dut.clk, cycles)
        end.pause = False

    async def receive_head(self, job: Job, limit: int) -> np.ndarray:
        """The next packet of Z as a matrix (tokens, head_dim); an error after `limit` cycles without it."""
        _heads, tokens, head_dim = job.shape
        frame = await _within(limit, self.sink.recv(), "packet of Z")
        return matrix_of(frame.tdata, tokens, head_dim, self.config)

    def head_limit(self, job: Job) -> int:
        """A generous bound on the cycles that one head may take, whatever the patterns."""
        _heads, tokens, head_dim = job.shape
        work = self.config.array_cycles(tokens, head_dim) + tokens * head_dim
        return 64 * (work + 16 * (self.config.rows + self.config.columns) + 1_000)

    async def watch_output(self) -> None:
        """Runs beside a job: `AssertionError` if a beat of Z is taken back or changed before it was accepted."""
        edge, bus, offered = RisingEdge(self.dut.clk), self.sink.bus, None
        while True:
            await edge
            beat = (int(bus.tdata.value), int(bus.tlast.value)) if bus.tvalid.value else None
            if offered is not None and beat != offered:
                raise AssertionError(f"m_axis_z must keep {offered!r} until it is taken, not change to {beat!r}")
            offered = None if bus.tready.value else beat

    # Jobs

    async def run(self, job: Job, *, head_by_head: bool = False, packets: dict | None = None) -> SimulatedJob:
        """Sets up, starts, streams everything in and out, and waits for the end.

        Args:
            job (Job): operands and constants.
            head_by_head (bool): send the next head only when the result of the last has come.
            packets (dict): what to send instead of the job's own; a stream left out is sent by the caller.
        """
        await self.set_up(job)
        return await self.start_and_collect(job, head_by_head=head_by_head, packets=packets)

    async def start_and_collect(
        self, job: Job, *, head_by_head: bool = False, packets: dict | None = None
    ) -> SimulatedJob:
        """`run` without setting up."""
        heads = job.shape[0]
        await self.write_checked("CONTROL", START)
        started = self.now()
        limit = self.head_limit(job)
        packets = self.packets(job) if packets is None else packets
        if not head_by_head:
            for name, stream_packets in packets.items():
                for packet in stream_packets:
                    self.send_packet(name, packet)
        z, head_cycles = [], []
        for head in range(heads):
            if head_by_head:
                for name, stream_packets in packets.items():
                    self.send_packet(name, stream_packets[head])
            z.append(await self.receive_head(job, limit))
            head_cycles.append(self.now() - started)
        await self.wait_idle(limit)
        return SimulatedJob(np.stack(z), await self.counters(), await self.read("EVENTS"), head_cycles)

    async def wait_idle(self, limit: int) -> None:
        """Waits until STATUS says that no job runs."""
        deadline = self.now() + limit
        while await self.read("STATUS") & 1:
            if self.now() > deadline:
                raise AssertionError(f"the job did not end within {limit} cycles")

    async def wait_interrupt(self, limit: int) -> None:
        """Waits for the interrupt."""
        await wait_until(self.dut, lambda: self.dut.interrupt.value, what="interrupt", limit=limit)

    # Resets

    async def soft_reset(self) -> None:
        """Stops the job by register, with all streams stopped and emptied."""
        await self.write_checked("CONTROL", SOFT_RESET)
        self._empty_streams()
        await ClockCycles(self.dut.clk, 2)

    async def hard_reset(self) -> None:
        """Asserts `rst` for two cycles, with all streams stopped and emptied. No register access may be under way."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 2)
        self.dut.rst.value = 0
        self._empty_streams()
        await ClockCycles(self.dut.clk, 2)

    def _empty_streams(self) -> None:
        for end in (*self.sources.values(), self.sink):
            _empty(end)


def _empty(end: AxiStreamSource | AxiStreamSink) -> None:
    end.assert_reset(True)
    end.clear()
    end.assert_reset(False)

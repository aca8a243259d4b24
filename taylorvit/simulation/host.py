"""Driving the whole accelerator: registers over AXI4-Lite, tensors over AXI4-Stream, as a host would.

    host = await AcceleratorHost.start(dut, config)
    result = await host.run(job)
    expect_equal("z", result.z, job.golden(config).z)

Everything goes through the design's ports by cocotbext-axi: what is compared is what came out of `m_axis_z`. What the
accelerator must not look at (the rest of a row's last beat, the bits of a container above `data_width`) is sent as
random bits.

A head is a packet of beats, a job a list of packets for each stream. `AcceleratorHost.packets` makes them from a job;
a bench that damages some hands its own to `run`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass

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

from taylorvit.golden.arithmetic.number_format import NumberFormat
from taylorvit.golden.attention.integer_attention import IntegerSteps, JobConstants, integer_taylor_attention
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.host_view import HostView
from taylorvit.rtl.control.registers import EVENTS, register_map

from .lockstep import CLOCK_PERIOD_NS, WaitError, pattern, start, wait_until

__all__ = ["STREAMS", "AcceleratorHost", "Job", "JobResult", "beats_of", "counted", "format_of", "matrix_of"]

STREAMS = ("q", "k", "v")
START, SOFT_RESET = 1, 2  # bits of CONTROL
ACCESS_LIMIT = 1_000  # cycles that a register access may take


def format_of(config: AcceleratorConfig | HostView) -> NumberFormat:
    """The number format of the golden model that a built accelerator has."""
    return NumberFormat(
        data_width=config.data_width,
        mean_fraction=config.mean_fraction,
        constant_fraction=config.constant_fraction,
        c_v_width=config.c_v_width,
        c_d_width=config.c_d_width,
        shift_g_max=config.shift_g_max,
        shift_z_min=config.shift_z_min,
        shift_z_max=config.shift_z_max,
    )


def counted(count: int, width: int) -> int:
    """What a counter of `width` bits shows of `count`: it stops at its maximum."""
    return min(count, (1 << width) - 1)


@dataclass(frozen=True)
class Job:
    """One job: integer operands, each (heads, tokens, head_dim), and the run-time constants."""

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    constants: JobConstants

    @property
    def shape(self) -> tuple[int, int, int]:
        """(heads, tokens, head_dim)."""
        return self.q.shape

    def golden(self, config: AcceleratorConfig) -> IntegerSteps:
        """What the hardware must compute, every step by name."""
        return integer_taylor_attention(self.q, self.k, self.v, self.constants, format_of(config))

    def to_mapping(self) -> dict:
        """The job as parameters of a bench."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, mapping: dict) -> Job:
        """Inverse of `to_mapping`, after its way through JSON."""
        q, k, v = (np.array(mapping[name], dtype=np.int64) for name in STREAMS)
        return cls(q, k, v, JobConstants(**mapping["constants"]))


@dataclass(frozen=True)
class JobResult:
    """What a job left: its Z, its counters, and when each head's last beat came (cycles after the start)."""

    z: np.ndarray  # (heads, tokens, head_dim), int64
    counters: dict[str, int]
    events: int
    head_cycles: list[int]


def beats_of(matrix: np.ndarray, config: AcceleratorConfig, garbage: np.random.Generator | None = None) -> list[int]:
    """The beats of one head's packet: rows of (tokens, head_dim), each padded to whole beats.

    `garbage` fills what carries no data, the padding and the upper bits of each container; without it the padding is 0
    and elements are sign-extended.
    """
    tokens, head_dim = matrix.shape
    lanes, width = config.stream_lanes, config.element_width
    beats = -(-head_dim // lanes)
    padded = np.zeros((tokens, beats * lanes), dtype=np.int64)
    padded[:, :head_dim] = matrix
    if garbage is not None:
        mask = (1 << config.data_width) - 1
        noise = garbage.integers(0, 1 << width, padded.shape)
        padded = (padded & mask) | (noise & ~mask)
        padded[:, head_dim:] = noise[:, head_dim:]
    raw = padded.astype(f"<i{width // 8}").reshape(tokens * beats, lanes)
    return [int.from_bytes(beat.tobytes(), "little") for beat in raw]


def matrix_of(beats: list[int], tokens: int, head_dim: int, config: AcceleratorConfig) -> np.ndarray:
    """The (tokens, head_dim) matrix of a packet's beats, without the padding; inverse of `beats_of`."""
    lanes, width = config.stream_lanes, config.element_width
    per_row = -(-head_dim // lanes)
    if len(beats) != tokens * per_row:
        raise AssertionError(f"packet must have {tokens * per_row} beats, not {len(beats)}")
    raw = b"".join(beat.to_bytes(lanes * width // 8, "little") for beat in beats)
    elements = np.frombuffer(raw, dtype=f"<i{width // 8}").astype(np.int64)
    return elements.reshape(tokens, per_row * lanes)[:, :head_dim]


async def _within(cycles: int, what_comes, name: str):
    """What is waited for; `WaitError` if it does not come within so many cycles."""
    try:
        return await with_timeout(what_comes, cycles * CLOCK_PERIOD_NS, "ns")
    except SimTimeoutError:
        raise WaitError(f"{name} did not come within {cycles:,} cycles") from None


class AcceleratorHost:
    """A host with one AXI4-Lite port, three stream sources and a stream sink.

    `patterns` names the activity of each channel ("q", "k", "v", "z", "axil"; see `lockstep`), by default always
    active.
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
                self.axil.write_if.aw_channel, self.axil.write_if.w_channel, self.axil.write_if.b_channel,
                self.axil.read_if.ar_channel, self.axil.read_if.r_channel,
            ],
        }  # fmt: skip
        self.set_patterns(patterns or {})

    def set_patterns(self, patterns: dict[str, str]) -> None:
        """From now on, `patterns` are the activity of the channels; those that it does not name are always active."""
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
        """Write one register; returns the response."""
        data = (value & 0xFFFFFFFF).to_bytes(4, "little")
        access = self.axil.write(self.registers[name].offset, data)
        return (await _within(ACCESS_LIMIT, access, f"answer to the write of {name}")).resp

    async def write_checked(self, name: str, value: int) -> None:
        """Write one register; `AssertionError` unless the accelerator takes it."""
        response = await self.write(name, value)
        if response != AxiResp.OKAY:
            raise AssertionError(f"write of {value} to {name} was answered with {response.name}")

    async def read(self, name: str) -> int:
        """Read one register."""
        access = self.axil.read(self.registers[name].offset, 4)
        result = await _within(ACCESS_LIMIT, access, f"answer to the read of {name}")
        return int.from_bytes(result.data, "little")

    async def set_up(self, job: Job) -> None:
        """Write the job's parameters."""
        heads, tokens, head_dim = job.shape
        constants = job.constants
        for name, value in (
            ("TOKENS", tokens), ("HEAD_DIM", head_dim), ("HEADS", heads),
            ("SHIFT_G", constants.shift_g), ("SHIFT_Z", constants.shift_z),
            *((f"C_V_{word}", constants.c_v >> (32 * word)) for word in range(2)),
            *((f"C_D_{word}", constants.c_d >> (32 * word)) for word in range(3)),
        ):  # fmt: skip
            await self.write_checked(name, value)

    async def wait_for_ever(self) -> None:
        """Have jobs wait for their sources as long as can be: TIMEOUT at its largest."""
        await self.write_checked("TIMEOUT", self.registers["TIMEOUT"].fields[0].maximum)

    async def events(self) -> set[str]:
        """Names of the events that are set."""
        value = await self.read("EVENTS")
        return {name for name, (bit, _description) in EVENTS.items() if value >> bit & 1}

    async def error_counts(self) -> dict[str, int]:
        """The error counts that are not 0, by event."""
        counts = {name: await self.read(f"COUNT_{name}") for name in EVENTS if name != "DONE"}
        return {name: count for name, count in counts.items() if count}

    async def clear_events(self) -> None:
        """Clear all events and error counts."""
        await self.write_checked("EVENTS", sum(1 << bit for bit, _description in EVENTS.values()))
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
        """Queue one head of Q, K and V for sending."""
        for name in STREAMS:
            self.send_packet(name, beats_of(getattr(job, name)[head], self.config, self.garbage))

    def send_packet(self, stream: str, beats: list[int]) -> None:
        """Queue one packet."""
        self.sources[stream].send_nowait(AxiStreamFrame(beats))

    async def send_and_stop(self, stream: str, beats: Sequence[int]) -> None:
        """Send beats without TLAST, then no more, as a source does that breaks off; returns after the last one."""
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
        """Drop what a source has not sent yet."""
        _empty(self.sources[stream])

    async def hold_back(self, stream: str, cycles: int) -> None:
        """Keep a source (or the sink, "z") from taking part for some cycles."""
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
        """Run beside a job: `AssertionError` if a beat of Z is taken back or changed before it was accepted."""
        edge, bus, offered = RisingEdge(self.dut.clk), self.sink.bus, None
        while True:
            await edge
            beat = (int(bus.tdata.value), int(bus.tlast.value)) if bus.tvalid.value else None
            if offered is not None and beat != offered:
                raise AssertionError(f"m_axis_z must keep {offered!r} until it is taken, not change to {beat!r}")
            offered = None if bus.tready.value else beat

    # Jobs

    async def run(self, job: Job, *, head_by_head: bool = False, packets: dict | None = None) -> JobResult:
        """Set up, start, stream everything in and out, and wait for the end.

        `head_by_head`: send the next head only when the result of the last has come. `packets`: what to send instead of
        the job's own; a stream left out is sent by the caller.
        """
        await self.set_up(job)
        return await self.start_and_collect(job, head_by_head=head_by_head, packets=packets)

    async def start_and_collect(
        self, job: Job, *, head_by_head: bool = False, packets: dict | None = None
    ) -> JobResult:
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
        return JobResult(np.stack(z), await self.counters(), await self.read("EVENTS"), head_cycles)

    async def wait_idle(self, limit: int) -> None:
        """Wait until STATUS says that no job runs."""
        deadline = self.now() + limit
        while await self.read("STATUS") & 1:
            if self.now() > deadline:
                raise AssertionError(f"the job did not end within {limit} cycles")

    async def wait_interrupt(self, limit: int) -> None:
        """Wait for the interrupt."""
        await wait_until(self.dut, lambda: self.dut.interrupt.value, what="interrupt", limit=limit)

    # Resets

    async def soft_reset(self) -> None:
        """Stop the job by register, with all streams stopped and emptied."""
        await self.write_checked("CONTROL", SOFT_RESET)
        self._empty_streams()
        await ClockCycles(self.dut.clk, 2)

    async def hard_reset(self) -> None:
        """Assert `rst` for two cycles, with all streams stopped and emptied. No register access may be under way."""
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

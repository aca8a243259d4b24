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
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink

from taylorvit.fpga.driver.tensors import matrix_bytes, matrix_from_bytes, result_bytes
from taylorvit.golden.attention.job import Job
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.description import DATA_WIDTH
from taylorvit.rtl.control.host_view import HostView
from taylorvit.rtl.control.registers import register_map

from .register_host import START, RegisterHost, empty, within
from .stream_source import StreamSource

__all__ = ["STREAMS", "AcceleratorHost", "SimulatedJob", "beats_of", "counted", "matrix_of"]

STREAMS = ("q", "k", "v")


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


class AcceleratorHost(RegisterHost):
    """A host of the attention accelerator: with three stream sources and a stream sink.

    Args:
        dut (HierarchyObject): the accelerator.
        config (AcceleratorConfig): what it was built from.
        patterns (dict[str, str]): channel ("q", "k", "v", "z", "axil") -> its activity, a kind of
            `taylorvit.simulation.pattern`; a channel that is left out is always active.
    """

    def __init__(self, dut, config: AcceleratorConfig, patterns: dict[str, str] | None = None):
        self.config = config
        self.garbage = np.random.default_rng(cocotb.RANDOM_SEED)
        for name in ("s_axis_q", "s_axis_k", "s_axis_v", "m_axis_z"):
            logging.getLogger(f"cocotb.{dut._name}.{name}").setLevel(logging.ERROR)
        self.sources = {
            name: StreamSource(AxiStreamBus.from_prefix(dut, f"s_axis_{name}"), dut.clk, dut.rst, byte_lanes=1)
            for name in STREAMS
        }
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_z"), dut.clk, dut.rst, byte_lanes=1)
        super().__init__(dut, register_map(config), {**self.sources, "z": self.sink}, patterns)
        self.table_words: dict[str, frozenset[int]] = dict.fromkeys(self.registers.tables, frozenset())

    @classmethod
    async def start(cls, dut, config: AcceleratorConfig, patterns: dict[str, str] | None = None) -> AcceleratorHost:
        """Clock running, out of reset, with a host at the ports."""
        host = cls(dut, config, patterns)
        await host.begin()
        return host

    async def hard_reset(self) -> None:
        """As of any host; tables are taken for unknown, though none is cleared."""
        await super().hard_reset()
        self.table_words = dict.fromkeys(self.registers.tables, frozenset())

    # Registers

    async def set_up(self, job: Job) -> None:
        """Writes sizes and constants of a job."""
        heads, tokens, head_dim = job.shape
        for name, value in ({"TOKENS": tokens, "HEAD_DIM": head_dim, "HEADS": heads} | job.registers).items():
            for index, register in enumerate(self.registers.words(name)):
                await self.write_checked(register.name, value >> (DATA_WIDTH * index))
        for name in self.registers.tables:
            # Of a long table, only what is new: a write takes as many cycles as the array does work.
            words = self.registers.table_words(name, job.settings[name])
            for word in words:
                if word in self.table_words[name]:
                    continue
                await self.write_checked(name, word)
            self.table_words[name] = frozenset(words)

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
        empty(self.sources[stream])

    async def hold_back(self, stream: str, cycles: int) -> None:
        """Keeps a source (or the sink, "z") from taking part for some cycles."""
        end = self.sink if stream == "z" else self.sources[stream]
        end.pause = True
        await ClockCycles(self.dut.clk, cycles)
        end.pause = False

    async def receive_head(self, job: Job, limit: int) -> np.ndarray:
        """The next packet of Z as a matrix (tokens, head_dim); an error after `limit` cycles without it."""
        _heads, tokens, head_dim = job.shape
        frame = await within(limit, self.sink.recv(), "packet of Z")
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

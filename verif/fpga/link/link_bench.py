"""The bench of a whole host link: a host at the UART, models at the register bus and at the streams."""

from __future__ import annotations

import logging
import random

import cocotb
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteSlave, AxiStreamBus, AxiStreamFrame, AxiStreamSink
from cocotbext.axi.address_space import Region

from taylorvit.fpga.link.host_link import HostLink
from taylorvit.fpga.protocol import Status, Stream
from taylorvit.simulation import parameters, pattern, start
from taylorvit.simulation.lockstep import CLOCK_PERIOD_NS
from taylorvit.simulation.stream_source import StreamSource
from verif.rtl.harness import idle_inputs

from .uart_host import UartHost, expect

__all__ = ["CLOCK_HZ", "LINKS", "STALL_BYTES", "Bench", "link"]

CLOCK_HZ = 1_000_000_000 // CLOCK_PERIOD_NS

LINKS = {  # `skew` is how much faster the host's bits are
    "usual": {"stream_bytes": 4, "baud": CLOCK_HZ // 4, "skew": 1.0, "payload_max": 100, "receive_bytes": 256,
              "send_bytes": 256, "result_bytes": 128},
    "fractional": {"stream_bytes": 2, "baud": 21_700_000, "skew": 1.02, "payload_max": 24, "receive_bytes": 64,
                   "send_bytes": 32, "result_bytes": 32},
    "fastest": {"stream_bytes": 1, "baud": CLOCK_HZ // 3, "skew": 0.99, "payload_max": 40, "receive_bytes": 128,
                "send_bytes": 64, "result_bytes": 16},
    "slow": {"stream_bytes": 3, "baud": 9_700_000, "skew": 0.98, "payload_max": 17, "receive_bytes": 64,
             "send_bytes": 32, "result_bytes": 16},
    "network": {"stream_bytes": 2, "streams": (Stream.IMAGE,), "results": "logits", "results_bytes": 4,
                "memory_bytes": 400, "baud": CLOCK_HZ // 3, "skew": 1.01, "payload_max": 100, "receive_bytes": 256,
                "send_bytes": 128, "result_bytes": 64},
}  # fmt: skip
STALL_BYTES = 60  # a frame is given up after the time of so many bytes


def link(name):
    sizes = {key: value for key, value in LINKS[name].items() if key != "skew"}
    return HostLink(clock_hz=CLOCK_HZ, build_id=0x89ABCDEF, stall_ms=1000 * 10 * STALL_BYTES / sizes["baud"], **sizes)


class Registers(Region):
    """Words behind the register bus, those from 0x800 on refused; counts what is written."""

    def __init__(self):
        super().__init__(4096)
        self.words = {}
        self.writes = []

    async def _read(self, address, length, **_options):
        if address >= 0x800:
            raise ValueError("no register")
        return self.words.get(address, 0).to_bytes(length, "little")

    async def _write(self, address, data, **_options):
        self.writes.append((address, int.from_bytes(data, "little")))
        if address >= 0x800:
            raise ValueError("no register")
        self.words[address] = self.writes[-1][1]


class Bench:
    """A host at the UART, and models in place of the accelerator.

    Its `sinks` are those of the link's streams.
    """

    def __init__(self, dut):
        self.dut = dut
        self.random = random.Random(cocotb.RANDOM_SEED)
        self.link = link(parameters()["link"])
        results = f"s_axis_{self.link.results}"
        sinks = {stream: f"m_axis_{stream.name.lower()}" for stream in self.link.streams}
        for channel in ("m_axil", results, *sinks.values()):
            logging.getLogger(f"cocotb.{dut._name}.{channel}").setLevel(logging.ERROR)
        bit_ns = CLOCK_PERIOD_NS * CLOCK_HZ / self.link.baud
        self.host = UartHost(dut, bit_ns / parameters()["skew"], bit_ns, payload_max=self.link.payload_max + 64)
        self.registers = Registers()
        self.bus = AxiLiteSlave(AxiLiteBus.from_prefix(dut, "m_axil"), dut.clk, dut.rst, target=self.registers)
        self.sinks = {
            stream: AxiStreamSink(AxiStreamBus.from_prefix(dut, prefix), dut.clk, dut.rst, byte_lanes=1)
            for stream, prefix in sinks.items()
        }
        self.source = StreamSource(AxiStreamBus.from_prefix(dut, results), dut.clk, dut.rst, byte_lanes=1)
        self.sent = self.received = 0  # offsets

    @classmethod
    async def start(cls, dut):
        bench = cls(dut)
        await start(dut, **(idle_inputs(bench.link) | {"uart_rx": 1}))
        await ClockCycles(dut.clk, 4)
        return bench

    def hesitate(self):
        """From now on, sinks and source take part in an eighth of the cycles only."""
        for number, end in enumerate((*self.sinks.values(), self.source)):
            end.set_pause_generator(not on for on in pattern("rare", f"{cocotb.RANDOM_SEED}-{number}"))

    def bytes(self, count):
        return self.random.randbytes(count)

    def random_packets(self, count, longest):
        """[(stream, its bytes)]"""
        streams, random = self.link.streams, self.random
        return [(random.choice(streams), self.bytes(random.randint(1, longest))) for _ in range(count)]

    def padded(self, data):
        beats = -(-len(data) // self.link.stream_bytes)
        return data.ljust(beats * self.link.stream_bytes, b"\0")

    async def send_all(self, data):
        """Send tensor bytes in frames of any size; what finds no space again."""
        refused = 0
        while data:
            size = self.random.choice((1, self.link.payload_max, self.random.randint(1, self.link.payload_max)))
            status, offset, free = await self.host.send(self.sent, data[:size])
            if status == Status.OK:
                self.sent += len(data[:size])
                data = data[size:]
            else:
                expect("refused for want of space", status, Status.NO_SPACE)
                refused += 1
            expect("next offset", offset, self.sent)
            expect("free is not more than there is", free <= self.link.send_bytes, True)
        return refused

    async def expect_packets(self, packets):
        """What arrives at the streams."""
        for stream in self.link.streams:
            expected = [self.padded(data) for number, data in packets if number == stream]
            for number, data in enumerate(expected):
                frame = await self.sinks[stream].recv()
                size = self.link.stream_bytes
                beats = [int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)]
                expect(f"packet {number} of {stream.name}", list(frame.tdata), beats)

    def offer_results(self, data):
        """Queue result bytes, whole beats, as one packet."""
        size = self.link.results_bytes
        self.source.send_nowait(
            AxiStreamFrame([int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)])
        )

    async def receive_all(self, count):
        """Result bytes, in requests of any size, some of them repeated."""
        data = b""
        for _attempt in range(40 * count):
            if len(data) == count:
                break
            wanted = self.random.choice((0, 1, 0xFFFF, self.random.randint(1, 2 * self.link.payload_max)))
            status, part = await self.host.receive(self.received + len(data), wanted)
            expect("status", status, Status.OK)
            expect("bytes are not more than wanted", len(part) <= min(wanted, self.link.payload_max), True)
            if self.random.random() < 0.7:  # otherwise as if the answer had been lost
                data += part
        expect("bytes received", len(data), count)
        self.received += count
        return data

    async def expect_alive(self):
        """The next request is answered as ever."""
        expect("identification", await self.host.identify(), self.link.identification)

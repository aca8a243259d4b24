"""The bench of a whole board: at the UART's two wires, the clock and the button.

It knows the protocol and nothing of what is inside. The board's clock is as slow as 1 MHz by name, so that 50 ms of
silence are 50,000 cycles, and its bits are 4 cycles long.
"""

from __future__ import annotations

import random
import struct
from dataclasses import replace

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import Timer

from taylorvit.fpga.board import load_board
from taylorvit.fpga.protocol import REPLY, FrameType, Status, Stream, tensor_packet
from taylorvit.fpga.reset_generator import ResetGenerator
from taylorvit.jobs import Job
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.registers import EVENTS, register_map
from taylorvit.simulation import expect_equal, parameters
from taylorvit.simulation.host import beats_of, matrix_of
from taylorvit.simulation.lockstep import CLOCK_PERIOD_NS
from verif.fpga.link.uart_host import UartHost, corrupted, expect

__all__ = ["CYCLES_PER_BIT", "STALL_BYTES", "Bench", "slow"]

CLOCK_HZ = 1_000_000
CYCLES_PER_BIT = 4
STALL_BYTES = 0.05 * CLOCK_HZ / (10 * CYCLES_PER_BIT)  # how many bytes could come until a frame is given up


def slow(name):
    """The board, with a clock that makes 50 ms short; without PLL."""
    board = replace(load_board(name), clock_hz=CLOCK_HZ)
    return board.with_core_hz(CLOCK_HZ).with_baud(CLOCK_HZ // CYCLES_PER_BIT)


class Bench:
    """Jobs over the link."""

    def __init__(self, dut):
        self.dut = dut
        self.random = random.Random(cocotb.RANDOM_SEED)
        self.config = AcceleratorConfig.from_mapping(parameters()["config"])
        self.board = slow(parameters()["board"])
        self.registers = register_map(self.config)
        self.job = Job.from_mapping(parameters()["job"])
        self.z = np.array(parameters()["z"])
        self.host = UartHost(dut, CYCLES_PER_BIT * CLOCK_PERIOD_NS, payload_max=2048)
        self.sent = self.received = 0  # offsets
        self.faulty = False

    @classmethod
    async def start(cls, dut):
        bench = cls(dut)
        pressed = bench.pressed = 0 if bench.board.button.active_low else 1
        dut.button.value = 1 - pressed
        Clock(dut.clock, CLOCK_PERIOD_NS, unit="ns").start()
        await bench.cycles(2 * ResetGenerator.reset_cycles)
        await bench.reset()
        return bench

    async def cycles(self, count):
        await Timer(count * CLOCK_PERIOD_NS, "ns")

    async def press_button(self):
        """Reset the board by its button."""
        self.dut.button.value = self.pressed
        await self.cycles(10)
        self.dut.button.value = 1 - self.pressed
        await self.cycles(2 * ResetGenerator.reset_cycles)
        self.host.decoder.clear()
        self.host.answers.clear()
        self.sent = self.received = 0

    async def reset(self):
        await self.host.reset()
        self.sent = self.received = 0

    # Requests, on a line that is as bad as `faulty` says

    async def ask(self, kind, payload=b""):
        """The answer to a request that is not lost in the end."""
        host = self.host
        request = host.request(kind, payload)
        if self.faulty:
            await getattr(self, self.random.choice(FAULTS))(request)
        await host.transmit(request)
        answer = await host.answer()
        expect("answer to", (answer.kind, answer.tag), (kind | REPLY, request[3]))
        return answer

    async def expect_error(self, status):
        answer = await self.host.answer(limit_bytes=2 * STALL_BYTES)
        expect("error", (answer.kind, answer.tag, answer.status), (FrameType.ERROR, 0, status))

    async def none(self, request):
        pass

    async def bit_error(self, request):
        """One wrong bit anywhere: the answer is BAD_CRC, or to nobody if the header is not intact."""
        bit = self.random.randrange(8 * len(request))
        await self.host.transmit(corrupted(request, [bit]))
        if bit < 64:
            # What follows a lost header is searched for frames; there is none in it, but it may end like one.
            await self.expect_error(Status.BAD_HEADER)
            await self.host.idle(len(request))
        else:
            answer = await self.host.answer()
            expect("answer", (answer.tag, answer.status, answer.data), (request[3], Status.BAD_CRC, b""))

    async def truncation(self, request):
        """The frame breaks off."""
        await self.host.transmit(request[: self.random.randrange(1, len(request))])
        await self.expect_error(Status.STALLED)

    async def garbage(self, request):
        """Bytes that are no frame, right before it."""
        await self.host.transmit(self.random.randbytes(self.random.randint(1, 20)).replace(b"\xa5", b"\xa6"))
        await self.expect_error(Status.BAD_HEADER)

    async def repetition(self, request):
        """The answer seems to be lost: the request comes twice."""
        await self.host.transmit(request)
        answer = await self.host.answer()
        expect("first answer", (answer.tag, answer.status == Status.BAD_CRC), (request[3], False))

    # Registers

    async def write(self, name, value):
        answer = await self.ask(FrameType.WRITE, struct.pack("<HI", self.registers[name].offset, value & 0xFFFFFFFF))
        expect(f"write of {name}", answer.status, Status.OK)

    async def read(self, name):
        answer = await self.ask(FrameType.READ, struct.pack("<H", self.registers[name].offset))
        expect(f"read of {name}", answer.status, Status.OK)
        return int.from_bytes(answer.data, "little")

    # Jobs

    def packets(self):
        """The job's tensor bytes, head by head."""
        size = self.config.stream_width // 8
        for head in range(self.job.shape[0]):
            for stream in (Stream.K, Stream.V, Stream.Q):
                beats = beats_of(getattr(self.job, stream.name.lower())[head], self.config)
                yield tensor_packet(stream, b"".join(beat.to_bytes(size, "little") for beat in beats))

    async def set_up(self):
        heads, tokens, head_dim = self.job.shape
        constants = self.job.constants
        for name, value in (
            ("TOKENS", tokens),
            ("HEAD_DIM", head_dim),
            ("HEADS", heads),
            ("SHIFT_G", constants.shift_g),
            ("SHIFT_Z", constants.shift_z),
            *((f"C_V_{word}", constants.c_v >> (32 * word)) for word in range(2)),
            *((f"C_D_{word}", constants.c_d >> (32 * word)) for word in range(3)),
        ):
            await self.write(name, value)

    async def send(self, data):
        """Sends tensor bytes, and collects results while there is no space; returns these."""
        results = b""
        while data:
            part = data[: self.random.choice((self.board.payload_max, self.random.randint(1, 100)))]
            answer = await self.ask(FrameType.SEND, struct.pack("<I", self.sent) + part)
            if answer.status == Status.OK:
                data = data[len(part) :]
                self.sent += len(part)
            else:
                expect("refused for want of space", answer.status, Status.NO_SPACE)
                results += await self.receive()
            expect("next offset", int.from_bytes(answer.data[:4], "little"), self.sent)
        return results

    async def receive(self):
        """The results that are there."""
        answer = await self.ask(FrameType.RECEIVE, struct.pack("<IH", self.received, self.board.payload_max))
        expect("results", (answer.status, answer.data[:4]), (Status.OK, self.received.to_bytes(4, "little")))
        self.received += len(answer.data) - 4
        return answer.data[4:]

    async def run_job(self, packets=None):
        """Runs the job, and compares its Z with the golden's."""
        heads, tokens, head_dim = self.job.shape
        await self.set_up()
        await self.write("CONTROL", 1)
        results = b""
        for packet in self.packets() if packets is None else packets:
            results += await self.send(packet)
        size = self.config.stream_width // 8
        beats_per_head = tokens * -(-head_dim // self.config.stream_lanes)
        for _attempt in range(10 * heads * tokens * head_dim):
            if len(results) >= heads * beats_per_head * size:
                break
            results += await self.receive()
        beats = [int.from_bytes(results[at : at + size], "little") for at in range(0, len(results), size)]
        z = [
            matrix_of(beats[at : at + beats_per_head], tokens, head_dim, self.config)
            for at in range(0, len(beats), beats_per_head)
        ]
        expect_equal("Z", np.stack(z), self.z)
        expect("results beyond the end", await self.receive(), b"")
        expect("heads done", await self.read("HEADS_DONE"), heads)
        expect("events", await self.read("EVENTS"), 1 << EVENTS["DONE"][0])
        await self.write("EVENTS", 1 << EVENTS["DONE"][0])


FAULTS = ("none", "none", "bit_error", "bit_error", "truncation", "garbage", "repetition")

"""Whole boards, driven through their pins: captured tensors in, Z out, whatever happens on the line.

The bench is at the UART's two wires, the clock and the button; it knows the protocol and nothing of what is inside. The
board's clock is as slow as 1 MHz by name, so that 50 ms of silence are 50,000 cycles, and its bits are 4 cycles long.
"""

from __future__ import annotations

import random
import struct
from dataclasses import replace

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import Timer

from taylorvit.fpga.board import load_board
from taylorvit.fpga.families.clocking import ResetGenerator
from taylorvit.fpga.protocol import REPLY, BoardStatus, FrameType, Status, Stream, build_id, tensor_packet
from taylorvit.fpga.top import BoardTop
from taylorvit.gen.presets import load_preset
from taylorvit.gen.verilog import emit
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.registers import EVENTS, register_map
from taylorvit.simulation import build, expect_equal, parameters, run
from taylorvit.simulation.host import Job, beats_of, matrix_of
from taylorvit.simulation.lockstep import CLOCK_PERIOD_NS
from verif.fpga.link.uart_host import UartHost, corrupted, expect
from verif.regression.test_hardwares import captured_job

CLOCK_HZ = 1_000_000
CYCLES_PER_BIT = 4
STALL_BYTES = 0.05 * CLOCK_HZ / (10 * CYCLES_PER_BIT)  # how many bytes could come until a frame is given up

BOARDS = {  # board -> its accelerator: a preset, or its own one, with multipliers that need no vendor's model
    "ulx3s-85f": load_preset("tiny-4x4"),
    "icebreaker": replace(load_board("icebreaker").preset().config, multiplier="inferred"),
}


def slow(name):
    """The board, with a clock that makes 50 ms short; without PLL."""
    board = replace(load_board(name), clock_hz=CLOCK_HZ)
    return board.with_core_hz(CLOCK_HZ).with_baud(CLOCK_HZ // CYCLES_PER_BIT)


# Benches: run inside the simulator.


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
            ("TOKENS", tokens), ("HEAD_DIM", head_dim), ("HEADS", heads),
            ("SHIFT_G", constants.shift_g), ("SHIFT_Z", constants.shift_z),
            *((f"C_V_{word}", constants.c_v >> (32 * word)) for word in range(2)),
            *((f"C_D_{word}", constants.c_d >> (32 * word)) for word in range(3)),
        ):  # fmt: skip
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
        z = [matrix_of(beats[at : at + beats_per_head], tokens, head_dim, self.config)
             for at in range(0, len(beats), beats_per_head)]  # fmt: skip
        expect_equal("Z", np.stack(z), self.z)
        expect("results beyond the end", await self.receive(), b"")
        expect("heads done", await self.read("HEADS_DONE"), heads)
        expect("events", await self.read("EVENTS"), 1 << EVENTS["DONE"][0])
        await self.write("EVENTS", 1 << EVENTS["DONE"][0])


FAULTS = ("none", "none", "bit_error", "bit_error", "truncation", "garbage", "repetition")


@cocotb.test()
async def captured_tensors_in_z_out(dut):
    bench = await Bench.start(dut)
    identification = await bench.host.identify()
    expect("build", identification.build_id, build_id(bench.board.name, bench.config))
    expect("sizes", (identification.receive_bytes, identification.stream_bytes),
           (bench.board.receive_bytes, bench.config.stream_width // 8))  # fmt: skip
    expect("ID", await bench.read("ID"), 0x5441594C)
    await bench.write("INTERRUPT_ENABLE", 1)
    await bench.run_job()
    await bench.run_job()  # the second job begins where the first one's bytes end
    status = await bench.host.status()
    expect("status", status, BoardStatus(
        next_offset=bench.sent, free=bench.board.send_bytes, result_offset=bench.received, available=0,
        interrupt=False, receive_overflow=False, malformed_packet=False, bad_headers=0, bad_payloads=0,
    ))  # fmt: skip
    expect("framing errors", bench.host.framing_errors, 0)


@cocotb.test()
async def a_bad_line_is_survived(dut):
    bench = await Bench.start(dut)
    bench.faulty = True
    await bench.run_job()
    bench.faulty = False
    status = await bench.host.status()
    expect("some headers and some payloads were bad", (status.bad_headers > 2, status.bad_payloads > 2), (True, True))
    expect("nothing was lost or sent twice", status.next_offset, bench.sent)


@cocotb.test()
async def a_reset_in_the_middle_of_a_frame_is_survived(dut):
    bench = await Bench.start(dut)
    await bench.set_up()
    await bench.write("CONTROL", 1)
    packet = next(bench.packets())
    frame = bench.host.request(FrameType.SEND, struct.pack("<I", 0) + packet[:16])
    for length in (3, 15, len(frame) - 1):
        await bench.host.transmit(frame[:length], bits=bench.random.randint(1, 10))
        await bench.press_button()
        expect("status", await bench.host.status(), BoardStatus(0, bench.board.send_bytes, 0, 0, *[0] * 5))
        expect("the job is gone", await bench.read("STATUS"), 0)
    # ... and of an answer.
    await bench.host.transmit(bench.host.request(FrameType.IDENTIFY))
    await bench.host.idle(8)
    await bench.press_button()
    await bench.run_job()


@cocotb.test()
async def a_job_may_be_given_up(dut):
    bench = await Bench.start(dut)
    await bench.set_up()
    await bench.write("CONTROL", 1)
    packets = list(bench.packets())
    for packet in packets[:3]:
        await bench.send(packet[: len(packet) - 3])
    await bench.reset()
    expect("status", await bench.host.status(), BoardStatus(0, bench.board.send_bytes, 0, 0, *[0] * 5))
    await bench.run_job(packets)


@cocotb.test()
async def malformed_packets_do_no_harm(dut):
    bench = await Bench.start(dut)
    packets = list(bench.packets())
    packets.insert(2, bytes([Stream.Q, 0, 0, 0]))
    packets.insert(1, bytes([7, 40, 0, 0]) + bytes(40))
    await bench.run_job(packets)
    expect("malformed packet", (await bench.host.status()).malformed_packet, True)


@cocotb.test()
async def a_host_that_sends_too_much_loses_bytes(dut):
    bench = await Bench.start(dut)
    host, board = bench.host, bench.board
    # Every answer is longer than its request: unanswered bytes become more and more.
    request = host.request(FrameType.STATUS)
    count = 7 * board.receive_bytes // (4 * len(request))
    await host.transmit(request * count)
    await host.idle(board.receive_bytes * 4 + 2 * STALL_BYTES)
    answers = [answer for answer in host.answers if answer.kind == FrameType.STATUS | REPLY]
    expect("some were answered", 0 < len(answers) < count, True)
    errors = {answer.status for answer in host.answers if answer.kind == FrameType.ERROR}
    expect("errors are among those that can be", errors <= {Status.BAD_HEADER, Status.STALLED}, True)
    host.answers.clear()
    expect("overflow", (await host.status()).receive_overflow, True)
    await bench.reset()
    await bench.run_job()
    expect("overflow, since RESET", (await host.status()).receive_overflow, False)


# Tests: run by pytest.


@pytest.mark.parametrize("name", BOARDS)
def test_board_pins(name):
    config = BOARDS[name]
    top = BoardTop(slow(name), config)
    tokens, head_dim = min(19, config.max_tokens), min(13, config.max_head_dim)
    job = captured_job("mnist_vit", slice(0, 2), config, tokens=tokens, head_dim=head_dim)
    z = job.golden(config).z
    assert np.unique(z).size > min(50, 2**config.data_width // 2)  # a result worth comparing
    result = run(
        build(emit(top), top.module_name), __name__,
        parameters={"board": name, "config": config.to_mapping(), "job": job.to_mapping(), "z": z},
    )  # fmt: skip
    assert result.tests == 6
    assert result.compared > 7 * z.size

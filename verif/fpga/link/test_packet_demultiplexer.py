"""Packet demultiplexer: packets to the streams that they name, in whole beats; others are dropped."""

from __future__ import annotations

import random

import cocotb
from cocotb.triggers import RisingEdge, Timer

from taylorvit.fpga.link.packet_demultiplexer import PacketDemultiplexer
from taylorvit.fpga.protocol import Stream, tensor_packet
from taylorvit.gen.verilog import emit
from taylorvit.simulation import Scoreboard, build, expect_equal, run
from verif.rtl.harness import SideBySide, on_every_block

SIZES = {"one": 1, "two": 2, "three": 3, "four": 4, "eight": 8}
PACKETS = 25
PORTS = ("m_axis_q", "m_axis_k", "m_axis_v")  # in the order of `Stream`


def blocks():
    return {name: PacketDemultiplexer(stream_bytes=size) for name, size in SIZES.items()}


def beats(stream, data, size):
    """The beats of a packet: (stream, TDATA, TLAST)."""
    words = [int.from_bytes(data[at : at + size].ljust(size, b"\0"), "little") for at in range(0, len(data), size)]
    return [(int(stream), word, number == len(words) - 1) for number, word in enumerate(words)]


def offered(view):
    """The streams with TVALID, stream s in bit s."""
    return sum(int(getattr(view, f"{port}_tvalid").value) << stream for stream, port in enumerate(PORTS))


def beat(view, stream):
    """What is on a stream: (TDATA, TLAST)."""
    port = PORTS[stream]
    return int(getattr(view, f"{port}_tdata").value), bool(getattr(view, f"{port}_tlast").value)


@cocotb.test()
async def packets_go_where_they_belong(dut):
    """The bytes of a packet leave on its stream, and malformed packets are dropped and reported."""

    async def job(view, name, seed):
        generator = random.Random(seed)
        edge = RisingEdge(view.clk)
        size = SIZES[name]
        data, expected, malformed = b"", [], 0
        for number in range(PACKETS):
            length = generator.choice((1, size, generator.randint(1, 3 * size), 270 if number == 7 else 5))
            content = generator.randbytes(length)
            kind = generator.choice(("good", "good", "good", "unknown", "empty"))
            if kind == "good":
                stream = generator.choice(list(Stream))
                data += tensor_packet(stream, content)
                expected += beats(stream, content, size)
            else:
                malformed += 1
                if kind == "empty":
                    data += bytes([generator.randrange(4), 0, 0, 0])
                else:
                    data += bytes([generator.choice((3, 4, 0x80, 0xFF))]) + length.to_bytes(3, "little") + content
        # The third byte of a length counts as well: what looks like a packet is part of this one.
        malformed += 1
        data += bytes([9]) + (1 << 16).to_bytes(3, "little") + tensor_packet(Stream.Q, bytes(30))

        scoreboard = Scoreboard("beat", expected)
        position = counted = 0
        pause = 0  # cycles until the next byte: the buffer is that slow
        for _cycle in range(40 * len(data)):
            there = position < len(data) and pause == 0
            view.valid.value = there
            view.data.value = data[position] if there else generator.randrange(256)
            ready = generator.choice((0, 7, generator.randrange(8)))
            for stream, port in enumerate(PORTS):
                getattr(view, f"{port}_tready").value = ready >> stream & 1
            await edge
            valid = offered(view)
            expect_equal("one stream at a time", valid in (0, 1, 2, 4), True)
            if valid & ready:
                stream = valid.bit_length() - 1
                scoreboard.check((stream, *beat(view, stream)))
            counted += int(view.malformed.value)
            taken = bool(view.ready.value)
            expect_equal("taken only what is there", taken and not there, False)
            position += taken
            pause = 3 if taken else max(0, pause - 1)
            if position == len(data) and scoreboard.received == len(expected) and not pause:
                break
        for _ in range(10):
            await edge
        scoreboard.finish()
        expect_equal("malformed packets", counted, malformed)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def an_offered_beat_stays(dut):
    """A beat that is offered stays until it is taken, whatever comes meanwhile."""

    async def job(view, name, seed):
        edge, into_cycle = RisingEdge(view.clk), Timer(1, "ns")
        size = SIZES[name]
        data = tensor_packet(Stream.K, random.Random(seed).randbytes(size + 1))
        position = 0
        for _ in range(20 * len(data)):
            view.valid.value = position < len(data)
            view.data.value = data[min(position, len(data) - 1)]
            await edge
            position += int(view.ready.value)
            view.valid.value = 0
            for _pause in range(3):
                await edge
            if offered(view):
                break
        stays = (2, *beats(Stream.K, data[4:], size)[0][1:])
        for _ in range(20):
            await into_cycle
            expect_equal("beat", (offered(view), *beat(view, Stream.K)), stays)
            await edge

    await on_every_block(dut, blocks(), job)


def test_packet_demultiplexer():
    block = SideBySide(blocks())
    assert run(build(emit(block), block.module_name), __name__).tests == 2

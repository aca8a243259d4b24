"""Packet demultiplexer: packets to the streams that they name, in whole beats; others are dropped."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge, Timer

from taylorvit.fpga.link.packet_demultiplexer import PacketDemultiplexer
from taylorvit.fpga.protocol import Stream, tensor_packet
from taylorvit.gen.verilog import emit
from taylorvit.simulation import Scoreboard, build, expect_equal, run
from verif.rtl.harness import SideBySide, on_every_block

SIZES = {"one": 1, "two": 2, "three": 3, "four": 4, "eight": 8, "network": 3, "images": 1}
ATTENTION = (Stream.Q, Stream.K, Stream.V)
STREAMS = dict.fromkeys(SIZES, ATTENTION) | {"network": (Stream.IMAGE, Stream.MEMORY), "images": (Stream.IMAGE,)}
PACKETS = 25
END = (int(Stream.MEMORY), -1, True)


def blocks():
    return {
        name: PacketDemultiplexer(
            stream_bytes=size,
            streams=tuple(stream for stream in STREAMS[name] if stream is not Stream.MEMORY),
            memory=Stream.MEMORY in STREAMS[name],
        )
        for name, size in SIZES.items()
    }


def beats(stream, data, size):
    """The beats of a packet: (stream, TDATA, TLAST); those of the memory are bytes, and then its end."""
    if stream is Stream.MEMORY:
        return [*((int(stream), byte, False) for byte in data), END]
    words = [int.from_bytes(data[at : at + size].ljust(size, b"\0"), "little") for at in range(0, len(data), size)]
    return [(int(stream), word, number == len(words) - 1) for number, word in enumerate(words)]


def port(view, stream, channel):
    """One wire of a stream."""
    prefix = "memory_" if stream is Stream.MEMORY else f"m_axis_{stream.name.lower()}_t"
    return getattr(view, f"{prefix}{channel}")


def offered(view, name):
    """The streams with TVALID."""
    return [stream for stream in STREAMS[name] if port(view, stream, "valid").value]


def beat(view, stream):
    """What is on a stream: (TDATA, TLAST)."""
    last = stream is not Stream.MEMORY and bool(port(view, stream, "last").value)
    return int(port(view, stream, "data").value), last


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
                stream = generator.choice(STREAMS[name])
                data += tensor_packet(stream, content)
                expected += beats(stream, content, size)
            else:
                malformed += 1
                if kind == "empty":
                    data += bytes([generator.randrange(4), 0, 0, 0])
                else:
                    unknown = generator.choice([n for n in (0, 1, 2, 3, 4, 5, 0x83, 0xFF) if n not in STREAMS[name]])
                    data += bytes([unknown]) + length.to_bytes(3, "little") + content
        # The third byte of a length counts as well: what looks like a packet is part of this one.
        malformed += 1
        data += bytes([9]) + (1 << 16).to_bytes(3, "little") + tensor_packet(STREAMS[name][0], bytes(30))

        scoreboard = Scoreboard("beat", expected)
        position = counted = 0
        pause = 0  # cycles until the next byte: the buffer is that slow
        for _cycle in range(40 * len(data)):
            there = position < len(data) and pause == 0
            view.valid.value = there
            view.data.value = data[position] if there else generator.randrange(256)
            everything = generator.choice((0, 1, None))
            ready = {each: generator.getrandbits(1) if everything is None else everything for each in STREAMS[name]}
            for stream, value in ready.items():
                port(view, stream, "ready").value = value
            await edge
            valid = offered(view, name)
            expect_equal("one stream at a time", len(valid) <= 1, True)
            for stream in valid:
                if ready[stream]:
                    scoreboard.check((int(stream), *beat(view, stream)))
            if Stream.MEMORY in STREAMS[name] and view.memory_end.value:
                scoreboard.check(END)
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
        stream = STREAMS[name][-1]
        data = tensor_packet(stream, random.Random(seed).randbytes(size + 1))
        position = 0
        for _ in range(20 * len(data)):
            view.valid.value = position < len(data)
            view.data.value = data[min(position, len(data) - 1)]
            await edge
            position += int(view.ready.value)
            if offered(view, name):
                break  # a byte for the memory, which has to stay
            view.valid.value = 0
            for _pause in range(3):
                await edge
            if offered(view, name):
                break
        stays = ([stream], *beats(stream, data[4:], size)[0][1:])
        for _ in range(20):
            await into_cycle
            expect_equal("beat", (offered(view, name), *beat(view, stream)), stays)
            await edge

    await on_every_block(dut, blocks(), job)


@pytest.mark.parametrize("streams", [(), (Stream.Q, Stream.V), (Stream.IMAGE, Stream.MEMORY)])
def test_numbers_of_streams(streams):
    with pytest.raises(ValueError, match=r"^streams must be one, or numbered from 0 on, not \("):
        PacketDemultiplexer(stream_bytes=1, streams=streams)


def test_packet_demultiplexer():
    block = SideBySide(blocks())
    assert run(build(emit(block), block.module_name), __name__).tests == 2

"""Memory writer: packets to words with addresses, whatever the memory's pace; what has no place is not written."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.fpga.link.memory_writer import MemoryWriter
from taylorvit.gen.verilog import emit
from taylorvit.simulation import Scoreboard, build, expect_equal, run
from verif.rtl.harness import SideBySide, on_every_block

SIZES = {"word": 4, "small": 40, "power_of_two": 64, "whole": 1 << 32}
PACKETS = 60


def blocks():
    return {name: MemoryWriter(memory_bytes=size) for name, size in SIZES.items()}


def words(address, data, size):
    """The words of a packet that are written, [(address, word)], and whether it is malformed."""
    if address % 4:
        return [], True
    places = [(address + at, data[at : at + 4]) for at in range(0, len(data), 4)]
    good = [(at, int.from_bytes(part, "little")) for at, part in places if len(part) == 4 and at < size]
    return good, not data or len(good) != len(places)


def random_packet(generator, size):
    """(address, data), mostly good."""
    aligned = 4 * generator.randrange(min(size, 1 << 20) // 4)
    address = generator.choice((aligned, aligned, size - 4, size % (1 << 32), (1 << 32) - 4, aligned | 1, 1 << 31))
    return address, generator.randbytes(generator.choice((0, 1, 3, 4, 4, 5, 8, 8, 12, 20)))


class Host:
    """Gives bytes, and takes words at a random pace."""

    def __init__(self, view, generator):
        self.view, self.generator = view, generator
        self.edge = RisingEdge(view.clk)
        self.got = []
        self.malformed = 0

    async def cycle(self, **packets):
        """One cycle with these values of `packets`; whether a byte was taken."""
        view, generator = self.view, self.generator
        for name, value in {"valid": 0, "end": 0, "data": generator.randrange(256), **packets}.items():
            getattr(view, f"packets_{name}").value = value
        ready = view.write_ready.value = generator.random() < 0.3
        await self.edge
        if view.write_valid.value and ready:
            self.got.append((int(view.write_address.value), int(view.write_data.value)))
        self.malformed += int(view.malformed.value)
        return bool(packets.get("valid")) and bool(view.packets_ready.value)

    async def give(self, content):
        """Bytes of a packet, with pauses as on the line."""
        for byte in content:
            for _attempt in range(1000):
                if await self.cycle(valid=1, data=byte):
                    break
            for _ in range(self.generator.randrange(3)):
                await self.cycle()

    async def end(self):
        """The end of a packet, when its last byte has been looked at."""
        await self.cycle()
        await self.cycle(end=1)


@cocotb.test()
async def words_come_out_once_and_in_order(dut):
    """Whole words inside the memory are written once, in order, and whatever else is in a packet is reported."""

    async def job(view, name, seed):
        generator = random.Random(seed)
        host = Host(view, generator)
        expected, malformed = [], 0
        for _ in range(PACKETS):
            address, data = random_packet(generator, SIZES[name])
            good, bad = words(address, data, SIZES[name])
            expected += good
            malformed += bad
            await host.give(address.to_bytes(4, "little") + data)
            await host.end()
        for _ in range(50):
            await host.cycle()
        scoreboard = Scoreboard("word", expected)
        for word in host.got:
            scoreboard.check(word)
        scoreboard.finish()
        expect_equal("malformed packets", host.malformed, malformed)
        expect_equal("some are good, some are not", 0 < malformed < PACKETS, True)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def a_packet_without_a_word_is_malformed(dut):
    """A packet that ends within or behind its address writes nothing, and the next one is understood."""

    async def job(view, name, seed):
        host = Host(view, random.Random(seed))
        good = (0, int.from_bytes(b"good", "little"))
        for length in (1, 2, 3, 4):
            await host.give(bytes(4) + b"good")
            await host.end()
            await host.give(bytes(length))
            await host.end()
            expect_equal("malformed packets", host.malformed, length)
        for _ in range(50):
            await host.cycle()
        expect_equal("words", host.got, [good] * 4)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def a_word_waits_for_the_memory(dut):
    """The word and its address stay while the memory does not take it, and no further byte is taken."""

    async def job(view, name, seed):
        generator = random.Random(seed)
        host = Host(view, generator)
        latency = MemoryWriter(memory_bytes=SIZES[name]).latency
        address = SIZES[name] - 4
        view.write_ready.value = 0
        content = address.to_bytes(4, "little") + b"abcd"
        position = waited = 0
        for _ in range(100):
            view.packets_valid.value = 1
            view.packets_data.value = content[position] if position < 8 else 0xEE
            view.packets_end.value = 0
            await host.edge
            if position == 8:
                waited += 1
                expect_equal("a byte is taken", int(view.packets_ready.value), 0)
                expect_equal("valid", int(view.write_valid.value), waited >= latency)
                if waited >= latency:
                    word = (int(view.write_address.value), int(view.write_data.value))
                    expect_equal("word", word, (address, int.from_bytes(b"abcd", "little")))
            position += int(view.packets_ready.value)
        expect_equal("waited", waited > 50, True)

    await on_every_block(dut, blocks(), job)


def test_memory_writer():
    block = SideBySide(blocks())
    assert run(build(emit(block), block.module_name), __name__).tests == 3


@pytest.mark.parametrize(
    ("size", "error", "text"),
    [
        (6, ValueError, "memory_bytes must be a multiple of the 4 bytes of a word, not 6"),
        (0, ValueError, "memory_bytes must be 1 or more, not 0"),
        ((1 << 32) + 4, ValueError, "memory_bytes must be 4..4294967296, not 4294967300"),
        ("4", TypeError, "memory_bytes must be an integer, not '4'"),
    ],
)
def test_sizes_of_memory(size, error, text):
    with pytest.raises(error) as caught:
        MemoryWriter(memory_bytes=size)
    assert str(caught.value) == text

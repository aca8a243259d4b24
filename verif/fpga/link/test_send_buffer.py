"""Send buffer against a list: frames that are committed, forgotten, or do not fit."""

from __future__ import annotations

import random
from collections import deque

import cocotb
import pytest
from cocotb.triggers import RisingEdge, Timer

from taylorvit.fpga.link.send_buffer import SendBuffer
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, on_every_block

SIZES = {"small": (8, 11), "even": (32, 32), "large": (64, 24)}  # bytes, longest frame
FRAMES = 120


def blocks():
    return {name: SendBuffer(depth=depth, frame_max=frame_max) for name, (depth, frame_max) in SIZES.items()}


@cocotb.test()
async def frames_are_taken_as_a_whole_or_not_at_all(dut):
    """A frame's bytes can be read once it is committed, and one that is not leaves no trace."""

    async def job(view, name, seed):
        generator = random.Random(seed)
        edge = RisingEdge(view.clk)
        depth, frame_max = SIZES[name]
        held = deque()  # committed and not read
        state = {"committed": 0, "reading": 0.5, "refused": 0, "forgotten": 0}

        async def cycle(**inputs):
            """One cycle, in which the reader takes a byte now and then."""
            for port, value in inputs.items():
                getattr(view, port).value = value
            read = bool(view.read_valid.value) and generator.random() < state["reading"]
            view.read.value = read
            await edge
            if read:
                expect_equal("read_data", view.read_data.value, held.popleft())
            for port in inputs:
                getattr(view, port).value = 0
            await into_cycle

        into_cycle = Timer(1, "ns")  # where outputs are those of the new cycle
        await edge
        await into_cycle
        for frame in range(FRAMES):
            if frame % 20 == 0:
                state["reading"] = generator.choice((0, 0.05, 0.5))
            size = generator.randint(1, frame_max)
            await cycle(frame_start=1)
            await cycle()
            data = generator.randbytes(size)
            fits_before = size <= depth - len(held)
            for byte in data:
                await cycle(frame_write=1, frame_write_data=byte)
                for _ in range(generator.randint(1, 4)):
                    await cycle()
            expect_equal("size", view.frame_size.value, size)
            no_space = bool(view.frame_no_space.value)
            expect_equal("what fits at first fits", fits_before and no_space, False)
            if state["reading"] == 0:
                expect_equal("no_space", no_space, not fits_before)
            if no_space:
                state["refused"] += 1
            elif generator.random() < 0.7:
                held.extend(data)
                state["committed"] += size
                await cycle(frame_commit=1)
            else:
                state["forgotten"] += 1
            for _ in range(3):
                await cycle()
            expect_equal("next_offset", view.frame_next_offset.value, state["committed"])
            expect_equal("free", view.frame_free.value, depth - len(held))
        state["reading"] = 1
        for _ in range(4 * depth * 4):
            await cycle()
        expect_equal("left over", len(held), 0)
        expect_equal("some of each", [state[key] > 3 for key in ("committed", "refused", "forgotten")], [True] * 3)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def a_byte_can_be_read_in_time(dut):
    """A byte is there `latency` cycles after its frame is committed, or the byte before it is read."""

    async def job(view, name, _seed):
        edge = RisingEdge(view.clk)
        latency = blocks()[name].latency
        view.frame_start.value = 1
        await edge
        view.frame_start.value = 0
        await edge
        for byte in (0x11, 0x22):
            view.frame_write.value, view.frame_write_data.value = 1, byte
            await edge
            view.frame_write.value = 0
            await edge
            await edge
        for cause, byte in (("frame_commit", 0x11), ("read", 0x22)):
            getattr(view, cause).value = 1
            await edge
            getattr(view, cause).value = 0
            for cycle in range(1, latency + 1):
                await edge
                expect_equal(f"read_valid {cycle} cycles after {cause}", view.read_valid.value, cycle == latency)
            expect_equal("read_data", view.read_data.value, byte)

    await on_every_block(dut, blocks(), job)


def test_send_buffer():
    block = SideBySide(blocks())
    assert run(build(emit(block), block.module_name), __name__).tests == 2


def test_what_cannot_be_built():
    with pytest.raises(ValueError, match="^depth must be a power of two, 2 or more, not 12$"):
        SendBuffer(depth=12, frame_max=4)

"""Beat splitter: the bytes of every beat, in order, whatever the pace."""

from __future__ import annotations

import random

import cocotb
from cocotb.triggers import RisingEdge

from taylorvit.fpga.link.beat_splitter import BeatSplitter
from taylorvit.gen.verilog import emit
from taylorvit.simulation import Scoreboard, build, expect_equal, run
from verif.rtl.harness import SideBySide, on_every_block

SIZES = {"one": 1, "two": 2, "three": 3, "four": 4, "eight": 8}
BEATS = 40


def blocks():
    return {name: BeatSplitter(stream_bytes=size) for name, size in SIZES.items()}


@cocotb.test()
async def bytes_of_beats(dut):
    """Every beat leaves as its bytes, the lowest first, whatever the pace of either side."""

    async def job(view, name, seed):
        generator = random.Random(seed)
        edge = RisingEdge(view.clk)
        size = SIZES[name]
        data = generator.randbytes(BEATS * size)
        scoreboard = Scoreboard("byte", list(data))
        taken = held = 0  # beats; bytes of the one that is held
        offering = False
        for cycle in range(12 * BEATS * (size + 1)):
            offering = taken < BEATS and (offering or cycle < 20 or generator.random() < 0.5)
            beat = data[taken * size : (taken + 1) * size] if offering else generator.randbytes(size)
            ready = cycle < 20 or generator.random() < 0.5
            view.s_tvalid.value, view.s_tdata.value = offering, int.from_bytes(beat, "little")
            view.ready.value = ready
            await edge
            # A beat is taken when none is held, and held from the next cycle until its last byte has gone.
            expect_equal("valid, tready", (view.valid.value, view.s_tready.value), (held > 0, held == 0))
            if held:
                if ready:
                    scoreboard.check(int(view.data.value))
                    held -= 1
            elif offering:
                held = size
                taken += 1
                offering = False
        scoreboard.finish()

    await on_every_block(dut, blocks(), job)


def test_beat_splitter():
    block = SideBySide(blocks())
    run(build(emit(block), block.module_name), __name__)

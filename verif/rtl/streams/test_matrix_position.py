"""Matrix position: every beat of matrices of every size, against two loops."""

from __future__ import annotations

import random

import cocotb
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.streams.matrix_position import MatrixPosition
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, on_every_block

# Lanes, most tokens, largest head dimension.
SIZES = {"default": (4, 256, 64), "odd": (3, 17, 13), "one_lane": (1, 5, 9), "wide": (16, 6, 8), "smallest": (1, 1, 1)}


def blocks():
    return {
        name: MatrixPosition(lanes=lanes, max_tokens=tokens, max_head_dim=head_dim)
        for name, (lanes, tokens, head_dim) in SIZES.items()
    }


@cocotb.test()
async def every_end_is_known_a_step_ahead(dut):
    """Token, end of the row and end of the matrix are right for each beat, for matrices of every size."""

    async def job(view, name, seed):
        generator = random.Random(seed)
        edge = RisingEdge(view.clk)
        lanes, max_tokens, max_head_dim = SIZES[name]
        sizes = [(max_tokens, max_head_dim), (1, 1), (1, max_head_dim), (max_tokens, 1), (1, min(lanes, max_head_dim))]
        sizes += [(generator.randint(1, max_tokens), generator.randint(1, max_head_dim)) for _ in range(20)]
        for tokens, head_dim in sizes:
            view.tokens.value, view.head_dim.value, view.start.value = tokens, head_dim, 1
            await edge
            view.start.value = 0
            beats = -(-head_dim // lanes)
            for beat in 2 * [*range(tokens * beats)]:
                while True:
                    step = generator.random() < 0.7
                    view.step.value = step
                    await edge
                    row_last = beat % beats == beats - 1
                    position = [beat // beats, int(row_last), int(row_last and beat // beats == tokens - 1)]
                    got = [int(view.token.value), int(view.row_last.value), int(view.head_last.value)]
                    expect_equal(f"token, row_last, head_last of beat {beat} of {tokens} x {head_dim}", got, position)
                    if step:
                        break
            view.step.value = 0

    await on_every_block(dut, blocks(), job)


def test_matrix_position():
    block = SideBySide(blocks())
    run(build(emit(block), block.module_name), __name__)

"""The systolic array against numpy matrix products: tiles of any timing that it allows, streams of any length."""

from __future__ import annotations

import random

import cocotb
import numpy as np
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.array.systolic_array import SystolicArray
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import build, expect_equal, pack, parameters, run, start
from taylorvit.simulation.dsp_cells import with_dsp_models
from verif.rtl.harness import drive, element, idle_inputs, integers

SIZES = [  # rows, columns, data width, registers after the multiplier, its form, columns with Booth multipliers
    (4, 4, 8, 0, "inferred", 0), (4, 4, 4, 3, "inferred", 0), (8, 4, 8, 2, "ecp5", 0), (5, 3, 6, 3, "gowin", 2),
    (16, 8, 8, 1, "booth", 1), (4, 3, 8, 2, "ice40", 3), (16, 16, 12, 1, "inferred", 0),
]  # fmt: skip
ELEMENTS = (1, 2, 7, 8, 12, 16, 32, 50, 64, 197)  # tokens or features that stream past one tile
TILE_SETTLES = 1  # cycles after the last of a load until row 0 can be swapped


def array_of(rows, columns, data_width, pipeline, multiplier, booth_columns):
    config = AcceleratorConfig(
        name="array", rows=rows, columns=columns, data_width=data_width, max_tokens=198, max_head_dim=64,
        pe_pipeline=pipeline, multiplier=multiplier, booth_columns=booth_columns,
        stream_width=-(-data_width // 8) * 8,
    )  # fmt: skip
    return SystolicArray(
        rows=rows, columns=columns, streamed_width=config.streamed_width, stationary_width=config.data_width,
        sum_width=config.partial_sum_width, diagonal_width=config.k_hat_sum_width,
        diagonal_sum_width=config.diagonal_sum_width, pipeline=pipeline, multiplier=multiplier,
        booth_columns=booth_columns,
    )  # fmt: skip


# Benches: run inside the simulator.


class Wave:
    """Values of one input of the array, cycle by cycle; what nobody sets is random."""

    def __init__(self, generator, width, count, fill=None):
        self.generator, self.width, self.count, self.fill = generator, width, count, fill
        self.cycles = []

    def set(self, cycle, index, value):
        while len(self.cycles) <= cycle:
            self.cycles.append(
                [self.fill] * self.count if self.fill is not None else integers(self.generator, self.width, self.count)
            )
        self.cycles[cycle][index] = value

    def words(self):
        return [pack(values, self.width) for values in self.cycles]


def timed(generator, rows, elements):
    """(cycle of the load, cycle of the swap) of each pass: as early as the array allows, or somewhat later.

    A tile may begin to move in one cycle before the tile that it follows is swapped in at row 0, and be swapped in
    right after it is complete: passes of exactly R elements follow each other without a bubble.
    """
    load, swap, streamed = 0, 0, 0
    for number, count in enumerate(elements):
        slack = generator.choice((0, 0, generator.randint(0, 2 * rows)))
        load = (max(load + rows, swap - 1) if number else 0) + slack
        slack = generator.choice((0, 0, 0, generator.randint(0, 5)))
        swap = max(load + rows + TILE_SETTLES, swap + streamed) + slack
        streamed = count
        yield load, swap


@cocotb.test()
async def sums_equal_matrix_products(dut):
    """The sums that leave the array are matrix products, for tiles and streams of any timing that it allows."""
    rows, columns, *_others = parameters()["size"]
    array = array_of(*parameters()["size"])
    generator = random.Random(cocotb.RANDOM_SEED)
    await start(dut, **idle_inputs(array))
    streamed_width, stationary_width = array.streamed_width, array.row.stationary_width
    diagonal_width, diagonal_sum_width = len(array.stationary_diagonal), len(array.sum_diagonal)

    def matrix(width, *shape):
        """Random, or all minimum, or all maximum."""
        fill = generator.choice((None, None, None, -(1 << (width - 1)), (1 << (width - 1)) - 1))
        flat = integers(generator, width, int(np.prod(shape))) if fill is None else [fill] * int(np.prod(shape))
        return np.array(flat, dtype=np.int64).reshape(shape)

    # Back-to-back passes of exactly R elements first, then every length.
    elements = [rows] * 4 + generator.sample(ELEMENTS, len(ELEMENTS)) + [rows] * 3
    elements += generator.choices(ELEMENTS[:6], k=8)
    streamed, swap = Wave(generator, streamed_width, rows), Wave(generator, 1, rows, fill=0)
    load, load_first = Wave(generator, 1, 1, fill=0), Wave(generator, 1, 1, fill=0)
    stationary, diagonal = Wave(generator, stationary_width, columns), Wave(generator, diagonal_width, 1)
    expected = []  # (cycle of the first element, products of SA-General, of SA-Diag)
    for count, (load_at, swap_at) in zip(elements, timed(generator, rows, elements)):
        stream = matrix(streamed_width, count, rows)
        tile, diagonal_tile = matrix(stationary_width, rows, columns), matrix(diagonal_width, rows, 1)
        for step in range(rows):
            load.set(load_at + step, 0, 1)
            load_first.set(load_at + step, 0, int(step == 0))
            diagonal.set(load_at + step + 1, 0, int(diagonal_tile[rows - 1 - step, 0]))
            for column in range(columns):
                stationary.set(load_at + step + 2 + column, column, int(tile[rows - 1 - step, column]))
        for row in range(rows):
            swap.set(swap_at + row, row, 1)
            for position in range(count):
                streamed.set(swap_at + position + row, row, int(stream[position, row]))
        expected.append((swap_at, stream @ tile, stream @ diagonal_tile))

    inputs = {
        "streamed": streamed.words(),
        "swap": swap.words(),
        "load": [*load.words(), 0],
        "load_first": load_first.words(),
        "stationary_diagonal": diagonal.words(),
        "stationary": stationary.words(),
    }
    got = await drive(dut, inputs, ["sum", "sum_diagonal"], extra=array.latency + columns + 1)

    sum_width = array.row.sum_width
    for number, (begin, products, diagonal_products) in enumerate(expected):
        sums = [
            [
                element(got["sum"][begin + position + array.latency + 1 + column], sum_width, column)
                for column in range(columns)
            ]
            for position in range(len(products))
        ]
        expect_equal(f"sums of pass {number}", sums, products)
        # SA-Diag counts modulo 2^width: only the totals of real jobs fit.
        arrived = got["sum_diagonal"][begin + array.latency :][: len(products)]
        sums = [value.to_unsigned() for value in arrived]
        expect_equal(f"diagonal sums of pass {number}", sums, diagonal_products[:, 0] % (1 << diagonal_sum_width))


# Tests: run by pytest.


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "{}x{}-width{}-pipeline{}-{}-{}".format(*size))
def test_systolic_array(size):
    block = array_of(*size)
    result = run(build(with_dsp_models(emit(block)), block.module_name), __name__, parameters={"size": size})
    assert result.compared > (sum(ELEMENTS) + 7 * size[0]) * (size[1] + 1)

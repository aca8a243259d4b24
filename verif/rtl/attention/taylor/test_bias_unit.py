"""Bias unit against c_v v_sum in Python integers, in a model of the bias banks."""

from __future__ import annotations

import random
from collections import deque

import cocotb
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.golden.arithmetic.number_format import saturate
from taylorvit.rtl.attention.taylor.bias_unit import BiasUnit
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import PATTERNS, build, expect_equal, pattern, run
from verif.rtl.harness import SideBySide, integers, on_every_block, tile_bits

LIMIT = 20_000  # cycles of one job
CONFIGS = {
    name: AcceleratorConfig(name="bias", **sizes)
    for name, sizes in {
        "default": {"rows": 16, "columns": 8, "max_tokens": 256, "max_head_dim": 64, "multiplier": "booth"},
        "odd": {"rows": 5, "columns": 3, "data_width": 6, "max_tokens": 50, "max_head_dim": 13, "stream_width": 8},
        "wide": {"rows": 4, "columns": 4, "data_width": 12, "max_tokens": 198, "max_head_dim": 32},
        "narrow": {"rows": 2, "columns": 1, "data_width": 4, "constant_fraction": 0, "max_tokens": 2,
                   "max_head_dim": 5, "stream_width": 8},
        "few_shifts": {"rows": 2, "columns": 1, "data_width": 4, "mean_fraction": 0, "constant_fraction": 0,
                       "max_tokens": 40, "max_head_dim": 3, "stream_width": 8, "shift_z_min": -1, "shift_z_max": 9},
        "no_shift": {"rows": 2, "columns": 2, "max_tokens": 3, "max_head_dim": 3, "stream_width": 8, "shift_z_max": 6},
        "one_lane_group": {"rows": 4, "columns": 4, "max_tokens": 7, "max_head_dim": 12},
    }.items()
}  # fmt: skip
V_SUM_LATENCY = {"default": 3, "few_shifts": 3, "odd": 2, "wide": 1, "narrow": 2, "one_lane_group": 4, "no_shift": 1}


def blocks():
    return {name: BiasUnit(config, v_sum_latency=V_SUM_LATENCY[name]) for name, config in CONFIGS.items()}


@cocotb.test()
async def biases_are_products(dut):
    """The bias banks hold c_v v_sum, shifted and clipped, for heads of every size and pace."""
    await on_every_block(dut, blocks(), lambda view, name, seed: jobs(view, CONFIGS[name], V_SUM_LATENCY[name], seed))


async def jobs(view, config, v_sum_latency, seed):
    generator = random.Random(seed)
    on_their_way = deque([0] * v_sum_latency, maxlen=v_sum_latency)  # sums that were asked for
    shifts = sorted({min(shift, config.numerator_shift_max) for shift in (0, 1, 8, config.numerator_shift_max)})
    for number, head_dim in enumerate((1, 8, 12, 32, 64, config.columns, config.columns + 1, config.max_head_dim)):
        head_dim = min(head_dim, config.max_head_dim)
        c_v = generator.choice((1, (1 << config.c_v_width) - 1, generator.getrandbits(config.c_v_width)))
        activities = [generator.choice(PATTERNS) for _ in range(2)]
        await job(view, config, on_their_way, generator, head_dim, c_v, shifts[number % len(shifts)], activities)


async def job(view, config, on_their_way, generator, head_dim, c_v, shift, activities, heads=5):
    """Heads one after the other; the consumer releases each after a while; every bias is compared."""
    edge = RisingEdge(view.clk)
    view.head_dim.value, view.c_v.value, view.shift.value, view.start.value = head_dim, c_v, shift, 1
    await edge
    view.start.value = 0
    loading, releasing = (pattern(activity, generator.getrandbits(32)) for activity in activities)

    sums = deque()  # of the heads that are loaded and not done
    held = deque()  # of the heads that are done and not released
    loaded = done = 0
    banks = {}  # (column, address) -> bias
    for _ in range(LIMIT):
        load = loaded < heads and len(sums) < 2 and next(loading)
        if load:
            sums.append((loaded % 2, integers(generator, config.column_sum_width, head_dim)))
            loaded += 1
        release = bool(held) and next(releasing)
        view.v_loaded.value, view.released.value = load, release
        await edge

        # The sums are in the accumulators as long as the head is not done; the others hold anything.
        feature = int(view.read_beat.value) * config.stream_lanes + int(view.read_lane.value)
        half = int(view.read_half.value)
        words = next((words for at, words in sums if at == half), [])
        [anything] = integers(generator, config.column_sum_width, 1)
        on_their_way.append(words[feature] if feature < len(words) else anything)
        view.v_sum.value = on_their_way[0]

        if release:
            held.popleft()
        if view.write__valid.value:
            address = int(view.write__address.value)
            column = -int(view.write__offset.value) % (1 << len(view.write__offset))
            half = address >> tile_bits(config.column_tiles)
            expect_equal("the half being written is free", half not in [at for at, _ in held], True)
            banks[column, address] = view.write__data.value.to_signed()
        if view.done.value:
            half, words = sums.popleft()
            expected = [saturate((c_v * word) << shift, config.aligned_bias_width) for word in words]
            got = [
                banks[feature % config.columns, half << tile_bits(config.column_tiles) | feature // config.columns]
                for feature in range(head_dim)
            ]
            expect_equal(f"biases of head {done}, d = {head_dim}, c_v = {c_v}, shift = {shift}", got, expected)
            held.append((half, words))
            done += 1
        if done == heads and not held:
            break
    view.released.value = 0
    expect_equal("heads done", (done, len(held)), (heads, 0))


def test_bias_unit():
    block = SideBySide(blocks())
    run(build(emit(block), block.module_name), __name__)

"""Norm scheduler: every token of every tile once, with its own numbers, from when it may.

The bench stands in for the tile loader, the retirement queue, the norm statistics and the columns. A model says for
every cycle what the block must show.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import replace

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.common.widths import index_width
from taylorvit.rtl.network.bundles import sequence_width
from taylorvit.rtl.network.command import Flag
from taylorvit.rtl.network.norm_scheduler import NormScheduler
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, expect_members, on_every_block, ports_of

from .products import CONFIGS, random_product

FIRST = 2  # cycles from `start` to the first token, whose numbers come `read_latency` cycles later; one more to `norm`
LIMIT = 3000  # cycles of a LayerNorm
NUMBERS = 1 << sequence_width
SCHEDULED = CONFIGS | {
    f"{name}_{lanes}": replace(CONFIGS[name], norm_lanes=lanes)
    for name, lanes in (("array_5x3", 1), ("array_8x4", 2), ("array_16x8", 1))
}
READ_LATENCY = {name: 1 + config.memory_pipeline for name, config in SCHEDULED.items()}


def blocks():
    return {name: NormScheduler(config, read_latency=READ_LATENCY[name]) for name, config in SCHEDULED.items()}


# Benches: run inside the simulator.


def tokens_of(config, product, address_width, destination_width):
    """Members of NormControl for every token of every tile, in their order, and the token."""
    tokens, address_mask, mask = product.norm_rows, (1 << address_width) - 1, (1 << destination_width) - 1
    for tile in range(product.norm_tiles):
        place = tile * config.columns
        base = product.source_base + place // config.rows * tokens
        for token in range(tokens):
            yield token, {
                "valid": 1, "address": tile * product.norm_stride + token & address_mask, "tile": tile,
                "norm_shift": product.norm_shift, "bank": place % config.rows, "destination": base + token & mask,
                "following": base + tokens + token & mask, "finish": int(token == tokens - 1),
            }  # fmt: skip


def apart(config):
    """Least cycles from the first token of a tile to that of the next one."""
    return config.columns if config.rows % config.columns else 1


def without_a_bubble(config, product):
    """Cycles of all tokens, from that of the first."""
    interval = config.columns_per_lane
    spacing = max(product.norm_rows * interval, apart(config))
    return [
        tile * spacing + token * interval for tile in range(product.norm_tiles) for token in range(product.norm_rows)
    ]


async def layer_norm(view, config, latency, generator, product, number, pace):
    """One LayerNorm; returns the cycles of its tokens, from `start` on."""
    edge = RisingEdge(view.clk)
    chance, write_delay, unfinished = pace
    widths = {port: width for port, (width, _incoming) in ports_of(NormScheduler(config, read_latency=latency)).items()}
    numbers = [
        {name: generator.getrandbits(widths[name]) for name in ("factor", "offset", "right_shift")}
        for _ in range(1 << index_width(config.max_tokens))
    ]
    expected = deque(tokens_of(config, product, widths["norm__address"], widths["norm__destination"]))
    asked = deque([None] * latency)  # tokens whose numbers are on their way
    shown = deque([None] * (latency + 1))  # members of `norm` in the next cycles
    begun, written, finished = None, 0, number - unfinished
    ready = product.norm_rows if unfinished else 0  # tokens of the residual addition before, until there are new ones
    writes = deque()  # cycles in which a tile is written
    idle, waiting, running = True, False, False
    next_tile = next_token = 0  # cycles from which the next tile may begin, and the next token be sent
    cycles = []
    for cycle in range(LIMIT):
        start = cycle == 0
        was_ready = ready
        if finished < number and generator.random() < chance:
            finished += 1
            if finished == number:
                ready = 0
        if finished == number and ready < product.norm_rows and generator.random() < chance:
            ready += 1
        view.start.value = start
        view.product.value, view.product_number.value = product.bits, number % NUMBERS
        view.finished.value, view.ready.value = finished % NUMBERS, ready
        tile_written = bool(writes) and writes[0] <= cycle
        view.tile_written.value = tile_written
        now = asked.popleft()
        for name in ("factor", "offset", "right_shift"):
            width = widths[name]
            getattr(view, name).value = generator.getrandbits(width) if now is None else numbers[now][name]
        await edge

        expect_equal("idle", bool(view.idle.value), idle)
        expect_equal("written", int(view.written.value), (1 << widths["written"]) - 1 if idle else written)
        members = shown.popleft()
        expect_members(view, "norm", members or {"valid": 0, "finish": 0}, f"cycle {cycle} of {product}")
        if members:
            cycles.append(cycle)
        asked.append(int(view.token.value))
        issue = (
            running and was_ready > expected[0][0] and (expected[0][0] or cycle >= next_tile) and cycle >= next_token
        )
        if issue:
            token, members = expected.popleft()
            next_token = cycle + config.columns_per_lane
            if token == 0:
                next_tile = cycle + apart(config)
            members = members | numbers[token]
            expect_equal("token", int(view.token.value), token)
            if members["finish"]:
                running = bool(expected)
                soonest = writes[-1] + 1 if writes else 0
                writes.append(max(soonest, cycle + latency + 3 + generator.randint(0, write_delay)))
        shown.append(members if issue else None)
        if waiting and finished == number:
            waiting, running = False, True
        if tile_written:
            writes.popleft()
            written += config.columns
            idle = not writes and not expected
        if start:
            waiting, idle, begun = True, False, cycle
        if idle and begun is not None and not any(shown):
            break
    view.tile_written.value = 0
    await edge
    expect_equal("tokens that are left", len(expected), 0)
    expect_equal("idle", bool(view.idle.value), True)
    return cycles


async def on_every_scheduler(dut, paces):
    """LayerNorms one after another; `check` sees the cycles of the tokens."""

    async def jobs(view, name, seed):
        config, generator = SCHEDULED[name], random.Random(seed)
        number = 0
        for pace, check in paces(generator):
            product = random_product(config, generator, flags=Flag.NORM)
            cycles = await layer_norm(view, config, READ_LATENCY[name], generator, product, number, pace)
            expect_equal("tokens", len(cycles), product.norm_tiles * product.norm_rows)
            if check:
                first = FIRST + READ_LATENCY[name] + 1
                expected = [first + cycle for cycle in without_a_bubble(config, product)]
                expect_equal("cycles of the tokens", cycles, expected)
            number += generator.randint(1, 3)

    await on_every_block(dut, blocks(), jobs)


@cocotb.test()
async def every_token_in_order_and_none_too_early(dut):
    """Products before, tokens and writes come at random paces."""

    def paces(generator):
        for _ in range(12):
            pace = generator.choice((0.1, 0.5, 1)), generator.choice((0, 5, 40)), generator.randint(0, 3)
            yield pace, False

    await on_every_scheduler(dut, paces)


@cocotb.test()
async def tokens_follow_each_other_without_a_bubble(dut):
    """With all tokens prepared in time, one leaves in every cycle in which a lane is free, across tiles, too."""
    await on_every_scheduler(dut, lambda _generator: [((1, 3, 0), True)] * 6)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize(
    "testcase", ["every_token_in_order_and_none_too_early", "tokens_follow_each_other_without_a_bubble"]
)
def test_norm_scheduler(simulation, testcase):
    run(simulation, __name__, testcase=testcase)

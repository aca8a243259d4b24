"""Division scheduler: every row in its turn, not too early, and its quotients to their place, whatever comes when."""

from __future__ import annotations

import random
from math import ceil

import cocotb
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.attention.softmax.division_scheduler import DivisionScheduler
from taylorvit.rtl.attention.softmax.spec import query_blocks
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, bits, on_every_block, tile_bits

from .configurations import CONFIGS

LIMIT = 60_000  # cycles of one job
WRITE_BACK = 7  # cycles from a row's `divide` to its `write_back`
HALVES = 2


def blocks():
    return {name: DivisionScheduler(config, write_back_delay=WRITE_BACK) for name, config in CONFIGS.items()}


def rows_of(config, tokens, head_dim, heads):
    """Head, address in the Z buffer, and whether it is the last of its head, of each row in its turn."""
    lengths = query_blocks(tokens, config.query_block or config.max_tokens)
    column_tiles, token_bits = ceil(head_dim / config.columns), bits(config.max_tokens)
    tile_width = tile_bits(ceil(config.max_head_dim / config.columns))
    for head in range(heads):
        base = 0
        for length in lengths:
            for column_tile in range(column_tiles):
                for query in range(length):
                    address = ((head % HALVES) << tile_width | column_tile) << token_bits | base + query
                    last = base + query == tokens - 1 and column_tile == column_tiles - 1
                    yield head, address, last
            base += length


async def job(view, config, generator, tokens, head_dim, heads, busy):
    """Runs one job, with rows that come and heads that are sent in a part `busy` of the cycles in which they can."""
    edge = RisingEdge(view.clk)
    every_row = list(rows_of(config, tokens, head_dim, heads))
    view.tokens.value, view.head_dim.value, view.start.value = tokens, head_dim, 1
    await edge
    view.start.value = 0
    queued = started = written = sent = finished = 0
    last_start, expected = -LIMIT, {}
    for cycle in range(LIMIT):
        room = queued < len(every_row) and queued - started < config.row_queue_depth
        queue, send = room and generator.random() < busy, finished > sent and generator.random() < busy
        view.row_queued.value, view.z_released.value = queue, send
        await edge
        queued, sent = queued + queue, sent + send
        if view.divide__start.value:
            head, address, last = every_row[started]
            expect_equal("row is queued", started < queued, True)
            expect_equal("cycles between rows", cycle - last_start >= config.divider_row_interval, True)
            expect_equal(f"a half of Z is free for head {head}", head - sent < HALVES, True)
            expect_equal("queue_address", int(view.divide__queue_address.value), started % config.row_queue_depth)
            expected[cycle + WRITE_BACK] = address, last
            started, last_start = started + 1, cycle
        expect_equal("row_divided", int(view.row_divided.value), int(view.divide__start.value))
        address, last = expected.get(cycle, (None, False))
        got = bool(view.write_back__write.value), bool(view.write_back__head_end.value)
        expect_equal("write_back write, head_end", got, (address is not None, last))
        if address is not None:
            expect_equal("write_back address", int(view.write_back__address.value), address)
            written, finished = written + 1, finished + last
        if written == len(every_row) and sent == heads:
            break
    view.row_queued.value = view.z_released.value = 0
    expect_equal("rows that were written back", written, len(every_row))


@cocotb.test()
async def every_row_in_its_turn(dut):
    """Jobs of several sizes, with rows that wait already and rows that are waited for."""

    async def jobs(view, name, seed):
        config, generator = CONFIGS[name], random.Random(seed)
        tokens, head_dim = config.max_tokens, config.max_head_dim
        sizes = [(tokens, head_dim, 3), (1, 1, 4)]
        sizes += [(generator.randint(1, tokens), generator.randint(1, head_dim), 3) for _job in range(3)]
        for size in sizes:
            for busy in (1, 0.1):
                await job(view, config, generator, *size, busy=busy)

    await on_every_block(dut, blocks(), jobs)


def test_division_scheduler():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared > 5000

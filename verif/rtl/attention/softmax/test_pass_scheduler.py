"""Pass scheduler with its three engines: every tile and element in its place, whatever the others take their time for.

The bench stands in for loaders, banks of scores, row queue and divider, each of which answers after a random time. The
elements of each of the two products come in one order, known from the sizes alone; which product is next depends on
what has arrived, and the bench checks that it had.
"""

from __future__ import annotations

import random
from collections import deque
from math import ceil, gcd, lcm
from typing import NamedTuple

import cocotb
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.attention.softmax.bundles import Phase
from taylorvit.rtl.attention.softmax.pass_scheduler import PassScheduler
from taylorvit.rtl.attention.softmax.spec import query_blocks
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, bits, expect_members, on_every_block, tile_bits

from .configurations import CONFIGS

LIMIT = 60_000  # cycles of one job
LOAD_LATENCY = 3
LOAD_LATER = LOAD_LATENCY - 1  # cycles from a row in `load_control` to its `load`


def blocks():
    return {name: PassScheduler(config, load_latency=LOAD_LATENCY) for name, config in CONFIGS.items()}


class Block(NamedTuple):
    """A block of queries."""

    number: int
    head: int
    base: int
    length: int
    last: bool


def blocks_of(config, tokens, heads):
    lengths = query_blocks(tokens, config.query_block or config.max_tokens)
    places = [
        (head, sum(lengths[:index]), length, index == len(lengths) - 1)
        for head in range(heads)
        for index, length in enumerate(lengths)
    ]
    return [Block(number, *place) for number, place in enumerate(places)]


def passes_of(config, phase, tokens, head_dim):
    """Column tile, tile, first and last of the sum, last of all: of one product."""
    summed, columns = (head_dim, tokens) if phase == Phase.SCORES else (tokens, head_dim)
    tiles, column_tiles = ceil(summed / config.rows), ceil(columns / config.columns)
    for column_tile in range(column_tiles):
        for tile in range(tiles):
            last = tile == tiles - 1
            yield column_tile, tile, tile == 0, last, last and column_tile == column_tiles - 1


def address(*fields):
    """Fields of an address from the highest one down, each with its bits."""
    word = 0
    for value, width in fields:
        word = word << width | value
    return word


def rows_of(config, phase, tokens, head_dim, every_block):
    """Of each row of each tile: members of `load_control`, without an address where the row is blank."""
    lanes, rows = config.stream_lanes, config.rows
    size = head_dim if phase == Phase.SCORES else tokens
    for block in every_block:
        for column_tile, tile, _first, _last, end in passes_of(config, phase, tokens, head_dim):
            for row in reversed(range(rows)):
                element = tile * rows + row
                members = {
                    "phase": phase,
                    "blank": element >= size,
                    "release": end and block.last and row == 0,
                }
                half = block.head % 2, 1
                if element < size and phase == Phase.SCORES:
                    beat = element // lanes, tile_bits(ceil(config.max_head_dim / lanes))
                    key_tile = column_tile, tile_bits(ceil(config.max_tokens / config.columns))
                    members |= {"address": address(half, key_tile, beat), "lane": element % lanes}
                elif element < size:
                    value_tile = column_tile, tile_bits(ceil(config.max_head_dim / config.columns))
                    members |= {"address": address(half, value_tile, (element, bits(config.max_tokens)))}
                yield members


def elements_of(config, phase, tokens, head_dim, every_block):
    """Of each element: its block, whether it is its first, members of `stream_control`, address of its maximum."""
    rows, columns = config.rows, config.columns
    longest = config.query_block or config.max_tokens
    common = gcd(rows, columns)
    period = rows // common if phase == Phase.SCORES else columns // common
    score_tile_bits = tile_bits(ceil(config.max_tokens / lcm(rows, columns)))
    queued = 0
    for block in every_block:
        for column_tile, tile, first, last, end in passes_of(config, phase, tokens, head_dim):
            number = column_tile if phase == Phase.SCORES else tile
            for query in range(block.length):
                is_last = query == block.length - 1
                place = (block.number % 2, 1), (number // period, score_tile_bits), (query, bits(longest))
                members = {
                    "phase": phase,
                    "swap": query == 0,
                    "release": end and is_last and block.last,
                    "accumulate__first": first,
                    "accumulate__last": last,
                    "accumulate__phase": phase,
                    "accumulate__index": query,
                }
                if phase == Phase.SCORES:
                    row_tile = tile, tile_bits(ceil(config.max_head_dim / rows))
                    token = block.base + query, bits(config.max_tokens)
                    members |= {
                        "address": address((block.head % 2, 1), row_tile, token),
                        "accumulate__address": address(*place),
                        "accumulate__part": number % period,
                        "score_tile__half": block.number % 2,
                        "score_tile__first": column_tile == 0,
                        "score_tile__finish": end and is_last,
                        "score_tile__left": min(columns, tokens - column_tile * columns),
                    }
                else:
                    members |= {"address": address(*place), "bank": number % period}
                    if last:
                        members["accumulate__address"] = queued % config.row_queue_depth
                        queued += 1
                begins = query == 0 and tile == 0 and column_tile == 0
                yield block, begins, members, address((block.number % 2, 1), (query, bits(longest)))


class Answers:
    """What one neighbour still has to tell, each some cycles later than the one before."""

    def __init__(self, generator, longest):
        self.generator, self.longest, self.due = generator, longest, deque()

    def add(self, cycle):
        due = cycle + self.generator.randint(1, 1 + self.longest)
        self.due.append(max(due, self.due[-1] + 1) if self.due else due)

    def come(self, cycle):
        if self.due and self.due[0] <= cycle:
            self.due.popleft()
            return True
        return False


async def job(view, config, generator, tokens, head_dim, heads, longest):
    """Runs one job with neighbours that take up to `longest` cycles, and checks all that is issued."""
    edge = RisingEdge(view.clk)
    every_block = blocks_of(config, tokens, heads)
    rows = {phase: rows_of(config, phase, tokens, head_dim, every_block) for phase in Phase}
    elements = {phase: elements_of(config, phase, tokens, head_dim, every_block) for phase in Phase}
    left = {phase: sum(1 for _element in elements_of(config, phase, tokens, head_dim, every_block)) for phase in Phase}
    ports = ("q_loaded", "k_loaded", "v_loaded", "scores_ready", "row_divided")
    answers = {port: Answers(generator, longest) for port in ports}
    arrived, begun = dict.fromkeys(ports, 0), dict.fromkeys(Phase, 0)
    view.tokens.value, view.head_dim.value, view.heads.value, view.start.value = tokens, head_dim, heads, 1
    await edge
    view.start.value = 0
    sent, queued, busy = dict.fromkeys(ports[:3], 0), 0, 0
    controls = deque(maxlen=LOAD_LATER)
    for cycle in range(LIMIT):
        for port in ports[:3]:  # two heads are in each loader: the one that is used, and the next
            phase = Phase.VALUES if port == "v_loaded" else Phase.SCORES
            used = every_block[begun[phase] - 1].head if begun[phase] else 0
            while sent[port] < min(heads, used + 2):
                answers[port].add(cycle)
                sent[port] += 1
        for port in ports:
            come = answers[port].come(cycle)
            arrived[port] += come
            getattr(view, port).value = come
        await edge
        if view.load.value and len(controls) == LOAD_LATER:
            got = controls[0]
            expected = next(rows[Phase(got["phase"])])
            expect_equal(
                f"row of a tile, {', '.join(expected)}",
                [got[name] for name in expected],
                [int(value) for value in expected.values()],
            )
        controls.append(
            {
                name: int(getattr(view, f"load_control__{name}").value)
                for name in ("phase", "address", "lane", "blank", "release")
            }
        )
        if view.stream_control__accumulate__valid.value:
            busy += 1
            phase = Phase(int(view.stream_control__phase.value))
            block, begins, members, maximum = next(elements[phase])
            left[phase] -= 1
            expect_members(view, "stream_control", members, f"{phase.name} of {block}")
            if begins:
                begun[phase] += 1
                needed = ("q_loaded", "k_loaded") if phase == Phase.SCORES else ("v_loaded",)
                for name in needed:
                    expect_equal(f"{name} before {phase.name} of {block}", arrived[name] > block.head, True)
                if phase == Phase.SCORES:
                    expect_equal(f"half of scores free for {block}", begun[Phase.VALUES] >= block.number - 1, True)
                else:
                    expect_equal(f"scores of {block} are there", arrived["scores_ready"] > block.number, True)
            if phase == Phase.VALUES:
                expect_equal(f"maximum of {block}", int(view.maximum_address.value), maximum)
                if members["accumulate__last"]:
                    queued += 1
                    answers["row_divided"].add(cycle + config.rows)
            elif members["score_tile__finish"]:
                answers["scores_ready"].add(cycle + config.rows)
            expect_equal("rows in the queue", queued - arrived["row_divided"] <= config.row_queue_depth, True)
        expect_equal(
            "an element, or a stall, or neither",
            bool(view.array_busy.value) + bool(view.stall_input.value or view.stall_output.value) <= 1,
            True,
        )
        if not any(left.values()):
            break
    expect_equal("elements that did not come", sum(left.values()), 0)
    expect_equal("cycles of array work", busy, heads * config.array_cycles(tokens, head_dim))
    while arrived["row_divided"] < queued:
        cycle += 1
        come = answers["row_divided"].come(cycle)
        arrived["row_divided"] += come
        view.row_divided.value = come
        await edge
    view.row_divided.value = 0
    for _cycle in range(4):
        await edge


@cocotb.test()
async def every_pass_in_its_place(dut):
    """Jobs of several sizes, with neighbours that answer at once and ones that take their time."""

    async def jobs(view, name, seed):
        config, generator = CONFIGS[name], random.Random(seed)
        tokens, head_dim = config.max_tokens, config.max_head_dim
        sizes = [(tokens, head_dim, 2), (1, 1, 3), (min(tokens, config.rows + 1), head_dim, 3)]
        sizes += [(generator.randint(1, tokens), generator.randint(1, head_dim), 3) for _job in range(2)]
        for index, size in enumerate(sizes):
            await job(view, config, generator, *size, longest=(0, 25, 200)[index % 3])

    await on_every_block(dut, blocks(), jobs)


def test_pass_scheduler():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared > 5000

"""Division scheduler: a checker of every row that enters the divider array and of where its quotients go.

The bench stands in for the loaders, the array, the bias unit and the sender, each with a pace of its own. The checker
knows which rows must come, when each may, and the cycle in which each element of it must be addressed.
"""

from __future__ import annotations

import itertools
import random
from bisect import bisect_left
from collections import deque

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.attention.accumulator_array import AccumulatorArray
from taylorvit.rtl.attention.division_scheduler import DivisionScheduler
from taylorvit.rtl.attention.taylor.array_column import ArrayColumn
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import PATTERNS, build, expect_equal, pattern, run
from verif.rtl.harness import SideBySide, bits, on_every_block, tile_bits

LIMIT = 60_000  # cycles of one job
DECIDED = 1  # cycles from the scheduler's choice of a row to its `divide`
CONFIGS = {
    name: AcceleratorConfig(name="divisions", **sizes)
    for name, sizes in {
        "array_4x4": {"rows": 4, "columns": 4, "max_tokens": 64, "max_head_dim": 16},
        "array_5x3": {"rows": 5, "columns": 3, "max_tokens": 50, "max_head_dim": 13, "stream_width": 8,
                      "divider_interval": 1},
        "array_8x4": {"rows": 8, "columns": 4, "max_tokens": 16, "max_head_dim": 32, "divider_interval": 12},
        "array_16x8": {"rows": 16, "columns": 8, "max_tokens": 198, "max_head_dim": 64},
        "array_16x16": {"rows": 16, "columns": 16, "data_width": 12, "max_tokens": 256, "max_head_dim": 64},
        "array_2x1": {"rows": 2, "columns": 1, "max_tokens": 1, "max_head_dim": 1, "stream_width": 8},
    }.items()
}  # fmt: skip


def delays_of(config):
    """The delays that `DivisionScheduler` is built with in the accelerator."""
    column = ArrayColumn(config)
    sums = AccumulatorArray(lanes=1, beats=1, data_width=1, sum_width=1, memory_pipeline=config.memory_pipeline)
    return {
        "k_sum_delay": 1 + column.k_sum_delay,
        "k_sum_latency": sums.read_latency,
        "write_back_delay": 1 + column.write_back_delay,
    }


def blocks():
    return {name: DivisionScheduler(config, **delays_of(config)) for name, config in CONFIGS.items()}


# Benches: run inside the simulator.


class Checker:
    """One job: the rows still to come, and what is to be seen in later cycles."""

    def __init__(self, view, config, tokens, head_dim, heads):
        self.view, self.config = view, config
        self.head_dim = head_dim
        column_tiles = range(-(-head_dim // config.columns))
        self.means = deque((head, tile) for head in range(heads) for tile in column_tiles)
        self.rows = deque(itertools.product(range(heads), column_tiles, range(tokens)))
        self.row_ends = {(head, column_tiles[-1], tokens - 1) for head in range(heads)}
        self.delays = delays_of(config)
        self.queue_address = 0
        # Cycles in which each event came, by head or one after the other.
        self.came = {name: [] for name in ("k_loaded", "bias_ready", "row_queued", "z_released")}
        self.rows_begun, self.means_begun = [], []  # (cycle, head)
        self.heads_ended, self.means_ended = [], []
        self.last_row, self.last_mean = -config.divider_interval - 100, -config.columns
        # What is expected in a later cycle.
        self.k_sums, self.write_backs, self.mean_writes = {}, {}, {}

    def check(self, cycle):
        view, config = self.view, self.config
        started = bool(view.divide__start.value)
        mean = started and bool(view.divide__mean.value)
        expect_equal("row_divided", view.row_divided.value, started and not mean)
        if started:
            expect_equal("cycles between rows", cycle - self.last_row >= config.divider_row_interval, True)
            self.last_row = cycle
        if mean:
            self.start_mean(cycle)
        elif started:
            self.start_row(cycle)

        # The elements of a row of means pass one a cycle, in columns that work one after the other.
        place = self.k_sums.pop(cycle, None)
        if place is not None:
            half, feature = place
            got = int(view.k_sum_half.value), int(view.k_sum_beat.value), int(view.k_sum_lane.value)
            expected = half, feature // config.stream_lanes, feature % config.stream_lanes
            if feature < config.max_beats_per_row * config.stream_lanes:
                expect_equal(f"k_sum of feature {feature}", got, expected)
        expected = self.write_backs.pop(cycle, (0, 0, 0, 0))
        got = tuple(
            int(getattr(view, f"write_back__{name}").value) for name in ("write", "head_end", "mean", "mean_end")
        )
        expect_equal("write_back write, head_end, mean, mean_end", got, expected[:4])
        if expected[0]:
            expect_equal("write_back address", int(view.write_back__address.value), expected[4])
        if expected[1]:
            self.heads_ended.append(cycle)
        place = self.mean_writes.pop(cycle, None)
        expect_equal("mean_write", view.mean_write.value, place is not None)
        if place is not None:
            address, last = place
            expect_equal("mean_address", int(view.mean_address.value), address)
            if last:
                self.means_ended.append(cycle)
        expect_equal("mean_ready", view.mean_ready.value, place is not None and place[1])

    def start_mean(self, cycle):
        config = self.config
        expect_equal("a row of means is left", bool(self.means), True)
        head, tile = self.means.popleft()
        expect_equal(f"k_sum of head {head} is complete", len(self.came["k_loaded"]) > head, True)
        expect_equal("cycles between rows of means", cycle - self.last_mean >= config.columns, True)
        self.last_mean = cycle
        self.means_begun.append((cycle, head))
        last = not self.means or self.means[0][0] != head
        written = cycle + self.delays["write_back_delay"]
        self.write_backs[written] = (0, 0, 1, int(last))
        for column in range(config.columns):
            feature = tile * config.columns + column
            asked = cycle + self.delays["k_sum_delay"] - self.delays["k_sum_latency"] + column
            self.k_sums[asked] = head % 2, feature
            address = (head % 2) << bits(config.column_tiles * config.columns) | feature
            self.mean_writes[written + 1 + column] = address, last and column == config.columns - 1

    def start_row(self, cycle):
        config, view = self.config, self.view
        expect_equal("a row is left", bool(self.rows), True)
        row = head, tile, token = self.rows.popleft()
        chosen = cycle - DECIDED
        queued = bisect_left(self.came["row_queued"], chosen)
        expect_equal(f"row {row} is in the row queue", queued > len(self.rows_begun), True)
        self.rows_begun.append((cycle, head))
        expect_equal(f"biases of head {head} are there", len(self.came["bias_ready"]) > head, True)
        if head >= 2:
            expect_equal(f"Z has a free half for head {head}", len(self.came["z_released"]) > head - 2, True)
        # Means first: no head can begin without them.
        could = bool(self.means) and cycle - self.last_mean >= config.columns
        pending = could and self.means[0][0] < bisect_left(self.came["k_loaded"], chosen)
        expect_equal(f"row {row} while a row of means could start", pending, False)
        expect_equal("queue_address", int(view.divide__queue_address.value), self.queue_address)
        self.queue_address = (self.queue_address + 1) % config.row_queue_depth
        bias = (head % 2) << tile_bits(config.column_tiles) | tile
        expect_equal("bias_address", int(view.divide__bias_address.value), bias)
        address = bias << bits(config.max_tokens) | token
        self.write_backs[cycle + self.delays["write_back_delay"]] = (1, int(row in self.row_ends), 0, 0, address)


async def job(view, config, generator, tokens, head_dim, heads, paces):
    """Runs one job; `paces` are the patterns of those who answer."""
    edge = RisingEdge(view.clk)
    view.tokens.value, view.head_dim.value, view.start.value = tokens, head_dim, 1
    await edge
    view.start.value = 0
    checker = Checker(view, config, tokens, head_dim, heads)
    column_tiles = -(-head_dim // config.columns)
    all_rows = heads * column_tiles * tokens
    active = {name: pattern(pace, generator.getrandbits(32)) for name, pace in zip(checker.came, paces)}
    counts = dict.fromkeys(checker.came, 0)
    quiet = 0
    for cycle in range(LIMIT):
        ended = len(checker.heads_ended)
        may = {
            # Two halves of K, of the biases and of Z; the row queue; G of a head comes after its means.
            "k_loaded": counts["k_loaded"] < min(heads, len(checker.means_ended) + 2),
            "bias_ready": counts["bias_ready"] < min(heads, ended + 2),
            "row_queued": counts["row_queued"]
            < min(
                all_rows,
                len(checker.rows_begun) + config.row_queue_depth,
                len(checker.means_ended) * column_tiles * tokens,
            ),
            "z_released": counts["z_released"] < ended,
        }
        for name, allowed in may.items():
            event = allowed and next(active[name])
            getattr(view, name).value = event
            counts[name] += event
            may[name] = event
        await edge
        checker.check(cycle)
        for name, event in may.items():
            if event:
                checker.came[name].append(cycle)
        finished = counts["z_released"] == heads and not (checker.rows or checker.means or checker.mean_writes)
        quiet = quiet + 1 if finished else 0
        if quiet > 2 * config.columns + 40:
            break
    expect_equal("rows left", (len(checker.rows), len(checker.means)), (0, 0))
    expect_equal("heads ended", (len(checker.heads_ended), len(checker.means_ended)), (heads, heads))
    expect_equal("nothing is left", (checker.k_sums, checker.write_backs, checker.mean_writes) == ({}, {}, {}), True)
    return checker


async def on_every_scheduler(dut, jobs):
    """Runs `jobs(view, config, generator)` on all schedulers at once."""
    await on_every_block(dut, blocks(), lambda view, name, seed: jobs(view, CONFIGS[name], random.Random(seed)))


@cocotb.test()
async def every_row_once_and_in_its_time(dut):
    """Every row enters once, when it may, and its elements are addressed in their cycles."""

    async def jobs(view, config, generator):
        sizes = [(1, 1), (50, config.max_head_dim), (2, 8), (7, 12), (16, 5), (197, 13), (3, 64),
                 (config.max_tokens, 1), (config.rows, config.columns), (4, 1 + config.columns)]  # fmt: skip
        sizes += [(generator.randint(1, 30), generator.randint(1, 30)) for _ in range(4)]
        for tokens, head_dim in sizes:
            tokens, head_dim = min(tokens, config.max_tokens), min(head_dim, config.max_head_dim)
            rows = tokens * -(-head_dim // config.columns) * config.divider_row_interval
            heads = 2 if rows > 300 else 5
            paces = [generator.choice(PATTERNS if rows < 300 else ("always", "random", "bursts")) for _ in range(4)]
            await job(view, config, generator, tokens, head_dim, heads, paces)

    await on_every_scheduler(dut, jobs)


@cocotb.test()
async def rows_follow_each_other_at_the_interval(dut):
    """While rows and biases are there, rows of a head enter exactly at the interval of the divider."""

    async def jobs(view, config, generator):
        tokens, head_dim = min(40, config.max_tokens), min(20, config.max_head_dim)
        checker = await job(view, config, generator, tokens, head_dim, 3, ["always"] * 4)
        starts = sorted(
            [(cycle, head, "row") for cycle, head in checker.rows_begun]
            + [(cycle, head, "mean") for cycle, head in checker.means_begun]
        )
        gaps = [
            later - cycle
            for (cycle, *row), (later, *next_row) in itertools.pairwise(starts)
            if row == next_row and row[1] == "row"
        ]
        expect_equal("cycles between rows of a head", gaps, [config.divider_row_interval] * len(gaps))

    await on_every_scheduler(dut, jobs)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize("testcase", ["every_row_once_and_in_its_time", "rows_follow_each_other_at_the_interval"])
def test_division_scheduler(simulation, testcase):
    run(simulation, __name__, testcase=testcase)

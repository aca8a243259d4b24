"""Pass scheduler: a checker of what it may and must do, whatever the blocks around it take their time for.

The bench stands in for everything else: loaders, dividers of means, the G buffer, the row queue. Each answers after a
delay of its own, as soon as it may or much later. Independent of any data, the checker follows each tile and element
that is issued and knows of every pass that must come.
"""

from __future__ import annotations

import random
from collections import deque

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.attention.taylor.array_column import ArrayColumn
from taylorvit.rtl.attention.taylor.operand_row import OperandRow
from taylorvit.rtl.common.bundles import Phase
from taylorvit.rtl.schedule.pass_scheduler import PassScheduler
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, expect_members, on_every_block
from verif.rtl.models import passes_of_product

from .configurations import CONFIGS

LIMIT = 60_000  # cycles of one job
TILE_SETTLES = 1  # cycles after the last of a load until row 0 of the array can be swapped


def blocks():
    return {name: PassScheduler(config, load_latency=load_latency(config)) for name, config in CONFIGS.items()}


def load_latency(config):
    return ArrayColumn(config).load_latency


# Benches: run inside the simulator.


class Delays:
    """Answers of one neighbour: each event comes back after a delay, in order, `spacing` cycles apart at least."""

    def __init__(self, generator, shortest, longest, spacing=1):
        self.generator = generator
        self.range = shortest, longest
        self.spacing = spacing
        self.due = deque()

    def add(self, cycle):
        """An event of this cycle is to be answered."""
        due = cycle + self.generator.randint(*self.range)
        self.due.append(max(due, self.due[-1] + self.spacing if self.due else due))

    def answer(self, cycle):
        """Whether an answer comes in this cycle."""
        if self.due and self.due[0] <= cycle:
            self.due.popleft()
            return True
        return False


class Checker:
    """One job: what was promised to the scheduler, what it has issued, and what is still to come."""

    def __init__(self, view, config, tokens, head_dim, heads):
        self.view, self.config = view, config
        column = ArrayColumn(config)
        self.load_later = column.load_latency - 1  # cycles from a tile's row in `load_control` to its `load`
        self.reuse = column.accumulator.latency  # cycles after which an index may return to the partial sums
        self.tokens, self.head_dim, self.heads = tokens, head_dim, heads
        self.arrived = dict.fromkeys(("q_loaded", "k_loaded", "v_loaded", "mean_ready", "g_written"), 0)
        self.begun = {Phase.G: 0, Phase.QG: 0}  # products begun
        self.products = []  # (phase, head) in the order of their loads
        self.coming = deque()  # passes of the product being loaded
        self.row = 0  # rows of the tile loaded so far
        self.loaded = deque()  # passes whose tiles have begun to move in, not yet streaming
        self.load_starts = []
        self.swaps = []  # cycle of the array in which each pass is swapped in
        self.streaming, self.position = None, 0
        self.index_used = {}  # index -> cycle
        self.last_tile_left = {}  # head -> cycle in which the last row of its last tile of G was read
        self.queue_address = 0
        self.queued = 0  # rows in the row queue
        self.counts = {"busy": 0, "stall_input": 0, "stall_output": 0}
        self.busy_cycles = []

    def load(self, cycle, control, first):
        """One row of a tile, whose `load` is in this cycle and whose `load_control` came before it."""
        config = self.config
        phase, address, blank, release = control
        expect_equal("load_first", first, self.row == 0)
        if self.row == 0:
            if not self.coming:
                head = self.begun[phase]
                expect_equal(f"a head is left for phase {phase}", head < self.heads, True)
                self.begun[phase] += 1
                self.products.append((phase, head))
                needed = ("k_loaded", "v_loaded") if phase == Phase.G else ("q_loaded", "g_written")
                for name in needed:
                    expect_equal(f"{name} of head {head} before its product", self.arrived[name] > head, True)
                self.coming.extend(passes_of_product(config, phase, head, self.tokens, self.head_dim))
            # A tile may move in from one cycle before the swap of the tile ahead of it.
            expect_equal("tiles moving in and not swapped in", len(self.loaded) < 2, True)
            number = len(self.load_starts)
            early = number > len(self.swaps) or number > 0 and cycle < self.swaps[number - 1] - 1
            expect_equal(f"the tile of pass {number} came too early", early, False)
            self.load_starts.append(cycle)
            self.loaded.append(self.coming[0])
        coming = self.coming[0]
        expect_equal("phase of the tile", phase, coming.phase)
        row = config.rows - 1 - self.row
        expect_equal(f"blank of row {row} of {coming}", blank, coming.base + row >= coming.reduction)
        if not blank:
            expect_equal(f"address of row {row} of {coming}", address, coming.stationary_address(row))
        self.row += 1
        end = self.row == config.rows
        expect_equal(f"release with row {row} of {coming}", release, end and coming.product_end)
        if end:
            self.row = 0
            self.coming.popleft()
            if phase == Phase.QG and coming.product_end:
                self.last_tile_left[coming.head] = cycle - self.load_later
        return release

    def stream(self, cycle, row_latency):
        """One element; returns (the pass, whether it is its product's last element)."""
        view, config = self.view, self.config
        if self.streaming is None:
            expect_equal("a tile is there for the pass", bool(self.loaded), True)
            self.streaming, self.position = self.loaded.popleft(), 0
            self.swaps.append(cycle + row_latency)
            number = len(self.swaps) - 1
            complete = self.load_starts[number] + config.rows + TILE_SETTLES
            expect_equal(f"the tile of pass {number} is complete", self.swaps[number] >= complete, True)
            if self.streaming.phase == Phase.G:
                ready = self.arrived["mean_ready"] > self.streaming.head
                expect_equal(f"k_mean of head {self.streaming.head} is known", ready, True)
        current, position = self.streaming, self.position
        last = position == current.length - 1
        end = last and current.product_end
        control = current.control(position, self.queue_address)
        expect_members(view, "stream_control", control, f"element {position} of {current}")
        if current.is_g:
            address = current.mean_address(position)
            expect_equal("mean_address", view.mean_address.value.to_unsigned(), address)
            if current.last and current.head >= 2:
                # Its totals are written later than now, the tiles of the head before in this half were read before.
                left = self.last_tile_left.get(current.head - 2, cycle)
                expect_equal(f"G of head {current.head - 2} has left its half", left < cycle, True)
        elif current.last:
            self.queue_address = (self.queue_address + 1) % config.row_queue_depth
            self.queued += 1
            expect_equal("rows in the row queue", self.queued <= config.row_queue_depth, True)
        expect_equal("an index returns", cycle - self.index_used.get(position, -self.reuse) >= self.reuse, True)
        self.index_used[position] = cycle
        self.position += 1
        if last:
            self.streaming = None
        return current, end

    def finished(self):
        return self.begun == {Phase.G: self.heads, Phase.QG: self.heads} and not (
            self.coming or self.loaded or self.streaming or self.queued
        )


async def job(view, config, generator, tokens, head_dim, heads, pace, head_by_head=False):
    """Runs one job in which the neighbours keep the `pace`, and checks it; returns its products and counts."""
    edge = RisingEdge(view.clk)
    row_latency = OperandRow(config).latency
    checker = Checker(view, config, tokens, head_dim, heads)
    view.tokens.value, view.head_dim.value, view.heads.value, view.start.value = tokens, head_dim, heads, 1
    await edge
    view.start.value = 0

    paces = {"instant": (0, 0), "prompt": (0, 20), "slow": (0, 400)}
    loads = {name: Delays(generator, 1, 1 + paces[pace][1]) for name in "qkv"}
    means = Delays(generator, 1, 2 + paces[pace][1])
    totals = Delays(generator, 1 + config.rows, 2 + config.rows + paces[pace][1])
    rows = Delays(generator, 1, 1 + paces[pace][1] // 20, spacing=7 if pace == "slow" else 1)
    for load in loads.values():
        for _ in range(min(heads, 1 if head_by_head else 2)):
            load.add(0)
    sent = dict.fromkeys("qkv", min(heads, 1 if head_by_head else 2))
    ports = {"q_loaded": loads["q"], "k_loaded": loads["k"], "v_loaded": loads["v"], "mean_ready": means,
             "g_written": totals, "row_divided": rows}  # fmt: skip
    controls = deque(maxlen=checker.load_later)
    quiet, released = 0, dict.fromkeys("qkv", 0)
    for cycle in range(LIMIT):
        answers = {port: delays.answer(cycle) for port, delays in ports.items()}
        for port, answer in answers.items():
            getattr(view, port).value = answer
        await edge

        # A tile's row: its control came some cycles ago.
        busy = bool(view.stream_control__accumulate__valid.value)
        if view.load.value:
            if checker.load(cycle, controls[0], int(view.load_first.value)):
                if controls[0][0] == Phase.G:
                    released["v"] += 1
        controls.append(
            tuple(
                int(getattr(view, f"load_control__{name}").value) for name in ("phase", "address", "blank", "release")
            )
        )
        if busy:
            checker.busy_cycles.append(cycle)
            current, end = checker.stream(cycle, row_latency)
            if current.phase == Phase.QG and current.last:
                rows.add(cycle)
            if end:
                released["k" if current.phase == Phase.G else "q"] += 1
                if current.phase == Phase.G:
                    totals.add(cycle)
        else:
            expect_equal("swap without an element", view.stream_control__swap.value, 0)
            expect_equal("release without an element", view.stream_control__release.value, 0)
            expect_equal("no element within a pass", checker.streaming is None, True)
        stalls = [bool(view.stall_input.value), bool(view.stall_output.value)]
        expect_equal("array_busy", view.array_busy.value, busy)
        expect_equal("one reason at most", busy + sum(stalls) <= 1, True)
        for name, level in zip(checker.counts, (busy, *stalls)):
            checker.counts[name] += level

        # What the neighbours have seen in this cycle.
        for port, answer in answers.items():
            if answer:
                if port == "row_divided":
                    checker.queued -= 1
                else:
                    checker.arrived[port] += 1
                if port == "k_loaded":
                    means.add(cycle)
        for name in "qkv":
            free = released["q"] if head_by_head else released[name]
            while sent[name] < min(heads, free + (1 if head_by_head else 2)):
                loads[name].add(cycle)
                sent[name] += 1
        quiet = quiet + 1 if checker.finished() else 0
        if quiet > 2 * config.rows + 10:
            break
    expect_equal("products begun", [checker.begun[Phase.G], checker.begun[Phase.QG]], [heads, heads])
    expect_equal("nothing is left", checker.finished(), True)
    expect_equal("halves released", list(released.values()), [heads] * 3)
    expect_equal("elements", checker.counts["busy"], heads * config.array_cycles(tokens, head_dim))
    return checker


async def on_every_scheduler(dut, jobs):
    """Runs `jobs(view, config, generator)` on all schedulers at once."""
    await on_every_block(dut, blocks(), lambda view, name, seed: jobs(view, CONFIGS[name], random.Random(seed)))


@cocotb.test()
async def every_pass_once_and_in_a_legal_order(dut):
    """Jobs of many sizes and paces issue every pass once, in an order that their operands allow."""

    async def jobs(view, config, generator):
        largest = config.max_tokens, config.max_head_dim
        sizes = [(1, 1), largest, (2, 8), (7, 12), (16, 5), (50, 13), (3, 64), (1, config.max_head_dim),
                 (config.max_tokens, 1), (config.rows, config.columns)]  # fmt: skip
        sizes += [(generator.randint(1, 40), generator.randint(1, 40)) for _ in range(4)]
        for tokens, head_dim in sizes:
            tokens, head_dim = min(tokens, config.max_tokens), min(head_dim, config.max_head_dim)
            heads = 5 if config.array_cycles(tokens, head_dim) < 1_000 else 2
            paces = ("instant", "prompt", "slow") if heads == 5 else ("instant", "prompt")
            await job(view, config, generator, tokens, head_dim, heads, generator.choice(paces))

    await on_every_scheduler(dut, jobs)


@cocotb.test()
async def products_alternate_and_the_array_never_rests(dut):
    """With all operands there, G and Q G alternate and no cycle is lost between their passes."""

    async def jobs(view, config, generator):
        tokens = min(48, config.max_tokens)
        # Passes of G are longer than moving a tile in, then exactly as long. Products are long enough to hide how the
        # one before drains.
        for head_dim in (min(32, config.max_head_dim), min(config.rows, config.max_head_dim)):
            checker = await job(view, config, generator, tokens, head_dim, 6, "instant")
            long_enough = config.array_cycles(tokens, head_dim) >= 16 * config.rows
            if min(tokens, head_dim) >= config.rows and long_enough:
                order = [(Phase.G, 0)]
                for head in range(5):
                    order += [(Phase.G, head + 1), (Phase.QG, head)]
                expect_equal("order of the products", checker.products, [*order, (Phase.QG, 5)])
                between = checker.busy_cycles[-1] - checker.busy_cycles[0] + 1
                expect_equal("cycles from the first element to the last", between, len(checker.busy_cycles))

    await on_every_scheduler(dut, jobs)


@cocotb.test()
async def a_full_row_queue_holds_the_array_up(dut):
    """A pass whose rows have no room in the row queue waits, and counts as a stall of the output."""

    async def jobs(view, config, generator):
        tokens, head_dim = min(48, config.max_tokens), min(8, config.max_head_dim)
        checker = await job(view, config, generator, tokens, head_dim, 4, "slow")
        if tokens * -(-head_dim // config.columns) > config.row_queue_depth:
            expect_equal("it stalled for its output", checker.counts["stall_output"] > 0, True)

    await on_every_scheduler(dut, jobs)


@cocotb.test()
async def a_source_may_wait_for_each_result(dut):
    """Where each head comes after the result of the one before, products of one head follow each other."""

    async def jobs(view, config, generator):
        for pace in ("instant", "slow"):
            tokens, head_dim = min(9, config.max_tokens), min(11, config.max_head_dim)
            checker = await job(view, config, generator, tokens, head_dim, 4, pace, head_by_head=True)
            expected = [(phase, head) for head in range(4) for phase in (Phase.G, Phase.QG)]
            expect_equal("order of the products", checker.products, expected)
            expect_equal("it stalled for its inputs", checker.counts["stall_input"] > 0, True)

    await on_every_scheduler(dut, jobs)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize("testcase", [
    "every_pass_once_and_in_a_legal_order", "products_alternate_and_the_array_never_rests",
    "a_full_row_queue_holds_the_array_up", "a_source_may_wait_for_each_result",
])  # fmt: skip
def test_pass_scheduler(simulation, testcase):
    run(simulation, __name__, testcase=testcase)

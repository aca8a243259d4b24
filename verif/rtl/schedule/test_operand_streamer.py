"""Operand streamer: every element of every pass, and each pass in the first cycle in which it may begin.

The bench stands in for the tile loader, the divider and the row queue. A model counts the means and the rows that are
there, and says for every cycle whether a pass may begin, and if not, what it waits for.
"""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.common.bundles import Phase
from taylorvit.rtl.schedule.operand_streamer import OperandStreamer
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, expect_members, on_every_block
from verif.rtl.models import passes_of_product

from .configurations import CONFIGS

LIMIT = 40_000  # cycles of one job
ROOM_KNOWN = 2  # cycles from a row's leaving the queue to the decision that knows of it
HALVES = 2  # of the K buffer: most means that are known and not used up
ORDER = [(Phase.G, 0), (Phase.G, 1), (Phase.QG, 0), (Phase.G, 2), (Phase.QG, 1), (Phase.QG, 2)]


def blocks():
    return {name: OperandStreamer(config) for name, config in CONFIGS.items()}


# Benches: run inside the simulator.


class Streamer:
    """The model: what the next cycle of the block must show."""

    def __init__(self, config, tokens):
        self.config, self.tokens = config, tokens
        self.current, self.position = None, 0
        self.means = 0
        self.queue_address = 0
        self.promised = [0] * ROOM_KNOWN  # rows in the queue, or promised to it, after each of the last cycles
        self.queued = 0  # rows in it
        self.shown = None  # (pass, position, queue address) of the element in `stream_control`
        self.stalls = [0, 0]

    @property
    def free(self):
        return self.current is None or self.position == self.current.length - 1

    def waits_for(self, following):
        """(for its k_mean, for room): whether the pass would wait."""
        fills = not following.is_g and following.last
        full = self.promised[0] + self.tokens > self.config.row_queue_depth
        return following.is_g and self.means == 0, fills and full

    def step(self, following, taken, waits, lacks_input, mean_ready, row_divided):
        """One cycle goes by."""
        current = self.current
        mean, room = self.waits_for(following) if following else (False, False)
        idle = current is None
        self.stalls = [int(idle and (lacks_input or waits and mean)), int(idle and waits and room)]
        self.shown = None if idle else (current, self.position, self.queue_address)
        if not idle:
            if not current.is_g and current.last:
                self.queue_address = (self.queue_address + 1) % self.config.row_queue_depth
                self.queued += 1
            self.position += 1
            if self.position == current.length:
                self.current = None
        fills = taken and not following.is_g and following.last
        self.promised = [*self.promised[1:], self.promised[-1] + fills * self.tokens - row_divided]
        self.queued -= row_divided
        self.means += mean_ready - (taken and following.is_g and following.product_end)
        if taken:
            self.current, self.position = following, 0


async def job(view, config, generator, tokens, head_dim, chances):
    """Three heads; a tile is complete, a mean known, a row divided with the `chances` of a cycle.

    Returns the cycles with an element, those stalled for input, and those stalled for output.
    """
    edge = RisingEdge(view.clk)
    view.tokens.value, view.head_dim.value, view.start.value = tokens, head_dim, 1
    await edge
    view.start.value = 0
    await edge  # the room that a pass needs is known
    model = Streamer(config, tokens)
    waiting = [one for phase, head in ORDER for one in passes_of_product(config, phase, head, tokens, head_dim)]
    elements = sum(one.length for one in waiting)
    complete = 0  # cycles for which the tile of the next pass has been complete
    heads_known = 0
    busy, stall_input, stall_output = [], [], []
    began = None  # cycle in which the last pass was taken
    for cycle in range(LIMIT):
        apart = began is None or cycle >= began + 2
        complete = complete + 1 if waiting and apart and (complete or generator.random() < chances[0]) else 0
        following = waiting[0] if complete else None
        lacks_input = not complete and generator.random() < 0.3
        mean_ready = model.means < HALVES and heads_known < 3 and generator.random() < chances[1]
        row_divided = model.queued > 0 and generator.random() < chances[2]
        view.loaded__valid.value = bool(complete)
        view.tile_waits.value = complete > 1
        view.lacks_input.value = lacks_input
        view.mean_ready.value, view.row_divided.value = mean_ready, row_divided
        if complete == 1:
            for name, value in following.fields.items():
                getattr(view, f"loaded__payload__{name}").value = value
        await edge

        taken = bool(following) and model.free and not any(model.waits_for(following))
        expect_equal("loaded.taken", view.loaded__taken.value, taken)
        expect_equal("array_busy", view.array_busy.value, model.shown is not None)
        stalls = [int(view.stall_input.value), int(view.stall_output.value)]
        expect_equal("stall_input, stall_output", stalls, model.stalls)
        if model.shown:
            current, position, queue_address = model.shown
            control = current.control(position, queue_address)
            expect_members(view, "stream_control", control, f"element {position} of {current}")
            if current.is_g:
                expect_equal("mean_address", int(view.mean_address.value), current.mean_address(position))
        else:
            nothing = dict.fromkeys(("swap", "release", "accumulate__valid", "accumulate__head_end"), 0)
            expect_members(view, "stream_control", nothing, "no element")
        for cycles, value in zip((busy, stall_input, stall_output), (model.shown, *stalls)):
            cycles.extend([cycle] if value else [])

        model.step(following, taken, complete > 1, lacks_input, mean_ready, row_divided)
        expect_equal("rows in the row queue", model.queued <= config.row_queue_depth, True)
        heads_known += mean_ready
        if taken:
            waiting.pop(0)
            complete, began = 0, cycle
        if not waiting and not model.current and not model.shown and not model.queued:
            break
    expect_equal("elements", len(busy), elements)
    for name in ("loaded__valid", "tile_waits", "lacks_input", "mean_ready", "row_divided"):
        getattr(view, name).value = 0
    return busy, stall_input, stall_output


async def on_every_streamer(dut, jobs):
    """Runs `jobs(view, config, generator)` on all streamers at once."""
    await on_every_block(dut, blocks(), lambda view, name, seed: jobs(view, CONFIGS[name], random.Random(seed)))


@cocotb.test()
async def every_element_and_every_wait(dut):
    """Elements are those of the passes, one a cycle, and a pass begins as soon as nothing that it needs is missing."""

    async def jobs(view, config, generator):
        for size in (1, 7, 16, config.rows, 2 * config.rows + 1, generator.randint(1, 30)):
            tokens, head_dim = min(size, config.max_tokens), min(generator.randint(1, size), config.max_head_dim)
            chances = [generator.choice((0.1, 0.5, 1)) for _ in range(3)]
            await job(view, config, generator, tokens, head_dim, chances)

    await on_every_streamer(dut, jobs)


@cocotb.test()
async def passes_follow_each_other_without_a_bubble(dut):
    """While tiles, means and room are there in time, every cycle from the first element to the last has one."""

    async def jobs(view, config, generator):
        tokens, head_dim = min(24, config.max_tokens), min(24, config.max_head_dim)
        busy, _stall_input, _stall_output = await job(view, config, generator, tokens, head_dim, (1, 1, 1))
        if min(tokens, head_dim) >= 4:  # else rows leave the queue too late, or means come too late
            expect_equal("cycles from the first element to the last", busy[-1] - busy[0] + 1, len(busy))

    await on_every_streamer(dut, jobs)


@cocotb.test()
async def a_full_row_queue_is_a_stall_of_the_output(dut):
    """A pass whose rows have no room waits, and the cycles are counted as such."""

    async def jobs(view, config, generator):
        tokens = min(24, config.max_tokens)
        head_dim = min(2 * config.columns, config.max_head_dim)
        _busy, _stall_input, stall_output = await job(view, config, generator, tokens, head_dim, (1, 1, 0.02))
        if 3 * tokens * -(-head_dim // config.columns) > 2 * config.row_queue_depth:
            expect_equal("it stalled for its output", len(stall_output) > 0, True)

    await on_every_streamer(dut, jobs)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize(
    "testcase",
    [
        "every_element_and_every_wait",
        "passes_follow_each_other_without_a_bubble",
        "a_full_row_queue_is_a_stall_of_the_output",
    ],
)
def test_operand_streamer(simulation, testcase):
    run(simulation, __name__, testcase=testcase)

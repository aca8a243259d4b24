"""Streamer: every element of every pass, and each pass in the first cycle in which it may begin.

The bench stands in for the tile loader and for all that a pass can wait for, which comes and goes at random. A model
says for every cycle what the block must show.
"""

from __future__ import annotations

import random
from collections import deque

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.bundles import sequence_width
from taylorvit.rtl.network.command import Destination, Source
from taylorvit.rtl.network.streamer import Streamer
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, expect_members, on_every_block

from .products import CONFIGS, random_product

FIRST = 2  # cycles from taking a pass to its first element
LIMIT = 20_000  # cycles of a job
NUMBERS = 1 << sequence_width
STALLS = ("stall_tape", "stall_image", "stall_output", "stall_data")
DRAIN = {name: 3 + 7 * number for number, name in enumerate(CONFIGS)}


def blocks():
    return {name: Streamer(config, drain=DRAIN[name]) for name, config in CONFIGS.items()}


# Benches: run inside the simulator.


class Model:
    """What is streamed, and what the next cycle of the block must show."""

    def __init__(self, drain):
        self.drain = drain - 1
        self.residual_busy = False
        self.current, self.position = None, 0  # (product, output tile, input tile), cycle of the pass
        self.last_kind = None
        self.drain_left = 0
        self.element = None  # members of `stream_control`, which is a register
        self.stalls, self.busy = [0, 0, 0, 0], 0

    @property
    def free(self):
        return self.current is None or self.position == self.current[0].pass_length - 1

    @property
    def totals(self):
        """Whether the pass that streams makes totals for the residual stream."""
        return self.current is not None and makes_totals(*self.current)

    def step(self, coming, taken, reasons, starving, held_up):
        """One cycle goes by: `reasons` are those for which the pass that is there waits, by the name of its stall."""
        idle = self.current is None
        self.residual_busy = self.totals or self.drain_left > 0
        self.stalls = [0, 0, 0, 0]
        if idle and coming:
            for name in ("stall_image", "stall_output", "stall_data"):
                if reasons[name]:
                    self.stalls[STALLS.index(name)] = 1
                    break
        elif idle:
            self.stalls[0], self.stalls[3] = int(starving), int(held_up)
        self.element = None if idle else self.current[0].element(*self.current[1:], self.position)
        self.busy = int(not idle and self.position < self.current[0].length)
        self.drain_left = self.drain if self.totals else max(0, self.drain_left - 1)
        if not idle:
            self.position += 1
            if self.position == self.current[0].pass_length:
                self.current = None
        if taken:
            self.current, self.position = coming, 0
            self.last_kind = coming[0].kind


def makes_totals(product, _output_tile, input_tile):
    return product.destination == Destination.RESIDUAL and input_tile == product.input_tiles - 1


async def job(view, config, drain, generator, products, chance, *, come=1.0, first=0):
    """All passes of the products; what they wait for is there with the `chance` of a cycle. Returns when they began."""
    edge = RisingEdge(view.clk)
    model = Model(drain)
    all_written = (1 << config.most_features.bit_length()) - 1
    passes = deque((number, product, *tiles) for number, product in enumerate(products, first)
                   for tiles in product.tiles())  # fmt: skip
    there, shown = False, False  # whether there is a pass, and whether it was in `loaded` a cycle before
    before, promised = dict.fromkeys(STALLS, False), False  # what it waited for then; whether rows were promised
    residual_begin = False
    open_products, finished = deque(), first
    begun, elements = [], 0
    nothing = {"swap": 0, "release": 0} | {f"result__{name}": 0 for name in ("valid", "begin", "end", "finish")}
    for cycle in range(LIMIT):

        def is_there():
            return generator.random() < chance

        there = shown and (there or generator.random() < come)
        starving, held_up = generator.choice(((False, False), (True, False), (False, True))) if not there else (0, 0)
        image, logits, room = is_there(), is_there(), is_there()
        view.loaded__valid.value = there
        view.starving.value, view.held_up.value = starving, held_up
        view.image_ready.value, view.logits_room.value, view.kernel_room.value = image, logits, room
        if open_products and is_there():
            finished += 1
            open_products.popleft()
        view.finished.value = finished % NUMBERS
        written = all_written
        reasons, before = before, dict.fromkeys(STALLS, False)
        coming = None
        if passes:
            number, product, *tiles = passes[0]
            coming = (product, *tiles) if there else None
            members = product.payload(*tiles, number % NUMBERS)
            for name, value in members.items():
                getattr(view, f"loaded__payload__{name}").value = value
            completes = product.destination == Destination.KERNEL_1 and members["result__last"]
            needed = members.get("norm_features", 0)
            written = all_written if is_there() else max(0, needed - generator.choice((0, 1, config.columns)))
            before["stall_image"] = product.source == Source.IMAGE and not image
            before["stall_output"] = product.destination == Destination.LOGITS and not logits
            no_room = completes and (not room or promised)
            before["stall_data"] = number - finished > product.wait or written < needed or bool(no_room)
        view.norm_written.value = written
        await edge

        taken = there and model.free and not any(reasons.values())
        pulses = {
            "residual_begin": residual_begin,
            "promised": taken and completes,
            "residual_busy": model.residual_busy,
        }
        if there:
            pulses["loaded__ready"] = taken
        for name, value in pulses.items():
            expect_equal(name, int(getattr(view, name).value), int(bool(value)))
        kind = product.kind if model.current is None and there else model.last_kind
        if kind is not None:
            expect_equal("kind", int(view.kind.value), kind)
        if cycle:
            expect_equal("array_busy", int(view.array_busy.value), model.busy)
            expect_equal("stalls", [int(getattr(view, name).value) for name in STALLS], model.stalls)
            expect_members(view, "stream_control", model.element or nothing, f"in cycle {cycle}")
        residual_begin = taken and members["product_first"] and product.destination == Destination.RESIDUAL
        elements += model.busy
        model.step(coming, taken, reasons, starving, held_up)
        shown, promised = bool(passes) and not taken, pulses["promised"]
        if taken:
            begun.append(cycle)
            if members["product_last"]:
                open_products.append(number)
            passes.popleft()
            there = False
        idle = not model.current and not model.element and not model.residual_busy
        if not passes and idle and finished == first + len(products):
            break
    expect_equal("passes that are left", len(passes), 0)
    expect_equal("elements", elements, sum(one.length * one.input_tiles * one.output_tiles for one in products))
    for _ in range(drain):
        view.loaded__valid.value = 0
        await edge
    return begun


async def on_every_streamer(dut, jobs):
    await on_every_block(
        dut, blocks(), lambda view, name, seed: jobs(view, CONFIGS[name], DRAIN[name], random.Random(seed))
    )


@cocotb.test()
async def every_element_and_every_wait(dut):
    """Elements are those of the passes, and a pass begins in the cycle after nothing that it needs was missing."""

    async def jobs(view, config, drain, generator):
        number = 0
        for chance, come in ((1, 0.2), (0.5, 1), (0.1, 0.9), (0.8, 0.5)):
            products = [random_product(config, generator) for _ in range(10)]
            # Rows that are promised in every second cycle.
            short = {"destination": Destination.KERNEL_1, "input_tiles": 1, "length": 1, "pass_length": 1, "flags": 0}
            products += [random_product(config, generator, **short, prefix=0, wait=31) for _ in range(4)]
            await job(view, config, drain, generator, products, chance, come=come, first=number)
            number += len(products)

    await on_every_streamer(dut, jobs)


@cocotb.test()
async def passes_follow_each_other_without_a_bubble(dut):
    """While nothing is missing, passes begin `pass_length` cycles apart, and two if that is one."""

    async def jobs(view, config, drain, generator):
        products = [random_product(config, generator, wait=31) for _ in range(12)]
        begun = await job(view, config, drain, generator, products, 1)
        lengths = [max(2, product.pass_length) for product in products for _ in product.tiles()]
        apart = [after - before for before, after in zip(begun, begun[1:])]
        expect_equal("cycles from pass to pass", apart, lengths[:-1])

    await on_every_streamer(dut, jobs)


@cocotb.test()
async def the_first_element_comes_as_soon_as_said(dut):
    """The rows see the first element so many cycles after its pass was taken."""

    async def jobs(view, config, drain, generator):
        edge = RisingEdge(view.clk)
        product = random_product(config, generator, source=Source.ACTIVATION, destination=Destination.RESIDUAL,
                                 flags=0, prefix=0)  # fmt: skip
        for name, value in product.payload(0, 0, 0).items():
            getattr(view, f"loaded__payload__{name}").value = value
        await edge
        view.loaded__valid.value = 1
        seen = []
        for _ in range(FIRST + 1):
            await edge
            seen.append(int(view.stream_control__swap.value))
            view.loaded__valid.value = 0
        expect_equal("swap, from taking the pass on", seen, [0] * FIRST + [1])

    await on_every_streamer(dut, jobs)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize("testcase", [
    "every_element_and_every_wait", "passes_follow_each_other_without_a_bubble",
    "the_first_element_comes_as_soon_as_said",
])  # fmt: skip
def test_streamer(simulation, testcase):
    run(simulation, __name__, testcase=testcase)

"""Sequencer: which pass comes next, whatever the order in which operands arrive and passes are taken.

The bench tells it of operands at random moments and takes passes in the place of the tile loader. A model of the rule,
counters in Python, says in every cycle which product must be chosen, or that operands are missing.
"""

from __future__ import annotations

import random
from collections import deque

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.common.bundles import Phase
from taylorvit.rtl.schedule.sequencer import Sequencer
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, expect_members, on_every_block
from verif.rtl.models import passes_of_product

from .configurations import CONFIGS

LIMIT = 20_000  # cycles of one job
HALVES = 2  # of every buffer
OPERANDS = ("q_loaded", "k_loaded", "v_loaded", "g_written")


def blocks():
    return {name: Sequencer(config) for name, config in CONFIGS.items()}


# Cycles from the choice of a product to its first pass: the choice comes in the cycle after what it waited for.
CHOICE = blocks()["array_4x4"].choice_latency - 1


# Benches: run inside the simulator.


class Rule:
    """Which product is chosen: what is there at the end of a cycle decides in the next one."""

    def __init__(self, heads):
        self.heads = heads
        self.arrived = dict.fromkeys(OPERANDS, 0)
        self.chosen = {Phase.G: 0, Phase.QG: 0}
        self.released = 0  # halves of the G buffer
        self.last = Phase.G

    @property
    def g_left(self):
        return self.chosen[Phase.G] < self.heads

    @property
    def g_inputs(self):
        return min(self.arrived["k_loaded"], self.arrived["v_loaded"]) > self.chosen[Phase.G]

    @property
    def g_there(self):
        return self.arrived["g_written"] > self.chosen[Phase.QG]

    @property
    def q_there(self):
        return self.arrived["q_loaded"] > self.chosen[Phase.QG]

    @property
    def lacks_input(self):
        return self.g_left and not self.g_inputs or self.g_there and not self.q_there

    def choice(self):
        """The phase of the product that is chosen now, None if none is."""
        g_possible = self.g_left and self.g_inputs
        if g_possible and self.chosen[Phase.G] - self.released < HALVES:
            return Phase.G
        if self.g_there and self.q_there and not (g_possible and self.last == Phase.QG):
            return Phase.QG
        return None

    def choose(self, phase):
        self.chosen[phase] += 1
        self.last = phase


class Source:
    """Operands of one kind: a head at a time, at random moments, as soon as there is room for it."""

    def __init__(self, generator, slowest):
        self.generator, self.slowest = generator, slowest
        self.wait = generator.randint(0, slowest)

    def comes(self, allowed):
        if not allowed:
            return False
        self.wait -= 1
        if self.wait >= 0:
            return False
        self.wait = self.generator.randint(0, self.slowest)
        return True


async def job(view, config, generator, tokens, head_dim, heads, slowest):
    """One job, checked in every cycle; returns the products in their order, as (phase, head)."""
    edge = RisingEdge(view.clk)
    view.tokens.value, view.head_dim.value, view.heads.value, view.start.value = tokens, head_dim, heads, 1
    await edge
    view.start.value = 0
    rule = Rule(heads)
    sources = {name: Source(generator, slowest) for name in OPERANDS}
    coming, products = deque(), []
    first_at, taken_at = 0, 0  # cycles from which a pass may be seen, and taken
    ended = {Phase.G: 0, Phase.QG: 0}  # products of which every pass has been taken
    leaving = deque()  # cycles in which the last tile of a head's G leaves its buffer
    for cycle in range(LIMIT):
        taken = cycle >= taken_at and generator.random() < (1 if slowest == 0 else 0.3)
        view.coming__taken.value = taken and bool(coming) and cycle >= first_at
        released = bool(leaving) and leaving[0] <= cycle
        view.g_released.value = released
        allowed = {
            "k_loaded": ended[Phase.G] + HALVES,
            "v_loaded": ended[Phase.G] + HALVES,
            "q_loaded": ended[Phase.QG] + HALVES,
            "g_written": ended[Phase.G],
        }
        arrives = {
            name: source.comes(rule.arrived[name] < min(heads, allowed[name])) for name, source in sources.items()
        }
        for name, value in arrives.items():
            getattr(view, name).value = value
        await edge

        shown = bool(coming) and cycle >= first_at
        expect_equal("coming.valid", view.coming__valid.value, shown)
        expect_equal("lacks_input", view.lacks_input.value, not coming and rule.lacks_input)
        if shown and cycle >= taken_at:
            expect_members(view, "coming__payload", coming[0].fields, str(coming[0]))
            expect_equal(f"base of {coming[0]}", int(view.coming_base.value), coming[0].base)
        if not coming and (phase := rule.choice()) is not None:
            products.append((phase, rule.chosen[phase]))
            coming.extend(passes_of_product(config, phase, rule.chosen[phase], tokens, head_dim))
            rule.choose(phase)
            first_at = taken_at = cycle + CHOICE
        elif shown and view.coming__taken.value:
            done = coming.popleft()
            taken_at = cycle + 2
            if done.product_end:
                ended[done.phase] += 1
                if not done.is_g:
                    leaving.append(cycle + config.rows)
        for name, value in arrives.items():
            rule.arrived[name] += value
        if released:
            leaving.popleft()
            rule.released += 1
        if rule.released == heads:
            break
    for name in (*OPERANDS, "g_released", "coming__taken"):
        getattr(view, name).value = 0
    expect_equal("products chosen", [*rule.chosen.values()], [heads, heads])
    return products


async def on_every_sequencer(dut, jobs):
    """Runs `jobs(view, config, generator)` on all sequencers at once."""
    await on_every_block(dut, blocks(), lambda view, name, seed: jobs(view, CONFIGS[name], random.Random(seed)))


@cocotb.test()
async def passes_follow_the_rule(dut):
    """Every pass comes once and complete, and every product in the cycle in which the rule chooses it."""

    async def jobs(view, config, generator):
        for _ in range(12):
            tokens = generator.choice((1, config.rows, generator.randint(1, config.max_tokens)))
            tokens = min(tokens, config.max_tokens)
            head_dim = generator.choice((1, config.max_head_dim, generator.randint(1, config.max_head_dim)))
            await job(view, config, generator, tokens, head_dim, 5, generator.choice((0, 3, 40)))

    await on_every_sequencer(dut, jobs)


@cocotb.test()
async def products_alternate_while_all_operands_are_there(dut):
    """A source that is never late gets G(h+1), Q G(h), G(h+2), Q G(h+1), ..."""

    async def jobs(view, config, generator):
        products = await job(view, config, generator, config.max_tokens, config.max_head_dim, 6, 0)
        order = [(Phase.G, 0)]
        for head in range(5):
            order += [(Phase.G, head + 1), (Phase.QG, head)]
        expect_equal("order of the products", products, [*order, (Phase.QG, 5)])

    await on_every_sequencer(dut, jobs)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize("testcase", ["passes_follow_the_rule", "products_alternate_while_all_operands_are_there"])
def test_sequencer(simulation, testcase):
    run(simulation, __name__, testcase=testcase)

"""Tile loader: the rows of every tile, in their cycles, whenever passes come and whenever they are taken."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.common.bundles import Phase
from taylorvit.rtl.schedule.tile_loader import TileLoader
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, expect_members, on_every_block
from verif.rtl.models import passes_of_product

from .configurations import CONFIGS

JOBS = 6
PASSES = 24  # of a job, at most
CONTROL = 1  # cycles from a row to its `load_control`
LOAD_LATENCY = {name: 1 + number % 4 for number, name in enumerate(CONFIGS)}


def blocks():
    return {name: TileLoader(config, load_latency=LOAD_LATENCY[name]) for name, config in CONFIGS.items()}


# Benches: run inside the simulator.


async def job(view, config, load_latency, generator, passes, chances):
    """Passes come, and are taken, with the `chances` of a cycle; every output is compared in every cycle."""
    edge = RisingEdge(view.clk)
    view.tokens.value, view.head_dim.value = passes[0].tokens, passes[0].head_dim
    rows = {}  # cycle -> (pass, row) whose control goes out in it
    loads = {}  # cycle -> (load, load_first)
    waiting = list(passes)
    current, left = None, 0  # the pass whose tile moves in or waits, rows still to move
    done = 0
    cycle = 0
    while done < len(passes) or cycle <= max(*rows, *loads):
        valid = bool(waiting) and generator.random() < chances[0]
        view.coming__valid.value = valid
        if valid:
            for name, value in waiting[0].fields.items():
                getattr(view, f"coming__payload__{name}").value = value
            view.coming_base.value = waiting[0].base
        complete = current is not None and left <= 1
        taken = complete and generator.random() < chances[1]
        view.loaded__taken.value = taken
        await edge

        expect_equal("empty", view.empty.value, current is None)
        expect_equal("waits", view.waits.value, current is not None and left == 0)
        expect_equal("loaded.valid", view.loaded__valid.value, complete)
        expect_equal("coming.taken", view.coming__taken.value, valid and (current is None or taken))
        if current is not None:
            expect_members(view, "loaded__payload", current.fields, str(current))
        last_row = left == 1 and current.product_end
        expect_equal("g_released", view.g_released.value, last_row and not current.is_g)
        if cycle in rows:
            sent, row = rows[cycle]
            blank = sent.base + row >= sent.reduction
            control = {"phase": sent.phase, "blank": blank, "release": row == 0 and sent.product_end}
            if not blank:
                control["address"] = sent.stationary_address(row)
            expect_members(view, "load_control", control, f"row {row} of {sent}")
        else:
            expect_equal("release without a row", view.load_control__release.value, 0)
        got = [int(view.load.value), int(view.load_first.value)]
        expect_equal("load, load_first", got, loads.get(cycle, [0, 0]))

        if left:
            left -= 1
            rows[cycle + CONTROL] = current, left
            loads[cycle + load_latency] = [1, int(left == config.rows - 1)]
        if taken:
            current, done = None, done + 1
        if view.coming__taken.value:
            current, left = waiting.pop(0), config.rows
        cycle += 1
    expect_equal("rows loaded", len(rows), len(passes) * config.rows)


@cocotb.test()
async def rows_of_every_tile_in_their_cycles(dut):
    """Each tile takes R cycles from the cycle after its pass came, bottom row first, one tile behind the other."""

    async def jobs(view, name, seed):
        config, generator = CONFIGS[name], random.Random(seed)
        for number in range(JOBS):
            tokens = generator.choice((1, config.max_tokens, generator.randint(1, config.max_tokens)))
            head_dim = generator.choice((1, config.max_head_dim, generator.randint(1, config.max_head_dim)))
            passes = []
            for head, phase in enumerate(generator.choices(list(Phase), k=3)):
                passes += passes_of_product(config, phase, head, tokens, head_dim)
            if len(passes) > PASSES:
                passes = generator.sample(passes, PASSES)
            chances = (1, 1) if number == 0 else (generator.choice((0.05, 0.4, 1)), generator.choice((0.05, 0.4, 1)))
            await job(view, config, LOAD_LATENCY[name], generator, passes, chances)

    await on_every_block(dut, blocks(), jobs)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize(("value", "error"), [(-1, ValueError), ("2", TypeError)])
def test_latency_is_a_number_of_cycles(value, error):
    with pytest.raises(error, match=f"load_latency must be .*, not {value!r}"):
        TileLoader(CONFIGS["array_4x4"], load_latency=value)


def test_tile_loader(simulation):
    run(simulation, __name__, testcase="rows_of_every_tile_in_their_cycles")

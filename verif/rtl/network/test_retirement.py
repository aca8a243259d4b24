"""Retirement queue: products are finished in their order, each by a pulse of its own kind, whenever that comes."""

from __future__ import annotations

import random
from collections import deque

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.bundles import sequence_width
from taylorvit.rtl.network.command import Destination
from taylorvit.rtl.network.retirement import RetirementQueue
from taylorvit.simulation import build, expect_equal, run, start
from verif.rtl.harness import idle_inputs

DEPTH = 16
RETIRE = 2  # cycles from a pulse to the number of finished products that counts it
KINDS = {
    "linear_done": (Destination.ACTIVATION, Destination.RESIDUAL, Destination.LOGITS),
    "key_done": (Destination.KEY,),
    "value_done": (Destination.VALUE,),
    "kernel_0_done": (Destination.KERNEL_0,),
    "kernel_1_done": (Destination.KERNEL_1,),
}
PULSE = {destination: pulse for pulse, destinations in KINDS.items() for destination in destinations}
CYCLES = 1500


# Benches: run inside the simulator.


@cocotb.test()
async def products_finish_in_their_order(dut):
    """Products of all kinds, whose pulses come in any order; ends of tapes between them."""
    generator = random.Random(cocotb.RANDOM_SEED)
    await start(dut, **idle_inputs(RetirementQueue()))
    edge = RisingEdge(dut.clk)
    for chances in ((1, 1, 0.1), (0.9, 0.1, 0.5), (0.3, 0.9, 0.2), (0.6, 0.4, 0)):
        await job(dut, edge, generator, *chances)


async def job(dut, edge, generator, begin, finish, end):
    queue = deque()  # (destination or None for an end, table): what has begun and is not seen to be finished
    open_products = []  # destinations whose pulse is still to come
    early = dict.fromkeys(KINDS, 0)  # pulses that came and whose product is not finished
    finished = int(dut.finished.value)
    soon = deque()  # (finished, table_finished, image_done) of the next cycles
    ended, retired, most = 0, 0, 0
    for cycle in range(CYCLES):
        filling = cycle < CYCLES - 200
        issues = filling and len(queue) < DEPTH and generator.random() < begin
        ends = issues and generator.random() < end
        destination, table = generator.choice(list(Destination)), generator.random() < 0.3
        dut.issued.value, dut.ended.value = issues and not ends, ends
        dut.issued_destination.value, dut.issued_table.value = destination, table
        pulses = set()
        for _ in range(generator.randint(1, 2)):
            if open_products and (not filling or generator.random() < finish):
                # The products of one kind finish in their order, those of different kinds in any.
                pulse = PULSE[generator.choice(open_products)]
                if pulse not in pulses:
                    open_products.remove(next(one for one in open_products if PULSE[one] == pulse))
                    pulses.add(pulse)
        for name in KINDS:
            getattr(dut, name).value = name in pulses
        await edge

        expect_equal("room", bool(dut.room.value), len(queue) < DEPTH)
        expect_equal("finished", int(dut.finished.value), finished % (1 << sequence_width))
        expected = soon.popleft() if soon else (False, False)
        got = bool(dut.table_finished.value), bool(dut.image_done.value)
        expect_equal("table_finished, image_done", got, expected)

        # The oldest is finished in this cycle if its pulse came before; the numbers show it a cycle later.
        now = (False, False)
        if queue and (queue[0][0] is None or early[PULSE[queue[0][0]]]):
            oldest, has_table = queue.popleft()
            retired += 1
            if oldest is None:
                now = (False, True)
            else:
                early[PULSE[oldest]] -= 1
                finished += 1
                now = (has_table, False)
        soon.append(now)
        for name in pulses:
            early[name] += 1
        if ends:
            queue.append((None, False))
            ended += 1
        elif issues:
            queue.append((destination, table))
            open_products.append(destination)
        most = max(most, len(queue))
    expect_equal("products that are left", len(queue), 0)
    expect_equal("something was finished", retired > 50 and (ended > 0) == (end > 0), True)
    if begin == 1 and finish < 1:
        expect_equal("it was full", most, DEPTH)


@cocotb.test()
async def a_pulse_is_counted_as_soon_as_said(dut):
    """The number of finished products is the new one so many cycles after the pulse of the oldest."""
    await start(dut, **idle_inputs(RetirementQueue()))
    edge = RisingEdge(dut.clk)
    dut.issued.value, dut.issued_destination.value = 1, Destination.KEY
    await edge
    dut.issued.value = 0
    await edge
    dut.key_done.value = 1
    await edge
    dut.key_done.value = 0
    seen = []
    for _ in range(4):
        await edge
        seen.append(int(dut.finished.value))
    expect_equal("finished, from the cycle after the pulse on", seen, [0] * (RETIRE - 1) + [1] * (5 - RETIRE))


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = RetirementQueue()
    return build(emit(block), block.module_name)


@pytest.mark.parametrize("testcase", ["products_finish_in_their_order", "a_pulse_is_counted_as_soon_as_said"])
def test_retirement(simulation, testcase):
    run(simulation, __name__, testcase=testcase)

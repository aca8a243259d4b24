"""Counters: against integers, with their registers where they should be."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module, Signal

from taylorvit.rtl.common.counters import credits, last_start, next_address
from verif.rtl.harness import simulate


@pytest.mark.parametrize("width", [1, 2, 4])
def test_credits_are_there_until_they_are_used(width):
    m = Module()
    arrives, taken = Signal(), Signal()
    some = credits(m, width, arrives, taken, "heads")
    generator = random.Random(width)
    shares = []

    async def bench(context):
        held = 0
        for cycle in range(400):
            assert context.get(some) == (held > 0)
            shares.append(held > 0)
            use = held > 0 and generator.random() < 0.5
            come = held - use < (1 << width) - 1 and generator.random() < (0.7 if cycle % 100 < 50 else 0.2)
            context.set(arrives, come)
            context.set(taken, use)
            held += come - use
            await context.tick()

    simulate(m, bench)
    assert {True, False} == set(shares)


@pytest.mark.parametrize("step", [1, 4, 9])
def test_the_last_start_is_the_first_that_is_not_less(step):
    m = Module()
    size, position = Signal(4), Signal(6)
    last = last_start(m, size, step, "last")
    is_last = position >= last

    async def bench(context):
        for elements in range(1, 16):
            context.set(size, elements)
            await context.tick()
            starts = range(0, elements, step)
            for start in starts:
                context.set(position, start)
                assert context.get(is_last) == (start == starts[-1])

    simulate(m, bench)


@pytest.mark.parametrize("depth", [1, 2, 5, 8])
def test_addresses_go_round(depth):
    m = Module()
    address = Signal(max(1, (depth - 1).bit_length()))
    m.d.sync += address.eq(next_address(address, depth))

    async def bench(context):
        for cycle in range(3 * depth):
            assert context.get(address) == cycle % depth
            await context.tick()

    simulate(m, bench)

"""Counters: against integers, with their registers where they should be."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module, Signal

from taylorvit.rtl.common.counters import credits, last_start, next_address, room
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


@pytest.mark.parametrize(("depth", "batch"), [(5, 1), (5, 5), (12, 5), (16, 4)])
def test_room_is_that_of_a_whole_batch(depth, batch):
    m = Module()
    size, promise, taken = Signal(4, init=batch), Signal(), Signal()
    has_room = room(m, depth, size, promise, taken)
    generator = random.Random(depth * batch)
    seen = []

    async def bench(context):
        await context.tick().repeat(2)
        held = last_held = 0  # rows in the queue or promised to it
        since = 2  # cycles after a promise
        for cycle in range(400):
            may = context.get(has_room)
            if since > 1:
                # A row that was taken in the cycle before does not count yet.
                assert may == (last_held + batch <= depth)
                seen.append(may)
            last_held = held
            use = held > 0 and generator.random() < (0.1 if cycle % 100 < 50 else 0.9)
            come = since > 1 and may and generator.random() < 0.5
            context.set(taken, use)
            context.set(promise, come)
            held += come * batch - use
            since = 1 if come else since + 1
            await context.tick()

    simulate(m, bench)
    assert {0, 1} == set(seen)

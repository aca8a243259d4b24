"""Key turner: features of columns, skewed, go to the rows of their tokens, and each token's begin is told."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module

from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.key_turner import KeyTurner
from taylorvit.simulation import pack
from verif.rtl.harness import simulate

SIZES = {"max_width": 16, "max_hidden": 16, "max_patch": 4, "max_classes": 4, "max_heads": 1, "max_head_dim": 16}
ARRAYS = [(2, 1), (2, 2), (4, 4), (5, 3), (8, 2), (9, 9), (16, 5)]


@pytest.mark.parametrize(("rows", "columns"), ARRAYS)
def test_every_feature_comes_to_the_row_of_its_token(rows, columns):
    generator = random.Random(rows * columns)
    config = NetworkConfig(name="turner", rows=rows, columns=columns, max_tokens=40, **SIZES)
    turner = KeyTurner(config, lanes=rows, depth=config.key_depth)
    m = Module()
    m.submodules.turner = turner

    # Tiles of tokens, one behind the other at a multiple of R or behind a gap.
    begins, features = {}, {}  # cycle -> (bank, address); (cycle, column) -> feature
    expected = {}  # (cycle, row) -> (address or None, feature)
    cycle = 0
    for _tile in range(6):
        tokens = generator.randint(1, 3 * rows)
        base = generator.randrange(16)
        for token in range(tokens):
            begins[cycle + token] = token % rows, base + token // rows
            for column in range(columns):
                feature = generator.randint(-128, 127)
                features[cycle + token + column, column] = feature
                address = base + token // rows if column == 0 else None
                expected[cycle + token + column + turner.latency, token % rows] = address, feature
        gap = generator.choice((-tokens % rows, columns + generator.randrange(2 * rows)))
        cycle += tokens + gap
    end = cycle + columns + turner.latency + 1

    async def bench(context):
        for cycle in range(end):
            for (when, row), (address, feature) in expected.items():
                if when == cycle:
                    feed = turner.feeds[row]
                    assert context.get(feed.data) == feature
                    if address is not None:
                        assert context.get(feed.address) == address
            begun = [row for row in range(rows) if context.get(turner.feeds[row].begin)]
            assert begun == [
                row for (when, row), (address, _f) in expected.items() if when == cycle and address is not None
            ]
            bank, address = begins.get(cycle, (generator.randrange(rows), 0))
            context.set(turner.valid, cycle in begins)
            context.set(turner.bank, bank)
            context.set(turner.address, address)
            keys = [features.get((cycle, column), generator.randint(-128, 127)) for column in range(columns)]
            context.set(turner.keys, pack(keys, 8))
            await context.tick()

    simulate(m, bench)

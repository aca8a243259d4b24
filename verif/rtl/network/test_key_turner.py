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
ARRAYS = [(2, 1), (2, 2), (4, 3), (4, 4), (5, 3), (7, 5), (8, 2), (9, 9), (16, 5)]


@pytest.mark.parametrize("banks", ["rows", "columns", "rows of both", "columns of both"])
@pytest.mark.parametrize(("rows", "columns"), ARRAYS)
def test_every_feature_comes_to_the_bank_of_its_token(rows, columns, banks):
    generator = random.Random(rows * columns)
    folds, fold = "both" in banks, banks == "columns of both"
    count = columns if "columns" in banks else rows
    config = NetworkConfig(name="turner", rows=rows, columns=columns, max_tokens=40, **SIZES)
    lanes = rows if folds else count
    turner = KeyTurner(config, lanes=lanes, depth=config.key_depth, folds=folds)
    m = Module()
    m.submodules.turner = turner

    # Tiles of tokens, one behind the other at a multiple of R or behind a gap.
    begins, features = {}, {}  # cycle -> (bank, address); (cycle, column) -> feature
    expected = {}  # (cycle, row) -> (address or None, feature)
    cycle = 0
    for _tile in range(6):
        tokens = generator.randint(1, 3 * count)
        base = generator.randrange(16)
        for token in range(tokens):
            begins[cycle + token] = token % count, base + token // count
            for column in range(columns):
                feature = generator.randint(-128, 127)
                features[cycle + token + column, column] = feature
                address = base + token // count if column == 0 else None
                expected[cycle + token + column + turner.latency, token % count] = address, feature
        gap = generator.choice((-tokens % count, columns + generator.randrange(2 * count)))
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
            begun = [row for row in range(lanes) if context.get(turner.feeds[row].begin)]
            assert begun == [
                row for (when, row), (address, _f) in expected.items() if when == cycle and address is not None
            ]
            bank, address = begins.get(cycle, (generator.randrange(count), 0))
            if folds:
                context.set(turner.fold, fold)
            context.set(turner.valid, cycle in begins)
            context.set(turner.bank, bank)
            context.set(turner.address, address)
            keys = [features.get((cycle, column), generator.randint(-128, 127)) for column in range(columns)]
            context.set(turner.keys, pack(keys, 8))
            await context.tick()

    simulate(m, bench)

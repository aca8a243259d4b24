"""Score router: each score comes to the row that it names, and to no other."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module

from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.network_row import writing_columns
from taylorvit.rtl.network.softmax.score_router import ScoreRouter
from verif.rtl.harness import simulate

SIZES = {"max_width": 16, "max_hidden": 16, "max_patch": 4, "max_classes": 4, "max_heads": 1, "max_head_dim": 16,
         "kernel": "softmax", "max_tokens": 40}  # fmt: skip


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (5, 3), (8, 2), (7, 1)])
def test_scores_come_to_their_rows(rows, columns):
    generator = random.Random(rows * columns)
    config = NetworkConfig(name="router", rows=rows, columns=columns, **SIZES)
    router = ScoreRouter(config)
    m = Module()
    m.submodules.router = router
    reachable = {
        column: [row for row in range(rows) if column in writing_columns(config, row)] for column in range(columns)
    }

    async def bench(context):
        expected = dict.fromkeys(range(rows))
        for _cycle in range(200):
            words = dict.fromkeys(range(rows))
            for column, write in enumerate(router.scores):
                free = [row for row in reachable[column] if words[row] is None]
                valid = bool(free) and generator.random() < 0.7
                row = generator.choice(free) if valid else generator.randrange(rows)
                word = generator.getrandbits(len(write.address)), generator.getrandbits(8) - 128
                context.set(write.valid, valid)
                context.set(write.bank, row)
                context.set(write.address, word[0])
                context.set(write.data, word[1])
                if valid:
                    words[row] = word
            for row, feed in enumerate(router.feeds):
                assert context.get(feed.valid) == (expected[row] is not None)
                if expected[row]:
                    assert (context.get(feed.address), context.get(feed.data)) == expected[row]
            await context.tick()
            expected = words

    simulate(m, bench)

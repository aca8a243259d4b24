"""Score places: token by token and query by query, the row and the word of every score, and whether it counts."""

from __future__ import annotations

import random
from math import ceil

import pytest
from amaranth.hdl import Module

from taylorvit.rtl.network.bundles import address_widths
from taylorvit.rtl.network.command import Destination
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.softmax.score_places import ScorePlaces
from verif.rtl.harness import simulate

SIZES = {"max_width": 16, "max_hidden": 16, "max_patch": 4, "max_classes": 4, "max_heads": 1, "max_head_dim": 16,
         "kernel": "softmax", "max_tokens": 40}  # fmt: skip
LATENCY = 3


@pytest.mark.parametrize(("rows", "columns"), [(2, 1), (4, 4), (5, 3), (8, 2), (7, 5)])
def test_every_score_finds_its_row_and_word(rows, columns):
    generator = random.Random(rows * columns)
    config = NetworkConfig(name="places", rows=rows, columns=columns, query_block=9, **SIZES)
    places = ScorePlaces(config, latency=LATENCY)
    m = Module()
    m.submodules.places = places
    mask = (1 << address_widths(config)["destination"]) - 1

    async def product(context, number, tokens, queries, base):
        """One product, its results one a cycle; compares each `LATENCY` cycles later."""
        expected = []
        tiles = ceil(tokens / columns)
        for tile in range(tiles):
            for query in range(queries):
                address = base + tile * queries + query
                end = query == queries - 1
                result = {
                    "valid": 1, "last": 1, "destination": Destination.KERNEL_0, "index": query, "bank": 0,
                    "address": address & mask, "following": address + queries & mask, "first_tile": tile == 0,
                    "end": end, "finish": end and tile == tiles - 1,
                }  # fmt: skip
                wide, row = divmod(tile * columns, rows)
                expected.append((tile, query, row, base + wide * queries + query, result["finish"]))
                await step(context, result, tokens, expected, number, queries)
            for _cycle in range(generator.choice((0, 0, rows))):
                expected.append(None)
                await step(context, {}, tokens, expected, number, queries)
        for _cycle in range(LATENCY):
            expected.append(None)
            await step(context, {}, tokens, expected, number, queries)

    async def step(context, result, tokens, expected, number, queries):
        if len(expected) > LATENCY:
            compare(context, expected[-LATENCY - 1], tokens, number, queries)
        for name in places.result.signature.members:
            port = getattr(places.result, name)
            noise = 0 if name in ("valid", "end", "finish") else generator.getrandbits(len(port))
            context.set(port, result.get(name, noise))
        context.set(places.tokens, tokens)
        await context.tick()

    def compare(context, expected, tokens, number, queries):
        score = places.score
        assert context.get(score.chain.valid) == (expected is not None)
        if expected is None:
            return
        tile, query, row, address, finish = expected
        assert context.get(score.bank) == row
        assert context.get(score.address) == address
        if row + columns > rows:
            assert context.get(score.following) == address + queries
        assert context.get(score.chain.left) == min(columns, tokens - tile * columns)
        assert context.get(score.chain.first) == (tile == 0)
        assert context.get(score.chain.finish) == finish
        half = context.get(score.chain.index) >> places.query_bits
        assert (half, context.get(score.chain.index) & (1 << places.query_bits) - 1) == (number % 2, query)
        assert context.get(score.chain.maximum) == -(1 << (config.attention.kept_score_width - 1))

    async def bench(context):
        context.set(places.active, 1)
        context.set(places.start, 1)
        await context.tick()
        context.set(places.start, 0)
        for number in range(8):
            tokens, queries = generator.randint(1, 40), generator.randint(1, 9)
            words = ceil(tokens / rows) * queries
            await product(context, number, tokens, queries, generator.randint(0, config.score_depth - words))
        # Totals of another kernel are no scores.
        context.set(places.active, 0)
        context.set(places.result.valid, 1)
        for _cycle in range(LATENCY + 1):
            await context.tick()
        assert not context.get(places.score.chain.valid)

    simulate(m, bench)

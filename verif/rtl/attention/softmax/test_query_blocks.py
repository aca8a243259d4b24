"""Blocks of queries, head after head, against the rule."""

import re

import pytest
from amaranth.hdl import Module

from taylorvit.rtl.attention.softmax.query_blocks import QueryBlocks
from taylorvit.rtl.attention.softmax.spec import query_blocks
from verif.rtl.harness import simulate


@pytest.mark.parametrize(("max_tokens", "longest"), [(1, 1), (9, 1), (40, 7), (33, 16), (20, 20)])
def test_blocks_of_two_heads(max_tokens, longest):
    m = Module()
    m.submodules.blocks = blocks = QueryBlocks(max_tokens=max_tokens, longest=longest)
    seen = {}

    async def bench(context):
        for tokens in range(1, max_tokens + 1):
            context.set(blocks.tokens, tokens)
            context.set(blocks.start, 1)
            await context.tick()
            context.set(blocks.start, 0)
            seen[tokens] = []
            for _block in range(2 * len(query_blocks(tokens, longest))):
                await context.tick().repeat(blocks.latency - 1)
                seen[tokens].append(tuple(context.get(port) for port in (blocks.base, blocks.length, blocks.last)))
                context.set(blocks.following, 1)
                await context.tick()
                context.set(blocks.following, 0)

    simulate(m, bench)
    for tokens, found in seen.items():
        lengths = query_blocks(tokens, longest)
        bases = [sum(lengths[:index]) for index in range(len(lengths))]
        lasts = [0] * (len(lengths) - 1) + [1]
        assert found == 2 * list(zip(bases, lengths, lasts))


@pytest.mark.parametrize(
    ("max_tokens", "longest", "text"),
    [(0, 1, "max_tokens must be 1 or more, not 0"), (4, 5, "longest must be 1..4, not 5")],
)
def test_rules(max_tokens, longest, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        QueryBlocks(max_tokens=max_tokens, longest=longest)

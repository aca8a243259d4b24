"""Largest scores of queries, along a chain of columns and over output tiles, against `max`."""

from __future__ import annotations

import random
import re
from functools import partial

import cocotb
import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, flipped

from taylorvit.gen.verilog import emit
from taylorvit.rtl.attention.kernel import chain
from taylorvit.rtl.attention.softmax.row_maximum import MaximumChain, MaximumStep, RowMaxima, least_score
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, drive, integers, on_every_block

SIZES = {  # name: bits of a score, columns, places, registers behind the memories
    "default": (12, 4, 32, 1), "one_column": (3, 1, 5, 0), "odd": (8, 3, 7, 2), "narrow": (2, 5, 16, 0),
}  # fmt: skip


class Columns(Block):
    """A chain of steps with the row maxima behind the last one."""

    module_name = "columns"

    def __init__(self, *, score_width, columns, places, pipeline):
        self.columns = columns
        sizes = {"score_width": score_width, "columns": columns, "places": places}
        self.step = MaximumStep(**sizes)
        self.maxima = RowMaxima(**sizes, pipeline=pipeline)
        super().__init__(
            {"chain": In(MaximumChain(**sizes))}
            | {f"score_{column}": In(score_width) for column in range(columns)}
            | {"read_address": In(len(self.maxima.read_address)), "finished": Out(1), "maximum": Out(score_width)}
        )

    def elaborate(self, platform):
        m = Module()
        steps = [instantiate(m, f"step_{column}", self.step) for column in range(self.columns)]
        maxima = instantiate(m, "maxima", self.maxima)
        chain(m, flipped(self.chain), steps, "chain")
        connect(m, steps[-1].chain_out, maxima.chain)
        m.d.comb += [step.score.eq(getattr(self, f"score_{column}")) for column, step in enumerate(steps)]
        m.d.comb += [
            maxima.read_address.eq(self.read_address),
            self.finished.eq(maxima.finished),
            self.maximum.eq(maxima.maximum),
        ]
        return m


def blocks():
    return {
        name: Columns(score_width=score_width, columns=columns, places=places, pipeline=pipeline)
        for name, (score_width, columns, places, pipeline) in SIZES.items()
    }


def anything(generator, score_width, columns, places):
    """Members of a chain in a cycle without a score."""
    return {
        "valid": 0,
        "index": generator.randrange(places),
        "first": generator.getrandbits(1),
        "finish": generator.getrandbits(1),
        "left": generator.randint(0, columns),
        "maximum": generator.getrandbits(score_width),
    }


@cocotb.test()
async def maxima_of_products(dut):
    """The largest of a product's scores for each query, whatever stands beyond the tokens."""
    await on_every_block(dut, blocks(), check)


async def check(view, name, seed):
    """Products of several sizes one after the other, the last scores of one just before the first of the next."""
    score_width, columns, places, _pipeline = SIZES[name]
    block = blocks()[name]
    maxima, step = block.maxima, block.step
    generator = random.Random(seed)
    distance = maxima.latency + 1  # at least, from one score of a query to its next
    for tokens in (1, columns, columns + 1, 3 * columns, 5 * columns - 1, generator.randint(1, 40)):
        queries = generator.randint(1, places)
        base = generator.randint(0, places - queries)
        scores = [integers(generator, score_width, tokens) for _query in range(queries)]
        passes = -(-tokens // columns)
        columns_scores = [{} for _column in range(columns)]
        steps = []  # members of the chain, cycle by cycle
        idle = partial(anything, generator, score_width, columns, places)
        for tile in range(passes):
            begin = len(steps)
            for query in range(queries):
                while generator.random() < 0.2:
                    steps.append(idle())
                for column in range(min(columns, tokens - tile * columns)):
                    columns_scores[column][len(steps) + column] = scores[query][tile * columns + column]
                steps.append(
                    {
                        "valid": 1,
                        "index": base + query,
                        "first": int(tile == 0),
                        "finish": int(tile == passes - 1 and query == queries - 1),
                        "left": min(columns, tokens - tile * columns),
                        "maximum": least_score(score_width) % (1 << score_width),
                    }
                )
            last = len(steps) - 1
            steps += [idle() for _cycle in range(begin + distance - len(steps))]
        finished = last + columns * step.latency + maxima.finish_latency
        cycles = finished + queries
        steps += [idle() for _cycle in range(cycles - len(steps))]
        inputs = {f"chain__{member}": [each[member] for each in steps] for member in idle()}
        # A column beyond the tokens has any score.
        for column, known in enumerate(columns_scores):
            inputs[f"score_{column}"] = [
                known.get(cycle, generator.getrandbits(score_width)) % (1 << score_width) for cycle in range(cycles)
            ]
        inputs["read_address"] = [0] * finished + [base + query for query in range(queries)]
        got = await drive(view, inputs, ["finished", "maximum"], extra=maxima.latency)
        expect_equal(
            f"finished of {name}",
            [int(value) for value in got["finished"]],
            [int(cycle == finished) for cycle in range(cycles + maxima.latency)],
        )
        seen = [value.to_signed() for value in got["maximum"][finished + maxima.latency :][:queries]]
        expect_equal(f"maxima of {tokens} tokens of {name}", seen, [max(each) for each in scores])


def test_row_maximum():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared > 500


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"score_width": 1}, "score_width must be 2 or more, not 1"),
        ({"columns": 0}, "columns must be 1 or more, not 0"),
        ({"places": 0}, "places must be 1 or more, not 0"),
    ],
)
def test_rules(changes, text):
    sizes = {"score_width": 12, "columns": 4, "places": 32}
    for block in (MaximumStep, RowMaxima):
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            block(**(sizes | changes))

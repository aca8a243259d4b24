"""Exponentials of scores below their maximum, against a list in Python."""

from __future__ import annotations

import random
import re

import cocotb
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.attention.softmax.exponential import Exponential
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, drive, integers, limits, on_every_block, ports_of

SIZES = {  # name: bits of a score, entries, bits of an exponential, bits of the operand, registers behind the table
    "default": (12, 1024, 11, 8, 1), "small": (4, 2, 2, 2, 0), "all": (5, 32, 3, 8, 2), "deep": (3, 64, 8, 9, 0),
    "narrow": (12, 16, 1, 16, 1),
}  # fmt: skip


def blocks():
    return {
        name: Exponential(score_width=score, entries=entries, width=width, operand_width=operand, pipeline=pipeline)
        for name, (score, entries, width, operand, pipeline) in SIZES.items()
    }


@cocotb.test()
async def exponentials_are_looked_up(dut):
    """The entry at the distance from the maximum, 0 beyond the table, the operand where it passes by."""
    await on_every_block(dut, blocks(), check)


async def check(view, name, seed):
    """Two tables one after the other, written in any order, each with scores at every distance."""
    score_width, entries, width, operand_width, _pipeline = SIZES[name]
    block = blocks()[name]
    low, high = limits(score_width)
    generator = random.Random(seed)
    for _table in range(2):
        table = integers(generator, width, entries, signed=False)
        order = generator.sample(range(entries), entries)
        # Between two entries come cycles without one, in which the other members carry anything.
        writes = [(1, entry, table[entry]) for entry in order]
        writes += [(0, generator.randrange(entries), generator.getrandbits(width)) for _cycle in range(entries // 4)]
        generator.shuffle(writes)
        ports = [f"table_write__{member}" for member in ("valid", "entry", "data")]
        await drive(view, dict(zip(ports, map(list, zip(*writes, (0, 0, 0))))), [])

        near = range(min(entries + 3, high - low + 1))
        cases = [(distance - high, -high) for distance in near if distance - high <= high]
        cases = [(maximum, score) for maximum, score in cases if low <= score]
        scores = integers(generator, score_width, 500)
        cases += [(generator.randint(score, high), score) for score in scores]
        cases += [(high, low), (low, low), (high, high)]
        maxima, scores = map(list, zip(*cases))
        operands = integers(generator, operand_width, len(cases))
        bypass = [generator.getrandbits(2) == 0 for _case in cases]
        mask = {port: (1 << bits) - 1 for port, (bits, _incoming) in ports_of(block).items()}
        got = await drive(
            view,
            {
                "score": [value & mask["score"] for value in scores],
                "maximum": [value & mask["maximum"] for value in maxima],
                "operand": [value & mask["operand"] for value in operands],
                "bypass": [int(value) for value in bypass],
            },
            ["streamed"],
            extra=block.latency,
        )
        expected = [
            operand if passes else table[maximum - score] if maximum - score < entries else 0
            for maximum, score, operand, passes in zip(maxima, scores, operands, bypass)
        ]
        streamed = [value.to_signed() for value in got["streamed"][block.latency :]]
        expect_equal(f"streamed of {name}", streamed, expected)


def test_exponential():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared > 5000


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"score_width": 1}, "score_width must be 2 or more, not 1"),
        ({"entries": 24}, "entries must be a power of two, 2 or more, not 24"),
        ({"width": 0}, "width must be 1 or more, not 0"),
        ({"operand_width": 1}, "operand_width must be 2 or more, not 1"),
        ({"pipeline": -1}, "pipeline must be 0 or more, not -1"),
    ],
)
def test_rules(changes, text):
    sizes = {"score_width": 12, "entries": 1024, "width": 11, "operand_width": 8}
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Exponential(**(sizes | changes))

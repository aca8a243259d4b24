"""Numerators and divisors, shifted, against Python's integers."""

import random

import pytest
from amaranth.hdl import Module, signed, unsigned

from taylorvit.rtl.attention.softmax.aligner import Aligner
from verif.rtl.harness import integers, limits, simulate


@pytest.mark.parametrize(
    ("shape", "shift_max"), [(signed(5), 0), (signed(27), 24), (unsigned(19), 15), (unsigned(3), 8), (signed(9), 5)]
)
def test_left_shifts(shape, shift_max):
    m = Module()
    m.submodules.aligner = aligner = Aligner(name="value", shape=shape, shift_max=shift_max)
    generator = random.Random(f"{shape} {shift_max}")
    ends = [*limits(shape.width, shape.signed), 0]
    values = [*ends, *integers(generator, shape.width, 60, signed=shape.signed)]
    seen, expected = [], []

    async def bench(context):
        for shift in range(shift_max + 1):
            context.set(aligner.shift, shift)
            await context.tick().repeat(aligner.latency)
            for value in [*values, *[0] * aligner.latency]:
                context.set(aligner.value, value)
                seen.append(context.get(aligner.aligned))
                await context.tick()
            expected.extend([None] * aligner.latency + [value << shift for value in values])

    simulate(m, bench)
    known = [(got, wanted) for got, wanted in zip(seen, expected) if wanted is not None]
    assert len(known) == (shift_max + 1) * len(values)
    assert all(got == wanted for got, wanted in known)


def test_rule():
    with pytest.raises(ValueError, match="^shift_max must be 0 or more, not -1$"):
        Aligner(name="value", shape=signed(4), shift_max=-1)

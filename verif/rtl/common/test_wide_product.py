"""Wide products: of factors below, at and above the width of a multiplier, of both signs, in one cycle and in two."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module, Shape, Signal

from taylorvit.rtl.common.wide_product import wide_product
from verif.rtl.harness import integers, simulate

WIDTHS = ((1, 1), (17, 17), (18, 18), (19, 5), (24, 15), (36, 35), (57, 13))


@pytest.mark.parametrize("cycles", [1, 2])
@pytest.mark.parametrize("signs", [(False, False), (True, False), (True, True)])
def test_products_are_exact(cycles, signs):
    generator = random.Random(7)
    m = Module()
    products = []
    for place, widths in enumerate(WIDTHS):
        one, other = (
            Signal(Shape(width, signed=signed), name=f"{name}_{place}")
            for name, width, signed in zip(("one", "other"), widths, signs)
        )
        products.append((one, other, wide_product(m, one, other, f"product_{place}", cycles=cycles)))

    async def bench(ctx):
        for _ in range(60):
            expected = []
            for one, other, _product in products:
                factors = [
                    integers(generator, len(factor), 1, signed=signed)[0] for factor, signed in zip((one, other), signs)
                ]
                ctx.set(one, factors[0])
                ctx.set(other, factors[1])
                expected.append(factors[0] * factors[1])
            await ctx.tick().repeat(cycles)
            assert [ctx.get(product) for _one, _other, product in products] == expected

    simulate(m, bench)


def test_cycles_out_of_range():
    with pytest.raises(ValueError, match=r"^cycles must be 1\.\.2, not 3$"):
        wide_product(None, Signal(4), Signal(4), "product", cycles=3)
    with pytest.raises(TypeError, match=r"^cycles must be an integer, not 1\.0$"):
        wide_product(None, Signal(4), Signal(4), "product", cycles=1.0)

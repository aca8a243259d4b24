"""Wide products: factors below, at and above the width of a multiplier, of both signs, in one cycle or two."""

from __future__ import annotations

import random
import re

import cocotb
import pytest
from amaranth.hdl import Module, Shape, Signal, unsigned
from amaranth.lib.wiring import In, Out

from taylorvit.gen.verilog import emit
from taylorvit.rtl.array.multiplier import FORMS
from taylorvit.rtl.array.multiplier.ecp5 import Ecp5Product
from taylorvit.rtl.array.wide_product import factor_registers, wide_product
from taylorvit.rtl.common.block import Block
from taylorvit.simulation import build, expect_equal, run
from taylorvit.simulation.dsp_cells import with_dsp_models
from verif.rtl.harness import SideBySide, drive, integers, on_every_block

CYCLES = 200
WIDTHS = ((1, 1), (17, 17), (18, 18), (19, 5), (24, 15), (36, 35), (57, 13))
SIGNS = ((False, False), (True, False), (False, True), (True, True))


class Product(Block):
    """One product; a square if `widths` is one number."""

    reset_less = True
    waivers = {("UNUSEDSIGNAL", "product*"): "A square has no sign."}

    def __init__(self, *, widths, signs, cycles, multiplier):
        self.cycles, self.multiplier = cycles, multiplier
        self.shapes = [Shape(width, signed=signed) for width, signed in zip(widths, signs)]
        self.module_name = f"product_{multiplier}_{cycles}" + "".join(
            f"_{shape.width}{'us'[shape.signed]}" for shape in self.shapes
        )
        ports = dict(zip(("one", "other"), self.shapes))
        whole = Shape(sum(shape.width for shape in self.factors()), signed=any(signs))
        super().__init__({name: In(shape) for name, shape in ports.items()} | {"product": Out(whole)})

    def factors(self):
        """The shapes of both factors."""
        return self.shapes * 2 if len(self.shapes) == 1 else self.shapes

    @property
    def latency(self):
        return factor_registers(self.multiplier) + self.cycles

    def elaborate(self, platform):
        m = Module()
        other = getattr(self, "other", self.one)
        product = wide_product(m, self.one, other, "found", cycles=self.cycles, multiplier=self.multiplier)
        m.d.comb += self.product.eq(product)
        return m


def blocks():
    factors = [(widths, signs) for widths in WIDTHS for signs in SIGNS]
    factors += [((width,), (signed,)) for width in (1, 17, 18, 20, 40) for signed in (False, True)]
    products = [
        Product(widths=widths, signs=signs, cycles=cycles, multiplier=multiplier)
        for widths, signs in factors
        for cycles in (1, 2)
        for multiplier in FORMS
        if multiplier in ("inferred", "ecp5") or widths == WIDTHS[-1]
    ]
    return {product.module_name: product for product in products}


async def check(view, name, seed):
    """A product in each cycle, of factors that are random, or at the ends of their ranges."""
    block, generator = blocks()[name], random.Random(seed)
    names = ("one", "other")[: len(block.shapes)]
    factors = {
        port: integers(generator, shape.width, CYCLES, signed=shape.signed) for port, shape in zip(names, block.shapes)
    }
    words = {port: [value % (1 << shape.width) for value in factors[port]] for port, shape in zip(names, block.shapes)}
    got = await drive(view, words, ["product"], extra=block.latency)
    expected = [one * other for one, other in zip(factors["one"], factors[names[-1]])]
    width = len(block.product)
    seen = [value.to_unsigned() for value in got["product"][block.latency :]]
    expect_equal(f"products of {name}", seen, [value % (1 << width) for value in expected])


@cocotb.test()
async def products_are_exact(dut):
    """Products of all widths, signs and forms, at once."""
    await on_every_block(dut, blocks(), check)


def test_wide_products():
    block = SideBySide(blocks())
    result = run(build(with_dsp_models(emit(block)), block.module_name), __name__)
    assert result.compared == CYCLES * len(blocks())


def test_cells_of_a_product():
    """A cell for each two parts; for a square one less, and none where synthesis infers them."""

    def cells(*widths, cycles=2, multiplier="ecp5"):
        product = Product(widths=widths, signs=(True,) * len(widths), cycles=cycles, multiplier=multiplier)
        return len(re.findall(r"^ +product_ecp5_\w+ \w+ \($", emit(product), re.MULTILINE))

    assert [cells(18, 18), cells(19, 18), cells(35, 35), cells(35), cells(18)] == [1, 2, 4, 3, 1]
    assert [cells(18, 18, cycles=1), cells(19, 18, cycles=1), cells(18, 18, multiplier="gowin")] == [1, 0, 0]


def test_cycles_out_of_range():
    with pytest.raises(ValueError, match=r"^cycles must be 1\.\.2, not 3$"):
        wide_product(None, Signal(4), Signal(4), "product", cycles=3)
    with pytest.raises(TypeError, match=r"^cycles must be an integer, not 1\.0$"):
        wide_product(None, Signal(4), Signal(4), "product", cycles=1.0)


def test_factor_that_no_cell_takes():
    with pytest.raises(ValueError, match=r"^other_shape must be of at most 17 bits, not unsigned\(18\)$"):
        Ecp5Product(one_shape=unsigned(17), other_shape=unsigned(18))

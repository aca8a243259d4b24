"""Wide product: one that no single multiplier of an FPGA takes, in one cycle or in two.

An FPGA's multiplier takes about 18 bits of each factor. A wider product is a sum of several products, and multiplying
and adding in one cycle is slow. In two cycles, the parts of the factors are multiplied in the first one and added in
the second one.

A DSP cell has registers for its factors, too. Synthesis leaves them empty, and the wires to the cell and away from it
share a cycle with the multiplication. So where the form of the multipliers has such a cell (`Form.product`), cells are
instantiated: they take the factors into their own registers, a cycle ahead, and have each part's product in
another one.

    one ---[A]--(x)--[OUT]--.
    other -[B]---'          (+)--[product]          of a cell for each two parts; [product] in the second cycle
"""

from typing import NamedTuple

from amaranth.hdl import Signal, Value

from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.loading import load
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.validation import require_range

from .multiplier import FORMS

__all__ = ["factor_registers", "wide_product"]

_PART = 17
"""Bits of a part, without a sign: with one, a multiplier of 18 bits takes it."""


def factor_registers(multiplier):
    """Registers of the factors that a product has of its own: with cells that are instantiated, one.

    Args:
        multiplier (str): form of the multipliers, a key of `rtl.array.multiplier.FORMS`.
    """
    return 1 if FORMS[multiplier].product else 0


def wide_product(m, one, other, name, *, cycles, multiplier="inferred"):
    """The product of two numbers, of either sign.

    Args:
        m (amaranth.hdl.Module): the module that gets the registers.
        one (amaranth.hdl.Value): a factor.
        other (amaranth.hdl.Value): the other factor; `one` itself for a square.
        name (str): name of the product's register, and first part of the names of all others.
        cycles (int): 1 or 2.
        multiplier (str): form of the multipliers, a key of `rtl.array.multiplier.FORMS`.

    Returns:
        amaranth.hdl.Signal: the product, `factor_registers(multiplier) + cycles` later.

    Raises:
        TypeError: `cycles` is not an integer.
        ValueError: it is neither 1 nor 2.
    """
    require_range("cycles", cycles, 1, 2)
    pairs = _pairs(one, other)
    cell = FORMS[multiplier].product
    if cell and cycles == 1:
        if len(pairs) == 1:
            return _in_cell(m, cell, one, other, name)
        # Several parts are added in the cycle of their products, so the cells would be without their last registers.
        square = one is other
        one = delay(m, one, 1, f"{name}_one")
        other = one if square else delay(m, other, 1, f"{name}_other")
    whole = one * other
    product = Signal(whole.shape(), name=name, reset_less=True)
    if cycles == 2:
        whole = 0
        for pair in pairs:
            factors, part_name = (pair.one, pair.other), f"{name}_part_{pair.name}"
            part = _in_cell(m, cell, *factors, part_name) if cell else _inferred(m, *factors, part_name)
            whole = whole + (part << pair.place)
    m.d.sync += product.eq(whole)
    return product


def _inferred(m, one, other, name):
    """The product of two parts, a cycle later."""
    partial = one * other
    register = Signal(partial.shape(), name=name, reset_less=True)
    m.d.sync += register.eq(partial)
    return register


def _in_cell(m, cell, one, other, name):
    """The product of two parts, two cycles later, in a cell of the class `cell`."""
    block = instantiate(m, name, load(cell)(one_shape=one.shape(), other_shape=other.shape()))
    m.d.comb += [block.one.eq(one), block.other.eq(other)]
    return block.product


class _Pair(NamedTuple):
    """Two parts, one of each factor: the sum of their products, each << place, is the whole one."""

    name: str
    place: int
    one: Value
    other: Value


def _pairs(one, other):
    """All pairs of parts; of a square each once, for two different parts count twice there."""
    square = one is other
    return [
        _Pair(f"{low}_{other_low}", low + other_low + (square and low < other_low), part, other_part)
        for low, part in _parts(one)
        for other_low, other_part in _parts(other)
        if not square or low <= other_low
    ]


def _parts(number):
    """The parts of a number with their places; the uppermost one has its sign."""
    width, signed = number.shape().width, number.shape().signed
    most = _PART + signed  # bits of the uppermost part
    low = 0
    while width - low > most:
        yield low, number[low : low + _PART]
        low += _PART
    upper = number[low:]
    yield low, upper.as_signed() if signed else upper

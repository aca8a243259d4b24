"""Wide product: one that no single multiplier of an FPGA takes, in one cycle or in two.

An FPGA's multiplier takes about 18 bits of each factor. A wider product is a sum of several products, and multiplying
and adding in one cycle is slow. In two cycles, the parts of the factors are multiplied in the first one and added in
the second one.
"""

from amaranth.hdl import Signal

from .validation import require_range

__all__ = ["wide_product"]

_PART = 17
"""Bits of a part, without a sign: with one, a multiplier of 18 bits takes it."""


def wide_product(m, one, other, name, *, cycles):
    """The product of two numbers, of either sign.

    Args:
        m (amaranth.hdl.Module): the module that gets the registers.
        one (amaranth.hdl.Value): a factor.
        other (amaranth.hdl.Value): the other factor.
        name (str): name of the product's register.
        cycles (int): 1 or 2.

    Returns:
        amaranth.hdl.Signal: the product, `cycles` later.

    Raises:
        TypeError: `cycles` is not an integer.
        ValueError: it is neither 1 nor 2.
    """
    require_range("cycles", cycles, 1, 2)
    whole = one * other
    product = Signal(whole.shape(), name=name, reset_less=True)
    if cycles == 2:
        whole = 0
        for low, part in _parts(one):
            for other_low, other_part in _parts(other):
                partial = part * other_part
                place = low + other_low
                register = Signal(partial.shape(), name=f"{name}_part_{low}_{other_low}", reset_less=True)
                m.d.sync += register.eq(partial)
                whole = whole + (register << place)
    m.d.sync += product.eq(whole)
    return product


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

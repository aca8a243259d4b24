"""The multiplier of Lattice's ECP5, a DSP cell."""

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Shape, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block

from . import FORMS
from .base import Multiplier
from .cells import CELL_ATTRIBUTES, extended, operands_of_cell, pins

__all__ = ["Ecp5Multiplier", "Ecp5Product"]

_WAIVERS = {("PINMISSING", "dsp"): "Pins that are not named stay open: what is tied takes up routing."}


class Ecp5Multiplier(Multiplier):
    """Lattice ECP5: a MULT18X18D with its registers A (streamed), B (`active`) and OUT.

    The register B cannot keep `active` by itself: the four cells of a block have four clock enables between them, of
    which A and OUT take one, and every multiplier of an array has a `swap` of its own. So `active` is kept in fabric.
    """

    limits = FORMS["ecp5"]
    module_name = "multiplier_ecp5"
    waivers = _WAIVERS

    def multiply(self, m):
        streamed, stationary, cycles = operands_of_cell(self, m)
        product = Signal.like(self.product, name="dsp_product")
        m.submodules.dsp = _cell(streamed, stationary, product)
        return product, cycles + 2


class Ecp5Product(Block):
    """product = one * other, two cycles later: a MULT18X18D with its registers A, B and OUT.

    Args:
        one_shape (amaranth.hdl.Shape): of a factor, at most 18 bits with a sign and 17 without.
        other_shape (amaranth.hdl.Shape): of the other one, likewise.

    Ports:
        one (one_shape, input): a factor, a new one in each cycle.
        other (other_shape, input): the other one.
        product (as many bits as both together, signed if one of them is, output): of the factors of two cycles before.

    Raises:
        ValueError: a factor has too many bits.
    """

    reset_less = True
    waivers = _WAIVERS

    def __init__(self, *, one_shape, other_shape):
        limit = FORMS["ecp5"].operand_limit
        shapes = {"one": one_shape, "other": other_shape}
        for name, shape in shapes.items():
            most = limit if shape.signed else limit - 1
            if shape.width > most:
                raise ValueError(f"{name}_shape must be of at most {most} bits, not {shape!r}")
        self.module_name = "product_ecp5_" + "_by_".join(f"{'su'[not s.signed]}{s.width}" for s in shapes.values())
        product = Shape(one_shape.width + other_shape.width, signed=one_shape.signed or other_shape.signed)
        super().__init__({name: In(shape) for name, shape in shapes.items()} | {"product": Out(product)})

    def elaborate(self, platform):
        m = Module()
        factors = (factor if factor.shape().signed else Cat(factor, Const(0, 1)) for factor in (self.one, self.other))
        m.submodules.dsp = _cell(*factors, self.product)
        return m


def _cell(one, other, product):
    """A cell with its registers A, B and OUT: the product of two factors with a sign, two cycles later."""
    registers = {
        f"p_REG_{register}_{what}": f"{what}0"
        for register in ("INPUTA", "INPUTB", "OUTPUT")
        for what in ("CLK", "CE", "RST")
    }
    # Ports that are not named stay open: with those tied low, nextpnr does not find routes for all.
    return Instance(
        "MULT18X18D",
        **CELL_ATTRIBUTES,
        **registers,
        p_GSR="DISABLED",
        p_RESETMODE="SYNC",
        i_CLK0=ClockSignal(),
        i_CE0=1,
        i_RST0=0,
        i_SIGNEDA=1,
        i_SIGNEDB=1,
        i_SOURCEA=0,
        i_SOURCEB=0,
        **pins("i_A", extended(one, FORMS["ecp5"].operand_limit)),
        **pins("i_B", extended(other, FORMS["ecp5"].operand_limit)),
        **pins("o_P", product),
    )

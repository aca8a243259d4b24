"""The multiplier of Gowin's GW1N and GW2A, a DSP cell."""

from amaranth.hdl import ClockSignal, Const, Instance, Signal, signed

from . import FORMS
from .base import Multiplier
from .cells import CELL_ATTRIBUTES, extended, operands_of_cell

__all__ = ["GowinMultiplier"]


class GowinMultiplier(Multiplier):
    """Gowin GW1N and GW2A: a MULT18X18 or MULT9X9 with its registers A (streamed), B (`active`) and OUT.

    Two MULT9X9 take the place of a MULT18X18. One clock enable is for all registers of a cell, so `active` is kept in
    fabric.
    """

    limits = FORMS["gowin"]
    module_name = "multiplier_gowin"
    waivers = {("UNUSEDSIGNAL", "dsp_product"): "The cell's product is wider than that of the operands."}

    def multiply(self, m):
        streamed, stationary, cycles = operands_of_cell(self, m)
        width = 9 if max(len(streamed), len(stationary)) <= 9 else 18
        product = Signal(signed(2 * width), name="dsp_product")
        m.submodules.dsp = Instance(
            f"MULT{width}X{width}", **CELL_ATTRIBUTES,
            p_AREG=1, p_BREG=1, p_OUT_REG=1, p_MULT_RESET_MODE="SYNC",
            i_CLK=ClockSignal(), i_CE=1, i_RESET=0, i_ASIGN=1, i_BSIGN=1, i_ASEL=0, i_BSEL=0,
            i_A=extended(streamed, width), i_B=extended(stationary, width),
            i_SIA=Const(0, width), i_SIB=Const(0, width), o_DOUT=product,
        )  # fmt: skip
        return product[: len(self.product)].as_signed(), cycles + 2

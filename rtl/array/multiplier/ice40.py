"""The multiplier of Lattice's iCE40 UltraPlus, a DSP cell."""

from amaranth.hdl import ClockSignal, Const, Instance, Signal, signed

from . import FORMS
from .base import Multiplier
from .cells import CELL_ATTRIBUTES, extended

__all__ = ["Ice40Multiplier"]


class Ice40Multiplier(Multiplier):
    """Lattice iCE40 UltraPlus: an SB_MAC16, 16 x 16, with its registers A (streamed), B (`active`) and H (product).

    Two products of 8 x 8 would fit a cell, but the streamed operand is wider than 8 bits for most configurations.
    """

    limits = FORMS["ice40"]
    module_name = "multiplier_ice40"
    waivers = {("UNUSEDSIGNAL", "dsp_product"): "The cell's product is wider than that of the operands."}

    def multiply(self, m):
        limit = self.limits.operand_limit
        product = Signal(signed(2 * limit), name="dsp_product")
        # Input B has an enable of its own. The adders behind the product are not used.
        holds = ("AHOLD", "CHOLD", "DHOLD", "OHOLDTOP", "OHOLDBOT")
        resets = ("IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT")
        adders = ("C", "D", "CI", "ACCUMCI", "SIGNEXTIN", "ADDSUBTOP", "ADDSUBBOT", "OLOADTOP", "OLOADBOT")
        m.submodules.dsp = Instance(
            "SB_MAC16",
            **CELL_ATTRIBUTES,
            p_A_SIGNED=1,
            p_B_SIGNED=1,
            p_A_REG=1,
            p_B_REG=1,
            p_PIPELINE_16x16_MULT_REG2=1,
            p_TOPOUTPUT_SELECT=3,
            p_BOTOUTPUT_SELECT=3,
            i_CLK=ClockSignal(),
            i_CE=1,
            i_BHOLD=~self.swap,
            **{f"i_{name}": Const(0, 16 if name in "CD" else 1) for name in (*holds, *resets, *adders)},
            i_A=extended(self.streamed, limit),
            i_B=extended(self.stationary, limit),
            o_O=product,
        )
        return product[: len(self.product)].as_signed(), 2

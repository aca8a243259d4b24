"""The multiplier of Lattice's ECP5, a DSP cell."""

from amaranth.hdl import ClockSignal, Instance, Signal

from . import FORMS
from .base import Multiplier
from .cells import CELL_ATTRIBUTES, extended, operands_of_cell, pins

__all__ = ["Ecp5Multiplier"]


class Ecp5Multiplier(Multiplier):
    """Lattice ECP5: a MULT18X18D with its registers A (streamed), B (`active`) and OUT.

    The register B cannot keep `active` by itself: the four cells of a block have four clock enables between them, of
    which A and OUT take one, and every multiplier of an array has a `swap` of its own. So `active` is kept in fabric.
    """

    limits = FORMS["ecp5"]
    module_name = "multiplier_ecp5"
    waivers = {("PINMISSING", "dsp"): "Pins that are not named stay open: what is tied takes up routing."}

    def multiply(self, m):
        streamed, stationary, cycles = operands_of_cell(self, m)
        product = Signal.like(self.product, name="dsp_product")
        registers = {
            f"p_REG_{register}_{what}": f"{what}0"
            for register in ("INPUTA", "INPUTB", "OUTPUT")
            for what in ("CLK", "CE", "RST")
        }
        # Ports that are not named stay open: with those tied low, nextpnr does not find routes for all.
        m.submodules.dsp = Instance(
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
            **pins("i_A", extended(streamed, self.limits.operand_limit)),
            **pins("i_B", extended(stationary, self.limits.operand_limit)),
            **pins("o_P", product),
        )
        return product, cycles + 2

"""What the multipliers that instantiate a DSP cell have in common."""

from amaranth.hdl import Cat, Mux, Signal

from .base import registered_operands

__all__ = ["CELL_ATTRIBUTES", "extended", "operands_of_cell", "pins"]

CELL_ATTRIBUTES = {"a_reprocess_after": ""}
"""Attributes of every cell.

Yosys notes with a cell of parameters that its module may be read anew, and does so after flattening, when the modules
below are gone ("referenced ... is not part of the design"). A note that is there already, and empty, is left alone.
"""


def operands_of_cell(multiplier, m):
    """The operands for a cell whose registers cannot hold, and how many cycles after `streamed` they come.

    A cell may be far from the fabric around it, so where `pipeline` has one to spare, there are registers in front of
    it. Otherwise the second operand is what `active` is going to be, chosen on the way.
    """
    if multiplier.pipeline >= 3:
        return *registered_operands(multiplier, m), 1
    active = Signal.like(multiplier.stationary, name="active")
    next_active = Signal.like(multiplier.stationary, name="next_active")
    m.d.comb += next_active.eq(Mux(multiplier.swap, multiplier.stationary, active))
    m.d.sync += active.eq(next_active)
    return multiplier.streamed, next_active, 0


def extended(value, width):
    """`value` with its sign extended to `width` bits."""
    return Cat(value, value[-1].replicate(width - len(value)))


def pins(prefix, value):
    """Ports of one bit, `prefix`0 and up."""
    return {f"{prefix}{index}": bit for index, bit in enumerate(value)}

"""Expressions: the operators of a netlist put together again.

Verilog widens the operands of an expression to the widest around them, and makes all of it unsigned if one operand
is. So an operator becomes part of a larger expression only where that cannot change its value:

- conditions, anywhere: comparisons, reductions and `!`, `&&`, `||` give one bit, whatever is around them;
- other operators, as the whole right side of one assignment of their full width, or of their low bits if these do not
  depend on the bits above.
"""

import itertools

from ..rtlil import Cell, Literal, Slice, is_anonymous, part, width_of
from .cells import BINARY, COMPARISONS, LOGICAL, LOW_BITS_ALONE, OPERATORS, REDUCTIONS, SHIFTS, UNARY
from .text import as_atom, join, literal, negate

__all__ = ["LONG_CONDITION", "Expressions"]

LONG_CONDITION = 80  # a condition longer than this gets a wire of its own
_SHORT_CONDITION = 28  # one up to this length is repeated rather than given a wire

_ZERO, _ONE = (Literal("0"),), (Literal("1"),)


class Expressions:
    """Writes expressions for the bits of a `Draft`'s netlist."""

    def __init__(self, draft):
        self._draft = draft
        self._netlist = draft.netlist
        self._conditions = {}  # wire of one bit -> its expression, or None if it is a wire

    # Bits.

    def bits(self, bits):
        """An expression for `bits` of exactly their width, unless it is a signed wire's name."""
        if not bits:
            return "1'd0"
        if len(bits) == 1:
            return self.chunk(bits[0])
        texts = []
        for chunk, run in itertools.groupby(bits):
            text, number = self.chunk(chunk), len(list(run))
            texts.append(text if number == 1 else f"{{{number}{{{text}}}}}")
        return texts[0] if len(texts) == 1 else "{" + ", ".join(texts) + "}"

    def chunk(self, chunk):
        """An expression for a slice of a wire or a literal."""
        if isinstance(chunk, Literal):
            return literal(chunk.bits)
        wire = self._netlist.wires[chunk.name]
        if chunk.width == wire.width:
            return self._condition(chunk.name) if wire.width == 1 else self._draft.name(chunk.name)
        high = chunk.low + chunk.width - 1
        return self._draft.name(chunk.name) + (f"[{high}:{chunk.low}]" if chunk.width > 1 else f"[{high}]")

    def right_side(self, bits):
        """An expression to be assigned to something as wide as `bits`."""
        if len(bits) == 1 and isinstance(bits[0], Slice) and bits[0].name in self._netlist.right_sides:
            driver = self._netlist.driver[bits[0].name]
            if self._netlist.uses[bits[0].name] == 1 and driver.kind in OPERATORS:
                return self.operation(driver, bits[0].width)
        return self.bits(bits)

    def is_written_where_used(self, name):
        """True if the result of an operator is written where it is used, and not assigned to a wire."""
        if not is_anonymous(name):
            return False
        if self._netlist.uses[name] == 1 and name in self._netlist.right_sides:
            return True
        return self._netlist.wires[name].width == 1 and self._inlined_condition(name) is not None

    # Conditions.

    def _condition(self, name):
        """An expression for a wire of one bit: what it is, or its name."""
        return self._inlined_condition(name) or self._draft.name(name)

    def _inlined_condition(self, name):
        """What a wire of one bit is, or None if that is long, no condition, or has a name."""
        if name not in self._conditions:
            self._conditions[name] = text = None
            driver = self._netlist.driver.get(name)
            if is_anonymous(name) and isinstance(driver, Cell):
                text = self._condition_of(driver)
            limit = _SHORT_CONDITION if self._netlist.uses.get(name, 0) > 1 else LONG_CONDITION
            if text is not None and len(text) <= limit:
                self._conditions[name] = text
        return self._conditions[name]

    def _condition_of(self, cell):
        """A one-bit expression that has the same value in any context, or None if `cell` has none."""
        ports, kind = cell.ports, cell.kind
        if kind in COMPARISONS:
            return self._comparison(cell)
        if kind in REDUCTIONS:
            return self._reduction(kind, ports["A"])
        if kind == "$not" and cell.parameters["A_WIDTH"] == 1:
            return negate(self.bits(ports["A"]))
        if kind in LOGICAL and cell.parameters["A_WIDTH"] == cell.parameters["B_WIDTH"] == 1:
            return join(LOGICAL[kind], self.bits(ports["A"]), self.bits(ports["B"]))
        return None

    def _comparison(self, cell):
        ports, kind = cell.ports, cell.kind
        signed = bool(cell.parameters["A_SIGNED"])
        context = max(width_of(ports["A"]), width_of(ports["B"]))
        if context == 1 and kind == "$eq" and ports["A"] != () and ports["B"] in ((), _ZERO, _ONE):
            value = self.bits(ports["A"])
            return value if ports["B"] == _ONE else negate(value)
        modular = kind in ("$eq", "$ne")
        left = self._operand(ports["A"], signed, context, modular)
        return f"{left} {COMPARISONS[kind]} {self._operand(ports['B'], signed, context, modular)}"

    def _reduction(self, kind, bits):
        """All, any or the parity of some bits; a few separate ones are joined by `&&` or `||`."""
        if not bits:
            return "1'b1" if kind == "$reduce_and" else "1'b0"
        if kind != "$reduce_xor" and len(bits) <= 4 and all(chunk.width == 1 for chunk in bits):
            operator = "&&" if kind == "$reduce_and" else "||"
            return join(operator, *(self.chunk(chunk) for chunk in reversed(bits)))
        return f"{REDUCTIONS[kind]}{as_atom(self.bits(bits))}"

    # Operators of several bits.

    def operation(self, cell, width):
        """An expression that gives the low `width` bits of a cell's result when assigned to as many.

        Raises `ValueError` for a division of signed numbers, which rounds otherwise in Verilog.
        """
        ports, kind = cell.ports, cell.kind
        if width == 1 and width_of(ports["Y"]) == 1:
            text = self._condition_of(cell)
            if text is not None:
                return text
        if kind == "$mux":
            values = [self.bits(part(ports[port], 0, width)) for port in "BA"]
            return f"{as_atom(self.bits(ports['S']))} ? {values[0]} : {values[1]}"
        signed = bool(cell.parameters["A_SIGNED"])
        modular = kind in LOW_BITS_ALONE
        left = part(ports["A"], 0, width) if modular else ports["A"]
        if kind in UNARY:
            return f"{UNARY[kind]}{self._operand(left, signed, width, modular)}"
        if kind in SHIFTS:
            text = f"{self._operand(left, signed, width)} {SHIFTS[kind]} {self._operand(ports['B'], False)}"
            return text if width_of(left) <= width else self._low_bits(text, width_of(left), width)
        if kind in ("$divfloor", "$modfloor") and signed:
            raise ValueError(f"division of {self._netlist.module.name} must be unsigned, not signed")
        right = part(ports["B"], 0, width) if modular else ports["B"]
        left = self._operand(left, signed, width, modular)
        return f"{left} {BINARY[kind]} {self._operand(right, signed, width, modular)}"

    def _low_bits(self, text, natural, width):
        """The low `width` bits of an expression of `natural` bits, which gets a wire to take them from."""
        name = self._draft.new_wire("shifted", natural)
        self._draft.assign(name, [text])
        return f"{name}[{width - 1}:0]" if width > 1 else f"{name}[0]"

    def _operand(self, bits, signed, context=0, modular=False):
        """An expression for an operand of the given signedness; unsigned constants are written `context` bits wide.

        `modular`: signedness matters only where the operand is extended.
        """
        if all(isinstance(chunk, Literal) for chunk in bits):
            text = "".join(chunk.bits for chunk in bits)
            return literal(text, signed=True) if signed else literal(text.rjust(context, "0") or "0")
        wire = self._netlist.wires.get(self._netlist.whole_wire(bits))
        is_signed = wire is not None and wire.signed and wire.width > 1
        text = self.bits(bits)
        if signed and not is_signed:
            return f"$signed({text})"
        if is_signed and not signed and (not modular or wire.width < context):
            return f"$unsigned({text})"
        return as_atom(text)

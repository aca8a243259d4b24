"""Expressions: the operators of a netlist put together again.

Verilog widens the operands of an expression to the widest around them, and makes all of it unsigned if one operand
is. So an operator becomes part of a larger expression only where that cannot change its value:

- conditions, anywhere: comparisons, reductions and `!`, `&&`, `||` give one bit, whatever is around them;
- other operators, as the whole right side of one assignment of their full width, or of their low bits if these do not
  depend on the bits above.

Operands are written as wide as the result, so that nothing is left to Verilog's rule, and signed ones as such only
where that makes a difference: for an order, a product, a shift to the right. Factors alone keep their widths.
"""

import itertools

from taylorvit.gen.rtlil import Cell, Literal, Slice, extend, is_anonymous, part, width_of

from .cells import BINARY, COMPARISONS, LOGICAL, LOW_BITS_ALONE, OPERATORS, REDUCTIONS, SHIFTS, UNARY
from .text import as_atom, join, literal, negate
from .waivers import SHIFTED

__all__ = ["LONG_CONDITION", "Expressions"]

LONG_CONDITION = 80  # a condition longer than this gets a wire of its own
_SHORT_CONDITION = 28  # one up to this length is repeated rather than given a wire

_ZERO, _ONE = (Literal("0"),), (Literal("1"),)


class Expressions:
    """Writes expressions for the bits of a netlist.

    Args:
        draft (Draft): the module so far; names that are used are declared there.
    """

    def __init__(self, draft):
        self._draft = draft
        self._netlist = draft.netlist
        self._conditions = {}  # wire of one bit -> its expression, or None if it is a wire

    # Bits.

    def bits(self, bits):
        """An expression (a str) for `bits` (a tuple), of exactly their width, unless it is a signed wire's name."""
        if not bits:
            return "1'd0"
        if len(bits) == 1:
            return self.chunk(bits[0])
        texts = []
        for chunk, run in itertools.groupby(_with_literals_joined(bits)):
            text, number = self.chunk(chunk), len(list(run))
            texts.append(text if number == 1 else f"{{{number}{{{text}}}}}")
        return texts[0] if len(texts) == 1 else "{" + ", ".join(texts) + "}"

    def chunk(self, chunk):
        """An expression (a str) for `chunk`, a `Slice` or a `Literal`."""
        if isinstance(chunk, Literal):
            return literal(chunk.bits)
        inlined = self._inlined_condition(chunk.name) if self._netlist.wires[chunk.name].width == 1 else None
        if inlined is not None:
            return inlined
        self._draft.read(chunk.name, chunk.low, chunk.width)
        return self.target(chunk)

    def target(self, chunk):
        """The name (a str) of `chunk`, a `Slice`, to be assigned."""
        if chunk.width == self._netlist.wires[chunk.name].width:
            return self._draft.name(chunk.name)
        high = chunk.low + chunk.width - 1
        return self._draft.name(chunk.name) + (f"[{high}:{chunk.low}]" if chunk.width > 1 else f"[{high}]")

    def right_side(self, bits):
        """An expression (a str) for `bits` (a tuple), to be assigned to something as wide as they are."""
        if len(bits) == 1 and isinstance(bits[0], Slice) and bits[0].name in self._netlist.right_sides:
            driver = self._netlist.driver[bits[0].name]
            if self._netlist.uses[bits[0].name] == 1 and driver.kind in OPERATORS:
                return self.operation(driver, bits[0].width)
        return self.bits(bits)

    def is_written_where_used(self, name):
        """Whether the result of an operator, the wire `name`, is written where it is used, not assigned to a wire."""
        if not is_anonymous(name):
            return False
        if self._netlist.uses[name] == 1 and name in self._netlist.right_sides:
            return True
        return self._netlist.wires[name].width == 1 and self._inlined_condition(name) is not None

    # Conditions.

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
        if kind in ("$eq", "$ne"):
            operands = [self._operand(ports[port], context, signed) for port in "AB"]
        else:
            operands = [self._number(ports[port], context, signed) for port in "AB"]
        return f" {COMPARISONS[kind]} ".join(operands)

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
        """An expression that gives the low bits of an operator's result when assigned to as many bits.

        Args:
            cell (Cell): the operator.
            width (int): number of bits.

        Returns:
            str: the expression.

        Raises:
            ValueError: it is a division of signed numbers, which rounds otherwise in Verilog.
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
        if kind in UNARY:
            return f"{UNARY[kind]}{self._operand(ports['A'], width, signed)}"
        if kind in SHIFTS:
            return self._shift(cell, width, signed)
        if kind == "$mul":
            # Verilog extends the factors.
            factors = [part(ports[port], 0, width) for port in "AB"]
            return " * ".join(self._number(bits, width_of(bits), signed) for bits in factors)
        if kind in LOW_BITS_ALONE:
            return f" {BINARY[kind]} ".join(self._operand(ports[port], width, signed) for port in "AB")
        if signed:
            raise ValueError(f"division of {self._netlist.module.name} must be unsigned, not signed")
        context = max(width_of(ports[port]) for port in "ABY")
        text = f" {BINARY[kind]} ".join(self._number(ports[port], context, signed) for port in "AB")
        return self._low_bits(text, context, width)

    def _shift(self, cell, width, signed):
        ports, kind = cell.ports, cell.kind
        amount = as_atom(self.bits(ports["B"]))
        if kind == "$shl":
            return f"{self._operand(ports['A'], width, signed)} << {amount}"
        context = max(width_of(ports["A"]), width_of(ports["Y"]))
        if selection := self._netlist.selection(cell, width):
            _word, lowest = selection
            return f"{self.bits(ports['A'])}[{self.bits(lowest)} +: {width}]"
        operand = self._number if kind == "$sshr" else self._operand
        text = f"{operand(ports['A'], context, signed)} {SHIFTS[kind]} {amount}"
        return self._low_bits(text, context, width)

    def _low_bits(self, text, natural, width):
        """The low `width` bits of an expression of `natural` bits, which gets a wire to take them from."""
        if natural == width:
            return text
        name = self._draft.new_wire("shifted", natural, SHIFTED)
        self._draft.assign(name, [text])
        return f"{name}[{width - 1}:0]" if width > 1 else f"{name}[0]"

    def _operand(self, bits, width, signed):
        """An expression for an operand of exactly `width` bits: its low bits, or extended by its sign or zeros."""
        return as_atom(self.bits(extend(bits, width, signed)))

    def _number(self, bits, width, signed):
        """Such an expression, for an operator that asks whether its operands are signed."""
        bits = extend(bits, width, signed)
        if signed and all(isinstance(chunk, Literal) for chunk in bits):
            return literal("".join(chunk.bits for chunk in bits), signed=True)
        if signed == self._is_signed(bits):
            return as_atom(self.bits(bits))
        return f"{'$signed' if signed else '$unsigned'}({self.bits(bits)})"

    def _is_signed(self, bits):
        """True if the bits are a wire that is declared as signed."""
        wire = self._netlist.wires.get(self._netlist.whole_wire(bits))
        return wire is not None and wire.signed and wire.width > 1


def _with_literals_joined(bits):
    for is_literal, run in itertools.groupby(bits, key=lambda chunk: isinstance(chunk, Literal)):
        if is_literal:
            yield Literal("".join(chunk.bits for chunk in run))
        else:
            yield from run

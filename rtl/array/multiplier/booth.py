"""A multiplier without a DSP cell: Booth's digits, and a tree of adders in LUTs."""

from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed

from . import FORMS
from .base import Multiplier

__all__ = ["BoothMultiplier"]


class BoothMultiplier(Multiplier):
    r"""Radix-4 Booth multiplier in LUTs, for PEs beyond the number of DSP cells.

    The stationary operand is recoded, as it is swapped in, to digits d_i with d_0 + 4 d_1 + 16 d_2 + ... = operand.
    All but the uppermost are -1, 0, 1 or 2, which two bits tell (the digit modulo 4): a row d_i * streamed is one LUT
    of four inputs a bit, where Booth's usual -2..2 takes five. Only the uppermost of an even width is -2..2.

    A row that is negative is inverted and owes one: -x = ~x + 1. In the tree each row but row 0 is the lowest row of
    exactly one right operand, so every adder settles one such debt by its carry, and row 0's is `increment`.

        digits,  --> row 0 --\
        streamed --> row 1 --(+)--.       `pipeline` registers behind adders, as evenly as they go
                 --> row 2 --\    (+)--> product
                 --> row 3 --(+)--'
    """

    limits = FORMS["booth"]
    module_name = "multiplier_booth"
    has_increment = True

    def elaborate(self, platform):
        m = Module()
        streamed_now = Signal.like(self.streamed)
        m.d.sync += streamed_now.eq(self.streamed)

        terms = self._rows(m, streamed_now)
        levels = (len(terms) - 1).bit_length()
        for level in range(levels + 1):
            if level > 0:
                pairs = [terms[index : index + 2] for index in range(0, len(terms), 2)]
                terms = [self._sum(m, *pair) if len(pair) == 2 else pair[0] for pair in pairs]
            if self._is_registered(level, levels):
                terms = [_registered(m, term) for term in terms]
        (product,) = terms
        for _stage in range(max(1, levels), self.pipeline):
            product = _registered(m, product)
        m.d.comb += [self.product.eq(product.value), self.increment.eq(product.debt)]
        return m

    def _is_registered(self, level, levels):
        """Whether a register follows this level of adders; none follows level 0, the rows: they are quick, and many."""
        below = levels - level
        if below == 0:
            return True
        return level > 0 and below * self.pipeline // levels > (below - 1) * self.pipeline // levels

    def _rows(self, m, streamed):
        """The digits' multiples of the streamed operand, lowest first."""
        rows = []
        carry = None  # from the digits below: these are at most 2 where their bits are 3
        width = len(self.stationary)
        for low in range(0, width, 2):
            index = low // 2
            pair = self.stationary[low : low + 2]
            if low + 1 == width:
                pair = pair.replicate(2)  # the sign alone: -1, or 0
            row = Signal(signed(len(streamed) + 1), name=f"row_{index}")
            if low + 2 == width:
                negative = self._uppermost_row(m, row, streamed, pair, carry)
            else:
                digit = Signal(2, name=f"digit_{index}")
                with m.If(self.swap):
                    m.d.sync += digit.eq(pair if carry is None else pair + carry)
                m.d.comb += row.eq(Mux(digit[1], Mux(digit[0], ~streamed, streamed << 1), Mux(digit[0], streamed, 0)))
                negative = digit.all()
                carry_out = Signal(name=f"carry_{index}")
                m.d.comb += carry_out.eq(pair.all() if carry is None else pair[1] & (pair[0] | carry))
                carry = carry_out
            rows.append(_Term(row, low, negative))
        return rows

    def _uppermost_row(self, m, row, streamed, pair, carry):
        """Drives the row of the digit -2, -1, 0, 1 or 2 that has the operand's sign; whether it is inverted."""
        digit = Signal(signed(3))
        one, two, negative = Signal(name="one"), Signal(name="two"), Signal(name="negative")
        m.d.comb += digit.eq(pair.as_signed() if carry is None else pair.as_signed() + carry)
        with m.If(self.swap):
            m.d.sync += [one.eq(digit[0]), two.eq(digit[1] & ~digit[0]), negative.eq(digit[2])]
        size = Signal.like(row)
        m.d.comb += [
            size.eq(Mux(one, streamed, 0) | Mux(two, streamed << 1, 0)),
            row.eq(Mux(negative, ~size, size)),
        ]
        return negative

    def _sum(self, m, low, high):
        """The sum of two neighbouring terms: it settles the debt of the upper one and owes that of the lower one."""
        shift = high.weight - low.weight
        rows = low.rows + high.rows
        # One bit more at the lower end: its carry is the debt.
        upper = (Cat(1, low.value[shift:]).as_signed() + Cat(high.debt, high.value).as_signed())[1:]
        width = min(len(self.streamed) + 2 * rows, len(self.product) - low.weight)
        value = Signal(signed(width), name=f"sum_{low.weight // 2}_of_{rows}")
        m.d.comb += value.eq(Cat(low.value[:shift], upper))
        return _Term(value, low.weight, low.debt, rows)


class _Term(NamedTuple):
    """(value + debt) << weight, the sum of so many rows."""

    value: Signal
    weight: int
    debt: Value
    rows: int = 1


def _registered(m, term):
    """The same term a cycle later."""
    value, debt = Signal.like(term.value, name_suffix="_later"), Signal(name=f"debt_{term.weight // 2}_of_{term.rows}")
    m.d.sync += [value.eq(term.value), debt.eq(term.debt)]
    return term._replace(value=value, debt=debt)

"""Requantizer: an exact sum back to data_width bits, by a shift set at run time (the numerics contract, section 3)."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.validation import require_range
from taylorvit.rtl.common.widths import up_to

__all__ = ["Requantizer", "saturated"]


def saturated(value, width):
    """A value, or the end of the range of `width` bits beyond which it is.

    Args:
        value (amaranth.hdl.Value): signed.
        width (int): bits of the signed result, 2 to those of `value`.

    Returns:
        amaranth.hdl.Value: signed; its low `width` bits are the result.
    """
    # It fits if all bits from the result's sign on are equal.
    negative = value[-1]
    fits = value[width - 1 :] == negative.replicate(len(value) - width + 1)
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    return Mux(fits, value, Mux(negative, low, high))


class Requantizer(Block):
    """o = saturate(round_half_up(i / 2^shift)), `latency` cycles later, one a cycle.

    Rounding uses floor(x + 1/2) = floor((floor(2 x) + 1) / 2): the shifter keeps one bit below the unit, and rounding
    is one increment. Saturation is to the full range of `o`.

    Args:
        i_width (int): bits of the signed input, at least 2.
        o_width (int): bits of the signed output, 2 to `i_width`.
        shift_max (int): largest `shift`, 0 to `i_width`.
        pipelined (bool): the shift takes two cycles, its upper bits first, and rounding and saturation one each; if
            not, the shift takes one cycle and the rest another.
        module_name (str): name of the Verilog module.

    Ports:
        i (signed, i_width bits, input): an exact sum.
        shift (up_to(shift_max), input): right shift.
        o (signed, o_width bits, output): the result.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter is out of its range.
    """

    reset_less = True

    def __init__(self, *, i_width, o_width, shift_max, pipelined=True, module_name="requantizer"):
        require_range("i_width", i_width, 2)
        require_range("o_width", o_width, 2, i_width)
        require_range("shift_max", shift_max, 0, i_width)
        self.module_name = module_name
        self.pipelined = pipelined
        super().__init__(
            {
                "i": In(signed(i_width)),
                "shift": In(up_to(shift_max)),
                "o": Out(signed(o_width)),
            }
        )

    @property
    def latency(self):
        """Cycles from `i` to `o`."""
        return 4 if self.pipelined else 2

    def elaborate(self, platform):
        m = Module()
        split = len(self.shift) // 2 if self.pipelined else 0
        coarse = Cat(Const(0, split), self.shift[split:])
        shifted = Signal(signed(len(self.i) + 1))
        halves = Signal.like(shifted)
        rounded = Signal.like(shifted)
        m.d.sync += shifted.eq((self.i << 1) >> coarse)
        half_up = (halves >> 1) + halves[0]
        if self.pipelined:
            fine = Signal(split)
            m.d.sync += [fine.eq(self.shift[:split]), halves.eq(shifted >> fine), rounded.eq(half_up)]
        else:
            m.d.comb += [halves.eq(shifted), rounded.eq(half_up)]
        m.d.sync += self.o.eq(saturated(rounded, len(self.o)))
        return m

"""Requantizer: an exact sum back to data_width bits, by a shift set at run time (the numerics contract, section 3)."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from .block import Block

__all__ = ["Requantizer"]


class Requantizer(Block):
    """o = saturate(round_half_up(i / 2^shift)), four cycles later, one a cycle.

    Rounding uses floor(x + 1/2) = floor((floor(2 x) + 1) / 2): the shifter keeps one bit below the unit, and rounding
    is one increment. Saturation is to the full range of `o`. The shift takes two cycles, its upper bits first,
    rounding and saturation one each.

    Parameters
    ----------
    i_width, o_width: bits of the signed input and output; shift_max: largest `shift`, at most `i_width`.
    """

    module_name = "requantizer"
    reset_less = True
    latency = 4

    def __init__(self, *, i_width, o_width, shift_max):
        super().__init__({
            "i": In(signed(i_width)),
            "shift": In(range(shift_max + 1)),
            "o": Out(signed(o_width)),
        })

    def elaborate(self, platform):
        m = Module()
        halves = Signal(signed(len(self.i) + 1))
        shifted = Signal.like(halves)
        split = len(self.shift) // 2
        fine = Signal(split)
        coarse = Cat(Const(0, split), self.shift[split:])
        m.d.sync += [shifted.eq((self.i << 1) >> coarse), fine.eq(self.shift[:split]), halves.eq(shifted >> fine)]

        rounded = Signal(signed(len(self.i) + 1))
        m.d.sync += rounded.eq((halves + 1) >> 1)
        # It fits if all bits from the output's sign on are equal.
        negative = rounded[-1]
        fits = rounded[len(self.o) - 1 :] == negative.replicate(len(rounded) - len(self.o) + 1)
        low, high = -(1 << (len(self.o) - 1)), (1 << (len(self.o) - 1)) - 1
        m.d.sync += self.o.eq(Mux(fits, rounded, Mux(negative, low, high)))
        return m

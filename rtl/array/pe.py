"""Processing element with down-forward accumulation (ViTALiTy, HPCA 2023, the PE of its accelerator figure).

A product of the stationary and the streamed operand is added to the partial sum that comes from above; the sum leaves
below one cycle later. The stationary operand is double-buffered: while `active` multiplies, the next tile moves down
through `shadow`, and `swap_in`, travelling with the first streamed element of a pass, exchanges them without a bubble.

                stationary_in   partial_sum_in
                      |               |
                   [shadow]           |
                      |  swap         v
    streamed_in --> multiplier ----->(+)-->[reg]
         |                                    |
       [reg]--> streamed_out           partial_sum_out

The multiplier (`multiplier.py`) holds `active` and a register of the streamed operand of its own, as its DSP cell has
them; where it has no such cell, synthesis merges the latter with `streamed_out`.
"""

from amaranth.hdl import Cat, Module, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block, instantiate

__all__ = ["ProcessingElement"]


class ProcessingElement(Block):
    """partial_sum_out[t + latency] = partial_sum_in[t + latency - 1] + streamed_in[t] * active.

    Parameters
    ----------
    multiplier: an `rtl.array.multiplier.Multiplier`; it decides the widths of the operands, and how fast the PE is.
    sum_width: bits of the signed partial sum. It wraps modulo 2^sum_width; the caller chooses a width that holds every
        total.

    Ports
    -----
    streamed_in, streamed_out: streamed operand, one column to the right a cycle.
    swap_in, swap_out: the stationary operand of `shadow` takes effect from the streamed element of this cycle on.
    load_in, load_out: `shadow` takes `stationary_in` (from above) this cycle.
    stationary_in, stationary_out: the chain of `shadow` registers down a column.
    partial_sum_in, partial_sum_out: sums from above and to below.

    Latency from `streamed_in` to `partial_sum_out` is `latency`, one cycle more than the multiplier's; throughput one a
    cycle.
    """

    reset_less = True

    waivers = {
        ("PINCONNECTEMPTY", "*_out"): "The last column has none on its right.",
        ("UNUSEDSIGNAL", "multiplier__product"): "Sums may wrap around on the way; their totals fit.",
    }

    def __init__(self, *, multiplier, sum_width, module_name="pe"):
        self._multiplier = multiplier
        self.module_name = module_name
        streamed_width, stationary_width = len(multiplier.streamed), len(multiplier.stationary)
        super().__init__(
            {
                "streamed_in": In(signed(streamed_width)),
                "streamed_out": Out(signed(streamed_width)),
                "swap_in": In(1),
                "swap_out": Out(1),
                "load_in": In(1),
                "load_out": Out(1),
                "stationary_in": In(signed(stationary_width)),
                "stationary_out": Out(signed(stationary_width)),
                "partial_sum_in": In(signed(sum_width)),
                "partial_sum_out": Out(signed(sum_width)),
            }
        )

    @property
    def parameters(self):
        return super().parameters | {"multiplier": self._multiplier.module_name}

    @property
    def latency(self):
        """Cycles from `streamed_in` to `partial_sum_out`."""
        return self._multiplier.latency + 1

    def elaborate(self, platform):
        m = Module()
        shadow = self.stationary_out

        m.d.sync += [
            self.streamed_out.eq(self.streamed_in),
            self.swap_out.eq(self.swap_in),
            self.load_out.eq(self.load_in),
        ]
        with m.If(self.load_in):
            m.d.sync += shadow.eq(self.stationary_in)

        multiplier = instantiate(m, "multiplier", self._multiplier)
        m.d.comb += [
            multiplier.streamed.eq(self.streamed_in),
            multiplier.stationary.eq(shadow),
            multiplier.swap.eq(self.swap_in),
        ]
        above, product = self.partial_sum_in, multiplier.product
        if self._multiplier.has_increment:
            # One bit more at the lower end: its carry is the increment.
            total = (Cat(1, above).as_signed() + Cat(multiplier.increment, product).as_signed())[1:]
        else:
            total = above + product
        m.d.sync += self.partial_sum_out.eq(total)
        return m

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

The multiplier (`rtl.array.multiplier`) holds `active` and a register of the streamed operand of its own, as its DSP
cell has them; where it has no such cell, synthesis merges the latter with `streamed_out`.
"""

from amaranth.hdl import Cat, Module

from taylorvit.rtl.common.block import instantiate

from .base import ProcessingElement

__all__ = ["MultiplyAccumulate"]


class MultiplyAccumulate(ProcessingElement):
    """partial_sum_out[t + latency] = partial_sum_in[t + latency - 1] + streamed_in[t] * active.

    `active` is what `shadow`, the stationary operand that was loaded last, held when `swap_in` was last high. Arguments
    and ports are those of `ProcessingElement`.
    """

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

"""Processing element with down-forward accumulation (ViTALiTy, HPCA 2023, the PE of its accelerator figure).

A product of the stationary and the streamed operand is added to the partial sum that comes from above; the sum leaves
below one cycle later. The stationary operand is double-buffered: while `active` multiplies, the next tile moves down
through `shadow`, and `swap_in`, travelling with the first streamed element of a pass, exchanges them without a bubble.

                stationary_in   partial_sum_in
                      |               |
                   [shadow]           |
                      |  swap         |
                  [active]            |
                      |               v
    streamed_in -->[reg]--(x)-[P]--->(+)-->[reg]
                      |                       |
                streamed_out          partial_sum_out
"""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib.wiring import In, Out

from .block import Block

__all__ = ["ProcessingElement"]


class ProcessingElement(Block):
    """partial_sum_out[t + latency] = partial_sum_in[t + latency - 1] + streamed_in[t] * active.

    Parameters
    ----------
    streamed_width, stationary_width, sum_width: bits of the signed operands and of the partial sum. The sum wraps
        modulo 2^sum_width; the caller chooses a width that holds every total.
    pipeline: registers between multiplier and adder.

    Ports
    -----
    streamed_in, streamed_out: streamed operand, one column to the right a cycle.
    swap_in, swap_out: the stationary operand of `shadow` takes effect from the streamed element of this cycle on.
    load_in, load_out: `shadow` takes `stationary_in` (from above) this cycle.
    stationary_in, stationary_out: the chain of `shadow` registers down a column.
    partial_sum_in, partial_sum_out: sums from above and to below.

    Latency from `streamed_in` to `partial_sum_out` is `latency` = 2 + pipeline cycles; throughput one a cycle.
    """

    reset_less = True

    def __init__(self, *, streamed_width, stationary_width, sum_width, pipeline, module_name="pe"):
        self.pipeline = pipeline
        self.module_name = module_name
        super().__init__({
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
        })

    @property
    def latency(self):
        """Cycles from `streamed_in` to `partial_sum_out`."""
        return 2 + self.pipeline

    def elaborate(self, platform):
        m = Module()
        shadow = self.stationary_out
        active = Signal.like(self.stationary_in)

        m.d.sync += [
            self.streamed_out.eq(self.streamed_in),
            self.swap_out.eq(self.swap_in),
            self.load_out.eq(self.load_in),
        ]
        with m.If(self.load_in):
            m.d.sync += shadow.eq(self.stationary_in)
        with m.If(self.swap_in):
            m.d.sync += active.eq(shadow)

        product = Signal(signed(len(self.streamed_in) + len(active)))
        m.d.comb += product.eq(self.streamed_out * active)
        for stage in range(self.pipeline):
            registered = Signal.like(product, name=f"product_{stage}")
            m.d.sync += registered.eq(product)
            product = registered
        m.d.sync += self.partial_sum_out.eq(self.partial_sum_in + product)
        return m

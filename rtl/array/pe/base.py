"""The contract of a processing element: its ports, its latency, and how its sums behave.

                stationary_in   partial_sum_in
                      |               |
    streamed_in --> [ processing element ] --> streamed_out
                      |               |
                stationary_out  partial_sum_out

What the array relies on, whatever the element computes:

- Everything that goes on to the right (`streamed`, `swap`, `load`) and down (`stationary`) takes one cycle.
- The partial sum that leaves in cycle t + `latency` belongs to the streamed element of cycle t, and contains the
  partial sum that came from above in cycle t + `latency` - 1: the adder is in the last cycle, since the sums of
  neighbouring rows meet there.
- The stationary operand is double-buffered. `load_in` moves the next one down the column while the present one is in
  use; `swap_in`, which travels with the first streamed element of a pass, exchanges them without a bubble.
- Sums wrap modulo 2^sum_width. Whoever builds the array chooses a width that holds every total.
- All elements of one array have the same latency, for whatever multipliers they have.
"""

from amaranth.hdl import signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block

__all__ = ["ProcessingElement"]


class ProcessingElement(Block):
    """Base of the processing elements: ports, latency, and the name of the module.

    Throughput is one element a cycle.

    Args:
        multiplier (rtl.array.multiplier.base.Multiplier): decides the widths of the operands, and how fast the element
            is.
        sum_width (int): bits of the signed partial sum.
        module_name (str): name of the Verilog module.

    Ports:
        streamed_in, streamed_out: streamed operand, one column to the right a cycle.
        swap_in, swap_out: the stationary operand that was loaded takes effect from the streamed element of this cycle
            on.
        load_in, load_out: the element takes `stationary_in` from above in this cycle.
        stationary_in, stationary_out: the chain of stationary operands down a column.
        partial_sum_in, partial_sum_out: sums from above and to below.
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
        """What distinguishes two elements: ports, attributes, and the multiplier."""
        return super().parameters | {"multiplier": self._multiplier.module_name}

    @property
    def latency(self):
        """Cycles from `streamed_in` to `partial_sum_out`: the multiplier's, and one for the adder."""
        return self._multiplier.latency + 1

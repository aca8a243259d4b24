"""The portable multiplier: synthesis chooses what it is made of."""

from amaranth.hdl import Signal

from .base import Multiplier, registered_operands

__all__ = ["InferredMultiplier"]


class InferredMultiplier(Multiplier):
    """Portable multiplier: the operators and registers of any family."""

    def multiply(self, m):
        product = Signal.like(self.product, name="product_now")
        streamed_now, active = registered_operands(self, m)
        m.d.comb += product.eq(streamed_now * active)
        return product, 1

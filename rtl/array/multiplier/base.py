"""The interface of a multiplier, whatever it is made of."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block

from . import FORMS

__all__ = ["Multiplier", "registered_operands"]


class Multiplier(Block):
    """product[t + latency] = streamed[t] * active[t]; `active` keeps what `stationary` was when `swap` was last high.

    Args:
        streamed_width (int): bits of the signed streamed operand, at most `limits.operand_limit` if that is not None.
        stationary_width (int): bits of the signed stationary operand, under the same limit.
        pipeline (int): registers besides those of the operands, at least `limits.least_pipeline`.
        suffix (str): end of the module's name, for a second multiplier of other widths in the same design.

    Ports:
        streamed: signed, one operand a cycle.
        stationary: signed, the other operand.
        swap: while it is high, `stationary` becomes the other operand, from this cycle's `streamed` on.
        product: signed, streamed_width + stationary_width bits, `latency` = 1 + pipeline cycles after `streamed`.
        increment: only where `has_increment`: a bit still to be added to `product`, which the adder behind takes as its
            carry for nothing.

    Attributes:
        limits (rtl.array.multiplier.Form): entry of this form in `FORMS`.
        has_increment (bool): whether there is a port `increment`.

    Raises:
        ValueError: a parameter that this form cannot have.
    """

    limits = FORMS["inferred"]
    module_name = "multiplier"
    reset_less = True
    has_increment = False

    def __init__(self, *, streamed_width, stationary_width, pipeline, suffix=""):
        limit, least = self.limits.operand_limit, self.limits.least_pipeline
        for name, width in (("streamed_width", streamed_width), ("stationary_width", stationary_width)):
            if limit is not None and width > limit:
                raise ValueError(f"{name} must be at most {limit} in {self.module_name}, not {width!r}")
        if pipeline < least:
            raise ValueError(f"pipeline must be at least {least} in {self.module_name}, not {pipeline!r}")
        self.pipeline = pipeline
        self.module_name += suffix
        ports = {
            "streamed": In(signed(streamed_width)),
            "stationary": In(signed(stationary_width)),
            "swap": In(1),
            "product": Out(signed(streamed_width + stationary_width)),
        }
        super().__init__(ports | ({"increment": Out(1)} if self.has_increment else {}))

    @property
    def latency(self):
        """Cycles from `streamed` to `product`."""
        return 1 + self.pipeline

    def elaborate(self, platform):
        m = Module()
        product, registers = self.multiply(m)
        for stage in range(registers, self.latency):
            registered = Signal.like(product, name=f"product_{stage}")
            m.d.sync += registered.eq(product)
            product = registered
        m.d.comb += self.product.eq(product)
        return m

    def multiply(self, m):
        """Adds the multiplication to module `m`.

        Args:
            m (Module): the module of this block.

        Returns:
            The product, and how many cycles after `streamed` it comes.
        """
        raise NotImplementedError


def registered_operands(multiplier, m):
    """The streamed operand a cycle later, and `active`."""
    streamed_now = Signal.like(multiplier.streamed, name="streamed_now")
    active = Signal.like(multiplier.stationary, name="active")
    m.d.sync += streamed_now.eq(multiplier.streamed)
    with m.If(multiplier.swap):
        m.d.sync += active.eq(multiplier.stationary)
    return streamed_now, active

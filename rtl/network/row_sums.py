r"""Row sums: what a LayerNorm has to know of a token, added up over the features from column to column.

    feature << left_shift = x --+--> x ----(+)--> total
                                '--> x^2 --(+)--> squares
                sums_in -------------------'

A token's sums enter column 0 as zeros and leave the last column complete for one output tile. The features of a token
are in step with the columns' skew, so one token a cycle goes through.
"""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib.wiring import In, Out, Signature

from taylorvit.rtl.array.wide_product import factor_registers, wide_product
from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import index_width, up_to

__all__ = ["FeatureSums", "RowSums"]


class RowSums(Signature):
    """Sums over the features of one token, of the columns that they have passed.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        valid (1 bit): there is a token.
        index (index_width(longest_pass) bits): which one.
        first_tile (1 bit): it is the first output tile.
        last_tile (1 bit): it is the last one.
        total (norm_sum_width bits, signed): sum of the features in one exponent.
        squares (norm_square_width bits): sum of their squares.
    """

    def __init__(self, config):
        super().__init__(
            {
                "valid": Out(1),
                "index": Out(index_width(config.longest_pass)),
                "first_tile": Out(1),
                "last_tile": Out(1),
                "total": Out(signed(config.norm_sum_width)),
                "squares": Out(config.norm_square_width),
            }
        )


class FeatureSums(Block):
    """Adds one column's feature to the sums of the columns before it.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        feature (signed, residual_width bits, input): a new feature of the residual stream.
        left_shift (up_to(left_shift_max), input): from its channel's exponent to that of all.
        sums_in (RowSums, input): of the columns before, `sums_delay` cycles after `feature`.
        sums_out (RowSums, output): with this one, `latency` cycles after `feature`.
    """

    module_name = "feature_sums"

    def __init__(self, config):
        self.value_width = config.stream_value_width
        self.multiplier = config.multiplier
        super().__init__(
            {
                "feature": In(signed(config.residual_width)),
                "left_shift": In(up_to(config.left_shift_max)),
                "sums_in": In(RowSums(config)),
                "sums_out": Out(RowSums(config)),
            }
        )

    @property
    def sums_delay(self):
        """Cycles from `feature` to `sums_in`: the shift, the square."""
        return 2

    @property
    def latency(self):
        """Cycles from `feature` to `sums_out`."""
        return self.sums_delay + 1

    def elaborate(self, platform):
        m = Module()
        value = Signal(signed(self.value_width), reset_less=True)
        shifted = Signal.like(value, name="shifted")
        m.d.comb += shifted.eq(self.feature << self.left_shift)
        m.d.sync += value.eq(shifted)
        factor = shifted if factor_registers(self.multiplier) else value
        square = wide_product(m, factor, factor, "square", cycles=1, multiplier=self.multiplier)
        before, after = self.sums_in, self.sums_out
        for name in ("valid", "index", "first_tile", "last_tile"):
            m.d.comb += getattr(after, name).eq(delay(m, getattr(before, name), 1, name))
        total = Signal.like(after.total, name="total", reset_less=True)
        squares = Signal.like(after.squares, name="squares", reset_less=True)
        m.d.sync += [
            total.eq(before.total + delay(m, value, 1, "value")),
            squares.eq(before.squares + square.as_unsigned()),
        ]
        m.d.comb += [after.total.eq(total), after.squares.eq(squares)]
        return m

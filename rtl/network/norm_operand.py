"""Norm operand: what a column gives to a LayerNorm lane that it shares with its neighbours.

It has the constants of the column's channels. In the cycle of the column's own token its operands are the feature and
these constants, in all other cycles they are 0: the lane takes those of all its columns at once (`gather`).
"""

from amaranth.hdl import Cat, Module, Mux, signed
from amaranth.lib.wiring import In, Out, Signature

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import index_width, up_to

from .column_constants import NormConstants
from .norm_arithmetic import NormMemories

__all__ = ["NormOperand", "NormOperands"]


class NormOperands(Signature):
    """Operands of a token of one column, for a shared lane; 0 where there is none.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        feature (residual_width bits): the feature, signed.
        left_shift (up_to(left_shift_max)): of its channel.
        gamma (gamma_width bits): the channel's factor, signed, some cycles later.
        beta (beta_width bits): the channel's summand, signed, in the same cycle as gamma.
    """

    def __init__(self, config):
        super().__init__(
            {
                "feature": Out(config.residual_width),
                "left_shift": Out(up_to(config.left_shift_max)),
                "gamma": Out(config.gamma_width),
                "beta": Out(config.beta_width),
            }
        )


class NormOperand(Block):
    """Operands of one token a cycle.

    Args:
        config (NetworkConfig): the configuration.
        scale_delay (int): cycles from `valid` to gamma and beta, at least those of a memory.

    Ports:
        valid (1 bit, input): there is a token.
        tile (index_width(residual_tiles) bits, input): its tile.
        feature (residual_width bits signed, input): its feature, `feature_delay` cycles later.
        constants (NormConstants, input): written into the memories, while no token of that tile is in the lane.
        operand (NormOperands, output): feature and left shift `feature_delay` cycles after `valid`, gamma and beta
            `scale_delay` cycles after it.
    """

    module_name = "norm_operand"

    def __init__(self, config, *, scale_delay):
        self.scale_delay = scale_delay
        self.memories = NormMemories(config)
        super().__init__(
            {
                "valid": In(1),
                "tile": In(index_width(config.residual_tiles)),
                "feature": In(signed(config.residual_width)),
                "constants": In(NormConstants(config)),
                "operand": Out(NormOperands(config)),
            }
        )

    @property
    def feature_delay(self):
        """Cycles from `valid` to `feature`."""
        return self.memories.latency

    def elaborate(self, platform):
        m = Module()
        operand = self.operand
        shift_memory, scale_memory = self.memories.place(m, self.constants)
        reads = delay(m, self.valid, self.feature_delay, "reads")
        scales = delay(m, reads, self.scale_delay - self.feature_delay, "scales")
        m.d.comb += [
            shift_memory.read_address.eq(self.tile),
            scale_memory.read_address.eq(delay(m, self.tile, self.scale_delay - self.memories.latency, "tile")),
            operand.feature.eq(Mux(reads, self.feature, 0)),
            operand.left_shift.eq(Mux(reads, shift_memory.read_data, 0)),
            Cat(operand.gamma, operand.beta).eq(Mux(scales, scale_memory.read_data, 0)),
        ]
        return m

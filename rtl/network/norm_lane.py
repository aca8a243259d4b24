"""LayerNorm lane of a column: one feature of one token a cycle, normalized, scaled and rounded to 8 bits.

`rtl.network.norm_arithmetic` is what it computes. The channel's shift, gamma and beta are in small memories, a word for
each tile of C features.
"""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import index_width

from .bundles import ActivationWrite, NormControl
from .column_constants import NormConstants
from .norm_arithmetic import NormArithmetic

__all__ = ["NormLane"]


class NormLane(NormArithmetic):
    """activation = saturate(round_half_up((normalized gamma + beta) / 2^norm_shift)), for one token a cycle.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        tile (index_width(residual_tiles) bits, input): tile of a token.
        norm (NormControl, input): the token, `norm_delay` cycles after `tile`. Its `norm_shift` is the same for all
            that are in the lane.
        feature (residual_width bits signed, input): the token's, `feature_delay` cycles after `tile`.
        constants (NormConstants, input): written into the memories, while no token of that tile is in the lane.
        activation (ActivationWrite, output): `latency` cycles after `tile`.
    """

    module_name = "norm_lane"
    waivers = {
        ("UNUSEDSIGNAL", "norm__*"): "The parent reads the feature, and knows the ends of tiles.",
    }

    def __init__(self, config):
        super().__init__(
            config,
            {
                "tile": In(index_width(config.residual_tiles)),
                "norm": In(NormControl(config)),
                "feature": In(signed(config.residual_width)),
                "constants": In(NormConstants(config)),
                "activation": Out(ActivationWrite(config)),
            },
        )

    def elaborate(self, platform):
        m = Module()
        norm, activation = self.norm, self.activation
        shift_memory, scale_memory = self.memories.place(m, self.constants)
        m.d.comb += shift_memory.read_address.eq(self.tile)
        normalized = self.normalized(m, norm, self.feature, shift_memory.read_data)

        # The channel's constants are read when the normalized feature is there.
        ahead = self.normalized_latency - self.memories.latency
        m.d.comb += scale_memory.read_address.eq(delay(m, self.tile, ahead, "tile"))
        norm_shift = Signal.like(norm.norm_shift, reset_less=True)
        gamma, beta = self.memories.gamma_and_beta(scale_memory.read_data)
        output = self.output(m, normalized, gamma, beta, norm_shift)
        with m.If(norm.valid):
            m.d.sync += norm_shift.eq(norm.norm_shift)
        m.d.comb += [
            activation.valid.eq(self.after_tile(m, norm.valid, self.latency, "valid")),
            activation.bank.eq(self.after_tile(m, norm.bank, self.latency, "bank")),
            activation.address.eq(self.after_tile(m, norm.destination, self.latency, "destination")),
            activation.data.eq(output),
        ]
        return m

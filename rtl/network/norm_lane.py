r"""LayerNorm lane of a column: one feature of one token a cycle, normalized, scaled and rounded to 8 bits.

    feature << left_shift = x --(* factor)--(- offset)--(>> right_shift, round)--> normalized, 12 fractional bits
    normalized --(* gamma)--(+ beta)--(>> norm_shift, round, saturate)--> activation

The token's factor D y and offset S y (`rtl.network.norm_statistics`) come with it; the channel's shift, gamma and beta
are in small memories, a word for each tile of C features.
"""

from math import isqrt

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.array.requantizer import Requantizer
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.wide_product import wide_product
from taylorvit.rtl.common.widths import index_width

from .bundles import ActivationWrite, NormControl
from .column_constants import NormConstants

__all__ = ["NormLane"]

_NORMALIZED_FRACTION = 12
"""Fractional bits of a normalized feature."""


class NormLane(Block):
    """activation = saturate(round_half_up((normalized gamma + beta) / 2^norm_shift)), for one token a cycle.

    normalized = round_half_up((x factor - offset) / 2^right_shift) is at most sqrt(D) in magnitude, so it cannot
    overflow if factor and offset are those of the features.

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
        pipeline = config.memory_pipeline
        self.pipelined = pipeline > 0
        self.value_width = config.stream_value_width
        self.gamma_width = config.gamma_width
        self.beta_width = config.beta_width
        product_width = config.stream_value_width + config.norm_factor_width
        self.centred_width = max(product_width, config.norm_offset_width, config.norm_right_shift_max - 1) + 1
        # |D x - S| <= sqrt(D variance): a normalized feature is at most sqrt(D), and rounding adds less than 1.
        largest = (isqrt(config.max_width) + 1) << _NORMALIZED_FRACTION
        self.normalized_width = largest.bit_length() + 1
        self.scaled_width = max(self.normalized_width + config.gamma_width, config.beta_width) + 1
        self.shift_memory = MemoryBank(
            depth=config.residual_tiles, width=max(1, config.left_shift_max.bit_length()), pipeline=pipeline
        )
        self.scale_memory = MemoryBank(
            depth=config.residual_tiles, width=config.gamma_width + config.beta_width, pipeline=pipeline
        )
        self.normalizing = Requantizer(
            i_width=self.centred_width,
            o_width=self.normalized_width,
            shift_max=config.norm_right_shift_max,
            pipelined=self.pipelined,
            module_name="norm_rounding",
        )
        self.requantizer = Requantizer(
            i_width=self.scaled_width,
            o_width=config.data_width,
            shift_max=self.scaled_width,
            pipelined=self.pipelined,
            module_name="norm_requantizer",
        )
        super().__init__(
            {
                "tile": In(index_width(config.residual_tiles)),
                "norm": In(NormControl(config)),
                "feature": In(signed(config.residual_width)),
                "constants": In(NormConstants(config)),
                "activation": Out(ActivationWrite(config)),
            }
        )

    @property
    def norm_delay(self):
        """Cycles from `tile` to `norm`."""
        return 1

    @property
    def feature_delay(self):
        """Cycles from `tile` to `feature`."""
        return self.shift_memory.latency

    @property
    def product_latency(self):
        """Cycles that the product of a feature and its factor takes."""
        return 2 if self.pipelined else 1

    @property
    def normalized_latency(self):
        """Cycles from `tile` to the normalized feature: left shift, product, difference, rounding shift."""
        return self.feature_delay + 1 + self.product_latency + 1 + self.normalizing.latency

    @property
    def latency(self):
        """Cycles from `tile` to `activation`: besides, product and sum, rounding shift."""
        return self.normalized_latency + 2 + self.requantizer.latency

    def elaborate(self, platform):
        m = Module()
        norm = self.norm

        def after_tile(value, cycles, name):
            """A member of `norm`, as it is some cycles after its `tile`."""
            return delay(m, value, cycles - self.norm_delay, name)

        shift_memory = instantiate(m, "shift_memory", self.shift_memory)
        scale_memory = instantiate(m, "scale_memory", self.scale_memory)
        for memory in (shift_memory, scale_memory):
            m.d.comb += [memory.write_enable.eq(self.constants.valid), memory.write_address.eq(self.constants.tile)]
        m.d.comb += [
            shift_memory.write_data.eq(self.constants.left_shift),
            scale_memory.write_data.eq(Cat(self.constants.gamma, self.constants.beta)),
        ]

        # Normalized: D y x - S y, to 12 fractional bits.
        value = Signal(signed(self.value_width), reset_less=True)
        centred = Signal(signed(self.centred_width), reset_less=True)
        normalizing = instantiate(m, "normalizing", self.normalizing)
        m.d.comb += shift_memory.read_address.eq(self.tile)
        multiplied = self.feature_delay + 1 + self.product_latency
        factor = after_tile(norm.factor, self.feature_delay + 1, "factor")
        product = wide_product(m, value, factor, "product", cycles=self.product_latency)
        m.d.sync += [
            value.eq(self.feature << shift_memory.read_data),
            centred.eq(product - after_tile(norm.offset, multiplied, "offset")),
        ]
        m.d.comb += [
            normalizing.i.eq(centred),
            normalizing.shift.eq(after_tile(norm.right_shift, multiplied + 1, "right_shift")),
        ]

        # Scaled: the channel's constants are read when the normalized feature is there.
        scaled = Signal(signed(self.normalized_width + self.gamma_width), reset_less=True)
        total = Signal(signed(self.scaled_width), reset_less=True)
        norm_shift = Signal.like(norm.norm_shift, reset_less=True)
        requantizer = instantiate(m, "requantizer", self.requantizer)
        m.d.comb += scale_memory.read_address.eq(
            delay(m, self.tile, self.normalized_latency - self.scale_memory.latency, "tile")
        )
        gamma = scale_memory.read_data[: self.gamma_width].as_signed()
        beta = delay(m, scale_memory.read_data[self.gamma_width :], 1, "beta")
        m.d.sync += [
            scaled.eq(normalizing.o * gamma),
            total.eq(scaled + beta.as_signed()),
        ]
        with m.If(norm.valid):
            m.d.sync += norm_shift.eq(norm.norm_shift)
        m.d.comb += [
            requantizer.i.eq(total),
            requantizer.shift.eq(norm_shift),
            self.activation.valid.eq(after_tile(norm.valid, self.latency, "valid")),
            self.activation.bank.eq(after_tile(norm.bank, self.latency, "bank")),
            self.activation.address.eq(after_tile(norm.destination, self.latency, "destination")),
            self.activation.data.eq(requantizer.o),
        ]
        return m

"""What all LayerNorm lanes have in common: the arithmetic, and the memories of a column's constants.

    feature << left_shift = x --(* factor)--(- offset)--(>> right_shift, round)--> normalized, 12 fractional bits
    normalized --(* gamma)--(+ beta)--(>> norm_shift, round, saturate)--> output

The token's factor D y and offset S y (`rtl.network.norm_statistics`) come with it.
"""

from math import isqrt

from amaranth.hdl import Cat, Signal, signed

from taylorvit.rtl.array.requantizer import Requantizer
from taylorvit.rtl.array.wide_product import factor_registers, wide_product
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay

__all__ = ["NormArithmetic", "NormMemories"]

_NORMALIZED_FRACTION = 12
"""Fractional bits of a normalized feature."""


class NormMemories:
    """The constants of a column's LayerNorm: two memories, of a word for each tile of C features.

    Attributes:
        shift (MemoryBank): the channel's left shift.
        scale (MemoryBank): gamma and beta, one above the other.

    Args:
        config (NetworkConfig): the configuration.
    """

    def __init__(self, config):
        self._gamma_width = config.gamma_width
        depth, pipeline = config.residual_tiles, config.memory_pipeline
        self.shift = MemoryBank(depth=depth, width=max(1, config.left_shift_max.bit_length()), pipeline=pipeline)
        self.scale = MemoryBank(depth=depth, width=config.gamma_width + config.beta_width, pipeline=pipeline)

    @property
    def latency(self):
        """Cycles from an address to the constants."""
        return self.shift.latency

    def place(self, m, constants):
        """Puts the memories into a module, where constants are written into them.

        Args:
            m (Module): the module.
            constants (NormConstants): what is written.

        Returns:
            tuple: the instances, of `shift` and of `scale`.
        """
        shift, scale = instantiate(m, "shift_memory", self.shift), instantiate(m, "scale_memory", self.scale)
        for memory in (shift, scale):
            m.d.comb += [memory.write_enable.eq(constants.valid), memory.write_address.eq(constants.tile)]
        m.d.comb += [
            shift.write_data.eq(constants.left_shift),
            scale.write_data.eq(Cat(constants.gamma, constants.beta)),
        ]
        return shift, scale

    def gamma_and_beta(self, word):
        """The two constants in a word of `scale`, without a sign.

        Args:
            word (Value): the word.
        """
        return word[: self._gamma_width], word[self._gamma_width :]


class NormArithmetic(Block):
    """output = saturate(round_half_up((normalized gamma + beta) / 2^norm_shift)), for one feature a cycle.

    normalized = round_half_up((x factor - offset) / 2^right_shift) is at most sqrt(D) in magnitude, so it cannot
    overflow if factor and offset are those of the features.

    Args:
        config (NetworkConfig): the configuration.
        ports (dict): those of the lane.
    """

    def __init__(self, config, ports):
        self.pipelined = config.memory_pipeline > 0
        self.multiplier = config.multiplier
        self.value_width = config.stream_value_width
        self.gamma_width = config.gamma_width
        self.beta_width = config.beta_width
        product_width = config.stream_value_width + config.norm_factor_width
        self.centred_width = max(product_width, config.norm_offset_width, config.norm_right_shift_max - 1) + 1
        # |D x - S| <= sqrt(D variance): a normalized feature is at most sqrt(D), and rounding adds less than 1.
        largest = (isqrt(config.max_width) + 1) << _NORMALIZED_FRACTION
        self.normalized_width = largest.bit_length() + 1
        self.scaled_width = max(self.normalized_width + config.gamma_width, config.beta_width) + 1
        self.memories = NormMemories(config)
        self.normalizing = Requantizer(
            i_width=self.centred_width,
            o_width=self.normalized_width,
            shift_max=config.norm_right_shift_max,
            pipelined=self.pipelined,
            module_name="norm_rounding",
        )
        # Of a right shift that is always there, all but one place is done by leaving bits out.
        self.left_out = max(0, config.norm_shift_min - 1)
        self.requantizer = Requantizer(
            i_width=self.scaled_width - self.left_out,
            o_width=config.data_width,
            shift_max=min(config.norm_shift_max, self.scaled_width) - self.left_out,
            pipelined=self.pipelined,
            module_name="norm_requantizer",
        )
        super().__init__(ports)

    @property
    def norm_delay(self):
        """Cycles from `tile` to `norm`."""
        return 1

    @property
    def feature_delay(self):
        """Cycles from `tile` to `feature`."""
        return self.memories.latency

    @property
    def product_latency(self):
        """Cycles that the product of a feature and its factor takes."""
        return 2 if self.pipelined else 1

    @property
    def scaled_latency(self):
        """Cycles that the product of a normalized feature and gamma takes."""
        return factor_registers(self.multiplier) + 1

    @property
    def normalized_latency(self):
        """Cycles from `tile` to the normalized feature: left shift, product, difference, rounding shift."""
        return self.feature_delay + 1 + self.product_latency + 1 + self.normalizing.latency

    @property
    def latency(self):
        """Cycles from `tile` to `activation`: besides, product and sum, rounding shift."""
        return self.normalized_latency + self.scaled_latency + 1 + self.requantizer.latency

    def after_tile(self, m, value, cycles, name):
        """A member of `norm`, as it is some cycles after its `tile`.

        Args:
            m (Module): the lane's module.
            value (Value): the member.
            cycles (int): from `tile`.
            name (str): of the registers.
        """
        return delay(m, value, cycles - self.norm_delay, name)

    def normalized(self, m, norm, feature, left_shift):
        """D y x - S y, to 12 fractional bits, `normalized_latency` cycles after `tile`.

        Args:
            m (Module): the lane's module.
            norm (object): with `factor`, `offset` and `right_shift` of the token, as in `NormControl`.
            feature (Value): the feature, `feature_delay` cycles after `tile`.
            left_shift (Value): the channel's, in the same cycle.
        """
        shifted = Signal(signed(self.value_width))
        centred = Signal(signed(self.centred_width), reset_less=True)
        normalizing = instantiate(m, "normalizing", self.normalizing)
        # The cycle of the shift ends in registers that are here, or in those of the product.
        ahead = 1 - factor_registers(self.multiplier)
        value = delay(m, shifted, ahead, "value")
        factor = self.after_tile(m, norm.factor, self.feature_delay + ahead, "factor")
        product = wide_product(m, value, factor, "product", cycles=self.product_latency, multiplier=self.multiplier)
        multiplied = self.feature_delay + 1 + self.product_latency
        m.d.sync += centred.eq(product - self.after_tile(m, norm.offset, multiplied, "offset"))
        m.d.comb += [
            shifted.eq(feature << left_shift),
            normalizing.i.eq(centred),
            normalizing.shift.eq(self.after_tile(m, norm.right_shift, multiplied + 1, "right_shift")),
        ]
        return normalizing.o

    def output(self, m, normalized, gamma, beta, norm_shift):
        """What becomes of a normalized feature, `latency` cycles after `tile`.

        Args:
            m (Module): the lane's module.
            normalized (Value): the feature.
            gamma (Value): the channel's factor, in the same cycle.
            beta (Value): the channel's summand, likewise.
            norm_shift (Value): right shift of all, as in `NormControl`.
        """
        total = Signal(signed(self.scaled_width - self.left_out), reset_less=True)
        requantizer = instantiate(m, "requantizer", self.requantizer)
        scaled = wide_product(m, normalized, gamma.as_signed(), "scaled", cycles=1, multiplier=self.multiplier)
        summand = delay(m, beta, self.scaled_latency, "beta").as_signed()
        m.d.sync += total.eq((scaled + summand) >> self.left_out)
        m.d.comb += [requantizer.i.eq(total), requantizer.shift.eq(norm_shift)]
        return requantizer.o

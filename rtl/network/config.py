"""The configuration from which a network accelerator is built.

Like `rtl.config.AcceleratorConfig`, of which it holds one for the attention kernel (`attention`): a few numbers are
fields, everything else follows from them, and every rule is checked when it is made.

Symbols: R = `rows`, C = `columns`, N = `max_tokens`.
"""

import hashlib
import json
from collections import ChainMap
from dataclasses import dataclass
from functools import cached_property
from math import ceil, isqrt

from taylorvit.rtl.attention import KERNELS, NETWORK_KERNELS
from taylorvit.rtl.common.configuration import ConfigError, Configuration
from taylorvit.rtl.common.memory_kinds import ONE_PORT_KINDS, TWO_PORT_KINDS
from taylorvit.rtl.config import AcceleratorConfig

from .command import COMMAND_BYTES, HEADER_BYTES, TRAILER_BYTES, VERSION
from .serial_cycles import serial_root_cycles

__all__ = ["COUNTERS", "JobLimits", "NetworkConfig"]

COUNTERS = ("none", "cycles", "all")
"""Values of `NetworkConfig.counters`, in the order of their numbers in register COUNTER_WIDTHS."""

#: Fields that do not change what a tape means: a tape for one value is right for all.
_NOT_IN_TAPE = (
    "name", "prefix", "pe", "pe_pipeline", "multiplier", "booth_columns", "memory_pipeline", "divider_interval",
    "norm_interval", "norm_lanes", "tape_width", "tape_source", "tape_queue_rows", "command_queue", "tape_memory_bytes",
    "axi_outstanding", "image_lanes", "image_banks", "activation_memory", "image_memory", "residual_memory",
    "kernel_memory", "partial_sum_memory", "tape_queue_memory", "tape_memory", "input_timeout", "counters",
    "counter_width", "error_count_width",
)  # fmt: skip

#: Fields: kinds of memory of buffers that are read and written in the same cycle, and of those that never are.
_TWO_PORTS = ("activation_memory", "residual_memory", "kernel_memory", "partial_sum_memory", "tape_queue_memory")
_ONE_PORT_IS_ENOUGH = ("image_memory", "tape_memory")


class JobLimits:
    """Limits of a job that follow from others, of a configuration or of what a host sees of an accelerator."""

    @property
    def shortest_tape(self):
        """Bytes of the shortest tape: header, END and CRC, each in whole rows."""
        sizes = (HEADER_BYTES, COMMAND_BYTES, TRAILER_BYTES)
        return sum(ceil(size / self.columns) * self.columns for size in sizes)

    @property
    def largest_patch_size(self):
        """Most pixels of a side of a patch."""
        return isqrt(self.max_patch)


@dataclass(frozen=True, kw_only=True)
class _KernelConfig(AcceleratorConfig):
    """The configuration of the attention kernel, which may be one that only networks have.

    Args:
        c_v_bits (int): as in `NetworkConfig`.
        c_d_bits (int): likewise.
    """

    c_v_bits: int = 0
    c_d_bits: int = 0

    known_kernels = ChainMap(KERNELS, NETWORK_KERNELS)
    largest_shift_z_min = 7


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(JobLimits, Configuration):
    """Sizes of one network accelerator.

    Args:
        name (str): a label, by default that of the preset or file.
        rows (int): rows of PEs (R), 2 to 256.
        columns (int): columns of PEs of SA-General (C), 1 to `rows`; SA-Diag is one more.
        kernel (str): attention kernel, a key of `rtl.attention.KERNELS` or of `rtl.attention.NETWORK_KERNELS` with
            `network_hardware`; "taylor+softmax" is both, chosen by layer by the tape.
        max_tokens (int): most tokens of an image, prefix tokens included (N), 2 to 8192.
        max_width (int): most features of a token, 1 to 4096.
        max_hidden (int): most hidden features of the MLP, 1 to 16384.
        max_patch (int): most pixels of a patch, its colours counted, 1 to 4096.
        max_classes (int): most classes, 1 to 65535.
        max_heads (int): most attention heads, 1 to `max_width`.
        max_head_dim (int): most features of a head, 1 to `max_width`.
        mlp_tokens (int): most tokens whose hidden features are on the chip at once, 0 to `max_tokens`; 0 for all. The
            MLP goes by blocks of at most so many tokens, and its weights come with the tape for each block.
        residual_width (int): bits of the residual stream, 8 to 16.
        left_shift_max (int): largest left shift of a channel of the residual stream, 0 to 7.
        sum_width (int): bits of the sums of products with their bias, 16 to 32.
        aligned_width (int): bits of a sum that is aligned with the residual stream, `sum_width` to 48.
        stream_shift_max (int): largest left shift of the residual stream in an addition, 0 to 31.
        branch_shift_max (int): largest left shift of a branch in an addition, 0 to 15.
        right_shift_max (int): largest right shift of a sum to an activation or the residual stream, 0 to 48; one of
            `aligned_width` or more is as good as any.
        norm_shift_min (int): least right shift of a LayerNorm's output, 0 or 17: the largest is 63, or 31.
        epsilon_width (int): bits of what is added to the scaled variance of a LayerNorm, 1 to 47.
        mean_fraction (int): Taylor attention: fractional bits of the token mean of K (f), 0 to 8.
        constant_fraction (int): Taylor attention: fractional bits of the constants c_v and c_d (F), 0 to 16.
        score_width (int): softmax attention: bits of a score, 4 to 16.
        exponential_width (int): softmax attention: bits of an exponential, without a sign, 4 to 16.
        exponential_entries (int): softmax attention: entries of the table of exponentials, a power of two, 2 to 65536.
        query_block (int): softmax attention: most queries of a block, 0 to `max_tokens`; 0 is `max_tokens`. The scores
            of two blocks are on the chip.
        c_v_bits (int): Taylor attention: bits of the constant c_v, 1 to 32; 0 for as many as any model may need.
        c_d_bits (int): Taylor attention: bits of the constant c_d, 1 to 64; 0 for as many as any model may need.
        shift_z_min (int): least left shift of Z's numerators, -8 to 7, at most `shift_z_max`.
        shift_z_max (int): largest left shift of Z's numerators, 0 to 31.
        norm_interval (int): cycles between two tokens whose LayerNorm is prepared, 1 to 16, or up to 128 and at least
            `serial_root_cycles`: then the reciprocal root is found in series, in a sixth of the logic.
        norm_lanes (int): LayerNorm lanes, a divisor of `columns`, each of which serves as many neighbouring columns in
            turn; 0 for one in each column.
        divider_interval (int): as in `AcceleratorConfig`.
        tape_width (int): bits of a word of the tape, a number of bytes that divides `columns`, and of the AXI4 port; a
            power of two, unless the tape comes as a stream, and at most 1024 for AXI4.
        tape_source (str): "axi" for an AXI4 read master, "stream" for an AXI4-Stream, "memory" for memory on the chip.
        tape_queue_rows (int): rows of C bytes of the tape that are read ahead, a power of two, at least 2 R.
        command_queue (int): commands of 512 bits that wait between decoder and engine, 2 or 0. Without them, weights of
            a product come when the one before has been taken in, and a small FPGA has a thousand registers less.
        tape_memory_bytes (int): bytes of the memory on the chip, with `tape_source` "memory", whole words of the tape
            and of 4 bytes; 0 otherwise.
        axi_outstanding (int): most bursts that the AXI4 read master waits for, 1 to 16.
        image_lanes (int): pixels of a beat of the image stream, a divisor of `rows`.
        image_banks (str): "own" for banks of the image alone, into which the next image moves while one is computed;
            "activations" for the activation banks, which are free until the image has been read: the next image moves
            in when the one before is finished.
        activation_memory (str): what kind of memory the activation banks become: "auto" (synthesis chooses), "block",
            "distributed" or "split" (`rtl.common.memory_bank`).
        image_memory (str): likewise of the image banks, or "huge"; "auto" if it has none of its own.
        residual_memory (str): likewise of the banks of the residual stream, never "huge".
        kernel_memory (str): likewise of the attention kernel's K, V, G and scores.
        partial_sum_memory (str): likewise of the partial sums.
        tape_queue_memory (str): likewise of the tape's rows that are read ahead.
        tape_memory (str): likewise of the memory on the chip of `tape_source` "memory", or "huge"; "auto" otherwise.
        pe (str): as in `AcceleratorConfig`, like all that follow.
        pe_pipeline (int): registers of a PE's multiplier.
        multiplier (str): form of the PEs' multipliers.
        booth_columns (int): columns that have Booth multipliers.
        memory_pipeline (int): registers behind the output of every buffer's memory, 0 to 2.
        input_timeout (int): reset value of the TIMEOUT register, cycles.
        counters (str): performance counters: "all", "cycles" for CYCLES and IMAGES_DONE alone, or "none".
        counter_width (int): bits of TIMEOUT and of each performance counter, 8 to 32.
        error_count_width (int): bits of each count of errors, 0 to 16; 0 for no counts.
        prefix (str): stands in front of the name of every Verilog module and generated file.

    Raises:
        ConfigError: a value breaks a rule.
    """

    name: str
    rows: int
    columns: int
    kernel: str = "taylor"
    max_tokens: int
    max_width: int
    max_hidden: int
    max_patch: int
    max_classes: int
    max_heads: int
    max_head_dim: int = 64
    mlp_tokens: int = 0
    residual_width: int = 12
    left_shift_max: int = 3
    sum_width: int = 24
    aligned_width: int = 32
    stream_shift_max: int = 15
    branch_shift_max: int = 3
    right_shift_max: int = 48
    norm_shift_min: int = 0
    epsilon_width: int = 47
    mean_fraction: int = 3
    constant_fraction: int = 8
    score_width: int = 12
    exponential_width: int = 11
    exponential_entries: int = 1024
    query_block: int = 0
    c_v_bits: int = 0
    c_d_bits: int = 0
    shift_z_min: int = -8
    shift_z_max: int = 31
    norm_interval: int = 1
    norm_lanes: int = 0
    divider_interval: int = 0
    tape_width: int = 8
    tape_source: str = "axi"
    tape_queue_rows: int = 256
    command_queue: int = 2
    tape_memory_bytes: int = 0
    axi_outstanding: int = 4
    image_lanes: int = 1
    image_banks: str = "own"
    activation_memory: str = "auto"
    image_memory: str = "auto"
    residual_memory: str = "auto"
    kernel_memory: str = "auto"
    partial_sum_memory: str = "auto"
    tape_queue_memory: str = "auto"
    tape_memory: str = "auto"
    pe: str = "mac"
    pe_pipeline: int = 1
    multiplier: str = "inferred"
    booth_columns: int = 0
    memory_pipeline: int = 0
    input_timeout: int = 1 << 24
    counters: str = "all"
    counter_width: int = 32
    error_count_width: int = 16
    prefix: str = ""

    accelerator = "network"
    """Which accelerator it is the configuration of, one of `gen.presets.CONFIGURATIONS`."""

    tape_format = VERSION
    """Version of the format of tapes."""

    data_width = 8
    """Bits of weights and activations."""

    gamma_width = 16
    """Bits of LayerNorm's factors."""

    beta_width = 32
    """Bits of LayerNorm's summands, and of biases."""

    logit_width = 32
    """Bits of a logit on its stream."""

    address_width = 32
    """Bits of an address on the AXI4 port."""

    def __post_init__(self):
        self._require_range("rows", 2, 256)
        self._require_range("columns", 1, self.rows)
        self._require_range("max_tokens", 2, 8192)
        self._require_range("max_width", 1, 4096)
        self._require_range("max_hidden", 1, 16384)
        self._require_range("max_patch", 1, 4096)
        self._require_range("max_classes", 1, 65535)
        self._require_range("max_heads", 1, self.max_width)
        self._require_range("max_head_dim", 1, self.max_width)
        self._require_range("mlp_tokens", 0, self.max_tokens)
        self._require_range("c_v_bits", 0, 32)
        self._require_range("c_d_bits", 0, 64)
        # The rules of the fields that both have.
        if not self.attention.spec.network_hardware:
            raise ConfigError(f"kernel must be one that a network accelerator can have, not {self.kernel!r}")
        self._require_one_of("counters", COUNTERS)
        self._require_range("error_count_width", 0, 16)
        self._require_range("residual_width", 8, 16)
        self._require_range("left_shift_max", 0, 7)
        self._require_range("sum_width", 16, 32)
        self._require_range("aligned_width", self.sum_width, 48)
        self._require_range("stream_shift_max", 0, 31)
        self._require_range("branch_shift_max", 0, 15)
        self._require_range("right_shift_max", 0, 48)
        if self.norm_shift_min not in (0, 17):
            raise ConfigError(f"norm_shift_min must be 0 or 17, not {self.norm_shift_min!r}")
        self._require_range("epsilon_width", 1, 47)
        self._require_range("norm_interval", 1, 128)
        if 16 < self.norm_interval < self.serial_root_cycles:
            raise ConfigError(
                f"norm_interval must be at most 16, or at least {self.serial_root_cycles} for a variance of "
                f"{self.variance_width} bits, not {self.norm_interval!r}"
            )
        self._require_range("norm_lanes", 0, self.columns)
        if self.norm_lanes and self.columns % self.norm_lanes:
            raise ConfigError(f"norm_lanes must divide columns ({self.columns}) or be 0, not {self.norm_lanes!r}")
        self._require_range("axi_outstanding", 1, 16)
        self._require_range("tape_memory_bytes", 0, 1 << 24)
        self._require_range("tape_queue_rows", 2 * self.rows, 1 << 16)
        if self.tape_queue_rows & (self.tape_queue_rows - 1):
            raise ConfigError(f"tape_queue_rows must be a power of two, not {self.tape_queue_rows!r}")
        self._require_range("command_queue", 0, 2)
        if self.command_queue == 1:
            raise ConfigError(f"command_queue must be 0 or 2, not {self.command_queue!r}")
        self._require_one_of("tape_source", ("axi", "stream", "memory"))
        if (self.tape_source == "memory") != (self.tape_memory_bytes > 0):
            raise ConfigError(
                f"tape_memory_bytes must be positive with tape_source 'memory' alone, not {self.tape_memory_bytes!r}"
            )
        self._require_range("tape_width", 8, 8 * 256)  # of as many columns as there can be
        if self.tape_width % 8 or self.columns % (self.tape_width // 8):
            raise ConfigError(
                f"tape_width must be of bytes whose number divides columns ({self.columns}), not {self.tape_width!r}"
            )
        if self.tape_source != "stream" and self.tape_width & (self.tape_width - 1):
            source = self.tape_source
            raise ConfigError(f"tape_width must be a power of two with tape_source {source!r}, not {self.tape_width!r}")
        if self.tape_source == "axi" and self.tape_width > 1024:
            raise ConfigError(f"tape_width must be at most 1024 with tape_source 'axi', not {self.tape_width!r}")
        if self.tape_source == "memory":
            self._require_range("tape_memory_bytes", self.shortest_tape, 1 << 24)
            unit = max(4, self.tape_bytes)
            if self.tape_memory_bytes % unit:
                raise ConfigError(f"tape_memory_bytes must be a multiple of {unit}, not {self.tape_memory_bytes!r}")
        self._require_range("image_lanes", 1, self.rows)
        if self.rows % self.image_lanes:
            raise ConfigError(f"image_lanes must divide rows ({self.rows}), not {self.image_lanes!r}")
        self._require_one_of("image_banks", ("own", "activations"))
        self._require_memory_kinds()

    def _require_memory_kinds(self):
        for field in (*_TWO_PORTS, *_ONE_PORT_IS_ENOUGH):
            self._require_one_of(field, TWO_PORT_KINDS + ONE_PORT_KINDS)
        for field in _TWO_PORTS:
            if (kind := getattr(self, field)) in ONE_PORT_KINDS:
                raise ConfigError(f"{field} must be of a kind that is read and written in the same cycle, not {kind!r}")
        if self.shares_image_banks and self.image_memory != "auto":
            raise ConfigError(f"image_memory must be 'auto' unless image_banks is 'own', not {self.image_memory!r}")
        if self.tape_source != "memory" and self.tape_memory != "auto":
            raise ConfigError(f"tape_memory must be 'auto' unless tape_source is 'memory', not {self.tape_memory!r}")

    @cached_property
    def attention(self):
        """The configuration of the attention kernel, whose widths and rules are those of the attention accelerator."""
        shared = {
            field: getattr(self, field)
            for field in (
                "name", "rows", "columns", "kernel", "mean_fraction", "constant_fraction", "max_tokens", "max_head_dim",
                "max_heads", "pe", "pe_pipeline", "multiplier", "booth_columns", "memory_pipeline", "divider_interval",
                "c_v_bits", "c_d_bits", "shift_z_min", "shift_z_max", "score_width", "exponential_width",
                "exponential_entries", "query_block", "input_timeout", "counter_width", "prefix",
            )
        }  # fmt: skip
        return _KernelConfig(**shared, data_width=self.data_width, stream_width=self.data_width)

    @property
    def tape_hash(self):
        """Number of 64 bits that a tape must name: of everything in the configuration that its bytes depend on."""
        meaning = {key: value for key, value in self.to_mapping().items() if key not in _NOT_IN_TAPE}
        text = json.dumps(meaning, sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    # Array and tiles

    @property
    def kernels(self):
        """The attention kernels that a layer can have, names of `rtl.network.command.KERNELS`."""
        return tuple(self.kernel.split("+"))

    @property
    def processing_elements(self):
        """PEs of SA-General and SA-Diag."""
        return self.attention.processing_elements

    @property
    def columns_per_lane(self):
        """Neighbouring columns that share a LayerNorm lane, and cycles between two tokens of a LayerNorm."""
        return self.columns // (self.norm_lanes or self.columns)

    @property
    def tape_bytes(self):
        """Bytes of a word of the tape."""
        return self.tape_width // 8

    @property
    def residual_tiles(self):
        """Tiles of C features of the residual stream."""
        return ceil(self.max_width / self.columns)

    @property
    def hidden_tokens(self):
        """Most tokens whose hidden features are on the chip at once."""
        return self.mlp_tokens or self.max_tokens

    @property
    def longest_pass(self):
        """Most elements of a pass."""
        return max(self.max_tokens, self.max_head_dim)

    @property
    def most_z_places(self):
        """Most places of a token's Z: that of a head takes whole tiles of C places.

        Heads of so many tiles are most if they are as narrow as can be.
        """
        columns = self.columns
        tiles = range(1, ceil(self.max_head_dim / columns) + 1)
        return max(columns * each * min(self.max_heads, self.max_width // ((each - 1) * columns + 1)) for each in tiles)

    @property
    def most_input_tiles(self):
        """Most tiles of R places that a product accumulates; the heads of a distilled network read two tokens."""
        ends = (self.max_patch, self.max_hidden, self.most_z_places, self.max_tokens, self.max_head_dim)
        return max(2 * ceil(self.max_width / self.rows), ceil(max(ends) / self.rows))

    @property
    def most_output_tiles(self):
        """Most tiles of C columns of a product."""
        ends = (self.max_width, self.max_hidden, self.max_classes, self.max_tokens, self.max_head_dim)
        return ceil(max(ends) / self.columns)

    @property
    def most_features(self):
        """Most places that a product accumulates."""
        return self.rows * self.most_input_tiles

    # Widths

    @property
    def partial_sum_width(self):
        """Partial sums of SA-General: of linear layers and of attention."""
        return max(self.sum_width, self.attention.partial_sum_width)

    @property
    def streamed_width(self):
        """Operand that moves right through the array: an activation, or what the kernel makes of K."""
        return max(self.data_width, self.attention.streamed_width)

    @property
    def stream_value_width(self):
        """A feature of the residual stream in the one exponent of all channels."""
        return self.residual_width + self.left_shift_max

    @property
    def norm_sum_width(self):
        """Sum of a token's features."""
        return self.stream_value_width + (self.max_width - 1).bit_length()

    @property
    def norm_square_width(self):
        """Sum of a token's squares, without a sign."""
        return 2 * self.stream_value_width - 1 + (self.max_width - 1).bit_length()

    @property
    def variance_width(self):
        """D^2 times the variance, plus epsilon, without a sign; at least the 30 bits that a root is found from."""
        return max(self.norm_square_width + self.max_width.bit_length() + 1, self.epsilon_width + 1, 30)

    @property
    def right_shift_limit(self):
        """Largest right shift that the hardware has for a sum."""
        return min(self.right_shift_max, self.aligned_width)

    @property
    def norm_shift_bits(self):
        """Low bits of the right shift of a LayerNorm's output that tell it from others."""
        return 4 if self.norm_shift_min else 6

    @property
    def norm_shift_max(self):
        """Largest right shift of a LayerNorm's output."""
        return 31 if self.norm_shift_min else 63

    @property
    def serial_root_cycles(self):
        """Cycles of a token whose reciprocal root is found in series."""
        return serial_root_cycles(self.variance_width)

    @property
    def has_serial_root(self):
        """Whether reciprocal roots are found in series."""
        return self.norm_interval >= self.serial_root_cycles

    @property
    def norm_factor_width(self):
        """D times the reciprocal root: the reciprocal is at most 2^15."""
        return 16 + self.max_width.bit_length()

    @property
    def norm_offset_width(self):
        """Sum of the features times the reciprocal root, signed."""
        return self.norm_sum_width + 16

    @property
    def norm_right_shift_max(self):
        """Largest right shift of the product of a feature and the factor: 17 + m."""
        return 17 + max(0, (self.variance_width - 30 + 1) >> 1)

    # Buffers

    def activation_tiles(self, features):
        """Tiles of R places of an activation: output tiles take C places each, so the last one may begin another tile.

        Args:
            features (int): of a token.
        """
        return ceil(ceil(features / self.columns) * self.columns / self.rows)

    @property
    def activation_depth(self):
        """Words of an activation bank: normalized tokens, and beside them Q and Z of all heads, or the hidden features.

        Hidden features are those of `hidden_tokens`.
        """
        attention = 2 * self.activation_tiles(self.max_head_dim) + ceil(self.most_z_places / self.rows)
        hidden = self.hidden_tokens * self.activation_tiles(self.max_hidden)
        return self.max_tokens * self.activation_tiles(self.max_width) + max(self.max_tokens * attention, hidden)

    @property
    def image_depth(self):
        """Words of an image bank: pixels of all patches."""
        return (self.max_tokens - 1) * ceil(self.max_patch / self.rows)

    @property
    def shares_image_banks(self):
        """Whether the image lies in the activation banks."""
        return self.image_banks == "activations"

    @property
    def activation_bank_depth(self):
        """Words of an activation bank, with those of an image that lies there before there are activations."""
        return max(self.activation_depth, self.image_depth) if self.shares_image_banks else self.activation_depth

    @property
    def residual_depth(self):
        """Words of a bank of the residual stream."""
        return self.max_tokens * self.residual_tiles

    @property
    def padded_head_dim(self):
        """Features of a head in whole tiles of C, as K keeps them."""
        return self.columns * ceil(self.max_head_dim / self.columns)

    @property
    def key_depth(self):
        """Words of a row's bank of K, Taylor attention: of two heads, whole tiles of C features each."""
        return 2 * ceil(self.max_tokens / self.rows) * self.padded_head_dim

    @property
    def score_depth(self):
        """Words of a row's bank of scores, softmax attention: of two blocks of queries."""
        return 2 * ceil(self.max_tokens / self.rows) * (self.query_block or self.max_tokens)

    @property
    def kernel_row_depth(self):
        """Words of the bank that the kernel has in a row: K of Taylor attention, scores of softmax attention."""
        depths = {"taylor": self.key_depth, "softmax": self.score_depth}
        return max(depths[kernel] for kernel in self.kernels)

    @property
    def value_depth(self):
        """Words of a bank of V, of two heads."""
        return 2 * ceil(self.max_head_dim / self.columns) * self.max_tokens

    @property
    def g_depth(self):
        """Words of a bank of G, Taylor attention, of two heads."""
        return 2 * ceil(self.max_head_dim / self.columns) * self.max_head_dim

    @property
    def key_column_depth(self):
        """Words of a column's bank of K, softmax attention: of two heads, whole tiles of C features and C tokens."""
        return 2 * ceil(self.max_tokens / self.columns) * self.padded_head_dim

    @property
    def kernel_1_depth(self):
        """Words of a column's bank KERNEL_1: G of Taylor attention, K of softmax attention."""
        depths = {"taylor": self.g_depth, "softmax": self.key_column_depth}
        return max(depths[kernel] for kernel in self.kernels)

    def _kernel_bits(self):
        """Bits of the kernel's buffers by name; with both kernels, two of them have one memory."""
        attention = self.attention
        of_columns = self.columns * self.data_width
        softmax = "softmax" in self.kernels
        widths = {"k": self.data_width} if "taylor" in self.kernels else {}
        widths |= {"scores": attention.kept_score_width} if softmax else {}
        beside_columns = [{"taylor": "g", "softmax": "k"}[kernel] for kernel in self.kernels]
        tables = self.rows * self.exponential_entries * self.exponential_width
        return {
            "_or_".join(widths): self.kernel_row_depth * self.rows * max(widths.values()),
            "v": self.value_depth * of_columns,
            "_or_".join(beside_columns): self.kernel_1_depth * of_columns,
            **({"exponentials": tables} if softmax else {}),
        }

    @property
    def buffer_bytes(self):
        """Bytes of on-chip buffers by name."""
        of_rows, of_columns = self.rows * self.data_width, self.columns * self.data_width
        bits = {
            "activations": self.activation_bank_depth * of_rows,
            "image": 0 if self.shares_image_banks else self.image_depth * of_rows,
            "residual": self.residual_depth * self.columns * self.residual_width,
            **self._kernel_bits(),
            "partial_sums": self.longest_pass * self.columns * self.partial_sum_width,
            "tape_queue": self.tape_queue_rows * of_columns,
            "tape": 8 * self.tape_memory_bytes,
        }
        return {name: ceil(number / 8) for name, number in bits.items() if number}

"""The one configuration from which the whole accelerator is built.

`AcceleratorConfig` is frozen: the few numbers that a user chooses are its fields, everything else (widths, tile
counts, buffer depths, cycles) is a property derived from them, so that no size is ever written twice. Every rule
about these numbers is in `__post_init__`; a value that breaks one raises `ConfigError` naming field, value and rule.

The symbols of the documentation are W = `data_width`, f = `mean_fraction`, F = `constant_fraction`,
N = `max_tokens`, D = `max_head_dim`, R = `rows`, C = `columns`; n and d are a job's own tokens and head dimension.
"""

import re
from dataclasses import MISSING, asdict, dataclass, fields
from math import ceil, gcd
from string import ascii_letters, digits

from taylorvit.rtl.array.multiplier import FORMS
from taylorvit.rtl.array.pe import PES

__all__ = ["NAME_CHARACTERS", "AcceleratorConfig", "ArrayCycles", "ConfigError"]

NAME_CHARACTERS = frozenset(f"{ascii_letters}{digits}-_")
"""What a name consists of: tools that read the generated files, FuseSoC for one, pass over other characters."""

# Stands in front of names in Verilog, C and Python. With a '_' at its end no name becomes a keyword, as "type" of "pe"
# would; in small letters, no two are the same as macros of C.
_PREFIX = re.compile(r"(?:[a-z][a-z0-9_]{0,30}_)?")

# Of one bank, a row's or a column's share of a buffer: what the largest array needs for the largest job. A small array
# with more would be no accelerator, and memories so deep take the generator minutes.
_BANK_BITS = 1 << 25


class ConfigError(ValueError):
    """A configuration that cannot be built; the text names the field, its value and the rule."""


def _ceil_log2(value):
    return (value - 1).bit_length()


class ArrayCycles:
    """Cycles of an array of `rows` x `columns` PEs."""

    def array_cycles(self, tokens, head_dim):
        """T_SA: cycles of array work a head, ceil(n/R) d ceil(d/C) + n ceil(d/R) ceil(d/C)."""
        columns = ceil(head_dim / self.columns)
        return columns * (ceil(tokens / self.rows) * head_dim + tokens * ceil(head_dim / self.rows))

    def ideal_cycles(self, tokens, head_dim):
        """Cycles a head if every PE of SA-General did a useful product every cycle: 2 n d^2 / (R C)."""
        return 2 * tokens * head_dim**2 / (self.rows * self.columns)


@dataclass(frozen=True, kw_only=True)
class AcceleratorConfig(ArrayCycles):
    """Sizes of one accelerator.

    Parameters
    ----------
    name: a label, by default that of the preset or file; of `NAME_CHARACTERS`.
    prefix: stands in front of the name of every Verilog module and generated file, so that several accelerators can be
        parts of one design: small letters, digits and '_', for example "left_"; nothing by default.
    rows, columns: SA-General is `rows` x `columns` PEs, SA-Diag `rows` x 1.
    data_width: bits of Q, K, V, G and Z elements (W).
    mean_fraction: fractional bits kept of the token mean of K (f).
    constant_fraction: fractional bits of the run-time constants c_v and c_d (F).
    max_tokens, max_head_dim, max_heads: limits of a job's run-time sizes (N, D, and heads in one job).
    pe: kind of the processing elements (`rtl.array.pe.PES`).
    pe_pipeline: registers of a PE's multiplier besides those of its operands; DSP cells are fastest with 3.
    multiplier: form of the PEs' multipliers (`rtl.array.multiplier.FORMS`): "inferred", which is portable, the DSP cell
        of an FPGA family, or "booth" for none.
    booth_columns: columns of SA-General, the rightmost, that have Booth multipliers whatever the others have: for an
        array larger than the number of DSP cells.
    memory_pipeline: registers behind the output of every buffer's memory; block RAM is slow to answer.
    divider_interval: cycles between two rows entering the divider array; 0 sizes it so that division keeps up
        with the array at `max_head_dim` (see `divider_row_interval`).
    shift_z_min, shift_z_max: limits of SHIFT_Z (negative: a Z much larger than V). T_N and t_D are as much wider.
    stream_width: bits of each AXI4-Stream's TDATA, a whole number of element containers (`element_width`).
    input_timeout: reset value of the TIMEOUT register, cycles.
    counter_width: bits of TIMEOUT and of each performance counter, which stop at their maximum; error_count_width: of
        each count of errors. Fewer make the registers smaller, where every LUT counts.
    """

    name: str
    rows: int
    columns: int
    data_width: int = 8
    mean_fraction: int = 3
    constant_fraction: int = 8
    max_tokens: int = 256
    max_head_dim: int = 64
    max_heads: int = 4095
    pe: str = "mac"
    pe_pipeline: int = 1
    multiplier: str = "inferred"
    booth_columns: int = 0
    memory_pipeline: int = 0
    divider_interval: int = 0
    shift_z_min: int = -8
    shift_z_max: int = 31
    stream_width: int = 32
    input_timeout: int = 1 << 24
    counter_width: int = 32
    error_count_width: int = 16
    prefix: str = ""

    def __post_init__(self):
        if not isinstance(self.name, str):
            raise ConfigError(f"name must be a string, not {self.name!r}")
        if not self.name or set(self.name) - NAME_CHARACTERS:
            raise ConfigError(f"name must consist of ASCII letters, digits, '-' and '_', not {self.name!r}")
        if not isinstance(self.prefix, str):
            raise ConfigError(f"prefix must be a string, not {self.prefix!r}")
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigError(
                "prefix must be empty, or begin with a small letter, go on with small letters, digits and '_', end in "
                f"'_', and have at most 32 of them, not {self.prefix!r}"
            )
        self._require_range("rows", 2, 256)
        self._require_range("columns", 1, 256)
        self._require_range("data_width", 2, 16)
        self._require_range("mean_fraction", 0, 8)
        self._require_range("constant_fraction", 0, 16)
        self._require_range("max_tokens", 1, 65535)
        self._require_range("max_head_dim", 1, 4096)
        self._require_range("max_heads", 1, 65535)
        self._require_range("pe_pipeline", 0, 4)
        self._require_one_of("pe", PES)
        self._require_multiplier()
        self._require_range("memory_pipeline", 0, 2)
        self._require_range("divider_interval", 0, self.divider_iterations)
        self._require_range("shift_z_min", -8, 0)
        self._require_range("shift_z_max", 0, 31)
        self._require_range("stream_width", self.element_width, 4096)
        self._require_range("counter_width", 8, 32)
        self._require_range("input_timeout", 1, (1 << self.counter_width) - 1)
        self._require_range("error_count_width", 1, 16)
        if self.rows < self.memory_pipeline + 2:
            # A pass takes `rows` cycles at least; a partial sum must be back in its memory when the next one comes.
            raise ConfigError(
                f"rows must be at least memory_pipeline + 2 = {self.memory_pipeline + 2}, not {self.rows!r}"
            )
        if self.stream_width % self.element_width:
            raise ConfigError(
                f"stream_width must be a multiple of the {self.element_width}-bit element container, "
                f"not {self.stream_width!r}"
            )
        if gcd(self.rows, self.columns) % self.stream_lanes:
            raise ConfigError(
                f"stream_width must carry a number of {self.element_width}-bit elements that divides both "
                f"rows ({self.rows}) and columns ({self.columns}), not {self.stream_width!r} "
                f"({self.stream_lanes} elements)"
            )
        self._require_banks()

    def _require_range(self, field, low, high):
        value = getattr(self, field)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConfigError(f"{field} must be an integer, not {value!r}")
        if not low <= value <= high:
            raise ConfigError(f"{field} must be in {low}..{high}, not {value!r}")

    def _require_one_of(self, field, names):
        value = getattr(self, field)
        if not isinstance(value, str) or value not in names:
            raise ConfigError(f"{field} must be one of {', '.join(names)}, not {value!r}")

    def _require_multiplier(self):
        self._require_one_of("multiplier", FORMS)
        self._require_range("booth_columns", 0, self.columns)
        for form in (self.multiplier, "booth") if self.booth_columns else (self.multiplier,):
            least = FORMS[form].least_pipeline
            if self.pe_pipeline < least:
                raise ConfigError(
                    f"pe_pipeline must be at least {least} for {form} multipliers, not {self.pe_pipeline!r}"
                )
        limit = FORMS[self.multiplier].operand_limit
        if limit is None:
            return
        if self.streamed_width > limit:
            raise ConfigError(
                f"data_width + mean_fraction must be at most {limit - 1} for the {limit}-bit operands of "
                f"{self.multiplier} multipliers, not {self.data_width + self.mean_fraction!r}"
            )
        if self.k_hat_sum_width > limit:
            raise ConfigError(
                f"max_tokens must be at most {1 << (limit - 1)} for the {limit}-bit operands of {self.multiplier} "
                f"multipliers, not {self.max_tokens!r}"
            )

    def _require_banks(self):
        sizes = {name: max(words * width for _number, words, width in kinds) for name, kinds in self.banks.items()}
        name = max(sizes, key=sizes.get)
        if sizes[name] > _BANK_BITS:
            raise ConfigError(
                f"max_tokens, max_head_dim, rows and columns must be such that a bank of {name} has at most "
                f"{_BANK_BITS // 8:,} bytes, not {ceil(sizes[name] / 8):,}"
            )

    @classmethod
    def from_mapping(cls, mapping):
        """Builds a configuration from a plain mapping (a parsed TOML file); unknown and missing keys are errors."""
        known = {field.name: field for field in fields(cls)}
        for key in mapping:
            if key not in known:
                raise ConfigError(f"configuration key must be one of {', '.join(known)}, not {key!r}")
        for key, field in known.items():
            if field.default is MISSING and key not in mapping:
                raise ConfigError(f"configuration must have the key {key!r}")
        return cls(**mapping)

    def to_mapping(self):
        """The fields as a plain dictionary, the inverse of `from_mapping`."""
        return asdict(self)

    # Streams

    @property
    def element_width(self):
        """Bits of one element's container on a stream: data_width rounded up to whole bytes."""
        return 8 * ceil(self.data_width / 8)

    @property
    def stream_lanes(self):
        """Elements a stream beat (L)."""
        return self.stream_width // self.element_width

    @property
    def max_beats_per_row(self):
        """Stream beats of one token's `max_head_dim` features."""
        return ceil(self.max_head_dim / self.stream_lanes)

    # Tiles

    @property
    def token_tiles(self):
        """Tiles of `rows` tokens that cover `max_tokens`."""
        return ceil(self.max_tokens / self.rows)

    @property
    def row_tiles(self):
        """Tiles of `rows` features that cover `max_head_dim` (the reduction of Q G)."""
        return ceil(self.max_head_dim / self.rows)

    @property
    def column_tiles(self):
        """Tiles of `columns` features that cover `max_head_dim` (the columns of G and Z)."""
        return ceil(self.max_head_dim / self.columns)

    # Widths, all of signed values unless said otherwise

    @property
    def mean_width(self):
        """k_mean with its f fractional bits: the mean of W-bit numbers stays in their range."""
        return self.data_width + self.mean_fraction

    @property
    def streamed_width(self):
        """Operand that moves right through the array: K^ = (K << f) - k_mean, or Q; W + 1 + f, nothing saturates."""
        return self.data_width + 1 + self.mean_fraction

    @property
    def column_sum_width(self):
        """k_sum and v_sum: N terms of W bits."""
        return self.data_width + _ceil_log2(self.max_tokens)

    @property
    def k_hat_sum_width(self):
        """k^_sum: N rounding errors of at most half a unit each, so |k^_sum| <= N / 2."""
        return max(2, _ceil_log2(self.max_tokens) + 1)

    @property
    def g_sum_width(self):
        """Exact K^^T V: N products of less than 2^(W+f) and at most 2^(W-1)."""
        return 2 * self.data_width + self.mean_fraction + _ceil_log2(self.max_tokens)

    @property
    def qg_width(self):
        """Exact Q G: D products of at most 2^(2W-2)."""
        return 2 * self.data_width + _ceil_log2(self.max_head_dim)

    @property
    def partial_sum_width(self):
        """Partial sums of SA-General, for both of its products."""
        return max(self.g_sum_width, self.qg_width)

    @property
    def q_k_hat_sum_width(self):
        """Exact Q k^_sum^T: D products of at most 2^(W-1) and N / 2."""
        return self.data_width + _ceil_log2(self.max_tokens) + _ceil_log2(self.max_head_dim)

    @property
    def diagonal_sum_width(self):
        """Partial sums of SA-Diag: they may wrap on the way (arithmetic modulo 2^width), their totals fit."""
        return max(self.q_k_hat_sum_width, self.k_hat_sum_width)

    @property
    def c_v_width(self):
        """Run-time constant c_v, unsigned; beyond 2^(2W) in units of v_sum the term Q G is below one unit."""
        return self.constant_fraction + 2 * self.data_width

    @property
    def c_d_width(self):
        """Run-time constant c_d, unsigned: n sqrt(d) 2^(F + f - e_q - e_k) for -e_q - e_k up to 2W + 4."""
        return (
            2 * self.data_width + 4 + self.constant_fraction + self.mean_fraction
            + _ceil_log2(self.max_tokens) + ceil(_ceil_log2(self.max_head_dim) / 2) + 1
        )  # fmt: skip

    @property
    def shift_g_max(self):
        """Largest SHIFT_G: beyond it every G is 0."""
        return self.g_sum_width

    @property
    def numerator_shift_max(self):
        """T_N enters the divider shifted left by SHIFT_Z + 1 - W, where that is positive."""
        return max(0, self.shift_z_max + 1 - self.data_width)

    @property
    def divisor_shift_max(self):
        """t_D enters the divider shifted left by W - 1 - SHIFT_Z, where that is positive."""
        return max(0, self.data_width - 1 - self.shift_z_min)

    @property
    def denominator_width(self):
        """t_D = c_d + (Q k^_sum << F)."""
        return max(self.c_d_width + 1, self.q_k_hat_sum_width + self.constant_fraction) + 1

    @property
    def divisor_width(self):
        """Unsigned divisor: t_D > 0 in the alignment of SHIFT_Z, or n << (W - 1)."""
        aligned_denominator = self.denominator_width - 1 + self.divisor_shift_max
        aligned_tokens = self.max_tokens.bit_length() + self.data_width - 1
        return max(aligned_denominator, aligned_tokens)

    @property
    def aligned_qg_width(self):
        """(Q G << F) in the alignment of SHIFT_Z."""
        return self.qg_width + self.constant_fraction + self.numerator_shift_max

    @property
    def aligned_bias_width(self):
        """c_v v_sum in the alignment of SHIFT_Z, clipped.

        A clipped value still outweighs the largest (Q G << F) by more than the largest divisor: the quotient
        saturates, as it would have unclipped.
        """
        return max(self.divisor_width, self.aligned_qg_width - 1) + 2

    @property
    def numerator_width(self):
        """T_N in the alignment of SHIFT_Z."""
        return self.aligned_bias_width + 1

    # Divider array

    @property
    def divider_iterations(self):
        """Quotient bits of one division, one a cycle: W + f of k_mean and a half (Z needs W and a half)."""
        return self.data_width + self.mean_fraction + 1

    @property
    def divider_row_interval(self):
        """Cycles between rows entering the divider array.

        Each pass over n tokens that completes Q G gives n rows, and it is one of ceil(d / R) such passes: a row
        every ceil(D / R) cycles is as fast as the array delivers them at `max_head_dim`. A head dimension below
        that is delivered faster; `divider_interval` = 1 keeps up with any.
        """
        return self.divider_interval or min(self.row_tiles, self.divider_iterations)

    @property
    def divider_stages(self):
        """Stages of a divider lane, each busy for `divider_row_interval` cycles with one quotient."""
        return ceil(self.divider_iterations / self.divider_row_interval)

    # Buffers

    @property
    def chain_registers(self):
        """Registers before each bank for what is written into banks of its kind, which goes from bank to bank."""
        return 1 if self.memory_pipeline else 0

    @property
    def broadcast_registers(self):
        """Registers in each column for what goes to all columns at once: where `memory_pipeline` asks for speed."""
        return 2 if self.memory_pipeline else 0

    @property
    def row_queue_depth(self):
        """Rows of Q G that may wait below the array for division: a whole pass, and the rest of the one before.

        A pass that fills the queue begins once all of its rows have room. The next one, of the next column tile, may
        follow at once: then the rows on their way from the array's top to the divider are still in the queue, and as
        many as rows of means, one a column tile, went before them. A single column tile has a G in between.
        """
        if self.column_tiles == 1:
            return max(2, self.max_tokens)
        way = self.rows + self.pe_pipeline + 2 * self.memory_pipeline + 10
        return self.max_tokens + ceil(way / self.divider_row_interval) + self.column_tiles + 1

    @property
    def banks(self):
        """Memories of the buffers as built: name -> ((number of banks, words of each, bits of a word), ...).

        A word's address is put together from fields, the first of which is the half; those of tokens and features have
        one bit at least.
        """

        def field(count, least=1):
            return 1 << _ceil_log2(max(least, count))

        tokens, features = field(self.max_tokens, 2), field(self.max_head_dim, 2)
        column_tiles = field(self.column_tiles)
        longest_pass = max(self.max_tokens, self.max_head_dim)
        width = self.data_width
        return {
            "q": ((self.rows, 2 * field(self.row_tiles) * tokens, width),),
            "k": ((self.rows, 2 * field(self.token_tiles) * field(self.max_beats_per_row), self.stream_lanes * width),),
            "v": ((self.columns, 2 * column_tiles * tokens, width),),
            "g": ((self.columns, 2 * column_tiles * features, width),),
            "z": ((self.columns, 2 * column_tiles * tokens, width),),
            "partial_sums": (
                (self.columns, longest_pass, self.partial_sum_width), (1, longest_pass, self.diagonal_sum_width),
            ),
            "row_queue": (
                (self.columns, self.row_queue_depth, self.qg_width), (1, self.row_queue_depth, self.q_k_hat_sum_width),
            ),
        }  # fmt: skip

    @property
    def buffer_bytes(self):
        """Bytes of on-chip buffers by name."""
        return {
            name: ceil(sum(number * words * width for number, words, width in kinds) / 8)
            for name, kinds in self.banks.items()
        }

    # Array

    @property
    def processing_elements(self):
        """PEs of SA-General and SA-Diag."""
        return self.rows * (self.columns + 1)

"""The one configuration from which the whole accelerator is built.

`AcceleratorConfig` is frozen: the few numbers that a user chooses are its fields, everything else (widths, tile
counts, buffer depths, cycles) is derived from them, so that no size is ever written twice. What depends on the
attention kernel is written in the kernel's specification (`rtl.attention.spec.KernelSpec`) and is an attribute here as
well; the rest are properties. Every rule about these numbers is in `__post_init__`; a value that breaks one raises
`ConfigError` naming field, value and rule.

The symbols of the documentation are W = `data_width`, f = `mean_fraction`, F = `constant_fraction`,
N = `max_tokens`, D = `max_head_dim`, R = `rows`, C = `columns`; n and d are a job's own tokens and head dimension.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from math import ceil, gcd
from string import ascii_letters, digits

from taylorvit.rtl.array.multiplier import FORMS
from taylorvit.rtl.array.pe import PES
from taylorvit.rtl.attention import KERNELS, kernel_spec
from taylorvit.rtl.common.configuration import ConfigError, Configuration

__all__ = ["NAME_CHARACTERS", "NAME_RULE", "AcceleratorConfig", "ArrayCycles", "ConfigError"]

NAME_CHARACTERS = frozenset(f"{ascii_letters}{digits}-_")
"""What a name consists of: tools that read the generated files, FuseSoC for one, pass over other characters."""

NAME_RULE = "ASCII letters, digits, '-' and '_'"
"""The same in words, for the text of an error."""

# Stands in front of names in Verilog, C and Python. With a '_' at its end no name becomes a keyword, as "type" of "pe"
# would; in small letters, no two are the same as macros of C.
_PREFIX = re.compile(r"(?:[a-z][a-z0-9_]{0,30}_)?")

# Of one bank, a row's or a column's share of a buffer: what the largest array needs for the largest job. A small array
# with more would be no accelerator, and memories so deep take the generator minutes.
_BANK_BITS = 1 << 25


class ArrayCycles:
    """Cycles of the array for the kernel of a configuration, or of what a host sees of an accelerator."""

    def array_cycles(self, tokens, head_dim):
        """T_SA: cycles of array work a head of so many tokens and features."""
        return kernel_spec(self.kernel).array_cycles(self, tokens, head_dim)

    def ideal_cycles(self, tokens, head_dim):
        """Cycles a head if every PE of SA-General did a useful product every cycle."""
        return kernel_spec(self.kernel).ideal_cycles(self, tokens, head_dim)


@dataclass(frozen=True, kw_only=True)
class AcceleratorConfig(ArrayCycles, Configuration):
    """Sizes of one accelerator.

    Args:
        name (str): a label, by default that of the preset or file; of `NAME_CHARACTERS`.
        rows (int): rows of PEs, 2 to 256.
        columns (int): columns of PEs of SA-General, 1 to 256; SA-Diag is one more.
        kernel (str): attention kernel, a key of `rtl.attention.KERNELS`.
        data_width (int): bits of the elements of Q, K, V, G and Z (W), 2 to 16.
        mean_fraction (int): Taylor attention: fractional bits of the token mean of K (f), 0 to 8.
        constant_fraction (int): Taylor attention: fractional bits of the constants c_v and c_d (F), 0 to 16.
        score_width (int): softmax attention: bits of a score (S), 4 to 16.
        exponential_width (int): softmax attention: bits of an exponential, without a sign (E), 4 to 16.
        exponential_entries (int): softmax attention: entries of the table of exponentials, a power of two, 2 to 65536.
        query_block (int): softmax attention: most queries of a block, 0 to `max_tokens`; 0 is `max_tokens`. The scores
            of two blocks are on the chip.
        max_tokens (int): most tokens of a head (N), 1 to 65535.
        max_head_dim (int): most features of a head (D), 1 to 4096.
        max_heads (int): most heads of one job, 1 to 65535.
        pe (str): kind of the processing elements, a key of `rtl.array.pe.PES`.
        pe_pipeline (int): registers of a PE's multiplier besides those of its operands, 0 to 4; DSP cells are fastest
            with 3.
        multiplier (str): form of the PEs' multipliers, a key of `rtl.array.multiplier.FORMS`: "inferred", which is
            portable, the DSP cell of an FPGA family, or "booth" for none.
        booth_columns (int): columns of SA-General, the rightmost, that have Booth multipliers whatever the others have:
            for an array larger than the number of DSP cells.
        memory_pipeline (int): registers behind the output of every buffer's memory, 0 to 2; block RAM is slow to
            answer.
        divider_interval (int): cycles between two rows entering the divider array; 0 sizes it so that division keeps
            up with the array at `max_head_dim` (see `divider_row_interval`).
        shift_z_min (int): least SHIFT_Z, -8 to 0; a negative one is for a Z much larger than V.
        shift_z_max (int): largest SHIFT_Z, 0 to 31. Numerators and divisors are as much wider.
        stream_width (int): bits of each AXI4-Stream's TDATA, a whole number of element containers (`element_width`).
        input_timeout (int): reset value of the TIMEOUT register, cycles.
        counter_width (int): bits of TIMEOUT and of each performance counter, 8 to 32; they stop at their maximum. Fewer
            make the registers smaller, where every LUT counts.
        error_count_width (int): bits of each count of errors, 1 to 16.
        prefix (str): stands in front of the name of every Verilog module and generated file, so that several
            accelerators can be parts of one design: small letters, digits and '_', for example "left_"; nothing by
            default.

    Raises:
        ConfigError: a value breaks a rule.
    """

    name: str
    rows: int
    columns: int
    kernel: str = "taylor"
    data_width: int = 8
    mean_fraction: int = 3
    constant_fraction: int = 8
    score_width: int = 12
    exponential_width: int = 11
    exponential_entries: int = 1024
    query_block: int = 0
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

    accelerator = "attention"
    """Which accelerator it is the configuration of, one of `gen.presets.CONFIGURATIONS`."""

    known_kernels = KERNELS
    """The attention kernels that it can have."""

    c_v_bits = 0
    """Bits of the constant c_v of Taylor attention, if they are fewer than those that any tensors may need."""

    c_d_bits = 0
    """Likewise of c_d."""

    largest_shift_z_min = 0
    """The largest `shift_z_min`."""

    def __post_init__(self):
        if not isinstance(self.name, str):
            raise ConfigError(f"name must be a string, not {self.name!r}")
        if not self.name or set(self.name) - NAME_CHARACTERS:
            raise ConfigError(f"name must consist of {NAME_RULE}, not {self.name!r}")
        if not isinstance(self.prefix, str):
            raise ConfigError(f"prefix must be a string, not {self.prefix!r}")
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigError(
                "prefix must be empty, or begin with a small letter, go on with small letters, digits and '_', end in "
                f"'_', and have at most 32 of them, not {self.prefix!r}"
            )
        self._require_one_of("kernel", self.known_kernels)
        self._require_range("rows", 2, 256)
        self._require_range("columns", 1, 256)
        self._require_range("data_width", 2, 16)
        self._require_range("mean_fraction", 0, 8)
        self._require_range("constant_fraction", 0, 16)
        self._require_range("score_width", 4, 16)
        self._require_range("exponential_width", 4, 16)
        self._require_range("exponential_entries", 2, 1 << 16)
        if self.exponential_entries & (self.exponential_entries - 1):
            raise ConfigError(f"exponential_entries must be a power of two, not {self.exponential_entries!r}")
        self._require_range("max_tokens", 1, 65535)
        self._require_range("query_block", 0, self.max_tokens)
        self._require_range("max_head_dim", 1, 4096)
        self._require_range("max_heads", 1, 65535)
        self._require_range("pe_pipeline", 0, 4)
        self._require_one_of("pe", PES)
        self._require_multiplier()
        self._require_range("memory_pipeline", 0, 2)
        self._require_range("divider_interval", 0, self.divider_iterations)
        self._require_range("shift_z_min", -8, self.largest_shift_z_min)
        self._require_range("shift_z_max", max(0, self.shift_z_min), 31)
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
        for width, name, most, value in self.spec.operand_rules(limit):
            if width > limit:
                raise ConfigError(
                    f"{name} must be at most {most} for the {limit}-bit operands of {self.multiplier} multipliers, "
                    f"not {value!r}"
                )

    def _require_banks(self):
        sizes = {name: max(words * width for _number, words, width in kinds) for name, kinds in self.banks.items()}
        name = max(sizes, key=sizes.get)
        if sizes[name] > _BANK_BITS:
            raise ConfigError(
                f"max_tokens, max_head_dim, rows and columns must be such that a bank of {name} has at most "
                f"{_BANK_BITS // 8:,} bytes, not {ceil(sizes[name] / 8):,}"
            )

    # The kernel's numbers

    @cached_property
    def spec(self):
        """The kernel's specification, an `rtl.attention.spec.KernelSpec` for this configuration."""
        return kernel_spec(self.kernel)(self)

    def __getattr__(self, name):
        """What is no attribute of the configuration itself is one of the kernel's specification, or none."""
        # Its class is asked, so that an error within the specification is not taken for a missing attribute.
        if not name.startswith("_") and name != "spec" and hasattr(kernel_spec(self.kernel), name):
            return getattr(self.spec, name)
        raise AttributeError(f"configuration of {self.kernel} attention has no attribute {name!r}")

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

    # Divider array

    @property
    def divider_row_interval(self):
        """Cycles between rows entering the divider array: `divider_interval`, or as fast as the array delivers them."""
        return self.divider_interval or min(self.row_distance, self.divider_iterations)

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

"""The register map, described once.

`register_map(config)` lists every register of an accelerator: offset, access, fields, reset value, range of
legal values. `ControlStatus` builds its hardware from that list, `gen.registers_export` writes SystemRDL, C,
Python, HTML and Markdown from it, and a driver takes its addresses from it. Offsets and names are the same in
every configuration of one attention kernel; widths of values, limits and reset values are not.

    0x000  what was built: identification, version, sizes (constants)
    0x040  control, status, events, interrupts
    0x080  parameters of the next job: its sizes, and from 0x08C on those of the kernel
    0x0C0  performance counters of the running or last job
    0x100  error counts
"""

import re
from dataclasses import dataclass
from enum import Enum

from taylorvit.rtl import __version__
from taylorvit.rtl.attention import kernel_number, kernel_spec

__all__ = [
    "ADDRESS_WIDTH",
    "ALL_EVENTS",
    "DATA_WIDTH",
    "EVENTS",
    "IDENTIFICATION",
    "Access",
    "Field",
    "Register",
    "RegisterMap",
    "events_in",
    "register_map",
]

ADDRESS_WIDTH = 12
"""Bits of a byte address: the 4 KiB that an interconnect assigns at least."""

DATA_WIDTH = 32

IDENTIFICATION = int.from_bytes(b"TAYL", "big")
"""Value of register ID."""

_WORD = (1 << DATA_WIDTH) - 1
_OF_EVERY_KERNEL = ("INTERRUPT_ENABLE", "TOKENS", "HEAD_DIM", "HEADS", "TIMEOUT")

_KERNEL_OFFSET, _TIMEOUT_OFFSET, _COUNTERS_OFFSET = 0x08C, 0x0A8, 0x0C0


class Access(Enum):
    """What a host may do with a register."""

    CONSTANT = "constant"
    READ_ONLY = "read only"
    READ_WRITE = "read, write"
    PULSE = "write 1 to act, reads 0"
    WRITE_ONE_TO_CLEAR = "read, write 1 to clear"
    WRITE_TO_CLEAR = "read, any write clears"

    @property
    def writable(self):
        """True if a write is answered OKAY (for READ_WRITE: if its value is legal), not SLVERR."""
        return self not in (Access.CONSTANT, Access.READ_ONLY)


@dataclass(frozen=True, kw_only=True)
class Field:
    """Bits `low` to `low + width - 1` of a register.

    Attributes:
        name (str): name, in capitals.
        low (int): lowest bit.
        width (int): number of bits.
        description (str): what it is.
        reset (int): value after reset; of a constant, its value. A negative one is stored in two's complement.
        minimum (int | None): least legal value of a READ_WRITE field that fills its register; None where all are.
        maximum (int | None): largest legal value, likewise.
        signed (bool): the value is in two's complement.
    """

    name: str
    low: int
    width: int
    description: str
    reset: int = 0
    minimum: int | None = None
    maximum: int | None = None
    signed: bool = False

    @property
    def high(self):
        """The field's uppermost bit."""
        return self.low + self.width - 1

    @property
    def mask(self):
        """The field's bits within its register."""
        return ((1 << self.width) - 1) << self.low

    def of(self, word):
        """The field's value in `word`, a value of its register."""
        value = (word & self.mask) >> self.low
        return value - (1 << self.width) if self.signed and value >> (self.width - 1) else value

    @property
    def values(self):
        """Legal values in words; empty where all are."""
        return "" if self.minimum is None else f"{self.minimum}..{self.maximum}"


@dataclass(frozen=True, kw_only=True)
class Register:
    """A 32-bit register; bits outside its fields read 0 and ignore writes.

    Attributes:
        name (str): name, in capitals.
        offset (int): byte offset.
        access (Access): what a host may do with it.
        description (str): what it is.
        fields (tuple[Field, ...]): its fields, lowest first.
    """

    name: str
    offset: int
    access: Access
    description: str
    fields: tuple[Field, ...]

    def __getitem__(self, name):
        """The field `name`; `KeyError` if there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        names = ", ".join(field.name for field in self.fields)
        raise KeyError(f"field of register {self.name} must be one of {names}, not {name!r}")

    @property
    def reset(self):
        """The whole register's value after reset."""
        return sum((field.reset << field.low) & field.mask for field in self.fields)

    @property
    def mask(self):
        """All bits that belong to a field."""
        return sum(field.mask for field in self.fields)


@dataclass(frozen=True)
class RegisterMap:
    """All registers in the order of their offsets.

    Attributes:
        registers (tuple[Register, ...]): the registers.
    """

    registers: tuple[Register, ...]

    def __iter__(self):
        return iter(self.registers)

    def __getitem__(self, name):
        """The register `name`; `KeyError` if there is none."""
        for register in self.registers:
            if register.name == name:
                return register
        names = ", ".join(register.name for register in self.registers)
        raise KeyError(f"register must be one of {names}, not {name!r}")

    def words(self, name):
        """The registers that hold the value `name`, lowest word first: NAME itself, or NAME_0, NAME_1, ..."""
        words = [word for word in self.registers if word.name.removeprefix(f"{name}_").isdecimal()]
        return words or [self[name]]

    @property
    def job_constants(self):
        """Names of what a job needs besides its sizes and TIMEOUT; NAME stands for NAME_0, NAME_1, ..."""
        names = (
            re.sub(r"_\d+$", "", register.name)
            for register in self.registers
            if register.access is Access.READ_WRITE and register.name not in _OF_EVERY_KERNEL
        )
        return tuple(dict.fromkeys(names))

    def writes(self, values):
        """The writes that set some registers, e.g. of `{"TOKENS": 197, "C_D": 403456}`.

        Args:
            values (Mapping): name -> value; NAME stands for NAME_0, NAME_1, ... where the value has several words.

        Returns:
            The writes in this order, each (byte offset, 32-bit value).

        Raises:
            KeyError: there is no register of that name.
            TypeError: a value is not an integer.
            ValueError: it is wider than its registers, or out of their range.
        """
        result = []
        for name, value in values.items():
            words = self.words(name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be an integer, not {value!r}")
            if value >> (DATA_WIDTH * len(words)) not in (0, -1):
                raise ValueError(f"{name} must fit {DATA_WIDTH * len(words)} bits, not {value!r}")
            for index, register in enumerate(words):
                (field,) = register.fields
                word = value if len(words) == 1 else (value >> (DATA_WIDTH * index)) & _WORD
                if field.minimum is not None and not field.minimum <= word <= field.maximum:
                    rule = f"in {field.values} in register {register.name}"
                    raise ValueError(f"{name} must be {rule}, not {word!r}")
                result.append((register.offset, word & _WORD))
        return result


EVENTS = {
    "DONE": (0, "the job has finished: the last beat of Z has been taken"),
    "INPUT_TIMEOUT": (1, "an input stream kept the running job waiting for TIMEOUT cycles and was given up"),
    "DENOMINATOR": (
        2,
        "a row's t_D was not positive, the row of Z is saturated; counted once for each of its "
        "ceil(HEAD_DIM / COLUMNS) column tiles",
    ),
    "BAD_VALUE": (3, "a register was written a value out of its range; it keeps its old value"),
    "START_WHILE_BUSY": (4, "START was written while a job ran; the job is undisturbed"),
    "TLAST_EARLY_Q": (8, "TLAST on stream Q before the last beat of a head"),
    "TLAST_EARLY_K": (9, "TLAST on stream K before the last beat of a head"),
    "TLAST_EARLY_V": (10, "TLAST on stream V before the last beat of a head"),
    "TLAST_LATE_Q": (16, "no TLAST on stream Q at the last beat of a head"),
    "TLAST_LATE_K": (17, "no TLAST on stream K at the last beat of a head"),
    "TLAST_LATE_V": (18, "no TLAST on stream V at the last beat of a head"),
}
"""Events: name -> (bit in EVENTS and INTERRUPT_ENABLE, description). All but DONE are errors and are counted."""

ALL_EVENTS = sum(1 << bit for bit, _description in EVENTS.values())
"""Value of register EVENTS with every event set."""


def events_in(word):
    """The names of the events that are set in `word`, a value of register EVENTS, as a `frozenset`."""
    return frozenset(name for name, (bit, _description) in EVENTS.items() if word >> bit & 1)


def _constant(name, offset, description, *fields):
    """Constant from fields (name, low, width, value, description), and True where the value is signed."""
    return Register(
        name=name,
        offset=offset,
        access=Access.CONSTANT,
        description=description,
        fields=tuple(
            Field(name=field, low=low, width=width, reset=value, signed=any(signed), description=text)
            for field, low, width, value, text, *signed in fields
        ),
    )


def _parameter(name, offset, minimum, maximum, reset, description):
    return Register(
        name=name, offset=offset, access=Access.READ_WRITE, description=description,
        fields=(
            Field(name=name, low=0, width=DATA_WIDTH, reset=reset, minimum=minimum, maximum=maximum,
                  signed=minimum < 0, description=description),
        ),
    )  # fmt: skip


def _kernel_registers(job_registers):
    """The kernel's registers of a job: their words in a row from 0x08C on, without the place of TIMEOUT."""
    free = [*range(_KERNEL_OFFSET, _TIMEOUT_OFFSET, 4), *range(_TIMEOUT_OFFSET + 4, _COUNTERS_OFFSET, 4)]
    words = sum(register.words or 1 for register in job_registers)
    if words > len(free):
        raise ValueError(f"registers of a kernel must have at most {len(free)} words, not {words!r}")
    offsets = iter(free)
    for register in job_registers:
        name, description = register.name.upper(), register.description
        if not register.words:
            reset = max(register.minimum, 0)
            yield _parameter(name, next(offsets), register.minimum, register.maximum, reset, description)
        width = register.maximum.bit_length()
        for index in range(register.words):
            bits = min(max(width - DATA_WIDTH * index, 0), DATA_WIDTH)
            low = DATA_WIDTH * index
            yield _parameter(
                f"{name}_{index}",
                next(offsets),
                0,
                (1 << bits) - 1,
                0,
                f"{description} of {width} bits, its bits {low + DATA_WIDTH - 1}..{low}",
            )


def _told(spec, config, register):
    """Fields of a constant register by which a host is told of the kernel."""
    return [
        (told.field, told.low, 8, getattr(config, told.attribute), told.description)
        for told in spec.told
        if told.register == register
    ]


def _counter(name, offset, access, width, description):
    field = Field(name=name, low=0, width=width, description=description)
    return Register(name=name, offset=offset, access=access, description=description, fields=(field,))


def register_map(config):
    """The `RegisterMap` of the accelerator built from `config` (an `AcceleratorConfig`, or the `HostView` of one)."""
    spec = kernel_spec(config.kernel)
    major, minor, patch = (int(number) for number in __version__.split("."))
    registers = [
        _constant("ID", 0x000, "identification",
            ("ID", 0, 32, IDENTIFICATION, "'TAYL' in ASCII")),
        _constant("VERSION", 0x004, "version of the generator",
            ("PATCH", 0, 8, patch, "patch"),
            ("MINOR", 8, 8, minor, "minor"),
            ("MAJOR", 16, 8, major, "major")),
        _constant("ARRAY_SIZE", 0x008, "size of the systolic array",
            ("ROWS", 0, 16, config.rows, "rows of SA-General and SA-Diag"),
            ("COLUMNS", 16, 16, config.columns, "columns of SA-General")),
        _constant("NUMBER_FORMAT", 0x00C, "number format",
            ("DATA_WIDTH", 0, 8, config.data_width, "bits of an element of Q, K, V, G, Z"),
            ("ELEMENT_WIDTH", 8, 8, config.element_width, "bits of an element's container on a stream"),
            ("MEAN_FRACTION", 16, 8, config.mean_fraction, "fractional bits of the token mean of K"),
            ("CONSTANT_FRACTION", 24, 8, config.constant_fraction, "fractional bits of c_v and c_d")),
        _constant("MAX_SIZES", 0x010, "limits of a job",
            ("MAX_TOKENS", 0, 16, config.max_tokens, "largest TOKENS"),
            ("MAX_HEAD_DIM", 16, 16, config.max_head_dim, "largest HEAD_DIM")),
        _constant("MAX_HEADS", 0x014, "limit of a job",
            ("MAX_HEADS", 0, 16, config.max_heads, "largest HEADS")),
        _constant("STREAM", 0x018, "data streams",
            ("LANES", 0, 16, config.stream_lanes, "elements a beat")),
        _constant("PIPELINE", 0x01C, "timing",
            ("PE_PIPELINE", 0, 8, config.pe_pipeline, "registers after the multiplier of a PE"),
            ("DIVIDER_INTERVAL", 8, 8, config.divider_row_interval,
             "cycles between rows entering the divider array")),
        _constant("CONSTANT_WIDTHS", 0x020, "attention kernel, and widths of its run-time constants",
            *_told(spec, config, "CONSTANT_WIDTHS"),
            ("KERNEL", 24, 8, kernel_number(config.kernel), f"attention kernel: {config.kernel}")),
        _constant("SHIFT_LIMITS", 0x024, "limits of the shifts",
            *_told(spec, config, "SHIFT_LIMITS"),
            ("SHIFT_Z_MIN", 8, 8, config.shift_z_min, "smallest SHIFT_Z, in two's complement", True),
            ("SHIFT_Z_MAX", 16, 8, config.shift_z_max, "largest SHIFT_Z")),
        _constant("COUNTER_WIDTHS", 0x028, "widths of counters, which stop at their maximum",
            ("COUNTER_WIDTH", 0, 8, config.counter_width, "bits of TIMEOUT and of the performance counters in cycles"),
            ("ERROR_COUNT_WIDTH", 8, 8, config.error_count_width, "bits of each error count")),
        Register(name="CONTROL", offset=0x040, access=Access.PULSE, description="control", fields=(
            Field(name="START", low=0, width=1, description="start a job with the parameters as they stand"),
            Field(name="SOFT_RESET", low=1, width=1,
                  description="stop the job and empty the datapath; every register keeps its value. "
                              "A START in the same write is ignored"))),
        Register(name="STATUS", offset=0x044, access=Access.READ_ONLY, description="status", fields=(
            Field(name="BUSY", low=0, width=1, description="a job is running"),)),
        Register(name="EVENTS", offset=0x048, access=Access.WRITE_ONE_TO_CLEAR,
                 description="what happened since the bit was cleared",
                 fields=tuple(Field(name=name, low=bit, width=1, description=description)
                              for name, (bit, description) in EVENTS.items())),
        Register(name="INTERRUPT_ENABLE", offset=0x04C, access=Access.READ_WRITE,
                 description="events that raise the interrupt, for as long as their bit in EVENTS is set",
                 fields=tuple(Field(name=name, low=bit, width=1, description=f"interrupt on {name}")
                              for name, (bit, _description) in EVENTS.items())),
        _parameter("TOKENS", 0x080, 1, config.max_tokens, config.max_tokens, "tokens n of a head"),
        _parameter("HEAD_DIM", 0x084, 1, config.max_head_dim, config.max_head_dim, "features d of a head"),
        _parameter("HEADS", 0x088, 1, config.max_heads, 1, "heads of the job"),
        *_kernel_registers(spec.job_registers(config)),
        _parameter("TIMEOUT", _TIMEOUT_OFFSET, 1, (1 << config.counter_width) - 1, config.input_timeout,
                   "cycles without an input beat that the running job waits, until INPUT_TIMEOUT"),
        _counter("CYCLES", 0x0C0, Access.READ_ONLY, config.counter_width, "cycles in which the job ran (STATUS.BUSY)"),
        _counter("ARRAY_BUSY", 0x0C4, Access.READ_ONLY, config.counter_width,
                 "of these, cycles in which the array got an operand"),
        _counter("STALL_INPUT", 0x0C8, Access.READ_ONLY, config.counter_width,
                 "of these, cycles in which the array waited for an input stream"),
        _counter("STALL_OUTPUT", 0x0CC, Access.READ_ONLY, config.counter_width,
                 "of these, cycles in which the array waited for the output stream"),
        _counter("HEADS_DONE", 0x0D0, Access.READ_ONLY, 16, "heads of the job that are finished"),
    ]  # fmt: skip
    errors = [name for name in EVENTS if name != "DONE"]
    for index, name in enumerate(errors):
        registers.append(
            _counter(
                f"COUNT_{name}",
                0x100 + 4 * index,
                Access.WRITE_TO_CLEAR,
                config.error_count_width,
                f"{name} events since reset or since this register was written",
            )
        )
    return RegisterMap(tuple(sorted(registers, key=lambda register: register.offset)))

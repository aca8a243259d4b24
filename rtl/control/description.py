"""What a register map is made of: registers and their fields, and what a host may do with them.

The maps themselves are in `rtl.control.registers`, for the attention accelerator, and in
`rtl.network.control.registers`, for the network accelerator. `rtl.control.register_block.RegisterBlock` builds hardware
from either.
"""

from dataclasses import dataclass
from enum import Enum

__all__ = [
    "ADDRESS_WIDTH",
    "COUNTERS_OFFSET",
    "DATA_WIDTH",
    "Access",
    "Field",
    "Register",
    "RegisterMap",
    "constant",
    "control_registers",
    "counter",
    "counter_widths",
    "parameter",
]

ADDRESS_WIDTH = 12
"""Bits of a byte address: the 4 KiB that an interconnect assigns at least."""

DATA_WIDTH = 32

COUNTERS_OFFSET = 0x0C0
"""Where performance counters begin in every map."""

_WORD = (1 << DATA_WIDTH) - 1


class Access(Enum):
    """What a host may do with a register."""

    CONSTANT = "constant"
    READ_ONLY = "read only"
    READ_WRITE = "read, write"
    PULSE = "write 1 to act, reads 0"
    WRITE_ONLY = "write, reads 0"
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
    def events(self):
        """Name -> (bit in EVENTS and INTERRUPT_ENABLE, description) of what can happen."""
        return {field.name: (field.low, field.description) for field in self["EVENTS"].fields}

    @property
    def errors(self):
        """Names of the events that are errors: all but DONE."""
        return [name for name in self.events if name != "DONE"]

    @property
    def counted_errors(self):
        """Names of the errors that have a count."""
        return [name for name in self.errors if any(register.name == f"COUNT_{name}" for register in self)]

    @property
    def counters(self):
        """Names of the performance counters."""
        first = COUNTERS_OFFSET
        return [each.name for each in self if each.access is Access.READ_ONLY and each.offset >= first]

    @property
    def tables(self):
        """Names of the registers by which tables are filled, entry by entry."""
        return [
            register.name
            for register in self.registers
            if register.access is Access.WRITE_ONLY and "ENTRY" in (field.name for field in register.fields)
        ]

    def table_words(self, name, entries):
        """What is written to the register of a table, one after the other.

        Args:
            name (str): the register, one of `tables`.
            entries (Iterable[int]): the numbers of the table, from its first place on.

        Raises:
            TypeError: a number is not an integer.
            ValueError: a number is wider than its field.
        """
        value, place = self[name]["VALUE"], self[name]["ENTRY"]
        words = []
        for index, entry in enumerate(entries):
            if not isinstance(entry, int) or isinstance(entry, bool):
                raise TypeError(f"{name} must be integers, not {entry!r}")
            if entry >> value.width:
                raise ValueError(f"{name} must fit {value.width} bits, not {entry!r}")
            words.append(index << place.low | entry << value.low)
        return words

    def writes(self, values):
        """The writes that set some registers, e.g. of `{"TOKENS": 197, "C_D": 403456}`.

        Args:
            values (Mapping): name -> value; NAME stands for NAME_0, NAME_1, ... where the value has several words. Of a
                table, the value is all of its numbers.

        Returns:
            The writes in this order, each (byte offset, 32-bit value).

        Raises:
            KeyError: there is no register of that name.
            TypeError: a value is not an integer.
            ValueError: it is wider than its registers, or out of their range.
        """
        result = []
        for name, value in values.items():
            if name in self.tables:
                result += [(self[name].offset, word) for word in self.table_words(name, value)]
                continue
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


def constant(name, offset, description, *fields):
    """A register that tells what was built.

    Args:
        name (str): its name.
        offset (int): its byte offset.
        description (str): what it is.
        fields (tuple): of each field name, low, width, value, description, and True where the value is signed.
    """
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


def parameter(name, offset, minimum, maximum, reset, description):
    """A register that a host writes, with a single field of its name, for values from `minimum` to `maximum`."""
    return Register(
        name=name, offset=offset, access=Access.READ_WRITE, description=description,
        fields=(
            Field(name=name, low=0, width=DATA_WIDTH, reset=reset, minimum=minimum, maximum=maximum,
                  signed=minimum < 0, description=description),
        ),
    )  # fmt: skip


def counter(name, offset, access, width, description):
    """A register that the hardware counts with, with a single field of its name, of `width` bits."""
    field = Field(name=name, low=0, width=width, description=description)
    return Register(name=name, offset=offset, access=access, description=description, fields=(field,))


def counter_widths(offset, config, *more):
    """The constant that tells how wide counters are.

    Args:
        offset (int): byte offset.
        config (AcceleratorConfig | NetworkConfig): has `counter_width` and `error_count_width`.
        more (tuple): fields that this map alone has, as of `constant`.
    """
    return constant("COUNTER_WIDTHS", offset, "widths of counters, which stop at their maximum",
        ("COUNTER_WIDTH", 0, 8, config.counter_width, "bits of TIMEOUT and of the performance counters in cycles"),
        ("ERROR_COUNT_WIDTH", 8, 8, config.error_count_width, "bits of each error count"), *more)  # fmt: skip


def control_registers(events, *more):
    """Control, status, events and interrupts, from offset 0x040 on, the same in every map.

    Args:
        events (Mapping[str, tuple[int, str]]): by name: bit and description.
        more (tuple[Field, ...]): fields of CONTROL that this map alone has, from bit 2 on.
    """
    return [
        Register(name="CONTROL", offset=0x040, access=Access.PULSE, description="control", fields=(
            Field(name="START", low=0, width=1, description="start a job with the parameters as they stand"),
            Field(name="SOFT_RESET", low=1, width=1,
                  description="stop the job and empty the datapath; every register keeps its value. "
                              "A START in the same write is ignored"),
            *more)),
        Register(name="STATUS", offset=0x044, access=Access.READ_ONLY, description="status", fields=(
            Field(name="BUSY", low=0, width=1, description="a job is running"),)),
        Register(name="EVENTS", offset=0x048, access=Access.WRITE_ONE_TO_CLEAR,
                 description="what happened since the bit was cleared",
                 fields=tuple(Field(name=name, low=bit, width=1, description=description)
                              for name, (bit, description) in events.items())),
        Register(name="INTERRUPT_ENABLE", offset=0x04C, access=Access.READ_WRITE,
                 description="events that raise the interrupt, for as long as their bit in EVENTS is set",
                 fields=tuple(Field(name=name, low=bit, width=1, description=f"interrupt on {name}")
                              for name, (bit, _description) in events.items())),
    ]  # fmt: skip

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

from taylorvit.rtl import __version__
from taylorvit.rtl.attention import kernel_number, kernel_spec

from .description import (
    DATA_WIDTH,
    Access,
    Field,
    Register,
    RegisterMap,
    constant,
    control_registers,
    counter,
    counter_widths,
    parameter,
)

__all__ = ["ALL_EVENTS", "EVENTS", "IDENTIFICATION", "events_in", "job_constants", "register_map"]

IDENTIFICATION = int.from_bytes(b"TAYL", "big")
"""Value of register ID."""

_OF_EVERY_KERNEL = ("INTERRUPT_ENABLE", "TOKENS", "HEAD_DIM", "HEADS", "TIMEOUT")

_KERNEL_OFFSET, _TIMEOUT_OFFSET, _COUNTERS_OFFSET = 0x08C, 0x0A8, 0x0C0


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


def _kernel_registers(job_registers, job_tables):
    """The kernel's registers of a job: their words in a row from 0x08C on, without the place of TIMEOUT."""
    free = [*range(_KERNEL_OFFSET, _TIMEOUT_OFFSET, 4), *range(_TIMEOUT_OFFSET + 4, _COUNTERS_OFFSET, 4)]
    words = sum(register.words or 1 for register in job_registers) + len(job_tables)
    if words > len(free):
        raise ValueError(f"registers of a kernel must have at most {len(free)} words, not {words!r}")
    offsets = iter(free)
    for register in job_registers:
        name, description = register.name.upper(), register.description
        if not register.words:
            reset = max(register.minimum, 0)
            yield parameter(name, next(offsets), register.minimum, register.maximum, reset, description)
        width = register.maximum.bit_length()
        for index in range(register.words):
            bits = min(max(width - DATA_WIDTH * index, 0), DATA_WIDTH)
            low = DATA_WIDTH * index
            yield parameter(
                f"{name}_{index}",
                next(offsets),
                0,
                (1 << bits) - 1,
                0,
                f"{description} of {width} bits, its bits {low + DATA_WIDTH - 1}..{low}",
            )
    for table in job_tables:
        yield _table(next(offsets), table)


def _table(offset, table):
    """The register by which a table is filled."""
    return Register(
        name=table.name.upper(),
        offset=offset,
        access=Access.WRITE_ONLY,
        description=f"{table.description}, an entry a write; BAD_VALUE while a job runs",
        fields=(
            Field(name="VALUE", low=0, width=16, description=f"the number, 0..{(1 << table.width) - 1}"),
            Field(name="ENTRY", low=16, width=16, description=f"its place in the table, 0..{table.entries - 1}"),
        ),
    )


def _told(spec, config, register):
    """Fields of a constant register by which a host is told of the kernel."""
    return [
        (told.field, told.low, 8, told.encoded(getattr(config, told.attribute)), told.description)
        for told in spec.told
        if told.register == register
    ]


def register_map(config):
    """The `RegisterMap` of the accelerator built from `config` (an `AcceleratorConfig`, or the `HostView` of one)."""
    spec = kernel_spec(config.kernel)
    major, minor, patch = (int(number) for number in __version__.split("."))
    registers = [
        constant("ID", 0x000, "identification",
            ("ID", 0, 32, IDENTIFICATION, "'TAYL' in ASCII")),
        constant("VERSION", 0x004, "version of the generator",
            ("PATCH", 0, 8, patch, "patch"),
            ("MINOR", 8, 8, minor, "minor"),
            ("MAJOR", 16, 8, major, "major")),
        constant("ARRAY_SIZE", 0x008, "size of the systolic array",
            ("ROWS", 0, 16, config.rows, "rows of SA-General and SA-Diag"),
            ("COLUMNS", 16, 16, config.columns, "columns of SA-General")),
        constant("NUMBER_FORMAT", 0x00C, "number format",
            ("DATA_WIDTH", 0, 8, config.data_width, "bits of an element of Q, K, V, G, Z"),
            ("ELEMENT_WIDTH", 8, 8, config.element_width, "bits of an element's container on a stream"),
            ("MEAN_FRACTION", 16, 8, config.mean_fraction, "fractional bits of the token mean of K"),
            ("CONSTANT_FRACTION", 24, 8, config.constant_fraction, "fractional bits of c_v and c_d")),
        constant("MAX_SIZES", 0x010, "limits of a job",
            ("MAX_TOKENS", 0, 16, config.max_tokens, "largest TOKENS"),
            ("MAX_HEAD_DIM", 16, 16, config.max_head_dim, "largest HEAD_DIM")),
        constant("MAX_HEADS", 0x014, "limit of a job",
            ("MAX_HEADS", 0, 16, config.max_heads, "largest HEADS")),
        constant("STREAM", 0x018, "data streams",
            ("LANES", 0, 16, config.stream_lanes, "elements a beat")),
        constant("PIPELINE", 0x01C, "timing",
            ("PE_PIPELINE", 0, 8, config.pe_pipeline, "registers after the multiplier of a PE"),
            ("DIVIDER_INTERVAL", 8, 8, config.divider_row_interval,
             "cycles between rows entering the divider array")),
        constant("CONSTANT_WIDTHS", 0x020, "attention kernel, and widths of its run-time constants",
            *_told(spec, config, "CONSTANT_WIDTHS"),
            ("KERNEL", 24, 8, kernel_number(config.kernel), f"attention kernel: {config.kernel}")),
        constant("SHIFT_LIMITS", 0x024, "limits of the shifts",
            *_told(spec, config, "SHIFT_LIMITS"),
            ("SHIFT_Z_MIN", 8, 8, config.shift_z_min, "smallest SHIFT_Z, in two's complement", True),
            ("SHIFT_Z_MAX", 16, 8, config.shift_z_max, "largest SHIFT_Z")),
        counter_widths(0x028, config),
        *control_registers(EVENTS),
        parameter("TOKENS", 0x080, 1, config.max_tokens, config.max_tokens, "tokens n of a head"),
        parameter("HEAD_DIM", 0x084, 1, config.max_head_dim, config.max_head_dim, "features d of a head"),
        parameter("HEADS", 0x088, 1, config.max_heads, 1, "heads of the job"),
        *_kernel_registers(spec.job_registers(config), spec.job_tables(config)),
        parameter("TIMEOUT", _TIMEOUT_OFFSET, 1, (1 << config.counter_width) - 1, config.input_timeout,
                   "cycles without an input beat that the running job waits, until INPUT_TIMEOUT"),
        counter("CYCLES", 0x0C0, Access.READ_ONLY, config.counter_width, "cycles in which the job ran (STATUS.BUSY)"),
        counter("ARRAY_BUSY", 0x0C4, Access.READ_ONLY, config.counter_width,
                 "of these, cycles in which the array got an operand"),
        counter("STALL_INPUT", 0x0C8, Access.READ_ONLY, config.counter_width,
                 "of these, cycles in which the array waited for an input stream"),
        counter("STALL_OUTPUT", 0x0CC, Access.READ_ONLY, config.counter_width,
                 "of these, cycles in which the array waited for the output stream"),
        counter("HEADS_DONE", 0x0D0, Access.READ_ONLY, 16, "heads of the job that are finished"),
    ]  # fmt: skip
    errors = [name for name in EVENTS if name != "DONE"]
    for index, name in enumerate(errors):
        registers.append(
            counter(
                f"COUNT_{name}",
                0x100 + 4 * index,
                Access.WRITE_TO_CLEAR,
                config.error_count_width,
                f"{name} events since reset or since this register was written",
            )
        )
    return RegisterMap(tuple(sorted(registers, key=lambda register: register.offset)))


def job_constants(registers):
    """Names of what a job needs besides its sizes and TIMEOUT, tables last; NAME stands for NAME_0, NAME_1, ...

    Args:
        registers (RegisterMap): the map.
    """
    names = (
        re.sub(r"_\d+$", "", register.name)
        for register in registers
        if register.access is Access.READ_WRITE and register.name not in _OF_EVERY_KERNEL
    )
    return tuple(dict.fromkeys([*names, *registers.tables]))

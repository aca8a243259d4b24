"""A job as C source: its parameters, its packets, and what Z must be, for `fpga/c/example.c` or a program of your own.

A packet is the bytes of one head's beats, as `fpga.driver.tensors` has them. What the last beat of a token holds beyond
the head dimension is 0; in a packet of Z that came out of the hardware it is undefined and not to be compared.
"""

from __future__ import annotations

import numpy as np

from taylorvit.fpga.driver.tensors import matrix_bytes
from taylorvit.golden.attention.job import Job
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.description import DATA_WIDTH
from taylorvit.rtl.control.registers import register_map

__all__ = ["byte_lines", "job_source"]

_BYTES_A_LINE = 24


def job_source(config: AcceleratorConfig, job: Job, z: np.ndarray) -> str:
    """The text of `example_job.h`.

    Args:
        config (AcceleratorConfig): the accelerator.
        job (Job): what goes in.
        z (np.ndarray): what comes out, integers (heads, tokens, head_dim).

    Raises:
        ValueError: more heads than one job of this accelerator has.
    """
    heads, tokens, head_dim = z.shape
    if heads > config.max_heads:
        raise ValueError(f"heads must be at most {config.max_heads} on {config.name}, not {heads!r}")
    operands = {"q": job.q, "k": job.k, "v": job.v, "z": z}
    data = {name: [matrix_bytes(head, config) for head in operand] for name, operand in operands.items()}
    head_bytes = len(data["z"][0])
    return "\n".join(
        [
            f"/* A job for {config.name}, {heads} heads of {tokens} x {head_dim}. Generated; do not edit. */",
            "#ifndef EXAMPLE_JOB_H",
            "#define EXAMPLE_JOB_H",
            "",
            '#include "taylorvit.h"',
            "",
            f"#define EXAMPLE_HEADS {heads}u",
            f"#define EXAMPLE_HEAD_BYTES {head_bytes}u /* of a packet */",
            f"#define EXAMPLE_TOKEN_BYTES {head_bytes // tokens}u /* of whole beats */",
            f"#define EXAMPLE_TOKEN_BYTES_USED {head_dim * config.element_width // 8}u /* of these, the features */",
            "",
            *_tables(job),
            "static const struct taylorvit_job example_job = {",
            f"    .heads = {heads}, .tokens = {tokens}, .head_dim = {head_dim},",
            *_constants(job, config),
            "};",
            *(line for name in data for line in _array(f"example_{name}", data[name])),
            "",
            "#endif /* EXAMPLE_JOB_H */",
            "",
        ]
    )


def _constants(job: Job, config: AcceleratorConfig) -> list[str]:
    """The fields of `struct taylorvit_job` for the constants: numbers in a line, then arrays of words in another."""
    registers = register_map(config)
    numbers, words = [], []
    for name, value in job.registers.items():
        count = len(registers.words(name))
        if count == 1:
            numbers.append(f".{name.lower()} = {value}")
        else:
            parts = (f"{value >> (DATA_WIDTH * index) & 0xFFFFFFFF:#x}u" for index in range(count))
            words.append(f".{name.lower()} = {{{', '.join(parts)}}}")
    for name, entries in job.constants.tables.items():
        numbers.append(f".{name} = example_{name}, .{name}_count = {len(entries)}")
    return [f"    {', '.join(fields)}," for fields in (numbers, words) if fields]


def _tables(job: Job) -> list[str]:
    """An array for each table of the constants."""
    lines = []
    for name, entries in job.constants.tables.items():
        lines.append(f"static const uint16_t example_{name}[{len(entries)}] = {{")
        for start in range(0, len(entries), _BYTES_A_LINE):
            lines.append(f"    {', '.join(map(str, entries[start : start + _BYTES_A_LINE]))},")
        lines += ["};", ""]
    return lines


def _array(name: str, packets: list[bytes]) -> list[str]:
    lines = ["", f"static const uint8_t {name}[EXAMPLE_HEADS][EXAMPLE_HEAD_BYTES] = {{"]
    for packet in packets:
        lines += ["    {", *byte_lines(packet, "        "), "    },"]
    return [*lines, "};"]


def byte_lines(data: bytes, indent: str) -> list[str]:
    """The lines of an array of bytes, between its braces.

    Args:
        data (bytes): the bytes.
        indent (str): what each line begins with.
    """
    starts = range(0, len(data), _BYTES_A_LINE)
    return [f"{indent}{', '.join(map(str, data[start : start + _BYTES_A_LINE]))}," for start in starts]

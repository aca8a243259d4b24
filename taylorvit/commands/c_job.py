"""`taylorvit c-job`: a job as C source, with its parameters, its packets, and what Z must be.

`fpga/c/example.c` runs it, as a program of your own can. Quantizing and computing Z belong to `golden` and `verif`,
which are imported when they are needed.

A packet is the bytes of one head's beats, as `fpga.driver.tensors` has them. What the last beat of a token holds beyond
the head dimension is 0; in a packet of Z that came out of the hardware it is undefined and not to be compared.
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from taylorvit.boundary.command import needs
from taylorvit.boundary.writing import check_output_file, written_whole
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.registers import DATA_WIDTH, register_map

from .options import add_configuration, add_input, configuration_of

if TYPE_CHECKING:
    import numpy as np

__all__ = ["add_arguments", "job_source", "run", "write_job"]

_BYTES_A_LINE = 24


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_configuration(parser, required=True)
    add_input(parser)
    parser.add_argument("-o", "--output", metavar="FILE.h", type=Path, default=Path("example_job.h"),
                        help="default: example_job.h")  # fmt: skip


@needs("sim,fpga")
def run(arguments):
    """Carries out the command. Raises what `write_job` does, `ConfigError` for a configuration that is none."""
    check_output_file(arguments.output, endings=(".h",))
    config = configuration_of(arguments)
    heads = write_job(config, arguments.input, arguments.output)
    print(f"wrote  {arguments.output}, {heads} heads for {config.name}")


def write_job(config: AcceleratorConfig, input: str | Path, output: str | Path) -> int:
    """Write the job in the .npz file `input`, as `taylorvit simulate` takes it, to the header `output`.

    Returns the number of heads. Raises `ValueError`, in one line, for an input that cannot be used or an output that
    cannot be written, `ModuleNotFoundError` where the golden model is not installed.
    """
    from taylorvit.golden.attention.integer_attention import integer_taylor_attention
    from taylorvit.jobs.operands import read_operands
    from taylorvit.simulation.host import format_of

    job = read_operands(input, config).job
    golden = integer_taylor_attention(job.q, job.k, job.v, job.constants, format_of(config))
    source = job_source(config, job, golden.z)
    with written_whole(output) as partial:
        partial.write_text(source, encoding="utf-8")
    return len(job.q)


def job_source(config: AcceleratorConfig, job, z: np.ndarray) -> str:
    """The text of `example_job.h`.

    Args:
        job: has q, k, v, integers (heads, tokens, head_dim), and `constants`, the run-time constants of the job.
        z: what comes out, integers of the same shape.

    Raises:
        ValueError: more heads than one job of this accelerator has.
    """
    heads, tokens, head_dim = z.shape
    if heads > config.max_heads:
        raise ValueError(f"heads must be at most {config.max_heads} on {config.name}, not {heads!r}")
    from taylorvit.fpga.driver.tensors import matrix_bytes

    constants = job.constants
    operands = {"q": job.q, "k": job.k, "v": job.v, "z": z}
    data = {name: [matrix_bytes(head, config) for head in operand] for name, operand in operands.items()}
    head_bytes = len(data["z"][0])
    return "\n".join([
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
        "static const struct taylorvit_job example_job = {",
        f"    .heads = {heads}, .tokens = {tokens}, .head_dim = {head_dim},",
        f"    .shift_g = {constants.shift_g}, .shift_z = {constants.shift_z},",
        f"    .c_v = {_words('C_V', constants.c_v, config)}, .c_d = {_words('C_D', constants.c_d, config)},",
        "};",
        *(line for name in data for line in _array(f"example_{name}", data[name])),
        "",
        "#endif /* EXAMPLE_JOB_H */",
        "",
    ])  # fmt: skip


def _words(name: str, value: int, config: AcceleratorConfig) -> str:
    words = register_map(config).words(name)
    return "{" + ", ".join(f"{value >> (DATA_WIDTH * index) & 0xFFFFFFFF:#x}u" for index in range(len(words))) + "}"


def _array(name: str, packets: list[bytes]) -> list[str]:
    lines = ["", f"static const uint8_t {name}[EXAMPLE_HEADS][EXAMPLE_HEAD_BYTES] = {{"]
    for packet in packets:
        lines.append("    {")
        for start in range(0, len(packet), _BYTES_A_LINE):
            lines.append(f"        {', '.join(map(str, packet[start : start + _BYTES_A_LINE]))},")
        lines.append("    },")
    return [*lines, "};"]

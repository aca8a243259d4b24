"""The command line `taylorvit`, also installed as `taylorvit`.

Results go to standard output, progress and errors to standard error. Exit status: 0 done; 1 the simulated hardware
differs from the golden model; 2 the request cannot be carried out, said in one line.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from taylorvit.boundary.command import console, needs, parse, run_command
from taylorvit.boundary.writing import check_output_folder
from taylorvit.gen.presets import load_file, load_preset, preset_names
from taylorvit.rtl import __version__
from taylorvit.rtl.control.registers import register_map

__all__ = ["main"]

_DEFAULT_PRESET = "edge-16x16"  # of `info`, which may be asked for no particular one
_DEIT_TOKENS, _DEIT_HEAD_DIM = 197, 64


def main(argv=None):
    """Runs the command line `argv` (`sys.argv` if left out); returns the exit status."""

    def body():
        arguments = parse(_parser(), argv)
        return arguments.run(arguments)

    return run_command("taylorvit", body)


def _parser():
    parser = argparse.ArgumentParser(
        prog="taylorvit", description="Generator of Taylor-attention (ViTALiTy) accelerators."
    )
    parser.add_argument("--version", action="version", version=f"taylorvit {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    presets = commands.add_parser("presets", help="list the presets with their sizes")
    presets.set_defaults(run=_presets)

    generate = commands.add_parser("generate", help="write Verilog, register map and metadata")
    _add_configuration(generate, required=True)
    generate.add_argument("-o", "--output", metavar="DIR", type=Path, help="folder (default: build/NAME)")
    generate.add_argument("--prefix", metavar="TEXT_",
                          help="in front of every module's and file's name, for designs with several accelerators "
                          "(default: the configuration's)")  # fmt: skip
    generate.set_defaults(run=_generate)

    info = commands.add_parser("info", help="show the register map and the ports")
    _add_configuration(info, required=False)
    info.set_defaults(run=_info)

    simulate = commands.add_parser(
        "simulate",
        help="run your own Q, K, V through the generated Verilog",
        description="Runs Q, K, V through the generated Verilog under Verilator and compares with the golden model. "
        "Exit status 1 if a single bit differs.",
    )
    _add_configuration(simulate, required=True)
    simulate.add_argument(
        "--input", metavar="FILE.npz", type=Path, required=True,
        help="arrays q, k, v of shape (heads, tokens, head_dim): float, or integers with q_exp, k_exp, v_exp",
    )  # fmt: skip
    simulate.add_argument("-o", "--output", metavar="FILE.npz", type=Path, help="z, and all it comes from")
    simulate.add_argument("--waves", action="store_true", help="record a waveform, beside the output")
    simulate.set_defaults(run=_simulate)
    return parser


def _add_configuration(parser, *, required):
    choice = parser.add_mutually_exclusive_group(required=required)
    choice.add_argument("--preset", metavar="NAME", help=f"one of {', '.join(preset_names())}")
    choice.add_argument("--config", metavar="FILE.toml", type=Path, help="a configuration of your own")


def _configuration(arguments):
    if arguments.config is not None:
        return load_file(arguments.config)
    return load_preset(_DEFAULT_PRESET if arguments.preset is None else arguments.preset)


def _presets(arguments):
    table = Table(title="Presets")
    for heading in ("preset", "array", "PEs", "bits", "tokens", "head dim", "stream", "buffers", "array cycles a head"):
        table.add_column(heading, justify="left" if heading in ("preset", "array") else "right")
    for name in preset_names():
        config = load_preset(name)
        tokens = min(config.max_tokens, _DEIT_TOKENS)
        head_dim = min(config.max_head_dim, _DEIT_HEAD_DIM)
        table.add_row(
            name,
            f"{config.rows} x {config.columns} + {config.rows} x 1",
            f"{config.processing_elements:,}",
            str(config.data_width),
            str(config.max_tokens),
            str(config.max_head_dim),
            f"{config.stream_width} bits",
            f"{sum(config.buffer_bytes.values()):,} bytes",
            f"{config.array_cycles(tokens, head_dim):,} (n = {tokens}, d = {head_dim})",
        )
    console().print(table)


def _generate(arguments):
    from taylorvit.gen.generate import generate

    config = _configuration(arguments)
    if arguments.prefix is not None:
        config = replace(config, prefix=arguments.prefix)
    folder = arguments.output or Path("build") / f"{config.prefix}{config.name}"
    check_output_folder(folder)
    with console(stderr=True).status(f"generating {config.name}"):
        changed = generate(config, folder)
    pages = folder / "registers" / f"{config.prefix}html"
    for path, is_new in changed.items():
        if pages not in path.parents or path == pages / "index.html":
            print(f"{'wrote' if is_new else 'unchanged':9}  {path}")


def _info(arguments):
    from taylorvit.gen.generate import port_table, top

    config = _configuration(arguments)
    registers = Table(title=f"Registers of {config.name}")
    for heading in ("offset", "register", "bits", "access", "reset", "values", "description"):
        registers.add_column(heading)
    for register in register_map(config):
        for index, field in enumerate(register.fields):
            registers.add_row(
                f"{register.offset:#05x}" if index == 0 else "",
                register.name if field.name == register.name else f"{register.name}.{field.name}",
                str(field.low) if field.width == 1 else f"{field.high}..{field.low}",
                register.access.value,
                f"{field.reset:#x}" if register.name == "ID" else str(field.reset),
                field.values,
                field.description,
            )
    screen = console()
    screen.print(registers)

    component = top(config)
    ports = Table(title=f"Ports of module {component.module_name}")
    for heading in ("port", "direction", "width", "signed"):
        ports.add_column(heading, justify="right" if heading == "width" else "left")
    for name, direction, width, signed in port_table(component):
        ports.add_row(name, direction, str(width), "signed" if signed else "")
    screen.print(ports)


@needs("sim")
def _simulate(arguments):
    config = _configuration(arguments)
    from taylorvit.simulation.simulate import run

    return run(config=config, input=arguments.input, output=arguments.output, waves=arguments.waves)

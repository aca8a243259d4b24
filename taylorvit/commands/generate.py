"""`taylorvit generate`: Verilog, register map and metadata of a configuration, in a folder."""

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from taylorvit.boundary.command import console, folder
from taylorvit.boundary.writing import check_output_folder

from .options import add_configuration, configuration_of

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_configuration(parser, required=True)
    parser.add_argument("-o", "--output", metavar="DIR", type=folder, help="output folder (default: build/NAME)")
    parser.add_argument(
        "--prefix",
        metavar="TEXT_",
        help="prefix of all module and file names, for designs with several accelerators "
        "(default: the configuration's)",
    )


def run(arguments: Namespace) -> None:
    """Carries out the command."""
    from taylorvit.gen.generate import generate

    config = configuration_of(arguments)
    if arguments.prefix is not None:
        config = replace(config, prefix=arguments.prefix)
    output = arguments.output or Path("build") / f"{config.prefix}{config.name}"
    check_output_folder(output)
    with console(stderr=True).status(f"generating {config.name}"):
        changed = generate(config, output)
    pages = output / "registers" / f"{config.prefix}html"
    for path, is_new in changed.items():
        if pages not in path.parents or path == pages / "index.html":
            print(f"{'wrote' if is_new else 'unchanged':9}  {path}")

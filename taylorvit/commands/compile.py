"""`taylorvit compile`: the tape of an integer model for a network accelerator."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import console, folder, needs
from taylorvit.boundary.writing import check_output_folder
from taylorvit.models import bundled_model, bundled_names

from .board_options import add_board_network, network_accelerator_of

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Compiles an integer model for a network accelerator: writes model.tape, model.json, listing.txt "
        "and a copy of the model into a folder, which `taylorvit simulate --model` reads."
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help=f"integer model: one of {', '.join(bundled_names())}, or a file of `taylorvit quantize`",
    )
    add_board_network(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=folder,
        help="output folder (default: compiled_NAME beside the model, or build/MODEL-NAME for one by its name)",
    )


@needs("train")
def run(arguments: Namespace) -> None:
    """Carries out the command."""
    from taylorvit.compiler import compile_network, write_folder
    from taylorvit.golden.network.integer_vit import load_integer_vit

    config = network_accelerator_of(arguments, "compile")
    model = bundled_model(arguments.model)
    beside = Path("build", f"{model.stem}-{config.name}") if model.stem == arguments.model else None
    output = arguments.output or beside or model.parent / f"compiled_{config.name}"
    check_output_folder(output)
    screen = console()
    with console(stderr=True).status(f"compiling for {config.name}"):
        compiled = compile_network(load_integer_vit(model), config)
        files = write_folder(compiled, model, output)
    screen.print(f"{len(compiled.parts)} commands, {len(compiled.tape):,} bytes")
    for file in files:
        screen.print(f"wrote  {file}")

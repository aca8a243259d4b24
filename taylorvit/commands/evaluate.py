"""`taylorvit evaluate`: accuracy of float and integer models on held-out images."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from taylorvit.boundary.command import console, needs
from taylorvit.rtl.network.config import NetworkConfig

from .checkpoints import add_recipe_and_data, check_picture, recipe_and_data
from .options import add_configuration, network_configuration_of

if TYPE_CHECKING:
    from taylorvit.golden.network.vit import VitShape
    from taylorvit.golden.reports.evaluation import Cycles

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Measures accuracy on held-out images. Models that differ only in their seed share a row with mean and "
        "standard deviation. With an accelerator, also the cycles of an image, as `taylorvit estimate` counts them "
        "without a memory; the picture is then accuracy against cycles."
    )
    parser.add_argument(
        "checkpoints",
        type=Path,
        nargs="+",
        metavar="CHECKPOINT",
        help="file of `train` or `quantize`, published weights, or a Hugging Face folder",
    )
    add_recipe_and_data(parser)
    add_configuration(parser, required=False, accelerator="network", metadata=True)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.png", help="also draw the accuracies")


@needs("train")
def run(arguments: Namespace) -> None:
    """Carries out the command."""
    check_picture(arguments.output)
    from taylorvit.golden.reports.evaluation import accuracy_table, draw_accuracies, evaluate_file, summarize

    screen = console()
    cycles = None
    if (arguments.preset, arguments.config, arguments.accelerator) != (None, None, None):
        cycles = _cycles_on(network_configuration_of(arguments, "evaluate"))
    of_others = recipe_and_data(arguments)
    results = []
    with screen.status("evaluating") as status:
        for path in arguments.checkpoints:

            def show(done: int, of: int, path: Path = path) -> None:
                status.update(f"{path}: {done} of {of}")

            status.update(f"evaluating {path}")
            results.append(evaluate_file(path, show, cycles=cycles, **of_others))
    screen.print(accuracy_table(results))
    for result in results:
        if result.denominator_errors:
            screen.print(f"{result.path}: {result.denominator_errors} rows with a denominator that is not positive")
    if arguments.output:
        draw_accuracies(arguments.output, summarize(results))
        screen.print(f"wrote  {arguments.output}")


def _cycles_on(config: NetworkConfig) -> Cycles:
    """Cycles of an image of many back to back on an accelerator, by sizes and kernels."""
    from taylorvit.compiler import cycles_of
    from taylorvit.compiler.fitting import check_kernels, check_shape

    def of_network(shape: VitShape, kernels: tuple[str, ...]) -> int:
        check_shape(shape, config)
        check_kernels(kernels, config)
        return cycles_of(shape, config, kernels=kernels).cycles

    return of_network

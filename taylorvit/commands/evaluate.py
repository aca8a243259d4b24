"""`taylorvit evaluate`: accuracy of float and integer models on held-out images."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import console, needs

from .checkpoints import add_recipe_and_data, check_picture, recipe_and_data

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Measures accuracy on held-out images. Models that differ only in their seed share a row with mean and "
        "standard deviation."
    )
    parser.add_argument(
        "checkpoints",
        type=Path,
        nargs="+",
        metavar="CHECKPOINT",
        help="file of `train` or `quantize`, published weights, or a Hugging Face folder",
    )
    add_recipe_and_data(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.png", help="also draw the accuracies")


@needs("train")
def run(arguments: Namespace) -> None:
    """Carries out the command."""
    check_picture(arguments.output)
    from taylorvit.golden.reports.evaluation import accuracy_table, draw_accuracies, evaluate_file, summarize

    screen = console()
    of_others = recipe_and_data(arguments)
    results = []
    with screen.status("evaluating") as status:
        for path in arguments.checkpoints:

            def show(done: int, of: int, path: Path = path) -> None:
                status.update(f"{path}: {done} of {of}")

            status.update(f"evaluating {path}")
            results.append(evaluate_file(path, show, **of_others))
    screen.print(accuracy_table(results))
    for result in results:
        if result.denominator_errors:
            screen.print(f"{result.path}: {result.denominator_errors} rows with a denominator that is not positive")
    if arguments.output:
        draw_accuracies(arguments.output, summarize(results))
        screen.print(f"wrote  {arguments.output}")

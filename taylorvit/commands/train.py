"""`taylorvit train`: a model from a recipe."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import console, folder, needs
from taylorvit.boundary.reading import FileError, parse_toml
from taylorvit.boundary.writing import check_output_folder

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Trains a model from a recipe and writes weights, metrics.csv and curves.png. Runs in several processes under "
        "torchrun."
    )
    parser.add_argument(
        "--config", required=True, metavar="FILE.toml", help="recipe: a file, or the name of one in the package"
    )
    parser.add_argument(
        "-o", "--output", type=folder, metavar="DIR", help="output folder (default: build/golden/RECIPE)"
    )
    parser.add_argument("--resume", action="store_true", help="resume after the last complete epoch")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a field of the recipe; may be given several times",
    )
    parser.add_argument("--device", help="torch device (default: a GPU if there is one)")


@needs("train")
def run(arguments: Namespace) -> None:
    """Carries out the command."""
    from taylorvit.golden.training.recipe import load_recipe
    from taylorvit.golden.training.trainer import train

    from .training_bar import is_first_process, training_bar

    recipe = load_recipe(arguments.config, dict(_change(text) for text in arguments.set))
    output = arguments.output or Path("build/golden") / Path(arguments.config).stem
    check_output_folder(output)
    screen = console()
    try:
        with training_bar(screen) as bar:
            trained = train(recipe, output, resume=arguments.resume, device=arguments.device, progress=bar.progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; --resume goes on after the last complete epoch") from None
    if is_first_process():
        last = trained.metrics[-1]
        screen.print(
            f"held-out images recognized: {last['test_accuracy']:.2%}\nwrote  {trained.path}\n"
            f"wrote  {output / 'metrics.csv'}\nwrote  {output / 'curves.png'}"
        )


def _change(text: str) -> tuple[str, object]:
    """A name and a TOML value; a value that is none is a string."""
    name, equals, value = text.partition("=")
    if not name or not equals or not text.isprintable():
        raise ValueError(f"--set must be NAME=VALUE, in one line, not {text!r}")
    try:
        return name, parse_toml(f"value = {value}", "--set")["value"]
    except FileError:
        return name, value

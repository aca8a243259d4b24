"""Arguments of the commands of models, and what they mean."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.writing import check_output_file

__all__ = ["add_checkpoint", "add_recipe_and_data", "beside", "check_picture", "recipe_and_data"]

_PICTURES = (".png", ".pdf", ".svg")


def add_checkpoint(parser: ArgumentParser) -> None:
    """Adds the checkpoint of a command, with --recipe and --data."""
    text = (
        "model.safetensors of `train`, published weights, a Hugging Face folder, or a graph of ONNX: FILE.onnx, or "
        "FILE.onnx:VALUE for the part of it that ends in a value"
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help=text)
    add_recipe_and_data(parser)


def add_recipe_and_data(parser: ArgumentParser) -> None:
    """Adds --recipe and --data, which describe published weights."""
    text = "describes the model and images of published weights: a file, or the name of one in the package"
    parser.add_argument("--recipe", metavar="FILE.toml", help=text)
    text = "images in place of those of the recipe: a data set, or a folder with train and val"
    parser.add_argument("--data", metavar="NAME|FOLDER", help=text)


def recipe_and_data(arguments: Namespace) -> dict:
    """The arguments `recipe` and `data` of functions that take a checkpoint."""
    from taylorvit.golden.training.recipe import load_recipe

    return {"recipe": load_recipe(arguments.recipe) if arguments.recipe else None, "data": arguments.data}


def beside(checkpoint: Path) -> Path:
    """The default folder for the output of a command on a checkpoint."""
    from taylorvit.golden.checkpoints.checkpoint import file_of

    return checkpoint if checkpoint.is_dir() else file_of(checkpoint).parent


def check_picture(path: Path | None) -> None:
    """Raises the errors of writing this picture before the work begins; does nothing for None."""
    if path is not None:
        check_output_file(path, endings=_PICTURES)
        import matplotlib.figure  # noqa: F401 - fails here if it is missing, and not after the work

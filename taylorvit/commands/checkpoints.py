"""Arguments of the commands of models, and what they mean."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.writing import check_output_file

__all__ = ["add_checkpoint", "add_what_they_are", "beside", "check_picture", "what_they_are"]

_PICTURES = (".png", ".pdf", ".svg")


def add_checkpoint(parser: ArgumentParser) -> None:
    """Adds the checkpoint that a command is about, and what it does not say itself."""
    text = "model.safetensors of a training, weights of others, or a Hugging Face folder"
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help=text)
    add_what_they_are(parser)


def add_what_they_are(parser: ArgumentParser) -> None:
    """Adds --recipe and --data: what weights of others do not say."""
    text = "model and images of weights of others: a recipe's file, or the name of ours"
    parser.add_argument("--recipe", metavar="FILE.toml", help=text)
    text = "other images than those of the recipe: a data set, or a folder with train and val"
    parser.add_argument("--data", metavar="NAME|FOLDER", help=text)


def what_they_are(arguments: Namespace) -> dict:
    """The options `recipe` and `data` of whatever takes a checkpoint."""
    from taylorvit.golden.training.recipe import load_recipe

    return {"recipe": load_recipe(arguments.recipe) if arguments.recipe else None, "data": arguments.data}


def beside(checkpoint: Path) -> Path:
    """The folder where what is made of a checkpoint goes by itself."""
    return checkpoint if checkpoint.is_dir() else checkpoint.parent


def check_picture(path: Path | None) -> None:
    """Raises what a picture in this file would raise, before the work begins; nothing for None."""
    if path is not None:
        check_output_file(path, endings=_PICTURES)
        import matplotlib.figure  # noqa: F401 - is missed now, and not after the work

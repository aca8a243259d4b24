"""`taylorvit capture`: Q, K and V of a model's layers, for `taylorvit simulate`."""

from argparse import ArgumentParser, Namespace
from contextlib import suppress
from pathlib import Path

from taylorvit.boundary.command import console, needs
from taylorvit.boundary.writing import check_output_file

from .checkpoints import add_checkpoint, recipe_and_data

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_checkpoint(parser)
    parser.add_argument(
        "--images", nargs="+", required=True, metavar="N|FILE", help="number of held-out images, or image files"
    )
    parser.add_argument("--layers", nargs="+", type=int, metavar="LAYER", help="layers, counted from 0 (default: all)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.npz", help="output file")


@needs("train")
def run(arguments: Namespace) -> None:
    """Carries out the command."""
    check_output_file(arguments.output, endings=(".npz",))
    from taylorvit.golden import workloads
    from taylorvit.golden.checkpoints.checkpoint import load
    from taylorvit.golden.workloads.capture import capture_workload

    images = _count_or_files(arguments.images)
    workload = capture_workload(load(arguments.checkpoint), images, arguments.layers, **recipe_and_data(arguments))
    workloads.save(arguments.output, workload)
    heads, tokens, head_dim = workload.q.shape
    console().print(f"{heads} heads of {tokens} tokens x {head_dim} features\nwrote  {arguments.output}")


def _count_or_files(texts: list[str]) -> int | list[Path]:
    if len(texts) == 1:
        with suppress(ValueError):
            return int(texts[0])
    return [Path(text) for text in texts]

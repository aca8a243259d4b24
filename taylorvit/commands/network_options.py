"""Arguments of the commands that run networks."""

from __future__ import annotations

from argparse import ArgumentParser

from taylorvit.boundary.command import real_number, whole_number

__all__ = ["add_image_order", "add_images", "add_memory", "add_network"]


def add_images(parser: ArgumentParser) -> None:
    """Adds --images."""
    parser.add_argument(
        "--images",
        metavar="SOURCE",
        nargs="+",
        help="image files, folders of images or of folders named after classes, .npz of pixels, held-out images of a "
        "data set (digits:0-9), or all of them (digits)",
    )


def add_image_order(parser: ArgumentParser) -> None:
    """Adds --image-order."""
    parser.add_argument(
        "--image-order",
        choices=("patches", "raster"),
        help="with --model: images go in patch by patch (default), or row by row as a camera gives them",
    )


def add_network(parser: ArgumentParser) -> None:
    """Adds --network."""
    parser.add_argument("--network", metavar="NAME", help="a network of the board (default: the model's)")


def add_memory(parser: ArgumentParser) -> None:
    """Adds --bytes-per-cycle and --latency, of the memory that holds the tape."""
    parser.add_argument(
        "--bytes-per-cycle",
        metavar="X",
        type=real_number(0.001, 4096, "bytes"),
        help="what the memory of the tape delivers at most (default: a word a cycle)",
    )
    parser.add_argument(
        "--latency",
        metavar="N",
        type=whole_number(1, 100_000),
        help="cycles from the address of a burst to its first word (default: 20)",
    )

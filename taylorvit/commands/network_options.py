"""Arguments of the commands that run networks."""

from __future__ import annotations

from argparse import ArgumentParser

from taylorvit.boundary.command import real_number, whole_number

__all__ = ["add_images", "add_memory"]


def add_images(parser: ArgumentParser) -> None:
    """Adds --images."""
    parser.add_argument(
        "--images",
        metavar="SOURCE",
        nargs="+",
        help="image files, folders of images, .npz of pixels, or held-out images of a data set (mnist5k:0-9)",
    )


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

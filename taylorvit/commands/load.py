"""`taylorvit load`: a finished bitstream into a board."""

import shlex
import shutil
import subprocess
from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import CommandError

from .board_options import add_board, board_of, name_of_network

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_board(parser, required=True)
    parser.add_argument("--network", metavar="NAME", help="a network of the board, whose accelerator is loaded")
    parser.add_argument(
        "bitstream", metavar="FILE", nargs="?", type=Path, help="bitstream (default: the newest build of the board)"
    )


def run(arguments: Namespace) -> int:
    """Carries out the command; returns the exit status."""
    board = board_of(arguments.board)
    bitstream = arguments.bitstream
    if arguments.network is not None:
        board.network(arguments.network)  # which refuses one that there is not
        if bitstream is not None:
            raise ValueError("--network must come without a file, which says what is loaded")
    if bitstream is None:
        name, options = board.name, f"--board {arguments.board}"
        if arguments.network is not None:
            name, options = name_of_network(board, arguments.network), f"{options} --network {arguments.network}"
        pattern = f"fpga/{name}/*/{name}.{board.family.bitstream_suffix}"
        found = sorted(Path("build").glob(pattern), key=lambda path: path.stat().st_mtime)
        if not found:
            raise ValueError(f"bitstream of {name} must be built first: taylorvit build {options}")
        bitstream = found[-1]
    elif not bitstream.is_file():
        raise ValueError(f"bitstream must be a file, not {str(bitstream)!r}")
    command = [word.replace("{bitstream}", str(bitstream)) for word in board.loader]
    print(shlex.join(command))
    if shutil.which(command[0]) is None:
        raise CommandError(f"{command[0]} was not found on PATH: install it, and type the line above")
    return 1 if subprocess.run(command, check=False).returncode else 0

"""The line to a board: a serial port, or a simulation of the whole board."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from taylorvit.boundary.command import whole_number
from taylorvit.fpga.protocol import LEAST_BAUD, MOST_BAUD

if TYPE_CHECKING:
    from rich.progress import Progress

    from taylorvit.fpga.board import Board
    from taylorvit.fpga.driver import Port
    from taylorvit.gen.presets import Configuration

__all__ = ["add_baud", "board_port"]

_DEFAULT_BAUD = 3_000_000


def add_baud(parser: ArgumentParser) -> None:
    """Adds --baud."""
    parser.add_argument(
        "--baud",
        metavar="N",
        type=whole_number(LEAST_BAUD, MOST_BAUD),
        help=f"baud rate of the port (default: that of the board, or {_DEFAULT_BAUD})",
    )


def board_port(
    arguments: Namespace, board: Board | None, config: Configuration | None, progress: Progress, sdram: bytes = b""
) -> tuple[Port, str]:
    """The port that --port or --sim name, with a bar while it is made ready.

    Args:
        arguments (Namespace): the parsed ones: port, baud, sim.
        board (Board | None): the board; None if it may be any, with --port.
        config (Configuration | None): the accelerator on it, likewise.
        progress (Progress): the bars.
        sdram (bytes): what the SDRAM of a simulated board has in it from the start, if there is one.

    Returns:
        tuple[Port, str]: the port, and what stands in front of the time that a run took.
    """
    what = "preparing the simulation" if arguments.sim else f"connecting to {arguments.port}"
    preparing = progress.add_task(what, total=None)
    port, preparation = _simulated_port(board, config, sdram) if arguments.sim else _serial_port(arguments, board)
    progress.update(preparing, total=1, completed=1)
    return port, preparation


def _serial_port(arguments, board):
    from taylorvit.fpga.driver import SerialPort

    baud = arguments.baud
    if baud is None:
        baud = _DEFAULT_BAUD if board is None else board.baud
    return SerialPort(arguments.port, baud), "on the board "


def _simulated_port(board, config, sdram):
    from taylorvit.simulation.simulated_board import SimulatedPort, build_board

    simulation = build_board(board, config)
    seconds = simulation.build.seconds
    return SimulatedPort(simulation, sdram=sdram), f"build {f'{seconds:.1f} s' if seconds else 'cached'}, simulation "

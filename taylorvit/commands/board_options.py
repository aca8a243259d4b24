"""Arguments of the commands of boards, and what they mean."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.fpga.board import Board, board_names, load_board, load_board_file
from taylorvit.gen.presets import load_file, load_preset, of_kind, preset_names
from taylorvit.rtl.config import AcceleratorConfig

__all__ = ["add_board", "add_board_configuration", "board_configuration", "board_of", "board_request"]


def add_board(parser: ArgumentParser, *, required: bool, several: bool = False, note: str = "") -> None:
    """Adds --board.

    Args:
        parser (ArgumentParser): of the command.
        required (bool): whether it has to be given.
        several (bool): whether it may be given several times.
        note (str): added to the help text.
    """
    parser.add_argument(
        "--board",
        metavar="BOARD",
        required=required,
        action="append" if several else "store",
        help=f"one of {', '.join(board_names())}, or a TOML file{note}",
    )


def board_of(name: str) -> Board:
    """The board that --board names."""
    return load_board_file(name) if name.endswith(".toml") else load_board(name)


def add_board_configuration(parser: ArgumentParser) -> None:
    """Adds --preset and --config of a board, of which one may be given."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--preset", metavar="NAME", help="a preset of the board (default: its first) or of the generator"
    )
    choice.add_argument("--config", metavar="FILE.toml", type=Path, help="your own configuration")


def board_configuration(arguments: Namespace, board: Board | None) -> AcceleratorConfig | None:
    """The configuration that --preset or --config name; that of the board's first preset if neither is given.

    Args:
        arguments (Namespace): the parsed ones.
        board (Board): whose presets are looked at first; None if it may be any.

    Returns:
        None if neither says it.
    """
    if arguments.config is not None:
        return of_kind(load_file(arguments.config), AcceleratorConfig, "board")
    presets = {} if board is None else board.presets
    if arguments.preset is None:
        return None if board is None else board.preset().config
    if arguments.preset in presets:
        return presets[arguments.preset].config
    if arguments.preset not in preset_names():
        of_generator = preset_names(AcceleratorConfig.accelerator)
        raise ValueError(f"preset must be one of {', '.join([*presets, *of_generator])}, not {arguments.preset!r}")
    return of_kind(load_preset(arguments.preset), AcceleratorConfig, "board")


def board_request(name: str, arguments: Namespace) -> tuple[Board, AcceleratorConfig | None, dict]:
    """What is to be built for a board.

    Args:
        name (str): of the board.
        arguments (Namespace): the parsed ones: preset, config, freq, seed, output.

    Returns:
        The board with its core clock, the configuration, and the options of `fpga.flow.build.prepare`.
    """
    board = board_of(name)
    config = board_configuration(arguments, board)
    of_board = arguments.config is None and arguments.preset in board.presets
    preset = board.preset(arguments.preset) if of_board else board.preset()
    core_hz = preset.core_hz if arguments.freq is None else round(arguments.freq * 1e6)
    seed = preset.seed if arguments.seed is None else arguments.seed
    options = {"seed": seed, "margin_percent": preset.margin_percent, "root": arguments.output}
    return board.with_core_hz(core_hz), config, options

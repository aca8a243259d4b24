"""Arguments of the commands of boards, and what they mean."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import NamedTuple, cast

from taylorvit.fpga.board import Board, BoardPreset, board_names, load_board, load_board_file
from taylorvit.gen.presets import Configuration, load_file, load_preset, of_kind, preset_names
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.network.config import NetworkConfig

from .options import add_configuration, network_configuration_of, of_boards

__all__ = ["Request", "add_board", "add_board_configuration", "add_board_network", "board_configuration", "board_of",
           "board_requests", "name_of_network", "network_accelerator_of"]  # fmt: skip


class Request(NamedTuple):
    """A bitstream to be built.

    Attributes:
        name (str): what it is called: the board, and behind it the network if it is for one.
        board (Board): the board with its core clock.
        config (Configuration): the configuration of the accelerator.
        options (dict): further arguments of `fpga.flow.build.prepare`.
    """

    name: str
    board: Board
    config: Configuration
    options: dict


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


def name_of_network(board: Board, network: str) -> str:
    """What the bitstream for a network of a board is called, and its baseline and picture."""
    return f"{board.name}-{network}"


def add_board_configuration(parser: ArgumentParser, *, networks: bool = False) -> None:
    """Adds --preset and --config of a board, of which one may be given.

    Args:
        parser (ArgumentParser): of the command.
        networks (bool): whether --network or --with-networks may be given instead.
    """
    choice = parser.add_mutually_exclusive_group()
    if networks:
        choice.add_argument("--network", metavar="NAME", help="the accelerator for a network of the board")
        choice.add_argument(
            "--with-networks", action="store_true", help="the board's first preset, and all of its networks"
        )
    choice.add_argument(
        "--preset", metavar="NAME", help="a preset of the board (default: its first) or of the generator"
    )
    choice.add_argument("--config", metavar="FILE.toml", type=Path, help="your own configuration")


def add_board_network(parser: ArgumentParser) -> None:
    """Adds what a network accelerator can be named by: --preset, --config, --accelerator, or --board with --network."""
    add_configuration(parser, required=False, accelerator="network", metadata=True, networks=True)
    add_board(parser, required=False, note="; with --network if it has several")


def network_accelerator_of(arguments: Namespace, command: str) -> NetworkConfig:
    """The configuration that the arguments of `add_board_network` name; that of the board's network if it has one.

    Args:
        arguments (Namespace): the parsed ones.
        command (str): the command, which is for no other accelerator.
    """
    without_board = any(each is not None for each in (arguments.preset, arguments.config, arguments.accelerator))
    if arguments.board is None:
        if arguments.network is not None:
            raise ValueError("--network must come with --board")
        if not without_board:
            raise ValueError(f"{command} must have --preset, --config, --accelerator or --board")
        return network_configuration_of(arguments, command)
    if without_board:
        raise ValueError("--board must come with --network, or alone")
    board = board_of(arguments.board)
    if arguments.network is None and len(board.networks) > 1:
        raise ValueError(f"--board {arguments.board} must come with --network, one of {', '.join(board.networks)}")
    return board.network(arguments.network).config


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
        raise ValueError(
            f"preset must be one of {', '.join([*presets, *of_generator])}, not {arguments.preset!r}"
            + of_boards(arguments.preset)
        )
    return of_kind(load_preset(arguments.preset), AcceleratorConfig, "board")


def board_requests(name: str, arguments: Namespace) -> list[Request]:
    """What is to be built for a board.

    Args:
        name (str): of the board.
        arguments (Namespace): the parsed ones: network, with_networks, preset, config, model, freq, seed, output.
    """
    board = board_of(name)
    if arguments.network is not None:
        return [_of_network(board, arguments.network, arguments)]
    config: Configuration
    if arguments.config is not None:
        config = load_file(arguments.config)
    else:
        config = cast(AcceleratorConfig, board_configuration(arguments, board))  # of a board, there is one
    of_board = arguments.config is None and arguments.preset in board.presets
    preset = board.preset(arguments.preset) if of_board else board.preset()
    label = board.name if isinstance(config, AcceleratorConfig) else name_of_network(board, config.name)
    requests = [_request(label, board, config, preset, arguments)]
    if arguments.with_networks:
        requests += [_of_network(board, network, arguments) for network in board.networks]
    return requests


def _of_network(board, network, arguments):
    preset = board.network(network)
    return _request(name_of_network(board, network), board, preset.config, preset, arguments)


def _tape(model, config):
    if not isinstance(config, NetworkConfig) or config.tape_source != "memory":
        raise ValueError(f"--model must come with a network whose tape is on the chip, not with {config.name}")
    from taylorvit.jobs.compiled_model import read_tape

    return read_tape(model, config)


def _request(name: str, board: Board, config: Configuration, preset: BoardPreset, arguments: Namespace) -> Request:
    """The request with the clock and the seed of a preset, unless the arguments say others."""
    core_hz = preset.core_hz if arguments.freq is None else round(arguments.freq * 1e6)
    seed = preset.seed if arguments.seed is None else arguments.seed
    tape = None if arguments.model is None else _tape(arguments.model, config)
    options = {
        "tape": tape,
        "name": name,
        "seed": seed,
        "margin_percent": preset.margin_percent,
        "root": arguments.output,
    }
    return Request(name, board.with_core_hz(core_hz), config, options)

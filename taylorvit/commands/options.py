"""Arguments that several commands have, and what they mean."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _MutuallyExclusiveGroup
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from taylorvit.gen.presets import load_file, load_metadata, load_preset, of_kind, preset_names
from taylorvit.rtl.config import AcceleratorConfig, ConfigError
from taylorvit.rtl.network.config import NetworkConfig

if TYPE_CHECKING:
    from taylorvit.gen.presets import Configuration

__all__ = ["add_configuration", "add_input", "attention_configuration_of", "configuration_of",
           "network_configuration_of", "of_boards"]  # fmt: skip


def add_configuration(
    parser: ArgumentParser,
    *,
    required: bool,
    accelerator: str | None = None,
    metadata: bool = False,
    networks: bool = False,
) -> None:
    """Adds --preset and --config, of which one may be given.

    Args:
        parser (ArgumentParser): of the command.
        required (bool): whether one has to be given.
        accelerator (str | None): the only accelerator that the command is for, a key of `gen.presets.CONFIGURATIONS`.
        metadata (bool): whether --accelerator, the metadata of one that was generated, may be given instead.
        networks (bool): whether --network, that of a board, may be given instead.
    """
    choice = parser.add_mutually_exclusive_group(required=required)
    choice.add_argument("--preset", metavar="NAME", help=f"one of {', '.join(preset_names(accelerator))}")
    choice.add_argument("--config", metavar="FILE.toml", type=Path, help="your own configuration")
    if metadata:
        choice.add_argument(
            "--accelerator", metavar="METADATA.json", type=Path, help="an accelerator from `taylorvit generate`"
        )
    if networks:
        choice.add_argument("--network", metavar="NAME", help="the accelerator for a network of a board, with --board")


def configuration_of(
    arguments: Namespace, *, default: str = "", kind: type[Configuration] | None = None
) -> Configuration:
    """The configuration that --preset, --config or --accelerator name.

    Args:
        arguments (Namespace): the parsed ones.
        default (str): the preset where none is given.
        kind (type[Configuration] | None): whose presets the refusal of an unknown one lists; None for all. One of
            another kind is not refused.
    """
    if getattr(arguments, "accelerator", None) is not None:
        return load_metadata(arguments.accelerator)
    if arguments.config is not None:
        return load_file(arguments.config)
    name = default if arguments.preset is None else arguments.preset
    try:
        return load_preset(name, listed=None if kind is None else kind.accelerator)
    except ConfigError as error:
        raise ConfigError(f"{error}{of_boards(name)}") from None


def of_boards(name: str) -> str:
    """What to add to the refusal of a preset whose name is that of a board's preset or network; nothing for others.

    Args:
        name (str): the name.
    """
    from taylorvit.fpga.board import board_names, load_board

    boards = [load_board(board) for board in board_names()]
    for option, of_board in (("preset", attrgetter("presets")), ("network", attrgetter("networks"))):
        if having := [board.name for board in boards if name in of_board(board)]:
            return f", a {option} of {' and '.join(having)}: where a command takes --board, --board B --{option} {name}"
    return ""


def attention_configuration_of(arguments: Namespace, command: str) -> AcceleratorConfig:
    """The configuration of an attention accelerator that --preset or --config name.

    Args:
        arguments (Namespace): the parsed ones.
        command (str): the command, which is for no other accelerator.
    """
    return of_kind(configuration_of(arguments, kind=AcceleratorConfig), AcceleratorConfig, command)


def network_configuration_of(arguments: Namespace, command: str) -> NetworkConfig:
    """The configuration of a network accelerator that --preset, --config or --accelerator name.

    Args:
        arguments (Namespace): the parsed ones.
        command (str): the command, which is for no other accelerator.
    """
    return of_kind(configuration_of(arguments, kind=NetworkConfig), NetworkConfig, command)


def add_input(parser: ArgumentParser | _MutuallyExclusiveGroup, *, required: bool = True) -> None:
    """Adds --input, a file with the operands of a job.

    Args:
        parser (ArgumentParser | _MutuallyExclusiveGroup): of the command, or a choice of it.
        required (bool): whether it has to be given.
    """
    parser.add_argument(
        "--input",
        metavar="FILE.npz",
        type=Path,
        required=required,
        help="arrays q, k, v of shape (heads, tokens, head_dim): float, or integers with q_exp, k_exp, v_exp",
    )

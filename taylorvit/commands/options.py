"""Arguments that several commands have, and what they mean."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from taylorvit.gen.presets import load_file, load_preset, preset_names

if TYPE_CHECKING:
    from taylorvit.rtl.config import AcceleratorConfig

__all__ = ["add_configuration", "add_input", "configuration_of"]


def add_configuration(parser: ArgumentParser, *, required: bool) -> None:
    """Adds --preset and --config, of which one may be given.

    Args:
        parser (ArgumentParser): of the command.
        required (bool): whether one has to be given.
    """
    choice = parser.add_mutually_exclusive_group(required=required)
    choice.add_argument("--preset", metavar="NAME", help=f"one of {', '.join(preset_names())}")
    choice.add_argument("--config", metavar="FILE.toml", type=Path, help="your own configuration")


def configuration_of(arguments: Namespace, *, default: str = "") -> AcceleratorConfig:
    """The configuration that --preset or --config name.

    Args:
        arguments (Namespace): the parsed ones.
        default (str): the preset where neither is given.
    """
    if arguments.config is not None:
        return load_file(arguments.config)
    return load_preset(default if arguments.preset is None else arguments.preset)


def add_input(parser: ArgumentParser) -> None:
    """Adds --input, a file with the operands of a job."""
    parser.add_argument(
        "--input",
        metavar="FILE.npz",
        type=Path,
        required=True,
        help="arrays q, k, v of shape (heads, tokens, head_dim): float, or integers with q_exp, k_exp, v_exp",
    )

"""`taylorvit completion`: a script for the shell that completes commands, options, presets, boards, networks and files.

    eval "$(taylorvit completion bash)"            in ~/.bashrc; likewise zsh
    taylorvit completion fish | source             in ~/.config/fish/config.fish

The script has all of it in it: completing starts nothing of ours.
"""

import argparse
from argparse import ArgumentParser, Namespace

from taylorvit.fpga.board import board_names, load_board
from taylorvit.gen.presets import preset_names

from . import COMMANDS

__all__ = ["add_arguments", "run"]

_SHELLS = ("bash", "zsh", "fish", "tcsh")


def _network_names():
    """Networks of any board."""
    return sorted({name for board in board_names() for name in load_board(board).networks})


#: Names that an option takes, by its destination.
_NAMES = {"preset": preset_names, "board": board_names, "network": _network_names}


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = 'Prints a completion script for a shell, to be used as: eval "$(taylorvit completion bash)"'
    parser.add_argument("shell", choices=_SHELLS, help="the shell")


def run(arguments: Namespace) -> None:
    """Carries out the command."""
    import shtab

    print(shtab.complete(_whole_parser(shtab), shell=arguments.shell))


def _whole_parser(shtab) -> ArgumentParser:
    """A parser of all commands, each argument of which knows what completes it."""
    parser = ArgumentParser(prog="taylorvit")
    parser.add_argument("--version", action="store_true", help="show the version")
    commands = parser.add_subparsers(metavar="COMMAND")
    for command in COMMANDS.values():
        command.module.add_arguments(below := commands.add_parser(command.name, help=command.help))
        for action in below._actions:
            _complete(action, shtab)
    return parser


def _complete(action: argparse.Action, shtab) -> None:
    kind = str(action.metavar)
    if action.option_strings and action.dest in _NAMES and action.choices is None:
        action.choices = _NAMES[action.dest]()
    elif kind in ("DIR", "CHECKPOINT") or kind.endswith((".json", ".npz", ".toml", "FILE")):
        action.complete = shtab.DIRECTORY if kind == "DIR" else shtab.FILE  # type: ignore[attr-defined]  # shtab reads it

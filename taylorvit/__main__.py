"""The command `taylorvit`, also `python -m taylorvit`.

Results go to standard output, progress and errors to standard error. Exit status: 0 done; 1 a result that must not be
used: bits that differ from the golden model, timing that is not met, a difference from a baseline; 2 a request that
cannot be carried out, with one line that says why; 130 interrupted.
"""

import argparse
import difflib
import itertools
import sys

from taylorvit import __version__
from taylorvit.boundary.command import parse, run_command
from taylorvit.commands import COMMANDS, Command

__all__ = ["command_parser", "main"]

_PROGRAM = "taylorvit"


def main(argv: list[str] | None = None) -> int:
    """Runs a command line.

    Args:
        argv (list[str]): its words; `sys.argv` if left out.

    Returns:
        The exit status.
    """
    words = sys.argv[1:] if argv is None else argv
    return run_command(_PROGRAM, lambda: _carry_out(words))


def _carry_out(words: list[str]) -> int | None:
    options = list(itertools.takewhile(lambda word: word.startswith("-"), words))
    parser = _top_parser()
    parse(parser, options)
    if len(options) == len(words):
        parser.error("the following arguments are required: COMMAND")
    name, *rest = words[len(options) :]
    command = _command(name)
    arguments = parse(command_parser(command), rest)
    try:
        return command.module.run(arguments)
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):  # which is torch's way to say it
            raise
        raise MemoryError(str(error).partition("you tried to ")[2].partition(".")[0]) from None


def _command(name: str) -> Command:
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"command must be one that `taylorvit --help` lists, not {name!r}{hint}")
    return COMMANDS[name]


def _top_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        usage=f"{_PROGRAM} [-h] [--version] COMMAND ...",
        description="Generates, simulates and builds Taylor-attention accelerators for Vision Transformers,\n"
        "and trains and quantizes models for them.",
        epilog=_list_of_commands(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"taylorvit {__version__}")
    return parser


def _list_of_commands() -> str:
    width = max(map(len, COMMANDS))
    lines = []
    for group, commands in itertools.groupby(COMMANDS.values(), key=lambda command: command.group):
        lines += [f"{group}:", *(f"  {command.name:{width}}  {command.help}" for command in commands), ""]
    return "\n".join([*lines, f"`{_PROGRAM} COMMAND --help` shows the options of a command."])


def command_parser(command: Command) -> argparse.ArgumentParser:
    """The parser of a command's arguments.

    Args:
        command (Command): an entry of `COMMANDS`.
    """
    parser = argparse.ArgumentParser(prog=f"{_PROGRAM} {command.name}", description=f"{_sentence(command.help)}.")
    command.module.add_arguments(parser)
    return parser


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


if __name__ == "__main__":
    sys.exit(main())

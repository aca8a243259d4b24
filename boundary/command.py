"""What all commands have in common: one error handler, one console, options that are numbers.

    def main(argv=None):
        return run_command("taylorvit", lambda: carry_out(parse(parser(), argv)))

Exit status: that of the body; 2 a request that cannot be carried out, which is said in one line on standard error; 130
interrupted; 141 whoever read the output has gone away.

What libraries of ours log, from INFO on, appears on standard error while a command runs, a line each.
"""

from __future__ import annotations

import argparse
import io
import logging
import math
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import CommandError, FileError, install_command, reason_of

if TYPE_CHECKING:
    from .screen import Screen

__all__ = [
    "CommandError",
    "FileError",
    "complain",
    "console",
    "folder",
    "needs",
    "parse",
    "real_number",
    "run_command",
    "whole_number",
]

REFUSED, INTERRUPTED, NO_READER = 2, 130, 141

_OURS = ("taylorvit", "verif")
_LONGEST_LINE = 2000


def run_command(program: str, body: Callable[[], int | None]) -> int:
    """Runs a command and handles all of its errors.

    Args:
        program (str): name that stands in front of every error.
        body (Callable): carries the command out and returns its exit status (None is 0). A `KeyboardInterrupt` that it
            raises may have a text, which is said instead of "interrupted".

    Returns:
        The exit status.
    """
    _encode_everything()
    try:
        with _termination_is_interruption(), _log_shown():
            status = _status_of(program, body)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        _forget(sys.stdout)
        return NO_READER
    except OSError as error:  # of the flush: the disk is full, for example
        _forget(sys.stdout)
        complain(program, _reason(error))
        return REFUSED


def _status_of(program: str, body: Callable[[], int | None]) -> int:
    try:
        return body() or 0
    except SystemExit as request:  # argparse has said what is wrong, or has printed the help
        if isinstance(request.code, str):  # a text to end with, not a status
            complain(program, request.code)
            return REFUSED
        return request.code or 0
    except BrokenPipeError:
        raise
    except KeyboardInterrupt as interruption:
        warnings.simplefilter("ignore")  # libraries warn of what is left half made
        complain(program, str(interruption) or "interrupted")
        return INTERRUPTED
    except CommandError as error:
        complain(program, error)
        return error.status
    except ModuleNotFoundError as error:
        if _root(error) in _OURS:
            raise
        complain(program, _missing(error, ""))
    except (ValueError, OverflowError) as error:
        complain(program, error)
    except OSError as error:
        complain(program, _reason(error))
    except MemoryError as error:
        complain(program, f"memory does not suffice: {error}" if str(error) else "memory does not suffice")
    return REFUSED


@contextmanager
def _termination_is_interruption() -> Iterator[None]:
    """Whoever is terminated, or whose terminal is closed, ends the programs that it has started, as if interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    ours = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]  # nohup ignores the second
    for number in ours:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


class _ToStandardError(logging.Handler):
    """Writes messages to standard error as it is now: a live display may stand for it."""

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stderr is not None:
            with suppress(OSError):  # nobody listens
                print(_printable(self.format(record)), file=sys.stderr, flush=True)


@contextmanager
def _log_shown() -> Iterator[None]:
    """Shows what our libraries log, from INFO on."""
    logger, handler = logging.getLogger("taylorvit"), _ToStandardError()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def complain(program: str, message: object) -> None:
    """Says on standard error, in one line, why something cannot be done; lines that are indented may follow."""
    lines = str(message).split("\n    ") if isinstance(message, CommandError) else [str(message)]
    if sys.stderr is None:
        return
    with suppress(OSError):  # nobody listens
        print(f"{program}: error:", "\n    ".join(map(_printable, lines)), file=sys.stderr, flush=True)


def _printable(text: str) -> str:
    """The text with its line ends and control characters, which a file's name may have, written out; not too long."""
    if len(text) > _LONGEST_LINE:
        text = f"{text[: _LONGEST_LINE // 2]} ... {text[-_LONGEST_LINE // 2 :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def _reason(error: OSError) -> str:
    reason = reason_of(error)
    return f"{error.filename}: {reason}" if error.filename is not None else reason


# Packages of the extras


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Around a command, or the imports of one: a package that is missing belongs to an extra.

    Args:
        extra (str): of pyproject.toml, or several with commas.

    Raises:
        CommandError: a package is missing; the text says how to install it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if _root(error) in _OURS:
            raise
        raise CommandError(_missing(error, extra)) from None


def _root(error: ModuleNotFoundError) -> str:
    return (error.name or "").partition(".")[0]


def _missing(error: ModuleNotFoundError, extra: str) -> str:
    return f"this needs the Python package {_root(error)!r}, which is not installed: {install_command(extra)}"


# Screen


def console(*, stderr: bool = False) -> Screen:
    """Standard output, or error: text as it is, without markup; no line is broken that goes to a file or a pipe."""
    from .screen import Screen  # rich takes a tenth of a second, which the help need not wait for

    return Screen(stderr=stderr)


def _encode_everything() -> None:
    """What the terminal has no character for is written as its number."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _forget(stream) -> None:
    """Nothing more goes there: what is left in the buffer would be complained of at the end of the process."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


# Options


def parse(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """The arguments of a command line.

    Args:
        parser (ArgumentParser): that reads them.
        argv (list[str]): the words; `sys.argv` if None.
    """
    for word in sys.argv[1:] if argv is None else argv:
        if re.fullmatch(r"--[\w-]+=--|-\w--", word):  # Python before 3.13 makes an empty list of it
            parser.error(f"argument {word.removesuffix('--').removesuffix('=')}: expected one argument")
    return parser.parse_args(argv)


def whole_number(low: int, high: int | None = None) -> Callable[[str], int]:
    """For `type=` of an argument: integers of a range.

    Args:
        low (int): the smallest.
        high (int): the largest; None for any.
    """
    rule = f"an integer of at least {low}" if high is None else f"an integer in {low}..{high}"

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"must be {rule}, not {text!r}")
        return value

    return convert


def real_number(low: float, high: float, unit: str = "") -> Callable[[str], float]:
    """For `type=` of an argument: numbers of a range.

    Args:
        low (float): the smallest.
        high (float): the largest.
        unit (str): for the text of an error.
    """

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            rule = f"a number in {low:g}..{high:g} {unit}".rstrip()
            raise argparse.ArgumentTypeError(f"must be {rule}, not {text!r}")
        return value

    return convert


def folder(text: str) -> Path:
    """For `type=` of an argument: the path of a folder."""
    if not text:
        raise argparse.ArgumentTypeError(f"must be a folder, not {text!r}")
    return Path(text)

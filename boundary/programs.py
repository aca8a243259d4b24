"""Programs that a command starts: what of the user's environment reaches them, and that none outlives the command."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

__all__ = ["at_once", "end_all", "environment", "started"]

# What was set for another use of the same tools, or by a make that runs us.
_FOREIGN_PREFIXES = ("COCOTB_", "GPI_", "PYGPI_", "VERILATOR_", "IVERILOG_")
_FOREIGN = (
    "MAKEFLAGS",
    "MFLAGS",
    "GNUMAKEFLAGS",
    "MAKEFILES",
    "MAKELEVEL",
    "MAKEOVERRIDES",
    "TOPLEVEL_LANG",
    "DEPENDENCIES_OUTPUT",
    "SUNPRO_DEPENDENCIES",
)
# Where Python finds itself and its modules. The others change how it behaves: warnings that are errors, for example.
_OF_PYTHON = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONPLATLIBDIR",
    "PYTHONUSERBASE",
    "PYTHONNOUSERSITE",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
    "PYTHONUTF8",
    "PYTHONIOENCODING",
)

_PATIENCE = 2  # seconds that a program has to end by itself, and to remove its temporary files

_running: set[subprocess.Popen] = set()


def environment(**changes: str) -> dict[str, str]:
    """The user's environment for a tool in any folder, without what would change what the tool does.

    Args:
        changes (str): variables that are set besides.
    """
    kept = {name: value for name, value in os.environ.items() if not _is_foreign(name)}
    if "PYTHONPATH" in kept:
        kept["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, kept["PYTHONPATH"].split(os.pathsep)))
    return kept | changes


def _is_foreign(name: str) -> bool:
    if name.startswith("PYTHON"):
        return name not in _OF_PYTHON
    return name.startswith(_FOREIGN_PREFIXES) or name in _FOREIGN


@contextmanager
def started(command: Sequence[str], **options) -> Iterator[subprocess.Popen]:
    """A program, of which nothing is left running when the block is left.

    Args:
        command (Sequence[str]): the program and its arguments.
        options: those of `subprocess.Popen`.

    Raises:
        OSError: it cannot be started.
    """
    with subprocess.Popen(command, start_new_session=True, **options) as process:
        _running.add(process)
        try:
            yield process
        finally:
            _running.discard(process)
            _end([process])


def at_once(function: Callable, items: Iterable, *, jobs: int) -> list:
    """Calls a function for each item, in threads that may wait for programs.

    An error leaves what has not begun undone. An interruption also ends the programs that the threads wait for.

    Args:
        function (Callable): of one item.
        items (Iterable): the items.
        jobs (int): how many threads, at least 1.

    Returns:
        The results, in the order of the items.
    """
    with ThreadPoolExecutor(jobs) as pool:
        try:
            return list(pool.map(function, items))
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            if not isinstance(error, Exception):
                end_all()
            raise


def end_all() -> None:
    """Ends all programs that are running, whichever threads wait for them."""
    _end(list(_running))


def _end(processes: list[subprocess.Popen]) -> None:
    """End them and what they have started, which is in their sessions."""
    running = [process for process in processes if process.poll() is None]
    for number, patience in ((signal.SIGTERM, _PATIENCE), (signal.SIGKILL, None)):
        waiting = [process for process in running if process.poll() is None]
        for process in waiting:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        for process in waiting:
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)
    for process in running:  # what began while the signal was on its way has not received it, or heeds none
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

"""Programs that a command starts: what of the user's environment reaches them, and that none outlives the command."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
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

_INTERRUPTIONS = ("SIGINT", "SIGTERM", "SIGHUP")  # `boundary.command` has the last two raise the same error
_PATIENCE = 2  # seconds that a program has to end by itself, and to remove its temporary files
_PAUSE = 0.1  # seconds until the next look whether threads have ended, or have started something

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


class _HeldBack:
    """Interruptions of the main thread while it starts a program, which would run on and nobody would know of it."""

    def __init__(self):
        self._arrived: list[int] = []
        self._numbers: list[int] = []
        if threading.current_thread() is threading.main_thread():
            numbers = [getattr(signal, name) for name in _INTERRUPTIONS if hasattr(signal, name)]
            self._numbers = [number for number in numbers if signal.getsignal(number) == signal.default_int_handler]
            for number in self._numbers:
                signal.signal(number, lambda number, _frame: self._arrived.append(number))

    def release(self) -> None:
        """Lets them through again, and what has come meanwhile.

        Raises:
            KeyboardInterrupt: one has come.
        """
        for number in self._numbers:
            signal.signal(number, signal.default_int_handler)
        if self._arrived:
            raise KeyboardInterrupt


@contextmanager
def started(command: Sequence[str], **options) -> Iterator[subprocess.Popen]:
    """A program, of which nothing is left running when the block is left.

    Args:
        command (Sequence[str]): the program and its arguments.
        options: those of `subprocess.Popen`.

    Raises:
        OSError: it cannot be started.
    """
    held_back = _HeldBack()
    try:
        process = subprocess.Popen(command, start_new_session=True, **options)
    except BaseException:
        held_back.release()
        raise
    with process:
        _running.add(process)
        try:
            held_back.release()
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
    threads: list[threading.Thread] = []
    with ThreadPoolExecutor(jobs, initializer=lambda: threads.append(threading.current_thread())) as pool:
        try:
            futures = [pool.submit(function, item) for item in items]
            return [_result(future) for future in futures]
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            if not isinstance(error, Exception):
                end_all()
                while any(thread.is_alive() for thread in threads):  # one may be about to start another program
                    time.sleep(_PAUSE)
                    end_all()
            raise


def _result(future: Future):
    """What a thread returns. A signal that comes just before a wait does not end it, so that none may be long."""
    while wait([future], _PAUSE).not_done:
        pass
    return future.result()


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

"""Gets tools of YoWASP's wheels ready before they are used.

Such a tool is WebAssembly. Its first run on a machine compiles it for the processor, which takes Yosys a minute and the
others seconds; YoWASP keeps the result in its cache. YoWASP says so in the tool's output, where somebody may look for
complaints, and two first runs at once would write the same file. So the first run is made here: it does nothing else,
and one process at a time makes it.
"""

import logging
import os
import subprocess
import time
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from taylorvit.boundary import programs

__all__ = ["environment", "make_ready"]

_NOTICE = "Preparing to run"
_log = logging.getLogger(__name__)


def environment():
    """The environment for a tool, in whatever folder it runs: one cache serves all.

    Returns:
        dict[str, str]: the variables.
    """
    return programs.environment(YOWASP_CACHE_DIR=str(_cache()))


def make_ready(name, command):
    """Has a tool compiled if it is not yet, and logs that, with the time it took.

    If it cannot be compiled, the run that follows tells why.

    Args:
        name (str): name of the tool.
        command (tuple[str, ...]): the beginning of its command line.
    """
    _make_ready(name, command, _cache())


@lru_cache
def _make_ready(name, command, cache):
    begin = None
    with (
        _alone(cache, name),
        programs.started(
            [*command, "--version"],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process,
    ):
        for line in process.stderr or ():
            if line.startswith(_NOTICE):
                begin = time.perf_counter()
                _log.info("compiling %s for this machine, once ...", name)
        process.wait()
    if begin is not None:
        _log.info("compiled %s in %.1f s", name, time.perf_counter() - begin)


def _cache():
    """The folder of YoWASP's cache, found as YoWASP finds it."""
    import platformdirs  # comes with YoWASP

    default = platformdirs.user_cache_dir("YoWASP", appauthor=False)
    return Path(os.environ.get("YOWASP_CACHE_DIR", default)).absolute()


@contextmanager
def _alone(cache, name):
    """Holds a lock of the tool in the cache; goes on without one where the cache cannot be written."""
    from filelock import FileLock  # the boards are listed without it

    lock = FileLock(cache / f"{name}.lock")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError:
        pass
    try:
        yield
    finally:
        lock.release()

"""Tools from YoWASP's wheels get ready before they are used.

Such a tool is WebAssembly. Its first run on a machine compiles it for the processor, which takes Yosys a minute and the
others seconds, and keeps that in YoWASP's cache. YoWASP says so among what the tool prints, where somebody may look for
complaints, and two first runs at once would write the same file. So the first run is made here: one that does nothing
else, by one process at a time.
"""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from taylorvit.boundary import programs

__all__ = ["environment", "make_ready"]

_NOTICE = "Preparing to run"


def environment():
    """For a tool in whatever folder it runs: that of `boundary.programs`, with the same cache for all."""
    return programs.environment(YOWASP_CACHE_DIR=str(_cache()))


def make_ready(name, command):
    """Has a tool compiled if it is not yet, and says so on stderr, with the time that it took.

    `name` is the tool's, `command` the beginning of its command line. Whatever keeps it from being compiled is said by
    the run that follows.
    """
    _make_ready(name, command, _cache())


@lru_cache
def _make_ready(name, command, cache):
    begin = None
    with _alone(cache, name), programs.started(
        [*command, "--version"], env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, errors="replace",
    ) as process:  # fmt: skip
        for line in process.stderr or ():
            if line.startswith(_NOTICE):
                begin = time.perf_counter()
                print(f"compiling {name} for this machine, once ...", file=sys.stderr, flush=True)
        process.wait()
    if begin is not None:
        print(f"compiled {name} in {time.perf_counter() - begin:.1f} s", file=sys.stderr, flush=True)


def _cache():
    """Where YoWASP keeps what it has compiled, chosen as it does."""
    import platformdirs  # comes with YoWASP

    default = platformdirs.user_cache_dir("YoWASP", appauthor=False)
    return Path(os.environ.get("YOWASP_CACHE_DIR", default)).absolute()


@contextmanager
def _alone(cache, name):
    """Holds the lock of a tool in the cache; without one where nothing can be written, by no process."""
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

"""Where builds and runs are kept, made once and whole; and how their paths are shown.

What can be made again lies in a cache folder: `$TAYLORVIT_CACHE_DIR` if that is set (make and the tests set it to the
checkout's `build/`), else `taylorvit` in the user's cache (`$XDG_CACHE_HOME` or `~/.cache`), or where there is none
that can be written to, a folder of the user's among the temporary files. Nothing is ever written beside the code.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from taylorvit.boundary.errors import reason_of
from taylorvit.boundary.manifest import are_as_described, described

from .compilers import ToolError

__all__ = ["CACHE_VARIABLE", "ROOT", "alone", "cache_folder", "once", "shown"]

ROOT = Path(__file__).resolve().parents[2]
CACHE_VARIABLE = "TAYLORVIT_CACHE_DIR"
MANIFEST = "manifest.json"


def cache_folder() -> Path:
    """The cache folder, which exists then and can be written to.

    Raises:
        ToolError: there is none.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        folder = Path(chosen).absolute()
        if reason := _why_unusable(folder):
            raise ToolError(f"{CACHE_VARIABLE} must be a folder that can be written to, not {chosen!r}: {reason}")
        return folder
    users = _user_cache()
    if users is not None and not _why_unusable(users):
        return users
    fallback = Path(tempfile.gettempdir()) / f"taylorvit-{os.getuid()}"
    # Programs are run from there: nobody else may have put them there.
    reason = _why_unusable(fallback, mode=0o700)
    if not reason:
        there = fallback.lstat()
        if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.getuid() or there.st_mode & 0o022:
            reason = "others may write to it"
    if reason:
        raise ToolError(
            f"no cache folder can be written to, neither {users} nor {fallback} ({reason}): "
            f"name one with {CACHE_VARIABLE}"
        )
    return fallback


def _user_cache() -> Path | None:
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # others are to be ignored, says the standard
        return Path(base) / "taylorvit"
    with suppress(RuntimeError):  # no HOME, and nobody of this number in the list of users
        home = Path.home()
        if home.is_absolute():
            return home / ".cache" / "taylorvit"
    return None


def _why_unusable(folder: Path, mode: int = 0o777) -> str | None:
    """Make the folder; what keeps files from being written there, or None."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode, exist_ok=True)
    except FileExistsError as error:
        return f"{error.filename} is a file"
    except OSError as error:
        return reason_of(error)
    return None if os.access(folder, os.W_OK | os.X_OK) else "permission denied"


def shown(path: str | Path) -> str:
    """A path as it can be opened from the current folder: relative to it if it is below, else absolute."""
    path = Path(os.path.abspath(path))
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


# Made once


def once(directory: Path, make: Callable[[Path], None]) -> float:
    """Has a directory filled, unless it is there as it was made.

    It is filled under another name and renamed when it is complete, under a lock, so processes side by side neither
    make it twice nor see half of it. A manifest has size and hash of every file: a directory that lost a file, or in
    which one was cut off or changed, is made anew. What a `make` that failed has left is there for somebody to look at
    until the next attempt; an interruption leaves nothing.

    Args:
        directory (Path): the directory.
        make (Callable): fills the directory that it is given.

    Returns:
        The seconds that it took; 0 if there was nothing to do.
    """
    if _is_whole(directory):
        return 0.0
    with alone(directory):
        if _is_whole(directory):
            return 0.0
        start = time.monotonic()
        for left_over in (directory, *directory.parent.glob(f"{directory.name}.*.unfinished")):
            if left_over.exists():
                shutil.rmtree(left_over)
        # A name of its own: what still writes for a process that was killed does not find this one.
        unfinished = directory.with_name(f"{directory.name}.{secrets.token_hex(4)}.unfinished")
        unfinished.mkdir()
        try:
            make(unfinished)
        except (KeyboardInterrupt, SystemExit):
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        _write_manifest(unfinished)
        unfinished.rename(directory)
        return time.monotonic() - start


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """For the one process that makes a directory, whose parent it creates; others wait.

    Args:
        directory (Path): the directory.

    Raises:
        ToolError: the file system knows no locks.
    """
    locks = directory.parent / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / directory.name)
    try:
        lock.acquire()
    except NotImplementedError:
        raise ToolError(
            f"{locks} must be on a file system that knows locks: name another folder with {CACHE_VARIABLE}"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _write_manifest(directory: Path) -> None:
    files = described(directory, (path for path in sorted(directory.rglob("*")) if path.is_file()))
    (directory / MANIFEST).write_text(json.dumps(files, indent=1), encoding="utf-8")


def _is_whole(directory: Path) -> bool:
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return are_as_described(directory, manifest)

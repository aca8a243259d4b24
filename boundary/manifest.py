"""Descriptions of files as they are made, so that one that is cut off, changed or lost is noticed before its use."""

import hashlib
import stat
from collections.abc import Iterable
from pathlib import Path

__all__ = ["are_as_described", "described"]

# Files that this process has found to be as described -> what would change if they did not stay so.
_known: dict[Path, tuple] = {}


def described(folder: Path, files: Iterable[Path]) -> dict[str, dict]:
    """Describes files.

    Args:
        folder (Path): that they are in.
        files (Iterable[Path]): the files.

    Returns:
        Name below the folder -> size, hash and mode; JSON can hold it.
    """
    return {str(path.relative_to(folder)): _description(path) for path in files}


def are_as_described(folder: Path, descriptions: object) -> bool:
    """Whether all files are there and are what they were.

    Args:
        folder (Path): that they are in.
        descriptions (object): what `described` returned, or what was read in its place.

    Returns:
        False also where there are no descriptions, or damaged ones.
    """
    if not isinstance(descriptions, dict) or not descriptions:
        return False
    try:
        return all(_is(folder / name, wanted) for name, wanted in descriptions.items())
    except OSError:
        return False


def _is(path: Path, wanted: object) -> bool:
    now = path.stat()
    signature = (now.st_ino, now.st_size, now.st_mtime_ns, now.st_mode, str(wanted))
    if _known.get(path) != signature:
        if not isinstance(wanted, dict) or wanted.get("bytes") != now.st_size or _description(path) != wanted:
            return False
        _known[path] = signature
    return True


def _description(path: Path) -> dict:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    there = path.stat()
    return {"bytes": there.st_size, "sha256": digest, "executable": bool(there.st_mode & stat.S_IXUSR)}

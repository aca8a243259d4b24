"""Writes files so that each has exactly the name that was given, and nobody ever sees half of one.

check_output_file(path, endings=(".npz",))     before the work begins
...
with written_whole(path) as partial:           when it is done
    partial.write_text(...)
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import FileError

__all__ = ["FileError", "check_output_file", "check_output_folder", "written_whole"]


def check_output_file(path: str | Path, *, endings: tuple[str, ...] = (), inputs: tuple[str | Path, ...] = ()) -> None:
    """Checks that a file of exactly this name can be written; to be asked before the work, not after it.

    Args:
        path (Path): the file.
        endings (tuple[str, ...]): those that a reader of the file knows, in small letters; any, if left out. A device
            has none.
        inputs (tuple[Path, ...]): files that are read, none of which may be the output.

    Raises:
        FileError: it cannot.
    """
    path = Path(path)
    try:
        if any(os.path.realpath(path) == os.path.realpath(each) for each in inputs):
            raise FileError(f"output must be another file than the input, not {str(path)!r}")
        if path.is_dir():
            raise FileError(f"output must be a file, not the folder {str(path)!r}")
        if not path.parent.is_dir():
            raise FileError(f"output must be in a folder that exists, not {str(path)!r}")
        if _is_device(path):
            return
        if endings and path.suffix.lower() not in endings:
            raise FileError(f"output must end in {' or '.join(endings)}, not {str(path)!r}")
        if path.exists() and not os.access(path, os.W_OK):
            raise FileError(f"output must be a file that may be written to, not {str(path)!r}")
        partial = _beside(Path(os.path.realpath(path)))  # where a link leads
        partial.touch(exist_ok=False)
        partial.unlink()
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None


def check_output_folder(path: str | Path) -> None:
    """Checks that this is a folder to write into, or can become one; makes nothing.

    Args:
        path (Path): the folder.

    Raises:
        FileError: it is none, and cannot become one.
    """
    path = Path(path)
    try:
        there = next(each for each in (path, *path.absolute().parents) if os.path.lexists(each))
        if not there.is_dir():
            raise FileError(f"output must be a folder, not {str(path)!r}: {str(there)!r} is a file")
        if not os.access(there, os.W_OK | os.X_OK):
            raise FileError(f"output must be a folder that may be written to, not {str(path)!r}")
        with suppress(FileNotFoundError, NotADirectoryError):
            path.lstat()  # too long a name says so
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A path beside `path`, with the same ending, to write to; renamed to `path` when that is done.

    If something is raised, `path` stays as it was. A device, such as /dev/null, gets what was written; a link stays
    one.

    Args:
        path (Path): the file.

    Raises:
        FileError: the file cannot be written, for lack of space for example.
    """
    path = Path(path)
    if _is_device(path):
        with tempfile.TemporaryDirectory() as folder:  # an archive wants to go back and forth in its file
            partial = Path(folder, path.name)
            yield partial
            _copy(partial, path)
        return
    target = Path(os.path.realpath(path))
    partial = _beside(target)
    try:
        try:
            partial.touch(exist_ok=False)
            mode = target.stat().st_mode if target.exists() else partial.stat().st_mode
            yield partial
            partial.chmod(mode & 0o7777)  # some libraries make files that nobody else may read
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def _copy(partial: Path, path: Path) -> None:
    try:
        with partial.open("rb") as source, path.open("wb") as device:
            shutil.copyfileobj(source, device)
    except OSError as error:
        raise _unwritable(path, error) from None


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _beside(path: Path) -> Path:
    """A name that nobody else has, of allowed length, in the same folder and with the same ending."""
    return path.with_name(f"{path.stem[:40]}.{secrets.token_hex(4)}.partial{path.suffix}")


def _unwritable(path: Path, error: Exception) -> FileError:
    if isinstance(error, FileError):
        return error
    reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else error
    return FileError(f"output must be a file that can be written, not {str(path)!r}: {reason}")

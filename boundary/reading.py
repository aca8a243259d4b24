"""Reads the files that users give: TOML, JSON and .npz, with limits, so that no file crashes a command or lets it hang.

Whatever is wrong with a file is a `FileError`. What its values mean is for the caller to check.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import struct
import tokenize
import tomllib
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import FileError
from .schema import Schema, check_schema, kind_of

try:
    from lzma import LZMAError
except ImportError:  # Python was built without it
    LZMAError = zipfile.BadZipFile  # type: ignore[assignment, misc]  # as a name for what is never raised

if TYPE_CHECKING:
    import numpy as np

__all__ = ["FileError", "parse_json", "parse_toml", "read_json", "read_npz", "read_toml"]

#: Bytes of a file; those of an .npz are limited by what its arrays may have.
TOML_BYTES, JSON_BYTES = 1 << 20, 16 << 20
#: Levels of tables and lists in each other.
LEVELS = 64
#: Bits of an integer.
INTEGER_BITS = 128
#: Parts of a dotted key; what tomllib takes for one grows with their square.
KEY_PARTS = 16
#: Arrays of an .npz, and their bytes together.
ARRAYS, ARRAY_BYTES, DIMENSIONS = 1000, 4 << 30, 32

# What a damaged archive raises. RuntimeError: nobody knows its compression, or the module for it is not there; OSError:
# bzip2's, or of the disk itself; UnicodeDecodeError: a name.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    EOFError,
    RuntimeError,
    struct.error,
    OSError,
    UnicodeDecodeError,
)

_CHUNK = 1 << 20
_LONGEST = 200  # of what another library says of a file

_STRING_OR_COMMENT = re.compile(
    r'"""(?:[^\\"]|\\.|"(?!""))*+(?:"""|\Z)'
    r"|'''(?:[^']|'(?!''))*+(?:'''|\Z)"
    r'|"(?:[^\\"\n]|\\.)*+"?'
    r"|'[^'\n]*+'?|#[^\n]*+",
    re.DOTALL,
)
_LONG_KEY = re.compile(rf"(?<![\w-])[\w-]++(?:[ \t]*+\.[ \t]*+[\w-]++){{{KEY_PARTS}}}")


def read_toml(path: str | Path) -> dict:
    """The tables of a TOML file.

    Args:
        path (Path): the file.

    Raises:
        FileError: it cannot be read, is not TOML, or is beyond the limits.
    """
    return parse_toml(_text(path, TOML_BYTES, "TOML"), path)


def parse_toml(text: str, source: str | Path) -> dict:
    """The tables of a TOML text.

    Args:
        text (str): the text.
        source (Path): where it is from, which the text of an error begins with.

    Raises:
        FileError: it is not TOML, or is beyond the limits.
    """
    if _LONG_KEY.search(_STRING_OR_COMMENT.sub("_", text)):
        raise FileError(f"{source}: file must be TOML with keys of at most {KEY_PARTS} parts, not of more")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"{source}: file must be TOML: {_sentence(error)}") from None
    except RecursionError:
        raise _too_deep(source, "TOML") from None
    except ValueError:  # Python's own limit of digits
        raise _too_large(source, "TOML") from None
    _check_limits(source, "TOML", content)
    return content


def read_json(path: str | Path, *, what: str = "JSON", schema: Schema = dict) -> dict:
    """The object in a JSON file.

    Args:
        path (Path): the file.
        what (str): what it must be, for the text of an error.
        schema (Schema): what its members must be (`boundary.schema`).

    Raises:
        FileError: it cannot be read, is none, or is beyond the limits.
    """
    return parse_json(_text(path, JSON_BYTES, what), path, what=what, schema=schema)


def parse_json(text: str, source: str | Path, *, what: str = "JSON", schema: Schema = dict) -> dict:
    """The object in a JSON text.

    Args:
        text (str): the text.
        source (Path): where it is from, which the text of an error begins with.
        what (str): what it must be, for the text of an error.
        schema (Schema): what its members must be (`boundary.schema`).

    Raises:
        FileError: it is none, or is beyond the limits.
    """
    if not text.strip():
        raise FileError(f"{source}: file must be {what}: it is empty")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise FileError(f"{source}: file must be {what}: {_decapitalized(error.msg)} in {place}") from None
    except RecursionError:
        raise _too_deep(source, what) from None
    except ValueError:
        raise _too_large(source, what) from None
    if not isinstance(content, dict):
        raise FileError(f"{source}: file must be {what}, a JSON object, not {kind_of(content)}")
    _check_limits(source, what, content)
    check_schema(content, schema, f"{source}: file must be {what}:")
    return content


def read_npz(path: str | Path, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Arrays of an .npz file, in the byte order of this machine.

    They may be of numbers or text; an array of objects is never unpickled.

    Args:
        path (Path): the file.
        required (tuple[str, ...]): names of arrays that must be there.
        optional (tuple[str, ...]): names of arrays that are read where they are there. All others are left alone.

    Returns:
        dict[str, np.ndarray]: the arrays by their names.

    Raises:
        FileError: the file is none, is damaged, lacks an array or has one beyond the limits.
    """
    try:
        with _opened(path) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FileError(f"{path}: file must be a regular one, not a pipe or a device")
            _check_kind(path, file.read(6))
            with zipfile.ZipFile(file) as archive:
                members = _members(path, archive, required, optional)
                return {name: _array(path, archive, name, member) for name, member in members.items()}
    except MemoryError:
        raise FileError(f"{path}: arrays must fit into memory, and do not") from None
    except _DAMAGED as error:
        raise FileError(f"{path}: file must be an undamaged .npz file: {_sentence(error)}") from None


def _opened(path):
    try:
        if Path(os.path.realpath(path)).is_fifo():  # nobody may ever write to it; the shell's <(...) has no such name
            raise FileError(f"{path}: file must be a regular one, not a pipe or a device")
        return open(path, "rb")
    except FileError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise FileError(f"{path}: file must be readable: {_sentence(error)}") from None


def _text(path, largest: int, what: str) -> str:
    with _opened(path) as file:
        try:
            content = file.read(largest + 1)
        except OSError as error:  # a folder can be opened and not read
            raise FileError(f"{path}: file must be readable: {_sentence(error)}") from None
    if len(content) > largest:
        raise FileError(f"{path}: file must be {what} of at most {largest:,} bytes, not of more")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileError(f"{path}: file must be {what} in UTF-8, not other bytes") from None


def _sentence(error: Exception) -> str:
    """What an error says, on one line and to be put behind a colon."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = " ".join(text.split()) or type(error).__name__
    return _shortened(_decapitalized(text))


def _decapitalized(text: str) -> str:
    return text if text[:2].isupper() else text[0].lower() + text[1:]


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _too_deep(path, what: str) -> FileError:
    return FileError(f"{path}: file must be {what} with at most {LEVELS} tables or lists in each other, not more")


def _too_large(path, what: str) -> FileError:
    return FileError(f"{path}: file must be {what} with integers of at most {INTEGER_BITS} bits, not of more")


def _check_limits(path, what: str, content: dict) -> None:
    waiting = [(content, 1)]
    while waiting:
        value, level = waiting.pop()
        if isinstance(value, dict | list):
            if level > LEVELS:
                raise _too_deep(path, what)
            waiting += [(each, level + 1) for each in (value.values() if isinstance(value, dict) else value)]
        elif isinstance(value, int) and value.bit_length() > INTEGER_BITS:
            raise _too_large(path, what)


# .npz: a ZIP archive of .npy files


def _check_kind(path, begin: bytes) -> None:
    if begin.startswith(b"PK\x03\x04") or begin.startswith(b"PK\x05\x06"):
        return
    kind = "an empty one" if not begin else "a single array (.npy)" if begin == b"\x93NUMPY" else "one of another kind"
    raise FileError(f"{path}: file must be an .npz file, as numpy.savez writes it, not {kind}")


def _members(path, archive, required, optional) -> dict[str, zipfile.ZipInfo]:
    """The members that are wanted, by the names of their arrays."""
    there = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
    if len(there) > ARRAYS:
        raise FileError(f"{path}: file must have at most {ARRAYS} arrays, not {len(there)}")
    if missing := [name for name in required if name not in there]:
        raise FileError(
            f"{path}: file must have the arrays {', '.join(required)}, and lacks {', '.join(missing)}; "
            f"it has {', '.join(map(repr, sorted(there)[:20])) or 'none'}"
        )
    wanted = {name: there[name] for name in (*required, *optional) if name in there}
    total = sum(member.file_size for member in wanted.values())
    if total > ARRAY_BYTES:
        raise FileError(f"{path}: arrays must have at most {ARRAY_BYTES:,} bytes together, not {total:,}")
    return wanted


def _array(path, archive, name: str, member: zipfile.ZipInfo) -> np.ndarray:
    import numpy as np
    from numpy.lib import format as npy

    if member.flag_bits & 1:
        raise FileError(f"{path}: array {name} must not be encrypted")
    with archive.open(member) as stream:
        try:
            version = npy.read_magic(stream)
            if version > (3, 0):
                raise ValueError(f"version must be at most 3.0, not {version!r}")
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran_order, dtype = read_header(stream)
        except (ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError) as error:
            raise FileError(f"{path}: array {name} must be one of numpy: {_sentence(error)}") from None
        if dtype.kind not in "biufcU" or not dtype.itemsize:
            raise FileError(f"{path}: array {name} must be of numbers, not of {dtype}")
        if len(shape) > DIMENSIONS or any(not 0 <= size <= ARRAY_BYTES for size in shape):
            raise FileError(
                f"{path}: array {name} must be of at most {DIMENSIONS} dimensions of 0 to {ARRAY_BYTES}, "
                f"not of shape {_shortened(repr(shape))}"
            )
        expected, there = math.prod(shape) * dtype.itemsize, member.file_size - stream.tell()
        if expected != there:
            raise FileError(
                f"{path}: array {name} must have {expected:,} bytes for its shape {shape!r} of {dtype}, not {there:,}"
            )
        array = np.empty(math.prod(shape), dtype)
        view = array.view(np.uint8).data
        while view:
            read = stream.readinto(view[:_CHUNK])
            if not read:
                raise EOFError(f"array {name} ends too early")
            view = view[read:]
        if stream.read(1):  # its checksum is compared at its end
            raise EOFError(f"array {name} is longer than it says")
    array = array.reshape(shape, order="F" if fortran_order else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)

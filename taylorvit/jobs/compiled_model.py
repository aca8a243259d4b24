"""The folder of a compiled model, as `taylorvit compile` writes it; `docs/network.md` lists its files."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from taylorvit.boundary.errors import FileError, reason_of
from taylorvit.boundary.reading import read_json
from taylorvit.fpga.driver.tape import check_tape as check_tape_for
from taylorvit.rtl.config import ConfigError
from taylorvit.rtl.network.command import TRAILER_BYTES
from taylorvit.rtl.network.config import NetworkConfig

if TYPE_CHECKING:
    from taylorvit.golden.network.integer_vit import IntegerVit

__all__ = ["CompiledModel", "check_tape", "read_compiled_model", "read_tape"]

KIND, FORMAT = "compiled vit", 1

_WHAT = "the model.json of a compiled model, as `taylorvit compile` writes it"
_SCHEMA = {
    "kind": str,
    "format": int,
    "accelerator": {"configuration": dict},
    "tape": {"crc32": int},
    "model": {"sha256": str},
    "classes": [str],
}


class CompiledModel(NamedTuple):
    """A model and the tape that was made of it.

    Attributes:
        name (str): what the model is called.
        config (NetworkConfig): the accelerator that it was compiled for.
        tape (bytes): the tape.
        vit (IntegerVit): the integer model.
        classes (list[str]): names of the classes.
    """

    name: str
    config: NetworkConfig
    tape: bytes
    vit: IntegerVit
    classes: list[str]


def read_compiled_model(folder: str | Path) -> CompiledModel:
    """Reads a folder.

    Args:
        folder (str | Path): the folder.

    Raises:
        FileError: a file is missing, damaged, or belongs to another model or accelerator.
        CheckpointError: the integer model is none.
    """
    from taylorvit.golden.network.integer_vit import load_integer_vit

    folder = Path(folder)
    if not folder.is_dir():
        raise FileError(f"model must be a folder that `taylorvit compile` has written, not {str(folder)!r}")
    description = _description(folder)
    try:
        config = NetworkConfig.from_mapping(description["accelerator"]["configuration"])
    except (ConfigError, TypeError) as error:
        raise FileError(f"{folder / 'model.json'}: {error}") from None
    tape = read_tape(folder, config)
    model = folder / "model.safetensors"
    if hashlib.sha256(_content(model)).hexdigest() != description["model"]["sha256"]:
        raise FileError(f"{model} must be the model of {folder / 'model.json'}, whose hash it does not have")
    vit, classes = load_integer_vit(model), description["classes"]
    if len(classes) != vit.shape.classes:
        raise FileError(f"{folder / 'model.json'}: classes must be {vit.shape.classes} names, not {len(classes)}")
    return CompiledModel(folder.resolve().name, config, tape, vit, classes)


def read_tape(folder: str | Path, config: NetworkConfig) -> bytes:
    """The tape of a folder, without its model.

    Args:
        folder (str | Path): the folder, in which the tape may be alone.
        config (NetworkConfig): the accelerator that it has to be for.

    Raises:
        FileError: it cannot be read, is not for the accelerator, is damaged, or is of another model than the folder.
    """
    folder = Path(folder)
    file = folder / "model.tape"
    tape = _content(file)
    check_tape(tape, config, file)
    trailer = -(-TRAILER_BYTES // config.columns) * config.columns
    found = int.from_bytes(tape[-trailer:][:TRAILER_BYTES], "little")
    if (computed := zlib.crc32(tape[:-trailer])) != found:
        raise FileError(
            f"{file} must have the CRC {computed:#010x}, not {found:#010x}: it is damaged; compile the model again"
        )
    if (folder / "model.json").exists() and (wanted := _description(folder)["tape"]["crc32"]) != found:
        raise FileError(
            f"{file} must be the tape of {folder / 'model.json'}, whose CRC is {wanted:#010x}, not {found:#010x}: it "
            "is of another model; compile the model again"
        )
    return tape


def check_tape(tape: bytes, config: NetworkConfig, source: str | Path) -> None:
    """Checks that a tape is for an accelerator; not its checksums, which are the hardware's business.

    Args:
        tape (bytes): the tape.
        config (NetworkConfig): the accelerator.
        source (str | Path): where the tape is from, which the text of an error begins with.

    Raises:
        FileError: it is no tape, or one for another accelerator, or longer than the memory on the chip for it.
    """
    memory = config.tape_memory_bytes if config.tape_source == "memory" else None
    try:
        check_tape_for(tape, config, memory, source)
    except ValueError as error:
        raise FileError(str(error)) from None


def _description(folder):
    """What `model.json` says, if it is one of a compiled model."""
    description = read_json(folder / "model.json", what=_WHAT, schema=_SCHEMA)
    if (description["kind"], description["format"]) != (KIND, FORMAT):
        raise FileError(
            f"{folder / 'model.json'}: kind and format must be {KIND!r} and {FORMAT}, not {description['kind']!r} and "
            f"{description['format']!r}"
        )
    return description


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: file must be readable: {reason_of(error)}") from None

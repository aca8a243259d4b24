"""Configurations from TOML files: the presets that come with the generator, and a user's own.

A file holds fields of `AcceleratorConfig`. The key `extends` names a preset whose fields it starts from, so that a
file states only what is different; `name` is the file's own name unless it says otherwise.

    extends = "edge-16x16"
    max_tokens = 1024
"""

from pathlib import Path

from taylorvit.boundary.reading import read_toml
from taylorvit.rtl.config import NAME_CHARACTERS, AcceleratorConfig, ConfigError

__all__ = ["load_file", "load_mapping", "load_preset", "preset_names"]

_FOLDER = Path(__file__).resolve().parent / "presets"
_BASE = "base"


def preset_names() -> list[str]:
    """Names of the presets, smallest array first."""
    return sorted(_files() - {_BASE}, key=lambda name: (load_preset(name).processing_elements, name))


def load_preset(name: str) -> AcceleratorConfig:
    """The configuration of a preset.

    Args:
        name (str): of the preset.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in list(_files() - {_BASE}):
        raise ConfigError(f"preset must be one of {', '.join(preset_names())}, not {name!r}")
    return _load(_FOLDER / f"{name}.toml", f"preset {name}")


def load_file(path: str | Path) -> AcceleratorConfig:
    """The configuration in a TOML file.

    Args:
        path (str | Path): the file.

    Raises:
        FileError: the file cannot be read or is not TOML.
        ConfigError: it extends an unknown preset, or breaks a rule of `AcceleratorConfig`; the text begins with the
            path.
    """
    return _load(Path(path), str(path))


def _files():
    return {path.stem for path in _FOLDER.glob("*.toml")}


def _load(path, label):
    try:
        name = "".join(letter if letter in NAME_CHARACTERS else "-" for letter in path.stem)
        return AcceleratorConfig.from_mapping({"name": name, **_read(path)})
    except ConfigError as error:
        raise ConfigError(f"{label}: {error}") from None


def _read(path):
    """The fields in a file and in the presets it extends."""
    return load_mapping(read_toml(path))


def load_mapping(fields):
    """Fields of `AcceleratorConfig`, with those of the preset that they extend below them.

    Args:
        fields (Mapping): the fields, and perhaps the key `extends` with the name of a preset.

    Raises:
        ConfigError: there is no such preset.
    """
    fields = dict(fields)
    extended = fields.pop("extends", None)
    if extended is None:
        return fields
    if extended not in list(_files()):
        raise ConfigError(f"extends must be one of {', '.join(sorted(_files()))}, not {extended!r}")
    return {**_read(_FOLDER / f"{extended}.toml"), **fields}

"""Configurations from TOML files: the presets that come with the generator, and a user's own.

A file holds fields of a configuration. The key `accelerator` says of which: "attention" (`AcceleratorConfig`, unless it
says otherwise) or "network" (`NetworkConfig`). The key `extends` names a preset whose fields it starts from, so that a
file states only what is different; `name` is the file's own name unless it says otherwise.

    extends = "edge-16x16"
    max_tokens = 1024
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from taylorvit.boundary.reading import read_json, read_toml
from taylorvit.rtl.config import NAME_CHARACTERS, AcceleratorConfig, ConfigError
from taylorvit.rtl.network.config import NetworkConfig

__all__ = ["CONFIGURATIONS", "Configuration", "configuration", "load_file", "load_metadata", "load_preset", "of_kind",
           "preset_names"]  # fmt: skip

Configuration = AcceleratorConfig | NetworkConfig
"""A configuration of any accelerator; its attribute `accelerator` says of which."""

CONFIGURATIONS: dict[str, type[Configuration]] = {kind.accelerator: kind for kind in (AcceleratorConfig, NetworkConfig)}
"""The accelerators that there are: name -> class of its configuration."""

Kind = TypeVar("Kind", AcceleratorConfig, NetworkConfig)

_FOLDER = Path(__file__).resolve().parent / "presets"
_BASES = ("base", "network-base")


def preset_names(accelerator: str | None = None) -> list[str]:
    """Names of the presets: those of attention first, of each accelerator the smallest array first.

    Args:
        accelerator (str | None): only those of this accelerator, a key of `CONFIGURATIONS`; of all if left out.
    """
    order = list(CONFIGURATIONS)
    presets = [load_preset(name) for name in _presets()]
    presets.sort(key=lambda config: (order.index(config.accelerator), config.processing_elements, config.name))
    return [config.name for config in presets if accelerator in (None, config.accelerator)]


def load_preset(name: str, *, listed: str | None = None) -> Configuration:
    """The configuration of a preset.

    Args:
        name (str): of the preset.
        listed (str | None): the accelerator whose presets an error lists, a key of `CONFIGURATIONS`; None for all.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in list(_presets()):
        raise ConfigError(f"preset must be one of {', '.join(preset_names(listed))}, not {name!r}")
    return _load(_FOLDER / f"{name}.toml", f"preset {name}")


def load_file(path: str | Path) -> Configuration:
    """The configuration in a TOML file.

    Args:
        path (str | Path): the file.

    Raises:
        FileError: the file cannot be read or is not TOML.
        ConfigError: it extends an unknown preset, is of an unknown accelerator, or breaks a rule of its configuration;
            the text begins with the path.
    """
    return _load(Path(path), str(path))


def load_metadata(path: str | Path) -> Configuration:
    """The configuration of an accelerator that was generated, from its metadata.json.

    Args:
        path (str | Path): the file, as `gen.generate` writes it.

    Raises:
        FileError: the file cannot be read or is not such a file.
        ConfigError: the configuration breaks a rule; the text begins with the path.
    """
    what = "the metadata.json of an accelerator, as `taylorvit generate` writes it"
    metadata = read_json(path, what=what, schema={"configuration": dict})
    return _labelled({"accelerator": metadata.get("accelerator", "attention"), **metadata["configuration"]}, str(path))


def configuration(fields: Mapping) -> Configuration:
    """The configuration with these fields.

    Args:
        fields (Mapping): the fields, and perhaps the keys `extends` and `accelerator`.

    Raises:
        ConfigError: it extends an unknown preset, is of an unknown accelerator, or breaks a rule of its configuration.
    """
    complete = _with_extended(fields)
    accelerator = complete.pop("accelerator", AcceleratorConfig.accelerator)
    if accelerator not in list(CONFIGURATIONS):
        raise ConfigError(f"accelerator must be one of {', '.join(CONFIGURATIONS)}, not {accelerator!r}")
    return CONFIGURATIONS[accelerator].from_mapping(complete)


def of_kind(config: Configuration, kind: type[Kind], purpose: str) -> Kind:
    """The configuration, if it is of the accelerator that something is for.

    Args:
        config (Configuration): any configuration.
        kind (type[Kind]): what it has to be, one of `CONFIGURATIONS`.
        purpose (str): what it is for, as the text of an error begins.

    Raises:
        ConfigError: it is of another accelerator.
    """
    if isinstance(config, kind):
        return config
    raise ConfigError(
        f"{purpose} must have a configuration of accelerator {kind.accelerator!r} "
        f"({', '.join(preset_names(kind.accelerator))}), not {config.name!r} of {config.accelerator!r}"
    )


def _files():
    return {path.stem for path in _FOLDER.glob("*.toml")}


def _presets():
    return sorted(_files() - set(_BASES))


def _load(path, label):
    name = "".join(letter if letter in NAME_CHARACTERS else "-" for letter in path.stem)
    return _labelled({"name": name, **read_toml(path)}, label)


def _labelled(fields, label):
    try:
        return configuration(fields)
    except ConfigError as error:
        raise ConfigError(f"{label}: {error}") from None


def _with_extended(fields):
    """The fields with those of the presets that they extend below them."""
    fields = dict(fields)
    extended = fields.pop("extends", None)
    if extended is None:
        return fields
    if extended not in list(_files()):
        raise ConfigError(f"extends must be one of {', '.join(sorted(_files()))}, not {extended!r}")
    return {**_with_extended(read_toml(_FOLDER / f"{extended}.toml")), **fields}

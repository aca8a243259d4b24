"""The integer models that come with the package, by name."""

from pathlib import Path

from taylorvit.boundary.errors import FileError

__all__ = ["bundled_model", "bundled_names"]

_FOLDER = Path(__file__).resolve().parent
_SUFFIX = ".safetensors"


def bundled_names() -> list[str]:
    """Names of the models."""
    return sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}"))


def bundled_model(name: str) -> Path:
    """The file of a model.

    Args:
        name (str): of a bundled model, or the path of a file.

    Raises:
        FileError: it is neither.
    """
    if name in bundled_names():
        return _FOLDER / f"{name}{_SUFFIX}"
    path = Path(name)
    if not path.is_file():
        raise FileError(f"model must be one of {', '.join(bundled_names())}, or a file, not {name!r}")
    return path

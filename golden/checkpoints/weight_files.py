"""Tensors by name from one file: safetensors, or what torch.save writes.

    tensors, metadata = read_tensors(path)

Pickles are opened with torch's `weights_only`, so that they cannot run code. Besides tensors they may hold plain
values, and the `argparse.Namespace` that DeiT's training adds. A file with anything else is refused, with a command
that keeps its tensors.
"""

import argparse
import json
import pickle
import re
import shlex
import struct
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

__all__ = ["ENDINGS", "CheckpointError", "read_tensors", "some"]

_PICKLED = (".pth", ".pt", ".bin", ".ckpt", ".pth.tar", ".pt.tar")

#: Endings of the files that are read, in upper or lower case.
ENDINGS = (".safetensors", *_PICKLED)

# Keys under which training scripts put the weights beside their other state (DeiT, timm, Lightning, DeepSpeed), also
# nested. Averages of the weights are taken only where there is nothing else.
_WRAPPERS = ("model", "state_dict", "model_state_dict", "module", "state_dict_ema", "model_ema")
_LEVELS = 4

# What torch raises for a damaged file.
_DAMAGED = (pickle.UnpicklingError, ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError,
            MemoryError, OSError, RuntimeError, TypeError, ValueError, struct.error)  # fmt: skip

_NAMES_SHOWN = 4


class CheckpointError(ValueError):
    """A file of weights cannot be read or written, or belongs to another model."""


def some(names: list[str], shown: int = _NAMES_SHOWN) -> str:
    """Lists the first `shown` names, and the number of the others."""
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Reads the tensors of a file, all of them dense and in memory, and the metadata of safetensors.

    Args:
        path (Path): the file.

    Raises:
        CheckpointError: there is no such file, or it is damaged, or it does not hold tensors.
    """
    name = path.name.lower()
    if not path.is_file():
        raise CheckpointError(f"checkpoint must be a file, not {str(path)!r}")
    if not name.endswith(ENDINGS):
        raise CheckpointError(f"checkpoint must end in one of {', '.join(ENDINGS)}, not {path.name!r}")
    if name.endswith(".safetensors"):
        tensors, metadata = _of_safetensors(path)
    else:
        tensors, metadata = _of_pickle(path), {}
    for name, tensor in tensors.items():
        if kind := _kind_unlike_dense(tensor):
            raise CheckpointError(f"{path}: weights must be dense tensors, and {name} is {kind}")
    return tensors, metadata


def _of_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            # Copies: its tensors are the mapped file, and crash the process if something overwrites the file.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
            return tensors, file.metadata() or {}
    except (SafetensorError, *_DAMAGED) as error:
        raise CheckpointError(f"{path} must be a whole safetensors file, and is damaged: {_sentence(error)}") from None


def _of_pickle(path: Path) -> dict[str, torch.Tensor]:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of its own interfaces
            content = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        raise CheckpointError(_refusal(path, error)) from None
    for _level in range(_LEVELS):
        inside = [content[key] for key in _WRAPPERS if isinstance(content, dict) and isinstance(content.get(key), dict)]
        if inside:
            content = inside[0]
    if not isinstance(content, dict) or not content:
        kind = "nothing" if content == {} else type(content).__name__
        raise CheckpointError(
            f"{path} must hold tensors by name, alone or under one of {', '.join(_WRAPPERS)}, and holds {kind}"
        )
    others = [
        f"{key!r} ({type(value).__name__})"
        for key, value in content.items()
        if not isinstance(key, str) or not isinstance(value, torch.Tensor)
    ]
    if others:
        raise CheckpointError(
            f"{path} must hold tensors by name, alone or under one of {', '.join(_WRAPPERS)}, and holds {some(others)}"
        )
    return {name: tensor.detach() for name, tensor in content.items()}


def _kind_unlike_dense(tensor: torch.Tensor) -> str | None:
    if tensor.is_meta:
        return "one without data (meta)"
    if tensor.is_nested:
        return "a nested one"
    if tensor.is_quantized:
        return "a quantized one"
    return None if tensor.layout == torch.strided else f"a sparse one ({str(tensor.layout).removeprefix('torch.')})"


# Why a pickle is refused


def _refusal(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        begin = file.read(16)
    if not begin:
        reason = "it is empty"
    elif not begin.startswith((b"PK", b"\x80")) and b"\0" not in begin:
        reason = f"it begins with {begin.decode('latin-1')!r}"  # a text: a page of errors, a pointer to a large file
    elif names := _unsafe_globals(path, error):
        return (
            f"{path} must hold tensors and plain values alone, and needs {some(names, 12)}: no more of a pickle is "
            "loaded (torch's weights_only), since it could run code. If you trust its source, keep its tensors: "
            f"{_conversion(path)}"
        )
    else:
        reason = _sentence(error)
    return f"{path} must be a whole file of tensors as torch.save writes it: {reason}"


def _unsafe_globals(path: Path, error: Exception) -> list[str]:
    """Names that a pickle imports beyond what tensors need."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except _DAMAGED:  # it reads only new files; the error names the first name
        names = re.findall(r"Unsupported global: GLOBAL (\S+)", str(error))[:1]
    return sorted(name for name in names if all(part.isidentifier() for part in name.split(".")))


def _conversion(path: Path) -> str:
    """A command that keeps the tensors of a trusted pickle."""
    source, target = json.dumps(str(path)), json.dumps(f"{path}.safetensors")
    code = (
        "import torch; from safetensors.torch import save_file; "
        f'c = torch.load({source}, map_location="cpu", weights_only=False); '
        'c = c.get("model", c.get("state_dict", c)) if isinstance(c, dict) else c; '
        "c = c if isinstance(c, dict) else c.state_dict(); "
        f"save_file({{n: t.contiguous().clone() for n, t in c.items()}}, {target})"
    )
    return f"python -c {shlex.quote(code)}"


def _sentence(error: Exception) -> str:
    """The text of an error, on one line, without torch's advice to run code."""
    text = str(error)
    if "WeightsUnpickler error: " in text:
        text = text.partition("WeightsUnpickler error: ")[2].partition("Check the documentation")[0]
    text = text.partition("In PyTorch 2.6, we changed")[0]
    return " ".join(text.split()) or type(error).__name__

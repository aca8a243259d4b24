"""Files of weights: our own safetensors with metadata, and timm's and DeiT's checkpoints read.

A checkpoint of ours is one safetensors file: tensors by timm's names, and in its metadata, under "taylorvit", a JSON
text that says what they are (shape of the model, attention, classes, recipe). Checkpoints of others, `.safetensors`
or `.pth`, are tensors alone; which model they are for has to be said.

    save(path, tensors, description)        written beside, then renamed: a full disk leaves the old file as it was
    checkpoint = load(path)                 checkpoint.tensors, checkpoint.description
    load_weights(model, checkpoint)         every key and shape must be the model's

Pickled files are opened with torch's `weights_only`, so that they cannot run code. Beside their tensors they may have
the `argparse.Namespace` that DeiT's training puts there.
"""

import argparse
import contextlib
import json
import os
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from golden.description import read_description

__all__ = ["Checkpoint", "CheckpointError", "load", "load_weights", "save"]

_METADATA_KEY = "taylorvit"

# Keys under which training scripts put the weights beside their other state: DeiT, timm, Lightning.
_WRAPPERS = ("model", "state_dict", "state_dict_ema", "model_ema")

_NAMES_SHOWN = 4


class CheckpointError(ValueError):
    """A file of weights that cannot be read or written, or that is for another model."""


class Checkpoint(NamedTuple):
    """What a file of weights holds."""

    path: Path
    tensors: dict[str, torch.Tensor]
    description: dict  # empty where the file is not one of ours


def save(path: str | Path, tensors: dict[str, torch.Tensor], description: dict) -> None:
    """Writes a checkpoint, so that the path has the old file or the new one, never half of one.

    Raises `CheckpointError` if it cannot be written, for lack of space for example.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    # Copies: tensors that share memory, or are views, cannot be stored as they are.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, metadata={_METADATA_KEY: json.dumps(description, indent=1)})
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else error
        raise CheckpointError(f"{path} could not be written, and is as it was before: {reason}") from None


def load(path: str | Path) -> Checkpoint:
    """Reads a checkpoint of ours, or weights in `.safetensors`, `.pth` or `.pt`.

    Raises `CheckpointError` if there is no such file, or it is damaged, or not one of tensors, `FileError` if what it
    says of itself is not what it must be.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"checkpoint must be a file, not {str(path)!r}")
    if path.suffix == ".safetensors":
        return _load_safetensors(path)
    if path.suffix in (".pth", ".pt"):
        return _load_pickled(path)
    raise CheckpointError(f"checkpoint must end in .safetensors, .pth or .pt, not {path.name!r}")


def _load_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Copies: its tensors are the file, mapped, and crash the process if something overwrites that.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except SafetensorError as error:
        raise CheckpointError(f"{path} must be a whole safetensors file, and is damaged: {error}") from None
    description = read_description(path, metadata[_METADATA_KEY]) if _METADATA_KEY in metadata else {}
    return Checkpoint(path, tensors, description)


def _load_pickled(path: Path) -> Checkpoint:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise almost anything in there
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{path} must be a whole file of tensors as torch.save writes it: {reason}") from None
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in content.items()
    ):
        raise CheckpointError(f"{path} must hold tensors by name, alone or under one of {', '.join(_WRAPPERS)}")
    return Checkpoint(path, content, {})


def load_weights(model: nn.Module, checkpoint: Checkpoint, *, new_head: bool = False) -> None:
    """Puts the weights of a checkpoint into a model.

    Args:
        new_head: leave the heads as they are in the model, for a data set with other classes.

    Raises `CheckpointError`, and changes nothing, unless names and shapes are those of the model. Parameters that only
    an attention of the model's has (`attn.kernel`) may be missing.
    """
    left_out = ("head",) if new_head else ()
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith(left_out)}
    expected = model.state_dict()
    optional = {name for name in expected if ".attn.kernel." in name or name.startswith(left_out)}
    problems = []
    if missing := sorted(expected.keys() - tensors.keys() - optional):
        problems.append(f"lacks {_some(missing)}")
    if unknown := sorted(tensors.keys() - expected.keys()):
        problems.append(f"has {_some(unknown)}, which the model lacks")
    if differing := [
        f"{name} of shape {tuple(tensors[name].shape)} for {tuple(expected[name].shape)}"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]:
        problems.append(f"has {_some(differing)}")
    if problems:
        raise CheckpointError(f"{checkpoint.path} must be for this model: it {'; it '.join(problems)}")
    model.load_state_dict(tensors, strict=False)


def _some(names: list[str]) -> str:
    rest = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")

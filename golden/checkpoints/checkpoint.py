"""Files of weights: our own safetensors with metadata, and published weights.

    save(path, tensors, description)        written beside, then renamed: a full disk leaves the old file as it was
    checkpoint = load(path)                 checkpoint.tensors, checkpoint.description
    load_weights(model, checkpoint)         every key and shape must be the model's, every weight a finite float

Our own checkpoint is one safetensors file: tensors by timm's names, and in its metadata, under "taylorvit", a JSON text
that describes them (shape of the model, attention, classes, recipe). Published weights
(`golden.checkpoints.published`) are a file of tensors, in safetensors or pickled (`golden.checkpoints.weight_files`),
or a folder of the Hugging Face hub. The folder names its shape, also that of its one file; for another file, a recipe
has to.
"""

import json
import os
import re
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from taylorvit.boundary.writing import written_whole
from taylorvit.golden.network.vit import VisionTransformer

from .description import read_description
from .positions import resampled_positions
from .published import Published, load_folder, published_beside, timm_names
from .weight_files import CheckpointError, read_tensors, some

__all__ = ["Checkpoint", "CheckpointError", "file_of", "fitting_weights", "load", "load_weights", "save"]

_METADATA_KEY = "taylorvit"

_ONNX = re.compile(r"(.+\.onnx)(?::(.+))?", re.IGNORECASE)  # a file, or the part of it that ends in a value

# Types in which weights may be stored. Floats of 8 bits would need scales; integers are not weights of a float model.
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class Checkpoint(NamedTuple):
    """What a file of weights holds.

    Attributes:
        path (Path): the file or folder.
        tensors (dict[str, torch.Tensor]): tensors by timm's names.
        description (dict): the metadata of our own checkpoint; empty for published weights.
        published (Published | None): what a folder of the Hugging Face hub, or a graph of ONNX, says of its weights.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    description: dict
    published: Published | None = None


def save(path: str | Path, tensors: dict[str, torch.Tensor], description: dict) -> None:
    """Writes a checkpoint, so that the path has the old file or the new one, never half of one.

    Args:
        path (str | Path): the file.
        tensors (dict[str, torch.Tensor]): tensors by name.
        description (dict): what the metadata is to say; values of JSON.

    Raises:
        FileError: the path is not one for a file.
        CheckpointError: the file cannot be written, for lack of space for example.
    """
    path = Path(path)
    # Copies: tensors that share memory, or are views, cannot be stored as they are.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            save_file(tensors, partial, metadata={_METADATA_KEY: json.dumps(description, indent=1)})
            with open(partial, "rb+") as file:
                os.fsync(file.fileno())
    except (OSError, SafetensorError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else error
        raise CheckpointError(f"{path} could not be written, and is as it was before: {reason}") from None


def file_of(path: Path) -> Path:
    """The file or folder of a checkpoint, without the value that a graph of ONNX is to end in.

    Args:
        path (Path): as `load` takes it.
    """
    graph = _ONNX.fullmatch(str(path))
    return Path(graph[1]) if graph else path


def load(path: str | Path) -> Checkpoint:
    """Reads our own checkpoint, a file of published weights, ONNX, or a folder of the Hugging Face hub.

    Args:
        path (str | Path): the file or folder. `FILE.onnx:VALUE` is the part of a graph that ends in this value.

    Raises:
        CheckpointError: there is no such file, or it is damaged, or it does not hold tensors.
        FileError: its description is not as it must be.
    """
    path = Path(path)
    if graph := _ONNX.fullmatch(str(path)):
        return _of_onnx(path, graph[2])
    if path.is_dir():
        tensors, published = load_folder(path)
        return Checkpoint(path, tensors, {}, published)
    tensors, metadata = read_tensors(path)
    if _METADATA_KEY not in metadata:
        tensors = timm_names(path, tensors)
        return Checkpoint(path, tensors, {}, published_beside(path, tensors))
    return Checkpoint(path, tensors, read_description(path, metadata[_METADATA_KEY]))


def _of_onnx(path: Path, output: str | None) -> Checkpoint:
    from .onnx_vit import read_onnx_vit

    tensors, shape = read_onnx_vit(file_of(path), output)
    return Checkpoint(path, tensors, {}, Published(shape, None, None))


def load_weights(
    model: VisionTransformer, checkpoint: Checkpoint, *, new_head: bool = False, resample_positions: bool = False
) -> None:
    """Puts the weights of a checkpoint into a model.

    Args:
        model (VisionTransformer): the model.
        checkpoint (Checkpoint): the weights.
        new_head (bool): whether the heads stay as they are in the model, for a data set with other classes.
        resample_positions (bool): whether positions for images of another size are interpolated
            (`golden.checkpoints.positions`).

    Raises:
        CheckpointError: the weights do not fit the model, as `fitting_weights` says; the model stays as it is.
    """
    tensors = fitting_weights(model, checkpoint, new_head=new_head, resample_positions=resample_positions)
    model.load_state_dict(tensors, strict=False)


def fitting_weights(
    model: VisionTransformer, checkpoint: Checkpoint, *, new_head: bool = False, resample_positions: bool = False
) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint that belong into a model.

    Args:
        model (VisionTransformer): the model; it may be on the device `meta`, without memory.
        checkpoint (Checkpoint): the weights.
        new_head (bool): whether the heads are left out.
        resample_positions (bool): whether positions for images of another size are interpolated.

    Raises:
        CheckpointError: names or shapes are not those of the model, or a weight is not a finite float. Parameters that
            only the attention has (`attn.kernel`) may be missing.
    """
    path = checkpoint.path
    left_out = ("head",) if new_head else ()
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith(left_out)}
    expected = model.state_dict()
    for name, tensor in tensors.items():
        if name in expected and tensor.dtype not in _FLOATS:
            types = ", ".join(str(each).removeprefix("torch.") for each in _FLOATS)
            kind = str(tensor.dtype).removeprefix("torch.")
            raise CheckpointError(f"{path}: weights must be one of {types}, and {name} is {kind}")
    if resample_positions:
        tensors |= _resampled(model, path, tensors)
    _check_names_and_shapes(path, tensors, expected, left_out)
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor.to(expected[name].dtype)).all()):
            raise CheckpointError(f"{path}: weights must be finite numbers of 32 bits, and {name} has others")
    return tensors


def _resampled(model: VisionTransformer, path: Path, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    positions, shape = tensors.get("pos_embed"), model.shape
    if positions is None or positions.ndim != 3 or positions.shape[::2] != (1, shape.width):
        return {}
    try:
        return {"pos_embed": resampled_positions(positions, shape.tokens, shape.extra_tokens)}
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _check_names_and_shapes(path: Path, tensors: dict, expected: dict, left_out: tuple[str, ...]) -> None:
    optional = {name for name in expected if ".attn.kernel." in name or name.startswith(left_out)}
    problems = []
    if missing := sorted(expected.keys() - tensors.keys() - optional):
        problems.append(f"lacks {some(missing)}")
    if unknown := sorted(tensors.keys() - expected.keys()):
        problems.append(f"has {some(unknown)}, which the model lacks")
    differing = [name for name in expected if name in tensors and tensors[name].shape != expected[name].shape]
    if differing:
        problems.append(
            "has "
            + some(
                [
                    f"{name} of shape {tuple(tensors[name].shape)} for {tuple(expected[name].shape)}"
                    for name in differing
                ]
            )
        )
    if not problems:
        return
    hint = "; resample_positions = true under [model] makes it fit" if differing == ["pos_embed"] else ""
    raise CheckpointError(f"{path} must be for this model: it {'; it '.join(problems)}{hint}")

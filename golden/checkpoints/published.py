"""Published weights: names become timm's, and a folder becomes a model.

Prefixes of training scripts are removed from names (`module.`, `_orig_mod.`, `model.`, `backbone.`, in any order). The
names of transformers' ViT and DeiT, old and new, become timm's; their query, key and value become one matrix. A DeiT
with one head, on its class token (DeiTForImageClassification), has a distillation token all the same: here a distilled
model has two heads, whose mean are its scores, so that the head counts twice and the other one is 0.

A folder of the Hugging Face hub has config.json and weights, in one file or in shards that an index names:

    model.safetensors | model.safetensors.index.json | pytorch_model.bin | pytorch_model.bin.index.json

config.json is that of transformers (`model_type` vit or deit) or of timm (`architecture`). It gives the number of
heads; all other sizes are those of the tensors. preprocessor_config.json (transformers) or `pretrained_cfg` (timm) give
the mean and the standard deviation with which the images were normalized.
"""

import re
from pathlib import Path
from typing import NamedTuple

import torch

from taylorvit.boundary.reading import read_json
from taylorvit.golden.network.vit import VitShape

from .weight_files import CheckpointError, read_tensors, some

__all__ = ["Published", "load_folder", "published_beside", "timm_names"]

_PREFIXES = re.compile(r"((module|_orig_mod|model|backbone)\.)+")

# Names of transformers, up to version 4 and in files, and those of version 5, in memory.
_OF_TRANSFORMERS = re.compile(r"(?:(?:vit|deit)\.)?embeddings\.patch_embeddings\.projection\.weight")
_OUTER = {
    "embeddings.cls_token": "cls_token",
    "embeddings.distillation_token": "dist_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "layernorm": "norm",
    "classifier": "head",
    "cls_classifier": "head",
    "distillation_classifier": "head_dist",
}
_INNER = {
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "attention.attention.query": "attn.q",
    "attention.attention.key": "attn.k",
    "attention.attention.value": "attn.v",
    "attention.q_proj": "attn.q",
    "attention.k_proj": "attn.k",
    "attention.v_proj": "attn.v",
    "attention.output.dense": "attn.proj",
    "attention.o_proj": "attn.proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_LAYER = re.compile(r"(?:encoder\.layer|layers)\.(\d+)\.(.+)")
_DISTILLATION_TOKEN = "embeddings.distillation_token"
_POOLER = "pooler."  # of a model without a head; a head does not read it

_CONFIG = "config.json"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")

# Architectures of timm that have 64 features a head, and nothing that `golden.network.vit` does not compute.
_ARCHITECTURE = re.compile(r"(vit|deit)_(tiny|small|base|large)(_distilled)?_patch\d+_\d+(\.\w+)?")
_TIMM_HEAD_DIM = 64


class Published(NamedTuple):
    """What a folder says of its weights.

    Attributes:
        shape (VitShape): sizes of the model.
        mean (list[float] | None): mean of each channel of the images.
        std (list[float] | None): standard deviation of each channel.
        classes (list[str] | None): names of the classes, in the order of the scores.
    """

    shape: VitShape
    mean: list[float] | None
    std: list[float] | None
    classes: list[str] | None = None


def timm_names(path: Path, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Renames the tensors of a file to timm's names; tensors without a counterpart in timm keep their names.

    Args:
        path (Path): the file, for the text of an error.
        tensors (dict[str, torch.Tensor]): tensors by the file's names.

    Raises:
        CheckpointError: two tensors would have one name, or a layer lacks one of query, key and value.
    """
    tensors = _renamed(path, tensors, lambda name: _PREFIXES.sub("", name, count=1) if _PREFIXES.match(name) else name)
    if not any(_OF_TRANSFORMERS.fullmatch(name) for name in tensors):
        return tensors
    tensors = {name: tensor for name, tensor in tensors.items() if not _without_model(name).startswith(_POOLER)}
    one_head = (
        any(_without_model(name).endswith(_DISTILLATION_TOKEN) for name in tensors) and "classifier.weight" in tensors
    )
    renamed = _with_one_matrix(path, _renamed(path, tensors, _of_transformers))
    return renamed | _two_heads(renamed) if one_head else renamed


def _two_heads(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    heads = {name: tensor for name, tensor in tensors.items() if name.startswith("head.")}
    return {name: 2 * tensor for name, tensor in heads.items()} | {
        name.replace("head.", "head_dist."): torch.zeros_like(tensor) for name, tensor in heads.items()
    }


def _renamed(path: Path, tensors: dict, rename) -> dict:
    renamed: dict[str, torch.Tensor] = {}
    former: dict[str, str] = {}
    for name, tensor in tensors.items():
        new = rename(name)
        if new in renamed:
            raise CheckpointError(f"{path} must have one tensor for {new}, and has {former[new]} and {name}")
        renamed[new], former[new] = tensor, name
    return renamed


def _without_model(name: str) -> str:
    return name.removeprefix("vit.").removeprefix("deit.")


def _of_transformers(name: str) -> str:
    bare = _without_model(name)
    stem, dot, kind = bare.rpartition(".")
    if bare in _OUTER:  # a token, the positions
        return _OUTER[bare]
    if layer := _LAYER.fullmatch(stem):
        number, inner = layer.groups()
        return f"blocks.{number}.{_INNER[inner]}.{kind}" if inner in _INNER else name
    return f"{_OUTER[stem]}{dot}{kind}" if stem in _OUTER else name


def _with_one_matrix(path: Path, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Joins query, key and value of each layer in one matrix, as timm has them; missing biases are zeros."""
    joined = {name: tensor for name, tensor in tensors.items() if not re.search(r"\.attn\.[qkv]\.(weight|bias)$", name)}
    for name in tensors:
        if not name.endswith(".attn.q.weight"):
            continue
        layer = name.removesuffix(".q.weight")
        for kind in ("weight", "bias"):
            names = {part: f"{layer}.{part}.{kind}" for part in "qkv"}
            missing = [part for part, each in names.items() if each not in tensors]
            parts = [tensors[each] for each in names.values() if each in tensors]
            if kind == "bias" and not parts:
                width = tensors[name].shape[0] if tensors[name].ndim else 0
                parts = [torch.zeros(width, dtype=tensors[name].dtype)] * 3
            elif missing:
                raise CheckpointError(
                    f"{path} must have query, key and value of {layer}, and lacks {kind} of {', '.join(missing)}"
                )
            sizes = {tuple(tensor.shape) for tensor in parts}
            if len(sizes) > 1 or parts[0].ndim == 0 or len({tensor.dtype for tensor in parts}) > 1:
                raise CheckpointError(f"{path} must have query, key and value of {layer} of one shape and type")
            joined[f"{layer}.qkv.{kind}"] = torch.cat(parts)
    return joined


# Folders


def load_folder(folder: Path) -> tuple[dict[str, torch.Tensor], Published]:
    """Reads a folder of the Hugging Face hub: its tensors, by timm's names, and what it says of them.

    Args:
        folder (Path): with config.json and weights.

    Raises:
        CheckpointError: weights are missing or damaged, or `golden.network.vit` does not compute this model.
        FileError: another file is missing or damaged.
    """
    if not (folder / _CONFIG).is_file():
        raise CheckpointError(
            "checkpoint must be a file, or a folder with config.json and weights as the Hugging Face "
            f"hub has them, not {str(folder)!r}"
        )
    config = read_json(folder / _CONFIG)
    width_of_heads = _heads(folder, config)
    tensors = timm_names(folder, _read_weights(folder))
    return tensors, _published(folder, config, tensors, width_of_heads)


def published_beside(path: Path, tensors: dict[str, torch.Tensor]) -> Published | None:
    """What the folder of a file says of it, if both are of the Hugging Face hub.

    Args:
        path (Path): the file.
        tensors (dict[str, torch.Tensor]): its tensors, by timm's names.

    Raises:
        CheckpointError: `golden.network.vit` does not compute this model.
        FileError: another file of the folder is damaged.
    """
    folder = path.parent
    if path.name not in _WEIGHTS or not (folder / _CONFIG).is_file():
        return None
    config = read_json(folder / _CONFIG)
    return _published(folder, config, tensors, _heads(folder, config))


def _read_weights(folder: Path) -> dict[str, torch.Tensor]:
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return read_tensors(folder / name)[0]
        if (folder / f"{name}.index.json").is_file():
            return _read_shards(folder, folder / f"{name}.index.json")
    names = [each for name in _WEIGHTS for each in (name, f"{name}.index.json")]
    raise CheckpointError(f"{folder} must have weights, one of {', '.join(names)}")


def _read_shards(folder: Path, index: Path) -> dict[str, torch.Tensor]:
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(place, str) for place in places.values()):
        raise CheckpointError(f"{index}: weight_map must name a file for each tensor")
    shards = {}
    for place in dict.fromkeys(places.values()):
        if Path(place).name != place:
            raise CheckpointError(f"{index}: weight_map must name files beside it, not {place!r}")
        shards[place] = read_tensors(folder / place)[0]
    if missing := [name for name, place in places.items() if name not in shards[place]]:
        raise CheckpointError(f"{index}: weight_map must name the file of each tensor, and has none of {some(missing)}")
    return {name: shards[place][name] for name, place in places.items()}


def _heads(folder: Path, config: dict):
    """The number of heads, as a function of the width."""
    path = folder / "config.json"
    if "architecture" in config:
        if not _ARCHITECTURE.fullmatch(str(config["architecture"])):
            raise CheckpointError(
                f"{path}: architecture must be a plain ViT or DeiT of timm, such as "
                f"deit_tiny_patch16_224, not {config['architecture']!r}"
            )
        return lambda width: width // _TIMM_HEAD_DIM
    for name, allowed in (("model_type", ("vit", "deit")), ("hidden_act", ("gelu",))):
        if config.get(name) not in allowed:
            raise CheckpointError(f"{path}: {name} must be {' or '.join(allowed)}, not {config.get(name)!r}")
    heads = config.get("num_attention_heads")
    return lambda _width: heads


def _published(folder: Path, config: dict, tensors: dict[str, torch.Tensor], heads) -> Published:
    try:
        shape = _shape_of(tensors, heads)
    except (KeyError, ValueError, ZeroDivisionError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else error
        raise CheckpointError(f"{folder} must have the weights of a ViT: {reason}") from None
    source = config.get("pretrained_cfg", config) if "architecture" in config else {}
    names = ("mean", "std")
    preprocessor = folder / "preprocessor_config.json"
    if not source and preprocessor.is_file():
        source, names = read_json(preprocessor), ("image_mean", "image_std")
        if source.get("do_normalize") is False:
            source = {"image_mean": [0.0] * shape.channels, "image_std": [1.0] * shape.channels}
    mean, std = (_numbers(folder, source, name, shape.channels) for name in names)
    return Published(shape, mean, std, _classes(config))


def _shape_of(tensors: dict[str, torch.Tensor], heads) -> VitShape:
    """The shape of a model with these tensors; what does not fit it is found when they are loaded."""
    filters, positions, hidden = (
        tensors[name] for name in ("patch_embed.proj.weight", "pos_embed", "blocks.0.mlp.fc1.weight")
    )
    if (filters.ndim, positions.ndim, hidden.ndim) != (4, 3, 2):
        raise ValueError("patch_embed.proj.weight, pos_embed and blocks.0.mlp.fc1.weight have other dimensions")
    width, channels, patch, _columns = filters.shape
    distilled = "dist_token" in tensors
    patches = positions.shape[1] - 1 - distilled
    side = int(max(patches, 0) ** 0.5)
    if side * side != patches:
        raise ValueError(f"positions must be of a square of patches, not of {patches}")
    if hidden.shape[0] % width:
        raise ValueError(f"hidden features must be a multiple of the width, {width}, not {hidden.shape[0]}")
    blocks = {int(match[1]) for match in map(re.compile(r"blocks\.(\d+)\.").match, tensors) if match}
    # Without a head, 1 stands for the number of classes; loading then needs a new head, or reports that it is missing.
    classes = len(tensors["head.weight"]) if "head.weight" in tensors else 1
    return VitShape(
        image_size=side * patch,
        patch_size=patch,
        channels=channels,
        classes=classes,
        depth=len(blocks),
        width=width,
        heads=heads(width),
        mlp_ratio=hidden.shape[0] // width,
        distilled=distilled,
    )


def _classes(config: dict) -> list[str] | None:
    """Names of the classes: numbered in a dictionary by transformers, in a list by timm; None if they have no names."""
    names = config.get("id2label", config.get("label_names"))
    if isinstance(names, dict):
        names = [names.get(str(index)) for index in range(len(names))]
    known = isinstance(names, list) and all(isinstance(name, str) and not name.startswith("LABEL_") for name in names)
    return names if known else None


def _numbers(folder: Path, source: dict, name: str, channels: int) -> list[float] | None:
    numbers = source.get(name) if isinstance(source, dict) else None
    if numbers is None:
        return None
    if (
        not isinstance(numbers, list)
        or len(numbers) != channels
        or not all(
            isinstance(number, int | float) and abs(number) < 1e6 and (number > 0 or "mean" in name)
            for number in numbers
        )
    ):
        raise CheckpointError(f"{folder}: {name} must be a number for each of {channels} channels, not {numbers!r}")
    return [float(number) for number in numbers]

"""Checkpoints as others publish them, made here: names of transformers, folders of the Hugging Face hub."""

import json

import torch
from safetensors.torch import save_file

from taylorvit.golden.network.vit import VisionTransformer, VitShape

# Our name -> that of transformers, old (up to version 4, and in files) and new (version 5, in memory).
OUTER = {
    "cls_token": "embeddings.cls_token",
    "dist_token": "embeddings.distillation_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "norm": "layernorm",
}
OLD = {
    "norm1": "layernorm_before", "norm2": "layernorm_after", "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense", "qkv": "attention.attention.{}",
    "layer": "encoder.layer", "parts": ("query", "key", "value"),
}  # fmt: skip
NEW = {
    "norm1": "layernorm_before", "norm2": "layernorm_after", "attn.proj": "attention.o_proj",
    "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2", "qkv": "attention.{}_proj", "layer": "layers", "parts": "qkv",
}  # fmt: skip


def heads_of(shape: VitShape) -> dict[str, str]:
    """Our heads by their names."""
    if shape.distilled:
        return {"head": "cls_classifier", "head_dist": "distillation_classifier"}
    return {"head": "classifier"}


def names_of_transformers(model: VisionTransformer, *, inner: dict = OLD, bare: bool = False) -> dict:
    """The weights of a model by the names of transformers; `bare` as a model without a head has them."""
    shape, state = model.shape, model.state_dict()
    prefix = "" if bare else "deit." if shape.distilled else "vit."
    heads = heads_of(shape)
    weights = {}
    for name, tensor in state.items():
        stem, _dot, kind = name.rpartition(".")
        if name in OUTER:
            weights[prefix + OUTER[name]] = tensor
        elif stem in OUTER:
            weights[f"{prefix}{OUTER[stem]}.{kind}"] = tensor
        elif stem in heads:
            weights[f"{heads[stem]}.{kind}"] = tensor
        else:
            _blocks, layer, rest = stem.split(".", 2)
            place = f"{prefix}{inner['layer']}.{layer}"
            if rest == "attn.qkv":
                for part, rows in zip(inner["parts"], tensor.chunk(3), strict=True):
                    weights[f"{place}.{inner['qkv'].format(part)}.{kind}"] = rows
            else:
                weights[f"{place}.{inner[rest]}.{kind}"] = tensor
    return weights


def write_folder(folder, model: VisionTransformer, *, shards: int = 1, pickled: bool = False, config=None, mean=None):
    """A folder of the hub, by hand: config.json and weights, in shards with an index if there are several."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = model.shape
    described = {
        "model_type": "deit" if shape.distilled else "vit",
        "hidden_act": "gelu",
        "num_attention_heads": shape.heads,
    }
    (folder / "config.json").write_text(json.dumps(described | (config or {})))
    if mean is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": mean[0], "image_std": mean[1]}))
    weights = {name: tensor.clone() for name, tensor in names_of_transformers(model).items()}
    stem, ending = ("pytorch_model", ".bin") if pickled else ("model", ".safetensors")
    write = torch.save if pickled else save_file
    if shards == 1:
        write(weights, folder / f"{stem}{ending}")
        return folder
    places = {}
    for index in range(shards):
        name = f"{stem}-{index + 1:05}-of-{shards:05}{ending}"
        part = dict(list(weights.items())[index::shards])
        write(part, folder / name)
        places |= dict.fromkeys(part, name)
    (folder / f"{stem}{ending}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder

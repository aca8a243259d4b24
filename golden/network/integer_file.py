"""The file of an integer model: safetensors, all of it integers.

Its metadata "taylorvit" is a JSON text:

    kind           "integer vit"
    version        2; files of version 1, which have no such field, have other tensors, and are refused
    shape          sizes, the fields of `golden.network.vit.VitShape`
    exponents      of weights, gammas and steps, by name
    offsets        of what GELU reads (blocks.i.hidden) and gives (blocks.i.gelu), by name: 0 to 127
    registers      of attention in each layer: shift_g, shift_z, c_v, c_d
    number_format  of the accelerator, the fields of `golden.arithmetic.number_format.NetworkFormat`
    data           name and classes of the images
    quantization   how it was made: checkpoint, images, recipe of the training, SQNR of steps in dB ("sqnr_db"), and for
                   each NORM the log2 of the factors by which its channels were smoothed ("smoothing")

Its tensors are, with W features, L layers and T tokens, prefix tokens (class, distillation) included:

    LINEAR.weight         (outputs, inputs)  int8   LINEAR is patch_embed, blocks.i.qkv, .proj, .fc1, .fc2, head,
                                                    head_dist; patch_embed reads pixels minus 128, and has the
                                                    normalization of the images folded in
    LINEAR.weight_shift   (outputs,)         int8   of channels, 0 to 7; not of head and head_dist
    LINEAR.bias           (outputs,)         int32
    embedding             (T, W)             int16  positions and prefix tokens, these less the bias of patch_embed;
                                                    int8 if the residual stream has 8 bits
    STREAM.left_shift     (W,)               int8   of channels, 0 to 3; STREAM is embedding, residual.K for K = 0
                                                    to 2 L
    NORM.gamma            (W,)               int16  NORM is blocks.i.norm1, blocks.i.norm2, norm
    NORM.beta             (W,)               int32
    blocks.i.gelu.table   (256,)             int8   of -128 to 127
"""

from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch

from taylorvit.golden.arithmetic.number_format import NetworkFormat
from taylorvit.golden.attention.integer_attention import JobConstants
from taylorvit.golden.checkpoints.checkpoint import Checkpoint, CheckpointError, save

from .integer_network import IntegerNetwork
from .vit import VitShape

__all__ = ["KIND", "read_fields", "write"]

#: What the metadata calls an integer model.
KIND = "integer vit"

_VERSION = 2
_FIELDS = ("kind", "version", "shape", "exponents", "offsets", "registers", "number_format", "data", "quantization")

_TYPES = {8: torch.int8, 16: torch.int16, 32: torch.int32}


def write(path: str | Path, network: IntegerNetwork, *, data: dict, quantization: dict) -> None:
    """Writes a model.

    Args:
        path (str | Path): the file.
        network (IntegerNetwork): the model.
        data (dict): name and classes of the images.
        quantization (dict): how the model was made.

    Raises:
        CheckpointError: the file cannot be written.
    """
    parameters = network.program.parameters
    tensors = {
        name: torch.from_numpy(value).to(_TYPES[parameters[name].bits]) for name, value in network.tensors.items()
    }
    save(
        path,
        tensors,
        {
            "kind": KIND,
            "version": _VERSION,
            "shape": asdict(network.shape),
            "exponents": network.exponents,
            "offsets": network.offsets,
            "registers": [asdict(registers) for registers in network.registers],
            "number_format": asdict(network.number_format),
            "data": data,
            "quantization": quantization,
        },
    )


def read_fields(checkpoint: Checkpoint) -> dict:
    """The fields of a `golden.network.integer_vit.IntegerVit`, from a checkpoint of one.

    Raises:
        CheckpointError: the checkpoint is of another kind or version.
        KeyError: a field is missing.
        AttributeError: a field is of another type.
        TypeError: a field is of another type.
        ValueError: a field is unknown or out of range.
    """
    description = checkpoint.description
    if description.get("kind") != KIND:
        raise CheckpointError(f"{checkpoint.path} must be an integer ViT, as `taylorvit quantize` writes it")
    if description.get("version") != _VERSION:
        raise CheckpointError(
            f"{checkpoint.path} must be version {_VERSION}, as this `taylorvit quantize` writes it; quantize the "
            "checkpoint again"
        )
    for field in description:
        if field not in _FIELDS:  # it may say what changes the result
            raise ValueError(f"fields must be {', '.join(_FIELDS)}, not {field!r}")
    return {
        "shape": VitShape(**description["shape"]),
        "tensors": {name: _as_int64(name, tensor) for name, tensor in checkpoint.tensors.items()},
        "exponents": description["exponents"],
        "offsets": description["offsets"],
        "registers": [JobConstants(**registers) for registers in description["registers"]],
        "number_format": _number_format(description["number_format"]),
        "data": description["data"],
        "quantization": description["quantization"],
    }


def _number_format(values: dict) -> NetworkFormat:
    """The number format of which each field is in the file: a default need not be what the model was made for."""
    return NetworkFormat(**{field.name: values[field.name] for field in fields(NetworkFormat)} | values)


def _as_int64(name: str, tensor: torch.Tensor) -> np.ndarray:
    if tensor.dtype not in (torch.int8, torch.int16, torch.int32, torch.int64):
        raise TypeError(f"{name} must be integers, not {tensor.dtype}")
    return tensor.numpy().astype(np.int64)

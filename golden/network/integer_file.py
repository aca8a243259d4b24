"""The file of an integer model: safetensors, all of it integers.

Its metadata "taylorvit" is a JSON text:

    kind           "integer vit"
    version        3; files of version 2 are read, too: they have no kernels, and Taylor attention in all layers. Files
                   of version 1, which have no such field, have other tensors, and are refused
    shape          sizes, the fields of `golden.network.vit.VitShape`
    exponents      of weights, gammas and steps, by name
    offsets        of what GELU reads (blocks.i.hidden) and gives (blocks.i.gelu), by name: 0 to 127
    kernels        attention of each layer: "taylor" or "softmax"
    registers      of attention in each layer: of "taylor", shift_g, shift_z, c_v, c_d; of "softmax", shift_s, shift_z,
                   and the table exponentials
    number_format  of the accelerator, the fields of `golden.arithmetic.number_format.NetworkFormat`; in files of
                   version 2 without those of softmax
    data           name and classes of the images
    quantization   how it was made: checkpoint, images, recipe of the training, SQNR of steps in dB ("sqnr_db"), and for
                   each NORM the log2 of the factors by which its channels were smoothed ("smoothing"), and for the keys
                   blocks.i.k of softmax what was taken off each feature ("key_means")

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

from taylorvit.golden.arithmetic.number_format import NetworkFormat, NumberFormat, SoftmaxFormat
from taylorvit.golden.attention.constants import Constants
from taylorvit.golden.attention.kernels import KERNELS
from taylorvit.golden.checkpoints.checkpoint import Checkpoint, CheckpointError, save

from .integer_network import IntegerNetwork
from .vit import VitShape

__all__ = ["KIND", "read_fields", "write"]

#: What the metadata calls an integer model.
KIND = "integer vit"

_VERSION = 3
_FIELDS = {
    2: ("kind", "version", "shape", "exponents", "offsets", "registers", "number_format", "data", "quantization"),
    3: ("kind", "version", "shape", "exponents", "offsets", "kernels", "registers", "number_format", "data",
        "quantization"),
}  # fmt: skip

# Fields of the number format that files of version 2 do not have.
_OF_SOFTMAX = {field.name for field in fields(SoftmaxFormat)} - {field.name for field in fields(NumberFormat)}

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
            "kernels": list(network.kernels),
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
    version = description.get("version")
    if version not in _FIELDS:
        raise CheckpointError(
            f"{checkpoint.path} must be version {' or '.join(map(str, _FIELDS))}, as `taylorvit quantize` writes it; "
            "quantize the checkpoint again"
        )
    for field in description:
        if field not in _FIELDS[version]:  # it may say what changes the result
            raise ValueError(f"fields must be {', '.join(_FIELDS[version])}, not {field!r}")
    return {
        "shape": VitShape(**description["shape"]),
        "tensors": {name: _as_int64(name, tensor) for name, tensor in checkpoint.tensors.items()},
        "exponents": description["exponents"],
        "offsets": description["offsets"],
        "registers": _registers(description),
        "number_format": _number_format(description["number_format"], version),
        "data": description["data"],
        "quantization": description["quantization"],
    }


def _registers(description: dict) -> list[Constants]:
    tables = description["registers"]
    kernels = description["kernels"] if description["version"] > 2 else ["taylor"] * len(tables)
    if len(kernels) != len(tables):
        raise ValueError(f"kernels must be one for each of {len(tables)} layers, not {len(kernels)}")
    for kernel in kernels:
        if kernel not in KERNELS:
            raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, not {kernel!r}")
    return [KERNELS[kernel].constants(**values) for kernel, values in zip(kernels, tables)]


def _number_format(values: dict, version: int) -> NetworkFormat:
    """The number format of which each field is in the file: a default need not be what the model was made for."""
    names = [field.name for field in fields(NetworkFormat) if version > 2 or field.name not in _OF_SOFTMAX]
    return NetworkFormat(**{name: values[name] for name in names} | values)


def _as_int64(name: str, tensor: torch.Tensor) -> np.ndarray:
    if tensor.dtype not in (torch.int8, torch.int16, torch.int32, torch.int64):
        raise TypeError(f"{name} must be integers, not {tensor.dtype}")
    return tensor.numpy().astype(np.int64)

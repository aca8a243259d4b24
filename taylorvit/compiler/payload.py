"""The integers of a model where a tape has them: fields of commands, and the rows that follow them.

Rows have C bytes, byte c for column c. `docs/network.md` says which rows a product has, in which order.
"""

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from taylorvit.golden.attention.integer_softmax import SoftmaxConstants
from taylorvit.golden.network.integer_network import IntegerNetwork
from taylorvit.golden.network.operations import Add, Logits, Norm, Requantize
from taylorvit.rtl.network.command import CONSTANT_BYTES, KERNEL_CONSTANTS, KERNELS, Flag, Opcode, Stationary
from taylorvit.rtl.network.config import NetworkConfig

from .steps import Step, table_bytes

__all__ = ["constants_of", "filled", "rows_of"]

#: Bytes of each constant of an output tile, in their order.
_CONSTANTS = {"bias": 4, "stream_shift": 1, "branch_shift": 1, "right_shift": 1, "left_shift": 1}

#: Bytes of each constant of a tile of a LayerNorm.
_NORM_CONSTANTS = {"gamma": 2, "beta": 4, "left_shift": 1}


def filled(step: Step, network: IntegerNetwork) -> Step:
    """A step with the fields of its command that the model decides.

    Args:
        step (Step): of the plan.
        network (IntegerNetwork): the model.
    """
    values: dict[str, int] = {}
    if step.opcode == Opcode.CONSTANTS and step.layer is not None:
        registers = asdict(network.registers[step.layer])
        values |= {name: registers[name] for name in KERNEL_CONSTANTS[KERNELS[step["kernel"]]] if name in registers}
    if step.norm:
        values["norm_shift"] = network.norm_shift(_norm(network, step.norm))
    if step.following:
        values["epsilon"] = network.epsilon(_norm(network, step.following))
    return step.with_values(**values) if values else step


def constants_of(step: Step, network: IntegerNetwork, config: NetworkConfig) -> dict[str, np.ndarray]:
    """The constants of each output of a product with weights, by the names that a column gives them.

    What multiplies instead of shifting right is shifted left before. A right shift by all bits of a sum or more leaves
    nothing but zero: it becomes one by `aligned_width` - 1, all that such sums have.

    Args:
        step (Step): a product.
        network (IntegerNetwork): the model.
        config (NetworkConfig): the accelerator.

    Returns:
        dict[str, np.ndarray]: "bias", "stream_shift", "branch_shift", "right_shift", "left_shift" of all outputs of the
            linear layer.
    """
    biases = [network.tensors[f"{name}.bias"] for name in step.linears]
    bias = np.sum(biases, axis=0)
    zero = np.zeros_like(bias)
    stream, branch, right, left = zero, zero, zero, zero
    match network.program[step.result]:
        case Requantize() as operation:
            shift = np.broadcast_to(network.requantizing_shift(operation), operation.features)
            columns = slice(operation.first, operation.first + operation.features)
            right, branch = zero.copy(), zero.copy()
            right[columns], branch[columns] = np.maximum(shift, 0), np.maximum(-shift, 0)
        case Add() as operation:
            stream, branch, right = network.add_shifts(operation)
            left = network.left_shifts(operation.name)
        case Logits():
            pass
        case operation:
            raise TypeError(f"result of {step.name} must be an activation, a stream or logits, not {operation!r}")
    return {
        "bias": bias,
        "stream_shift": stream,
        "branch_shift": branch,
        "right_shift": np.minimum(right, config.aligned_width - 1),
        "left_shift": left,
    }


def rows_of(step: Step, network: IntegerNetwork, config: NetworkConfig) -> np.ndarray:
    """The payload of a command, its table in front.

    Args:
        step (Step): of the plan.
        network (IntegerNetwork): the model.
        config (NetworkConfig): the accelerator.

    Returns:
        np.ndarray: uint8, (rows, C).
    """
    parts = [np.zeros((0, config.columns), dtype=np.uint8)]
    if table_bytes(step, config):
        parts.append(_table(step, network, config))
    if step.norm:
        parts.append(_norm_rows(step, network, config))
    if step.opcode == Opcode.PRODUCT and step["stationary"] == Stationary.TAPE:
        parts.extend(_tiles(step, network, config))
    return np.concatenate(parts)


def _norm(network: IntegerNetwork, name: str) -> Norm:
    operation = network.program[name]
    if not isinstance(operation, Norm):
        raise TypeError(f"{name} must be a LayerNorm, not {operation!r}")
    return operation


def _table(step: Step, network: IntegerNetwork, config: NetworkConfig) -> np.ndarray:
    if step.opcode == Opcode.CONSTANTS:
        entries = np.array(_exponentials(step, network), dtype="<u2").view(np.uint8)
    else:
        entries = network.tensors[f"{step.table}.table"].astype(np.int8).view(np.uint8)
    return np.pad(entries, (0, -len(entries) % config.columns)).reshape(-1, config.columns)


def _exponentials(step: Step, network: IntegerNetwork) -> tuple[int, ...]:
    constants = network.registers[step.layer or 0]
    if not isinstance(constants, SoftmaxConstants):
        raise TypeError(f"constants of layer {step.layer} must be those of softmax, not {constants!r}")
    return constants.exponentials


def _norm_rows(step: Step, network: IntegerNetwork, config: NetworkConfig) -> np.ndarray:
    norm = _norm(network, step.norm)
    values = {
        "gamma": network.tensors[norm.gamma],
        "beta": network.tensors[norm.beta],
        "left_shift": network.left_shifts(norm.source),
    }
    places = np.full(step["norm_tiles"] * config.columns, -1)
    places[: norm.features] = np.arange(norm.features)
    tiles = _bytes_of(values, _NORM_CONSTANTS, places, config.columns)
    return tiles.reshape(-1, config.columns)


def _tiles(step: Step, network: IntegerNetwork, config: NetworkConfig) -> Iterator[np.ndarray]:
    """What comes with each tile: weights, a part of the embedding; constants behind the last input tile."""
    inputs, outputs = step["input_tiles"], step["output_tiles"]
    weights = _weights(step, network).reshape(outputs, config.columns, inputs, config.rows)
    weights = weights.transpose(0, 2, 3, 1)[:, :, ::-1]  # (output tiles, input tiles, R from the bottom, C)
    constants = _bytes_of(
        constants_of(step, network, config), _CONSTANTS, step.outputs, config.columns
    )  # (output tiles, 8, C)
    embedding = None
    if Flag.EMBEDDING in step.flags:
        embedding = _embedding(step, network, config)  # (output tiles, tokens, 2, C)
    for output_tile in range(outputs):
        for input_tile in range(inputs):
            yield weights[output_tile, input_tile]
            if embedding is not None:
                first = input_tile * step["embedding_chunk"]
                chunk = embedding[output_tile, first : first + step["embedding_chunk"]]
                yield chunk.reshape(-1, config.columns)
        yield constants[output_tile]


def _weights(step: Step, network: IntegerNetwork) -> np.ndarray:
    """The weights at all places, (output places, input places), uint8 of two's complement."""
    weight = np.concatenate([network.tensors[f"{name}.weight"] for name in step.linears], axis=1).astype(np.int8)
    padded = np.pad(weight, ((0, 1), (0, 1)))  # place -1: zeros
    return np.ascontiguousarray(padded[step.outputs][:, step.inputs]).view(np.uint8)


def _embedding(step: Step, network: IntegerNetwork, config: NetworkConfig) -> np.ndarray:
    add = network.program[step.result]
    if not isinstance(add, Add):
        raise TypeError(f"result of {step.name} must be added to an embedding, not {add!r}")
    padded = np.pad(network.tensors[add.stream], ((0, 0), (0, 1))).astype("<i2")
    tokens = padded[:, step.outputs].reshape(len(padded), -1, config.columns)
    low_and_high = np.ascontiguousarray(tokens).view(np.uint8).reshape(*tokens.shape, 2)
    return low_and_high.transpose(1, 0, 3, 2)


def _bytes_of(values: dict[str, np.ndarray], sizes: dict[str, int], places: np.ndarray, columns: int) -> np.ndarray:
    """Constants as bytes, (tiles, 8, C): row k holds byte k of each column's 8; zeros where there is no channel."""
    content = np.zeros((len(places), CONSTANT_BYTES), dtype=np.uint8)
    at = 0
    for name, size in sizes.items():
        channels = np.pad(np.asarray(values[name], dtype=np.int64), (0, 1))
        content[:, at : at + size] = channels[places].astype("<i8").view(np.uint8).reshape(-1, 8)[:, :size]
        at += size
    return content.reshape(-1, columns, CONSTANT_BYTES).transpose(0, 2, 1)

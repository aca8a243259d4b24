"""Computes a network in integers, from pixels to logits: what the hardware must compute, bit for bit.

Sums are exact. Attention is a kernel of `golden.attention.kernels`, with the constants of a layer fixed for all images;
the rest is `golden.network.integer_layers`.
"""

from collections.abc import Callable

import numpy as np

from taylorvit.golden.attention.kernels import KERNELS

from .integer_layers import layer_norm, look_up, matmul, requantize
from .integer_network import IntegerNetwork
from .operations import (
    PIXELS,
    Add,
    Attention,
    Embedding,
    Linear,
    Logits,
    LookUp,
    Norm,
    Operation,
    Patches,
    Requantize,
    unknown_operation,
)
from .program import compute

__all__ = ["Note", "run"]

#: Is told the name and the value of a step.
Note = Callable[[str, np.ndarray], None]

_MOST_SCORES = 1 << 22  # of the heads that attention computes at a time: each takes some 40 bytes


def run(network: IntegerNetwork, pixels: np.ndarray, note: Note) -> np.ndarray:
    """Computes logits, integers, (images, classes).

    Args:
        network (IntegerNetwork): the model.
        pixels (np.ndarray): int64, 0 to 255, (images, channels, height, width).
        note (Note): called with the name and the value of each step and of what is inside of some, in their order.
    """

    def result(operation: Operation, steps: list[np.ndarray]) -> np.ndarray:
        value = _result(network, operation, steps, note)
        note(operation.name, value)
        return value

    return compute(network.program, {PIXELS: pixels}, result)


def _result(network: IntegerNetwork, operation: Operation, steps: list[np.ndarray], note: Note) -> np.ndarray:
    tensors = network.tensors
    match operation:
        case Patches():
            return _patches(operation, steps[0])
        case Linear():
            return matmul(_tokens(operation, steps[0]), tensors[operation.weight]) + tensors[operation.bias]
        case Embedding():
            return tensors[operation.integers][np.newaxis]  # (1, rows, features): that of all images
        case Norm():
            return _norm(network, operation, steps[0], note)
        case Requantize():
            [total] = steps  # (images, rows, columns)
            x = total[..., operation.first : operation.first + operation.features]
            return _divided(operation, requantize(x, network.requantizing_shift(operation), operation.width))
        case Attention():
            return _attention(network, operation, steps, note)
        case LookUp():
            [x] = steps
            return look_up(x, tensors[operation.table])
        case Add():
            stream, branch = steps  # (images, rows, features); (1, rows, features) of the embedding
            of_stream, of_branch, of_sum = network.add_shifts(operation)
            total = (stream << of_stream) + (branch << of_branch)
            note(operation.sum, total)
            return requantize(total, of_sum, operation.width)
        case Logits():
            return np.sum(steps, axis=0)
        case _:
            raise unknown_operation(operation)


def _patches(operation: Patches, pixels: np.ndarray) -> np.ndarray:
    images, channels = pixels.shape[:2]
    side, patch = operation.side, operation.patch_size
    patches = pixels.reshape(images, channels, side, patch, side, patch)
    patches = patches.transpose(0, 2, 4, 1, 3, 5)  # (images, rows, columns, channels, patch, patch)
    patches = patches.reshape(images, operation.rows - operation.prefix, operation.features) - 128
    return np.pad(patches, ((0, 0), (operation.prefix, 0), (0, 0)))


def _tokens(operation: Linear, x: np.ndarray) -> np.ndarray:
    """What a linear layer reads: (images, tokens, inputs), or (images, inputs) of one token."""
    if operation.token is not None:
        return x[:, operation.token]
    if operation.heads is not None:  # (images, heads, tokens, head_dim)
        return x.transpose(0, 2, 1, 3).reshape(len(x), operation.rows, operation.inputs)
    return x


def _divided(operation: Requantize, x: np.ndarray) -> np.ndarray:
    """(images, rows, features), or by heads, (images, heads, rows, features of a head)."""
    if operation.heads is None:
        return x
    return x.reshape(len(x), operation.rows, operation.heads, -1).transpose(0, 2, 1, 3)


def _norm(network: IntegerNetwork, operation: Norm, x: np.ndarray, note: Note) -> np.ndarray:
    inside = layer_norm(
        x[:, : operation.rows],
        network.left_shifts(operation.source),
        network.epsilon(operation),
        network.tensors[operation.gamma],
        network.tensors[operation.beta],
        network.norm_shift(operation),
        operation.width,
    )
    note(operation.total, inside.total)
    note(operation.variance, inside.variance)
    note(operation.reciprocal, inside.reciprocal)
    note(operation.normalized, inside.normalized)
    return inside.output


def _attention(network: IntegerNetwork, operation: Attention, operands: list[np.ndarray], note: Note) -> np.ndarray:
    images = len(operands[0])
    q, k, v = (x.reshape(-1, operation.rows, operation.head_dim) for x in operands)  # (images heads, rows, head_dim)
    kernel, constants = KERNELS[operation.kernel], network.registers[operation.layer]
    z, errors = [], 0
    count = max(1, _MOST_SCORES // operation.rows**2)
    for begin in range(0, len(q), count):
        heads = slice(begin, begin + count)
        steps = kernel.attention(q[heads], k[heads], v[heads], constants, network.number_format)
        z.append(steps.z)
        errors += steps.denominator_errors
    note(operation.denominator_errors, np.array(errors))
    return np.concatenate(z).reshape(images, operation.heads, operation.rows, operation.head_dim)

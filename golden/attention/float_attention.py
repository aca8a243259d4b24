"""Softmax attention and Taylor attention in floating point, one statement a step.

Softmax attention of one head is softmax(Q K^T / sqrt(d)) V. ViTALiTy (arXiv 2211.05109, Algorithm 1) centres
the rows of the logits, which softmax does not notice, and replaces exp(x) by its first-order expansion 1 + x:

    Z = (1 v_sum + Q K^^T V / sqrt(d)) / (n + Q k^_sum^T / sqrt(d)),        K^ = K - 1 k_mean

Both sides of the fraction are multiplied by sqrt(d), so that no element of a matrix is ever scaled. Q, K and
V come as the projections make them; the 1/sqrt(d) of the logits is inside. The mean is over tokens.

These are references: explicit rather than fast. They take numpy arrays, for which torch need not be installed, or torch
tensors, through which a model trains. Give float64 to compare an integer model against.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from taylorvit.golden.arithmetic.tensors import is_tensor

if TYPE_CHECKING:
    import torch

__all__ = [
    "TaylorSteps",
    "check_operands",
    "softmax_attention",
    "softmax_map",
    "taylor_attention",
    "taylor_map",
    "taylor_map_of",
]

Array = TypeVar("Array", "np.ndarray", "torch.Tensor")


class TaylorSteps(NamedTuple, Generic[Array]):
    """Every step of Algorithm 1; the leading dimensions are those of the inputs.

    Attributes:
        k_sum (Array): (..., 1, head_dim).
        k_mean (Array): (..., 1, head_dim).
        k_hat (Array): (..., tokens, head_dim).
        g (Array): (..., head_dim of K, head_dim of V).
        k_hat_sum (Array): (..., 1, head_dim).
        v_sum (Array): (..., 1, head_dim).
        t_d (Array): (..., tokens, 1).
        t_n (Array): (..., tokens, head_dim).
        z (Array): (..., tokens, head_dim).
    """

    k_sum: Array
    k_mean: Array
    k_hat: Array
    g: Array
    k_hat_sum: Array
    v_sum: Array
    t_d: Array
    t_n: Array
    z: Array


def softmax_attention(q: Array, k: Array, v: Array) -> Array:
    """softmax(Q K^T / sqrt(d)) V for q, k, v of shape (..., tokens, head_dim); not scaled beforehand.

    Raises:
        TypeError: an operand is not of floating point, or not of the kind of q.
        ValueError: it has fewer than two dimensions or an empty one, or the shapes differ.
    """
    check_operands(q, k, v)
    return softmax_map(q, k) @ v  # (..., tokens, head_dim)


def softmax_map(q: Array, k: Array) -> Array:
    """softmax(Q K^T / sqrt(d)), (..., tokens, tokens): what a query gives to each key, in sum 1."""
    logits: Any = q @ k.swapaxes(-2, -1) / math.sqrt(q.shape[-1])  # (..., tokens, tokens)
    if is_tensor(logits):
        return logits.softmax(dim=-1)
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def taylor_attention(q: Array, k: Array, v: Array) -> TaylorSteps[Array]:
    """Algorithm 1 of ViTALiTy for q, k, v of shape (..., tokens, head_dim); not scaled beforehand.

    Raises:
        TypeError: an operand is not of floating point, or not of the kind of q.
        ValueError: it has fewer than two dimensions or an empty one, or the shapes differ.
    """
    check_operands(q, k, v)
    return _taylor_steps(q, k, v)


def _taylor_steps(q: Any, k: Any, v: Any) -> TaylorSteps[Any]:
    # Methods that arrays and tensors share; torch takes numpy's names of their arguments.
    tokens, head_dim = q.shape[-2:]
    k_sum = k.sum(axis=-2, keepdims=True)  # (..., 1, head_dim)
    k_mean = k_sum / tokens  # (..., 1, head_dim)
    k_hat = k - k_mean  # (..., tokens, head_dim)
    g = k_hat.swapaxes(-2, -1) @ v  # (..., head_dim, head_dim)
    k_hat_sum = k_hat.sum(axis=-2, keepdims=True)  # (..., 1, head_dim)
    v_sum = v.sum(axis=-2, keepdims=True)  # (..., 1, head_dim)
    t_d = tokens * math.sqrt(head_dim) + q @ k_hat_sum.swapaxes(-2, -1)  # (..., tokens, 1)
    t_n = math.sqrt(head_dim) * v_sum + q @ g  # (..., tokens, head_dim)
    z = t_n / t_d  # (..., tokens, head_dim)
    return TaylorSteps(k_sum, k_mean, k_hat, g, k_hat_sum, v_sum, t_d, t_n, z)


def taylor_map(q: Array, k: Array) -> Array:
    """What Taylor attention gives to each key, (..., tokens, tokens): the map that it never forms. Rows have sum 1."""
    return taylor_map_of(q, taylor_attention(q, k, k))  # whatever V is


def taylor_map_of(q: Array, steps: TaylorSteps[Array]) -> Array:
    """`taylor_map` from the steps of its attention."""
    return (math.sqrt(q.shape[-1]) + q @ steps.k_hat.swapaxes(-2, -1)) / steps.t_d  # (..., tokens, tokens)


def check_operands(q: Array, k: Array, v: Array) -> None:
    """Checks the operands of an attention.

    Args:
        q (Array): queries, (..., tokens, head_dim), floating point.
        k (Array): keys, of the kind and shape of q.
        v (Array): values, of the kind and shape of q.

    Raises:
        TypeError: an operand is not of floating point, or not of the kind of q.
        ValueError: it has fewer than two dimensions or an empty one, or the shapes differ.
    """
    operand: Any
    for name, operand in (("q", q), ("k", k), ("v", v)):
        if not isinstance(operand, np.ndarray) and not is_tensor(operand):
            raise TypeError(f"{name} must be a numpy.ndarray or a torch.Tensor, not {type(operand).__name__}")
        if is_tensor(operand) != is_tensor(q):
            kind = "torch.Tensor" if is_tensor(q) else "numpy.ndarray"
            raise TypeError(f"{name} must be a {kind} like q, not {type(operand).__name__}")
        if not (operand.is_floating_point() if is_tensor(operand) else operand.dtype.kind == "f"):
            raise TypeError(f"{name} must be floating point, not {operand.dtype}")
        if operand.ndim < 2 or 0 in operand.shape:
            raise ValueError(f"{name} must be of shape (..., tokens, head_dim), not {tuple(operand.shape)!r}")
        if operand.shape != q.shape:
            raise ValueError(f"{name} must be of the shape of q, {tuple(q.shape)!r}, not {tuple(operand.shape)!r}")

"""Softmax attention and Taylor attention in floating point, one statement a step.

Softmax attention of one head is softmax(Q K^T / sqrt(d)) V. ViTALiTy (arXiv 2211.05109, Algorithm 1) centres
the rows of the logits, which softmax does not notice, and replaces exp(x) by its first-order expansion 1 + x:

    Z = (1 v_sum + Q K^^T V / sqrt(d)) / (n + Q k^_sum^T / sqrt(d)),        K^ = K - 1 k_mean

Both sides of the fraction are multiplied by sqrt(d), so that no element of a matrix is ever scaled. Q, K and
V come as the projections make them; the 1/sqrt(d) of the logits is inside. The mean is over tokens.

These are references: explicit rather than fast. Give float64 tensors to compare an integer model against.
"""

import math
from typing import NamedTuple

import torch

__all__ = ["TaylorSteps", "softmax_attention", "taylor_attention"]


class TaylorSteps(NamedTuple):
    """Every step of Algorithm 1; the leading dimensions are those of the inputs."""

    k_sum: torch.Tensor  # (..., 1, head_dim)
    k_mean: torch.Tensor  # (..., 1, head_dim)
    k_hat: torch.Tensor  # (..., tokens, head_dim)
    g: torch.Tensor  # (..., head_dim of K, head_dim of V)
    k_hat_sum: torch.Tensor  # (..., 1, head_dim)
    v_sum: torch.Tensor  # (..., 1, head_dim)
    t_d: torch.Tensor  # (..., tokens, 1)
    t_n: torch.Tensor  # (..., tokens, head_dim)
    z: torch.Tensor  # (..., tokens, head_dim)


def softmax_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """softmax(Q K^T / sqrt(d)) V for q, k, v of shape (..., tokens, head_dim); not scaled beforehand."""
    _check_operands(q, k, v)
    logits = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (..., tokens, tokens)
    return logits.softmax(dim=-1) @ v  # (..., tokens, head_dim)


def taylor_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> TaylorSteps:
    """Algorithm 1 of ViTALiTy for q, k, v of shape (..., tokens, head_dim); not scaled beforehand.

    Raises:
        TypeError: an operand is not a floating-point tensor.
        ValueError: it has fewer than two dimensions or an empty one, or the shapes differ.
    """
    _check_operands(q, k, v)
    tokens, head_dim = q.shape[-2:]
    k_sum = k.sum(dim=-2, keepdim=True)  # (..., 1, head_dim)
    k_mean = k_sum / tokens  # (..., 1, head_dim)
    k_hat = k - k_mean  # (..., tokens, head_dim)
    g = k_hat.transpose(-2, -1) @ v  # (..., head_dim, head_dim)
    k_hat_sum = k_hat.sum(dim=-2, keepdim=True)  # (..., 1, head_dim)
    v_sum = v.sum(dim=-2, keepdim=True)  # (..., 1, head_dim)
    t_d = tokens * math.sqrt(head_dim) + q @ k_hat_sum.transpose(-2, -1)  # (..., tokens, 1)
    t_n = math.sqrt(head_dim) * v_sum + q @ g  # (..., tokens, head_dim)
    z = t_n / t_d  # (..., tokens, head_dim)
    return TaylorSteps(k_sum, k_mean, k_hat, g, k_hat_sum, v_sum, t_d, t_n, z)


def _check_operands(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> None:
    for name, operand in (("q", q), ("k", k), ("v", v)):
        if not isinstance(operand, torch.Tensor):
            raise TypeError(f"{name} must be a torch.Tensor, not {type(operand).__name__}")
        if not operand.is_floating_point():
            raise TypeError(f"{name} must be floating point, not {operand.dtype}")
        if operand.ndim < 2 or 0 in operand.shape:
            raise ValueError(f"{name} must be of shape (..., tokens, head_dim), not {tuple(operand.shape)!r}")
        if operand.shape != q.shape:
            raise ValueError(f"{name} must be of the shape of q, {tuple(q.shape)!r}, not {tuple(operand.shape)!r}")

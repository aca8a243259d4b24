"""Softmax attention, Taylor attention and its relatives in floating point, one statement a step.

Softmax attention of one head is softmax(Q K^T / sqrt(d)) V. ViTALiTy (arXiv 2211.05109, Algorithm 1) centres
the rows of the logits, which softmax does not notice, and replaces exp(x) by its first-order expansion 1 + x:

    Z = (1 v_sum + Q K^^T V / sqrt(d)) / (n + Q k^_sum^T / sqrt(d)),        K^ = K - 1 k_mean

Both sides of the fraction are multiplied by sqrt(d), so that no element of a matrix is ever scaled. Q, K and
V come as the projections make them; the 1/sqrt(d) of the logits is inside. The mean is over tokens.

What else is here, for the comparison of attentions and for training:

    vitality_attention        Taylor attention and, where a cheap prediction of the softmax map is above a threshold,
                              what it lacks to softmax attention (ViTALiTy, section III; training only)
    linear_angular_attention  similarity 1/2 + q^ k^^T / pi (Castling-ViT, arXiv 2211.10526)
    relu_attention            similarity ReLU(q) ReLU(k)^T (EfficientViT, arXiv 2205.14756)

These are references: explicit rather than fast. Give float64 tensors to compare an integer model against.
"""

import math
from typing import NamedTuple

import torch

__all__ = [
    "TaylorSteps",
    "linear_angular_attention",
    "predicted_mask",
    "relu_attention",
    "softmax_attention",
    "softmax_map",
    "taylor_attention",
    "taylor_map",
    "vitality_attention",
]

# EfficientViT's own: a row without any positive similarity becomes 0 instead of 0 / 0.
_RELU_EPSILON = 1e-15


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
    return softmax_map(q, k) @ v  # (..., tokens, head_dim)


def softmax_map(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """softmax(Q K^T / sqrt(d)), (..., tokens, tokens): what a query gives to each key, in sum 1."""
    logits = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (..., tokens, tokens)
    return logits.softmax(dim=-1)


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


def vitality_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, threshold: float, bits: int = 4
) -> torch.Tensor:
    """Taylor attention plus its sparse residual, of shape (..., tokens, head_dim): ViTALiTy in training.

        Z = Z_taylor + (M * (softmax(Q K^T / sqrt(d)) - A)) V
        A = (1 + Q K^^T / sqrt(d)) / (n + Q k^_sum^T / sqrt(d))

    A is the map that Taylor attention never forms, and M the mask of `predicted_mask`. With a threshold of 0 this is
    softmax attention, with 1 it is Taylor attention, which is what remains for inference. The published code adds
    M * softmax of the quantized operands instead, without taking off A, and uses 0.002 as the threshold.

    Args:
        threshold: share of a row above which a position has its residual, 0 to 1.
        bits: of the operands that the mask is predicted from.
    """
    steps = taylor_attention(q, k, v)
    if threshold == 1:  # nothing is above it
        return steps.z
    mask = predicted_mask(q, k, threshold=threshold, bits=bits)  # (..., tokens, tokens)
    return steps.z + (mask * (softmax_map(q, k) - _map_of(q, steps))) @ v


def taylor_map(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """What Taylor attention gives to each key, (..., tokens, tokens): the map that it never forms. Rows have sum 1."""
    return _map_of(q, taylor_attention(q, k, k))  # whatever V is


def predicted_mask(q: torch.Tensor, k: torch.Tensor, *, threshold: float, bits: int = 4) -> torch.Tensor:
    """Where softmax attention of operands of few bits is above a threshold: bool, (..., tokens, tokens).

    The prediction is Sanger's (MICRO 2021), which ViTALiTy takes up: symmetric quantization by the largest magnitude,
    here of each head of each image, so that no image depends on what else is in its batch. No gradient flows through
    it.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be 0 to 1, not {threshold!r}")
    with torch.no_grad():
        return softmax_map(_rounded_to(q, bits), _rounded_to(k, bits)) > threshold


def linear_angular_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention by angles, of shape (..., tokens, head_dim): Castling-ViT's first term.

        Z = (1/2 v_sum + q^ (k^^T V) / pi) / (n/2 + q^ k^_sum^T / pi),      q^ = q / |q|, k^ = k / |k|

    1 - angle(q, k) / pi = 1/2 + q^ k^^T / pi + terms of third order and more. Every similarity is at least 1/2 - 1/pi,
    so that the sum of a row, by which it is divided, is never 0. The published code scales rows to unit length instead,
    and adds half of a token's own v where the similarity gives half of v_sum.
    """
    _check_operands(q, k, v)
    tokens = q.shape[-2]
    q_hat, k_hat = torch.nn.functional.normalize(q, dim=-1), torch.nn.functional.normalize(k, dim=-1)
    g = k_hat.transpose(-2, -1) @ v  # (..., head_dim, head_dim)
    k_hat_sum = k_hat.sum(dim=-2, keepdim=True)  # (..., 1, head_dim)
    v_sum = v.sum(dim=-2, keepdim=True)  # (..., 1, head_dim)
    numerator = v_sum / 2 + q_hat @ g / math.pi  # (..., tokens, head_dim)
    denominator = tokens / 2 + q_hat @ k_hat_sum.transpose(-2, -1) / math.pi  # (..., tokens, 1)
    return numerator / denominator


def relu_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """ReLU(Q) (ReLU(K)^T V) / (ReLU(Q) ReLU(K)^T 1), of shape (..., tokens, head_dim): EfficientViT's attention."""
    _check_operands(q, k, v)
    q, k = q.relu(), k.relu()
    g = k.transpose(-2, -1) @ v  # (..., head_dim, head_dim)
    k_sum = k.sum(dim=-2, keepdim=True)  # (..., 1, head_dim)
    return q @ g / (q @ k_sum.transpose(-2, -1) + _RELU_EPSILON)


def _map_of(q: torch.Tensor, steps: TaylorSteps) -> torch.Tensor:
    return (math.sqrt(q.shape[-1]) + q @ steps.k_hat.transpose(-2, -1)) / steps.t_d  # (..., tokens, tokens)


def _rounded_to(x: torch.Tensor, bits: int) -> torch.Tensor:
    """``x`` on the grid of symmetric integers of so many bits, by the largest magnitude of each matrix."""
    largest = (1 << (bits - 1)) - 1
    step = x.abs().amax(dim=(-2, -1), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny) / largest
    return (x / step).round() * step


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

"""Attentions that are compared with Taylor attention, and those of training, in torch.

    vitality_attention        Taylor attention and, where a cheap prediction of the softmax map is above a threshold,
                              what it lacks to softmax attention (ViTALiTy, section III; training only)
    linear_angular_attention  similarity 1/2 + q^ k^^T / pi (Castling-ViT, arXiv 2211.10526)
    relu_attention            similarity ReLU(q) ReLU(k)^T (EfficientViT, arXiv 2205.14756)

These are references: explicit rather than fast.
"""

import math

import torch

from .float_attention import check_operands, softmax_map, taylor_attention, taylor_map_of

__all__ = ["linear_angular_attention", "predicted_mask", "relu_attention", "vitality_attention"]

# EfficientViT's own: a row without any positive similarity becomes 0 instead of 0 / 0.
_RELU_EPSILON = 1e-15


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
        q (torch.Tensor): queries, (..., tokens, head_dim).
        k (torch.Tensor): keys, of the same shape.
        v (torch.Tensor): values, of the same shape.
        threshold (float): share of a row above which a position has its residual, 0 to 1.
        bits (int): bits of the operands that the mask is predicted from.
    """
    steps = taylor_attention(q, k, v)
    if threshold == 1:  # nothing is above it
        return steps.z
    mask = predicted_mask(q, k, threshold=threshold, bits=bits)  # (..., tokens, tokens)
    return steps.z + (mask * (softmax_map(q, k) - taylor_map_of(q, steps))) @ v


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
    check_operands(q, k, v)
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
    check_operands(q, k, v)
    q, k = q.relu(), k.relu()
    g = k.transpose(-2, -1) @ v  # (..., head_dim, head_dim)
    k_sum = k.sum(dim=-2, keepdim=True)  # (..., 1, head_dim)
    return q @ g / (q @ k_sum.transpose(-2, -1) + _RELU_EPSILON)


def _rounded_to(x: torch.Tensor, bits: int) -> torch.Tensor:
    """``x`` on the grid of symmetric integers of so many bits, by the largest magnitude of each matrix."""
    largest = (1 << (bits - 1)) - 1
    step = x.abs().amax(dim=(-2, -1), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny) / largest
    return (x / step).round() * step

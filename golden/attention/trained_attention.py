"""The attentions that a Vision Transformer can be built with, by name.

| name             | in training                                           | at inference                 |
|------------------|-------------------------------------------------------|------------------------------|
| `softmax`        | softmax(Q K^T / sqrt(d)) V                            | the same                     |
| `taylor`         | Algorithm 1 of ViTALiTy                               | the same: the accelerator    |
| `vitality`       | Algorithm 1 and its residual above a threshold        | Algorithm 1: the accelerator |
| `linear_angular` | angles, convolution of V, softmax above a threshold   | angles, convolution of V     |
| `relu`           | EfficientViT's ReLU attention                         | the same                     |

Formulas and sources are with the functions, in `golden.attention.float_attention` and `golden.attention.variants`; here
are the modules, which know whether they train. `softmax` is computed by torch's fused attention, which never holds the
map of softmax: it is faster and needs less memory than the explicit formula, from which it differs by the rounding of
floating point. Models of `softmax`, `taylor`, `vitality` and `relu` have the same
weights; `linear_angular` has a convolution besides.
"""

import operator
from dataclasses import dataclass
from functools import reduce

import torch
from torch import nn
from torch.nn import functional

from .float_attention import check_operands, softmax_map, taylor_attention
from .variants import linear_angular_attention, predicted_mask, relu_attention, vitality_attention

__all__ = ["ATTENTIONS", "AttentionChoice", "make_attention"]


@dataclass(frozen=True)
class AttentionChoice:
    """An attention by name, with its options.

    Attributes:
        name: one of `ATTENTIONS`.
        threshold: share of a row of the softmax map, 0 to 1, above which `vitality` and `linear_angular` use it in
            training. Others ignore it.
        bits: of the operands from which that map is predicted.

    Raises:
        ValueError: an unknown name, an option out of its range.
    """

    name: str
    threshold: float = 0.02
    bits: int = 4

    def __post_init__(self) -> None:
        if self.name not in ATTENTIONS:
            raise ValueError(f"attention must be one of {', '.join(ATTENTIONS)}, not {self.name!r}")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must be 0 to 1, not {self.threshold!r}")
        if not 2 <= self.bits <= 16:
            raise ValueError(f"bits must be 2 to 16, not {self.bits!r}")


class _Plain(nn.Module):
    """An attention that is one function."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return self.function(q, k, v)


def _fused_softmax_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """What `softmax_attention` computes, by torch's fused attention; its scale is 1/sqrt(head_dim), too."""
    check_operands(q, k, v)
    return functional.scaled_dot_product_attention(q, k, v)


class _Vitality(nn.Module):
    def __init__(self, threshold: float, bits: int) -> None:
        super().__init__()
        self.threshold, self.bits = threshold, bits

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        if self.training:
            return vitality_attention(q, k, v, threshold=self.threshold, bits=self.bits)
        return taylor_attention(q, k, v).z


class _LinearAngular(nn.Module):
    """Angles, and what helps them: nine taps along the tokens of V, one filter a head; in training a sparse softmax."""

    TAPS = 9

    def __init__(self, heads: int, threshold: float, bits: int) -> None:
        super().__init__()
        self.threshold, self.bits = threshold, bits
        self.convolution = nn.Conv2d(
            heads, heads, (self.TAPS, 1), padding=(self.TAPS // 2, 0), groups=heads, bias=False
        )

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        z = linear_angular_attention(q, k, v) + self._convolved(v)  # (images, heads, tokens, head_dim)
        if self.training and self.threshold < 1:
            mask = predicted_mask(q, k, threshold=self.threshold, bits=self.bits)
            z = z + (mask * softmax_map(q, k)) @ v
        return z

    def _convolved(self, v: torch.Tensor) -> torch.Tensor:
        """The convolution tap by tap: on a processor, five times faster than torch's grouped one."""
        weight, tokens, border = self.convolution.weight, v.shape[2], self.TAPS // 2  # (heads, 1, taps, 1)
        padded = functional.pad(v, (0, 0, border, border))
        taps = (weight[:, 0, tap, :, None] * padded[:, :, tap : tap + tokens] for tap in range(self.TAPS))
        return reduce(operator.add, taps)


#: Functions that make the module of an attention from (choice, heads), by its name.
ATTENTIONS = {
    "softmax": lambda choice, heads: _Plain(_fused_softmax_attention),
    "taylor": lambda choice, heads: _Plain(lambda q, k, v: taylor_attention(q, k, v).z),
    "vitality": lambda choice, heads: _Vitality(choice.threshold, choice.bits),
    "linear_angular": lambda choice, heads: _LinearAngular(heads, choice.threshold, choice.bits),
    "relu": lambda choice, heads: _Plain(relu_attention),
}


def make_attention(choice: AttentionChoice, *, heads: int) -> nn.Module:
    """The module of an attention: q, k, v of (images, heads, tokens, head_dim) to z of the same shape."""
    return ATTENTIONS[choice.name](choice, heads)

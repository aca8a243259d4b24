"""Where the class token of an integer model looks: the maps of its queries and keys, layer by layer.

    seen = class_attention(vit, pixels)
    seen.logits                       # those of `vit(pixels)`
    seen.layers[-1].taylor            # (rows, columns) of patches, mean over the heads

Neither kernel of the accelerator forms such a map: it is computed in floating point, from what the integer queries and
keys stand for. Both maps are there for every layer, whichever attention the layer has.
"""

from typing import NamedTuple

import numpy as np

from taylorvit.golden.attention.float_attention import softmax_map, taylor_map

from .integer_vit import IntegerVit
from .operations import Attention

__all__ = ["ClassAttention", "LayerAttention", "class_attention"]


class LayerAttention(NamedTuple):
    """What the class token gives to each patch in one layer, the mean over the heads.

    A row of the whole map has sum 1, the class token's share included. Taylor attention may give less than nothing.

    Attributes:
        kernel (str): the attention that the layer has.
        taylor (np.ndarray): by Taylor attention, float64, (rows, columns) of patches.
        softmax (np.ndarray): by softmax attention, likewise.
    """

    kernel: str
    taylor: np.ndarray
    softmax: np.ndarray


class ClassAttention(NamedTuple):
    """What an integer model says of an image, and where its class token looks.

    Attributes:
        logits (np.ndarray): int64, (classes,).
        layers (list[LayerAttention]): of each layer.
    """

    logits: np.ndarray
    layers: list[LayerAttention]


def class_attention(vit: IntegerVit, pixels: np.ndarray) -> ClassAttention:
    """Computes the logits of an image, and what the class token attends to in each layer.

    Args:
        vit (IntegerVit): the model.
        pixels (np.ndarray): one image, integers of 0 to 255, (channels, height, width).

    Raises:
        TypeError: pixels are not integers.
        ValueError: they are of another shape or out of range.
    """
    attentions = [operation for operation in vit.program if isinstance(operation, Attention)]
    wanted = {name for attention in attentions for name in (attention.q, attention.k)}
    found: dict[str, np.ndarray] = {}

    def note(name: str, value: np.ndarray) -> None:
        if name in wanted:
            found[name] = vit.real(name, value)[0]  # (heads, tokens, head_dim)

    (logits,) = vit.noted(np.asarray(pixels)[np.newaxis], note)
    side, prefix = vit.shape.image_size // vit.shape.patch_size, vit.shape.extra_tokens
    layers = []
    for attention in attentions:
        q, k = found[attention.q], found[attention.k]
        taylor, softmax = (
            of_tokens[:, 0, prefix:].mean(axis=0).reshape(side, side)  # (heads, tokens, tokens) before
            for of_tokens in (taylor_map(q, k), softmax_map(q, k))
        )
        layers.append(LayerAttention(attention.kernel, taylor, softmax))
    return ClassAttention(logits, layers)

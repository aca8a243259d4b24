"""Looks into the attention of a model: how large the centred logits are, and where it looks.

ViTALiTy's argument for a first-order expansion (its Fig. 3) is that centring brings most logits into [-1, 1), where
exp(x) is near to 1 + x. `logit_distribution` says which share that is in each layer of a given model, and
`draw_logits` shows it; `draw_maps` shows what the class token attends to, by softmax and by Taylor attention.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from taylorvit.boundary.writing import written_whole
from taylorvit.golden.attention.float_attention import softmax_map, taylor_map
from taylorvit.golden.network.vit import HeadTensors

__all__ = ["LayerLogits", "draw_logits", "draw_maps", "logit_distribution"]

_BINS = np.linspace(-6, 6, 121)


class LayerLogits(NamedTuple):
    """The logits Q K^T / sqrt(d) of one layer, plain and centred."""

    plain: np.ndarray  # shares by bin of the histogram
    centred: np.ndarray
    plain_inside: float  # share in [-1, 1)
    centred_inside: float


def logit_distribution(captured: list[HeadTensors]) -> list[LayerLogits]:
    """The logits of each layer, with K as it is and with its mean over the tokens taken off.

    Raises `ValueError` if they are so large that they are no numbers any more.
    """
    layers = []
    for layer, (q, k, _v) in enumerate(captured):
        root = math.sqrt(q.shape[-1])
        plain = (q @ k.transpose(-2, -1) / root).flatten().double().numpy()
        k_hat = k - k.mean(dim=-2, keepdim=True)
        centred = (q @ k_hat.transpose(-2, -1) / root).flatten().double().numpy()
        if not (np.isfinite(plain).all() and np.isfinite(centred).all()):
            raise ValueError(f"logits of layer {layer} must be finite, and are not: weights are too large")
        layers.append(LayerLogits(_shares(plain), _shares(centred), _inside(plain), _inside(centred)))
    return layers


def _shares(logits: np.ndarray) -> np.ndarray:
    return np.histogram(logits.clip(_BINS[0], _BINS[-1]), _BINS)[0] / len(logits)


def _inside(logits: np.ndarray) -> float:
    return float(((logits >= -1) & (logits < 1)).mean())


def draw_logits(path: str | Path, layers: list[LayerLogits], *, title: str) -> None:
    """Writes a PNG: a histogram for each layer."""
    from matplotlib.figure import Figure

    columns = min(len(layers), 4)
    rows = -(-len(layers) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.6 * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    centres = (_BINS[:-1] + _BINS[1:]) / 2
    for index, axes in enumerate(grid.flat):
        if index >= len(layers):
            axes.set_visible(False)
            continue
        layer = layers[index]
        axes.axvspan(-1, 1, color="0.9")
        axes.step(centres, layer.plain, where="mid", label=f"plain, {layer.plain_inside:.0%} in [-1, 1)")
        axes.step(centres, layer.centred, where="mid", label=f"centred, {layer.centred_inside:.0%}")
        axes.set_title(f"layer {index}", fontsize="medium")
        axes.legend(fontsize="x-small")
    figure.suptitle(title, parse_math=False)
    figure.supxlabel("logit")
    with written_whole(path) as partial:
        figure.savefig(partial, dpi=100)


def draw_maps(path: str | Path, images: torch.Tensor, captured: list[HeadTensors], *, extra_tokens: int) -> None:
    """Writes a PNG: a row for each image, what the class token attends to in the last layer, mean over its heads.

    Args:
        images: (images, channels, size, size), 0 to 1: those that are shown.
        captured: head tensors of each layer, of these images and perhaps more behind them.
        extra_tokens: tokens in front of those of the patches.
    """
    from matplotlib.figure import Figure

    q, k, _v = captured[-1]
    maps = {"softmax": softmax_map(q, k), "Taylor": taylor_map(q, k)}
    figure = Figure(figsize=(6, 2 * len(images) + 0.3), layout="constrained")
    grid = figure.subplots(len(images), 3, squeeze=False)
    for index, image in enumerate(images):
        grid[index, 0].imshow(image.permute(1, 2, 0).squeeze().numpy(), cmap="gray")
        for axes, (name, weights) in zip(grid[index, 1:], maps.items(), strict=True):
            of_patches = weights[index, :, 0, extra_tokens:].mean(dim=0)  # (patches,)
            side = math.isqrt(len(of_patches))
            axes.imshow(of_patches.reshape(side, side).numpy(), cmap="viridis")
            if index == 0:
                axes.set_title(name)
        for axes in grid[index]:
            axes.set_axis_off()
    with written_whole(path) as partial:
        figure.savefig(partial, dpi=100)

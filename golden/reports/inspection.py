"""Looks into the attention of a model: how large the centred logits are, and where it looks.

    inspected = inspect_checkpoint("model.safetensors", images=32)
    console.print(logit_table(inspected))
    draw_logits("logits.png", inspected.layers, title=inspected.data)

ViTALiTy's argument for a first-order expansion (its Fig. 3) is that centring brings most logits into [-1, 1), where
exp(x) is near to 1 + x. `logit_distribution` gives that share for each layer of a model, and `draw_logits` shows it;
`draw_maps` shows what the class token attends to, by softmax and by Taylor attention.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.table import Table

from taylorvit.boundary.writing import written_whole
from taylorvit.golden.attention.by_layer import text_of
from taylorvit.golden.attention.float_attention import softmax_map, taylor_map
from taylorvit.golden.checkpoints.checkpoint import load
from taylorvit.golden.network.vit import HeadTensors, head_tensors
from taylorvit.golden.training.loading import check_sizes, load_images, model_of, normalize, recipe_of
from taylorvit.golden.training.recipe import Recipe

__all__ = [
    "Inspected",
    "LayerLogits",
    "draw_logits",
    "draw_maps",
    "inspect_checkpoint",
    "logit_distribution",
    "logit_table",
]

_BINS = np.linspace(-6, 6, 121)


class LayerLogits(NamedTuple):
    """The logits Q K^T / sqrt(d) of one layer, plain and centred.

    Attributes:
        plain (np.ndarray): share of the plain logits in each bin of the histogram.
        centred (np.ndarray): share of the centred logits in each bin.
        plain_inside (float): share of the plain logits in [-1, 1).
        centred_inside (float): share of the centred logits in [-1, 1).
    """

    plain: np.ndarray
    centred: np.ndarray
    plain_inside: float
    centred_inside: float


class Inspected(NamedTuple):
    """The attention of a model on some held-out images.

    Attributes:
        data (str): name of the data set.
        attention (str): attention that the model was trained with, by layer if they differ.
        images (torch.Tensor): the images, (images, channels, size, size), values of 0 to 1.
        captured (list[HeadTensors]): head tensors of each layer, for these images.
        layers (list[LayerLogits]): logits of each layer.
        extra_tokens (int): prefix tokens, in front of those of the patches.
    """

    data: str
    attention: str
    images: torch.Tensor
    captured: list[HeadTensors]
    layers: list[LayerLogits]
    extra_tokens: int


def inspect_checkpoint(
    path: str | Path, *, images: int = 32, recipe: Recipe | None = None, data: str | None = None
) -> Inspected:
    """Captures what the attention layers of a float model receive for held-out images, and their logits.

    Args:
        path (str | Path): the checkpoint.
        images (int): how many held-out images, at least 1; all of them if there are fewer.
        recipe (Recipe | None): recipe of published weights, as `recipe_of` takes it.
        data (str | None): other images, as `recipe_of` takes them.

    Raises:
        ValueError: the checkpoint is not a float model for these images, or its tensors are not finite.
    """
    checkpoint = load(path)
    recipe = recipe_of(checkpoint, recipe=recipe, data=data)
    model = model_of(checkpoint, model=recipe.model)
    dataset = load_images(recipe.data, model.shape.image_size)
    check_sizes(model.shape, dataset, classes=False)
    shown, _labels = dataset.testing[list(range(min(images, len(dataset.testing))))]
    captured = head_tensors(model, normalize(shown, dataset.mean, dataset.std))
    return Inspected(
        dataset.name,
        text_of(recipe.model.attentions),
        shown,
        captured,
        logit_distribution(captured),
        model.shape.extra_tokens,
    )


def logit_table(inspected: Inspected) -> Table:
    """Tabulates the share of logits in [-1, 1), plain and centred, of each layer."""
    images = f"{len(inspected.images)} held-out images of {inspected.data}"
    table = Table(title=f"{images}; trained attention: {inspected.attention}")
    for heading in ("layer", "plain logits in [-1, 1)", "centred ones"):
        table.add_column(heading, justify="right")
    for index, layer in enumerate(inspected.layers):
        table.add_row(str(index), f"{layer.plain_inside:.1%}", f"{layer.centred_inside:.1%}")
    return table


def logit_distribution(captured: list[HeadTensors]) -> list[LayerLogits]:
    """Measures the logits of each layer, plain and with the mean of K over the tokens subtracted.

    Args:
        captured (list[HeadTensors]): head tensors of each layer.

    Raises:
        ValueError: logits are so large that they are not finite.
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
    """Draws a histogram of the logits for each layer.

    Args:
        path (str | Path): the PNG to write.
        layers (list[LayerLogits]): logits of each layer.
        title (str): heading of the picture.
    """
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
    """Draws, for each image, what the class token attends to in the last layer, as the mean over the heads.

    Args:
        path (str | Path): the PNG to write.
        images (torch.Tensor): the images to show, (images, channels, size, size), values of 0 to 1.
        captured (list[HeadTensors]): head tensors of each layer, for these images and perhaps more behind them.
        extra_tokens (int): prefix tokens, in front of those of the patches.
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

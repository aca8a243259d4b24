"""How close the tokens of an integer model are to those of the float model, layer by layer, and which numbers limit it.

    wanted = float_streams(model, images, mean=mean, std=std)
    table = fidelity_table({"softmax": token_fidelity(wanted, integer_streams(vit, images))})

Compared is the residual stream behind each layer: the cosine of each token with the float one, and the signal to
quantization noise of all of them. Unlike logits, tokens are there for a model without a head, and for all places.

`rounded_streams` computes the float model with some of its numbers on the grids of the integer model, of the same bits
or of more: what an integer model would do whose other numbers are exact, or which has more bits than any format here.
What attention and LayerNorm round inside is exact there.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from rich.table import Table
from torch.func import functional_call

from taylorvit.golden.network.float_steps import FloatSteps, float_steps
from taylorvit.golden.network.grids import Grid, grids_of_steps, grids_of_weights
from taylorvit.golden.network.integer_vit import IntegerVit, to_pixels
from taylorvit.golden.network.operations import Stream
from taylorvit.golden.network.program import Program, network_of
from taylorvit.golden.network.vit import VisionTransformer

from .sqnr import sqnr_db, sqnr_text

__all__ = ["TokenFidelity", "fidelity_table", "float_streams", "integer_streams", "rounded_streams", "token_fidelity"]


class TokenFidelity(NamedTuple):
    """The tokens behind a layer, of all images.

    Attributes:
        cosine (float): mean of the cosines of a token with that of the float model.
        least (float): the least of them.
        sqnr_db (float): signal to quantization noise of all features of all tokens, in decibels.
    """

    cosine: float
    least: float
    sqnr_db: float


def float_streams(
    model: VisionTransformer,
    images: torch.Tensor,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    kernels: str | tuple[str, ...] = "softmax",
) -> np.ndarray:
    """The residual streams of a float model, (layers, images, tokens, width).

    Args:
        model (VisionTransformer): the model.
        images (torch.Tensor): (images, channels, size, size), values of 0 to 1.
        mean (Sequence[float]): mean of each channel of the images.
        std (Sequence[float]): standard deviation of each channel.
        kernels (str | tuple[str, ...]): attention kernel of each layer, or that of all.
    """
    names = _streams(network_of(model.shape, kernels=kernels))
    with torch.no_grad():
        found = [
            [steps[name].numpy() for name in names]
            for image in images
            for steps in [float_steps(model, _inputs(image[None], mean, std), kernels=kernels)]
        ]
    return np.concatenate([np.stack(each) for each in found], axis=1).astype(np.float64)


def integer_streams(vit: IntegerVit, images: torch.Tensor) -> np.ndarray:
    """What the residual streams of an integer model stand for, (layers, images, tokens, width).

    Args:
        vit (IntegerVit): the model.
        images (torch.Tensor): as for `float_streams`.
    """
    names = _streams(vit.program)
    found = []
    for image in images:  # one at a time: the steps of an image may take some 100 MB
        steps = vit.steps(to_pixels(image[None]))
        found.append(np.stack([vit.real(name, steps[name]) for name in names]))
    return np.concatenate(found, axis=1)


def rounded_streams(
    model: VisionTransformer,
    vit: IntegerVit,
    images: torch.Tensor,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    grid: Callable[[str, Grid], Grid | None],
) -> np.ndarray:
    """The residual streams of the float model with numbers on grids, (layers, images, tokens, width).

    Args:
        model (VisionTransformer): the float model.
        vit (IntegerVit): the integer model that was made from it, whose kernels are taken.
        images (torch.Tensor): as for `float_streams`.
        mean (Sequence[float]): likewise.
        std (Sequence[float]): likewise.
        grid (Callable[[str, Grid], Grid | None]): from the name of a step, or of a weight (`blocks.0.attn.qkv.weight`),
            and its grid in the integer model, the grid to round it to; None leaves it as it is.
    """
    names = _streams(vit.program)
    steps, weights = (
        {name: chosen.to(torch.device("cpu")) for name, each in grids.items() if (chosen := grid(name, each))}
        for grids in (grids_of_steps(vit), grids_of_weights(vit, tuple(std)))
    )

    def rounded(name: str, x: torch.Tensor) -> torch.Tensor:
        return steps[name].round(x) if name in steps else x

    found = []
    with torch.no_grad():
        parameters = dict(model.named_parameters())
        network = FloatSteps(model, vit.kernels)
        new = {f"model.{name}": each.round(parameters[name]) for name, each in weights.items()}
        for image in images:
            inputs = _inputs(image[None], mean, std)
            result = functional_call(network, new, (inputs, rounded))
            found.append(np.stack([result[name].numpy() for name in names]))
    return np.concatenate(found, axis=1).astype(np.float64)


def token_fidelity(wanted: np.ndarray, found: np.ndarray) -> list[TokenFidelity]:
    """Compares residual streams, layer by layer.

    Args:
        wanted (np.ndarray): those of the float model, (layers, images, tokens, width).
        found (np.ndarray): the others, of the same shape.
    """
    result = []
    for right, other in zip(wanted, found, strict=True):
        lengths = np.linalg.norm(right, axis=-1) * np.linalg.norm(other, axis=-1)
        cosines = (right * other).sum(axis=-1) / np.maximum(lengths, np.finfo(np.float64).tiny)
        result.append(TokenFidelity(float(cosines.mean()), float(cosines.min()), sqnr_db(right, other)))
    return result


def fidelity_table(results: dict[str, list[TokenFidelity]]) -> Table:
    """Tabulates mean and least cosine and SQNR behind each layer.

    Args:
        results (dict[str, list[TokenFidelity]]): what `token_fidelity` found, by the heading of its columns.
    """
    table = Table(title="Tokens against the float model: mean cosine, least cosine, SQNR in dB")
    table.add_column("layer", justify="right")
    for name in results:
        table.add_column(name, justify="right")
    for layer, row in enumerate(zip(*results.values(), strict=True)):
        texts = [
            f"{each.cosine:.4f}  {each.least:.3f}  {sqnr_text(each.sqnr_db).removesuffix(' dB'):>5}" for each in row
        ]
        table.add_row(str(layer), *texts)
    return table


def _streams(program: Program) -> list[str]:
    """Names of the residual streams behind each layer."""
    ends = [operations[-1] for layer, operations in program.parts() if layer is not None]
    return [end.name for end in ends if isinstance(end, Stream)]


def _inputs(images: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Normalized images, whose pixels are those that integers have."""
    of_channels = [torch.tensor(tuple(each)).view(-1, 1, 1) for each in (mean, std)]
    return (torch.from_numpy(to_pixels(images)).float() / 255 - of_channels[0]) / of_channels[1]

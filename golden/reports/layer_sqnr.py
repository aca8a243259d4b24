"""Signal to quantization noise by layer: an integer model against the float model that it was made from.

    sqnr = layer_sqnr(model, vit, images, mean=dataset.mean, std=dataset.std)
    console.print(layer_sqnr_table(sqnr, vit.program))

The steps measured are the residual stream, both sides of attention and of GELU, and the logits.
"""

import copy
from collections.abc import Iterable

import torch
from rich.table import Table

from taylorvit.golden.network.float_steps import float_steps
from taylorvit.golden.network.integer_vit import IntegerVit, to_pixels
from taylorvit.golden.network.operations import Add, Embedding, Linear, Norm, Operation
from taylorvit.golden.network.program import Program
from taylorvit.golden.network.vit import VisionTransformer

from .sqnr import Power, decibels, power_of, sqnr_text, total_power

__all__ = ["layer_sqnr", "layer_sqnr_table"]

_BATCH = 16  # images; the steps of one image take some 100 MB in a DeiT-Tiny

# Headings of the steps of a layer that are measured, in their order.
_HEADINGS = ("q", "k", "v", "z", "+ attention", "hidden", "gelu", "+ MLP")


def layer_sqnr(
    model: VisionTransformer, vit: IntegerVit, images: torch.Tensor, *, mean: Iterable[float], std: Iterable[float]
) -> dict[str, float]:
    """Measures the noise of each step of an integer model, in decibels, by the name of the step.

    Args:
        model (VisionTransformer): the float model; its attention is computed as that of the integer model.
        vit (IntegerVit): the integer model that was made from it.
        images (torch.Tensor): (images, channels, size, size), values of 0 to 1.
        mean (Iterable[float]): mean of each channel of the images.
        std (Iterable[float]): standard deviation of each channel of the images.
    """
    mean, std = (torch.tensor(tuple(each), dtype=torch.float64).view(-1, 1, 1) for each in (mean, std))
    in_double = copy.deepcopy(model).double().eval()
    signals: dict[str, list[Power]] = {}  # of each batch
    noises: dict[str, list[Power]] = {}
    for batch in images.split(_BATCH):
        pixels = to_pixels(batch)
        with torch.no_grad():
            inputs = (torch.from_numpy(pixels).double() / 255 - mean) / std
            wanted = float_steps(in_double, inputs, kernels=vit.kernels)
        steps = vit.steps(pixels)
        for name, value in wanted.items():
            if _is_measured(vit.program[name]):
                signals.setdefault(name, []).append(power_of(value.numpy()))
                noises.setdefault(name, []).append(power_of(value.numpy() - vit.real(name, steps[name])))
    return {name: decibels(total_power(signals[name]), total_power(noises[name])) for name in signals}


def _is_measured(operation: Operation) -> bool:
    """Norms are left out, since smoothing changes them, and so are sums: of a head, the logits are measured.

    Nor is the embedding, which makes up for the bias of the patch embedding: the residual stream behind both is.
    """
    return not isinstance(operation, Norm | Linear | Embedding)


def layer_sqnr_table(sqnr: dict[str, float], program: Program) -> Table:
    """Tabulates the noise of each layer.

    Args:
        sqnr (dict[str, float]): what `layer_sqnr` measured.
        program (Program): the operations of the model.
    """
    texts = {name: sqnr_text(value).removesuffix(" dB") for name, value in sqnr.items()}
    [first] = [operation.name for operation in program if isinstance(operation, Add) and operation.layer is None]
    table = Table(title=f"Signal to quantization noise, dB; {texts[first]} behind the patch embedding")
    for heading in ("layer", *_HEADINGS):
        table.add_column(heading, justify="right")
    for layer, operations in program.parts():
        if layer is not None:
            table.add_row(str(layer), *(texts[operation.name] for operation in operations if _is_measured(operation)))
    return table

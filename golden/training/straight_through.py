"""Training with the rounding of an integer model: forward, weights and activations are on its grids; backward, not.

The gradient of rounding is taken to be 1 within the range of the integers, and 0 beyond it, where they saturate: the
straight-through estimator (Bengio et al., arXiv 1308.3432). The grids are those of the integer model, and stay.

Rounded are the weights of linear layers and every tensor between layers, to 8 bits or the accelerator's width. What
attention and LayerNorm round inside of them is not, nor are biases and gammas, which have 16 bits and more.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from taylorvit.golden.network.integer_vit import IntegerVit
from taylorvit.golden.network.vit import VisionTransformer
from taylorvit.golden.network.vit_quantizer import Rounding, Steps, float_steps

__all__ = ["StraightThrough"]


class StraightThrough(nn.Module):
    """A float model, computed with Taylor attention and the rounding of an integer model that was made from it.

    Args:
        model: whose parameters are trained; on the device where it stays.
        vit: an integer model of the same shape, as `quantize_vit` makes it.
        std: deviation of the images, a channel: it is part of the integer weights of the patch embedding.

    Raises `ValueError` if the shapes differ, or `vit` does not say how it was smoothed.
    """

    def __init__(self, model: VisionTransformer, vit: IntegerVit, std: tuple[float, ...]) -> None:
        super().__init__()
        if vit.shape != model.shape:
            raise ValueError(f"integer model must be of the shape of the model, {model.shape}, not {vit.shape}")
        self.network = _FloatSteps(model)
        factors = _smoothing_factors(vit)
        device = next(model.parameters()).device
        self._of_steps, self._of_weights = (
            {name: _Grid(torch.as_tensor(step, dtype=torch.float32, device=device), bits)
             for name, (step, bits) in grids.items()}
            for grids in (_grids_of_steps(vit, factors), _grids_of_weights(vit, factors, std))
        )  # fmt: skip

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Scores, (images, classes), of normalized images."""
        return self._steps(inputs)["logits"]

    def scores_of_heads(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The scores of the class token and, if the model is distilled, those of the distillation token."""
        steps = self._steps(inputs)
        return tuple(steps[name] for name in ("head", "head_dist") if name in steps)

    @torch.no_grad()
    def round_weights(self) -> None:
        """Brings the parameters of the model onto their grids, so that quantizing them loses nothing."""
        parameters = dict(self.network.named_parameters())
        for name, grid in self._of_weights.items():
            parameters[name].copy_(grid.round(parameters[name]))

    def _steps(self, inputs: torch.Tensor) -> Steps:
        parameters = dict(self.network.named_parameters())
        weights = {name: grid.round(parameters[name]) for name, grid in self._of_weights.items()}
        return functional_call(self.network, weights, (inputs, lambda step, x: self._of_steps[step].round(x)))


class _FloatSteps(nn.Module):
    """`float_steps` as a module, the parameters of which can be replaced in a call."""

    def __init__(self, model: VisionTransformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: torch.Tensor, rounded: Rounding) -> Steps:
        return float_steps(self.model, inputs, rounded)


class _Grid(NamedTuple):
    """The real values that integers stand for."""

    step: torch.Tensor  # between two of them, for each element of the last dimension or for all
    bits: int

    def round(self, x: torch.Tensor) -> torch.Tensor:
        limit = 1 << (self.bits - 1)
        scaled = (x / self.step).clamp(-limit, limit - 1)
        return (scaled + (torch.floor(scaled + 0.5).clamp(max=limit - 1) - scaled).detach()) * self.step


def _smoothing_factors(vit: IntegerVit) -> dict[str, torch.Tensor]:
    """By which the channels of each norm were divided, (width,)."""
    smoothing: Any = vit.quantization.get("smoothing")
    norms = [name.removesuffix(".gamma") for name in vit.tensors if name.endswith(".gamma")]
    try:
        factors = {name: torch.exp2(torch.tensor(smoothing[name], dtype=torch.float32)) for name in norms}
        if all(factor.shape == (vit.shape.width,) for factor in factors.values()):
            return factors
    except (KeyError, TypeError, ValueError):
        pass
    raise ValueError("integer model must say how it was smoothed, as those of `golden quantize` do")


def _grids_of_steps(vit: IntegerVit, factors: dict[str, torch.Tensor]) -> dict:
    """(step of the grid, bits) of each tensor between layers, by its name."""
    grids: dict[str, tuple[float | np.ndarray | torch.Tensor, int]] = {}
    for name, exponent in vit.exponents.items():
        last = name.rpartition(".")[2]
        if name.startswith("residual."):
            grids[name] = 2.0 ** (exponent + vit.tensors[f"{name}.left_shift"]), 8
        elif name in factors:  # a norm, whose channels are divided by the factors in integers
            grids[name] = 2.0**exponent * factors[name], 8
        elif last in ("q", "k", "v", "z"):
            grids[name] = 2.0**exponent, vit.number_format.data_width
        elif last in ("hidden", "gelu"):
            grids[name] = 2.0**exponent, 8
    return grids


def _grids_of_weights(vit: IntegerVit, factors: dict[str, torch.Tensor], std: tuple[float, ...]) -> dict:
    """(step of the grid, bits) of each weight that integers have, by its name in `_FloatSteps`."""
    steps = {"patch_embed.proj": 2.0 ** vit.exponents["patch_embed.weight"] * 255 * torch.tensor(std).view(-1, 1, 1)}
    for layer in range(vit.shape.depth):
        block = f"blocks.{layer}"
        for linear, module, norm in (
            ("qkv", "attn.qkv", "norm1"), ("proj", "attn.proj", None), ("fc1", "mlp.fc1", "norm2"),
            ("fc2", "mlp.fc2", None),
        ):  # fmt: skip
            factor = factors[f"{block}.{norm}"] if norm else torch.tensor(1.0)
            steps[f"{block}.{module}"] = 2.0 ** vit.exponents[f"{block}.{linear}.weight"] / factor
    for head in ("head", "head_dist")[: vit.shape.extra_tokens]:
        steps[head] = 2.0 ** vit.exponents[f"{head}.weight"] / factors["norm"]
    return {f"model.{name}.weight": (step, 8) for name, step in steps.items()}

"""Quantization-aware training: forward, weights and activations are on the grids of an integer model; backward, not.

The gradient of rounding is taken to be 1 within the range of the integers, and 0 beyond it, where they saturate: the
straight-through estimator (Bengio et al., arXiv 1308.3432). The grids are those of the integer model, and stay.

Rounded are the weights of linear layers and all activations, to 8 bits or the accelerator's widths. What attention and
LayerNorm round inside is not, nor are biases and gammas, which have 16 bits and more.
"""

from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from taylorvit.golden.network.float_steps import Rounding, Steps, float_steps
from taylorvit.golden.network.integer_vit import IntegerVit
from taylorvit.golden.network.operations import Attention, Embedding, Linear, Logits, Norm, Patches, Rounded
from taylorvit.golden.network.vit import VisionTransformer

__all__ = ["StraightThrough"]


class StraightThrough(nn.Module):
    """A float model, computed with the attention and the rounding of an integer model that was made from it.

    Args:
        model (VisionTransformer): the model whose parameters are trained, on the device where it stays.
        vit (IntegerVit): an integer model of the same shape, as `quantize_vit` makes it.
        std (tuple[float, ...]): standard deviation of each channel of the images, which is part of the integer weights
            of the patch embedding.

    Raises:
        ValueError: the shapes differ, or `vit` does not say how it was smoothed, or which mean keys it lacks.
    """

    def __init__(self, model: VisionTransformer, vit: IntegerVit, std: tuple[float, ...]) -> None:
        super().__init__()
        if vit.shape != model.shape:
            raise ValueError(f"integer model must be of the shape of the model, {model.shape}, not {vit.shape}")
        self.network = _FloatSteps(model, vit.kernels)
        [self._logits] = [operation for operation in vit.program if isinstance(operation, Logits)]
        factors = _smoothing_factors(vit)
        _check_key_means(vit)
        device = next(model.parameters()).device
        self._of_steps, self._of_weights = (
            {
                name: _Grid(
                    torch.as_tensor(step, dtype=torch.float32, device=device),
                    torch.as_tensor(offset, dtype=torch.float32, device=device),
                    bits,
                )
                for name, (step, offset, bits) in grids.items()
            }
            for grids in (_grids_of_steps(vit, factors), _grids_of_weights(vit, factors, std))
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Computes scores, (images, classes), of normalized images."""
        return self._steps(inputs)[self._logits.name]

    def scores_of_heads(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Computes the scores of the class token and, if the model is distilled, those of the distillation token."""
        steps = self._steps(inputs)
        return tuple(steps[head] for head in self._logits.heads)

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

    def __init__(self, model: VisionTransformer, kernels: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.kernels = model, kernels

    def forward(self, inputs: torch.Tensor, rounded: Rounding) -> Steps:
        return float_steps(self.model, inputs, rounded, kernels=self.kernels)


class _Grid(NamedTuple):
    """The real values that integers stand for."""

    step: torch.Tensor  # between two of them; broadcasts against what is rounded, as the offset does
    offset: torch.Tensor  # what the integer 0 stands for
    bits: int

    def round(self, x: torch.Tensor) -> torch.Tensor:
        limit = 1 << (self.bits - 1)
        scaled = ((x - self.offset) / self.step).clamp(-limit, limit - 1)
        whole = scaled + (torch.floor(scaled + 0.5).clamp(max=limit - 1) - scaled).detach()
        return whole * self.step + self.offset


def _smoothing_factors(vit: IntegerVit) -> dict[str, torch.Tensor]:
    """The factors by which the channels of each norm are divided, (features,)."""
    smoothing: Any = vit.quantization.get("smoothing")
    norms = [operation for operation in vit.program if isinstance(operation, Norm)]
    try:
        factors = {norm.name: torch.exp2(torch.tensor(smoothing[norm.name], dtype=torch.float32)) for norm in norms}
        if all(factors[norm.name].shape == (norm.features,) for norm in norms):
            return factors
    except (KeyError, TypeError, ValueError):
        pass
    raise ValueError("integer model must say how it was smoothed, as those of `taylorvit quantize` do")


def _check_key_means(vit: IntegerVit) -> None:
    """Raise ValueError unless the model says what was taken off the keys of each layer with softmax attention."""
    for operation in vit.program:
        if isinstance(operation, Attention) and operation.kernel == "softmax":
            try:
                if vit.key_mean(operation.k).ndim:
                    continue
            except (AttributeError, TypeError, ValueError):
                pass
            raise ValueError("integer model must say its mean keys, as those of `taylorvit quantize` do")


def _grids_of_steps(vit: IntegerVit, factors: dict[str, torch.Tensor]) -> dict:
    """(step of the grid, offset, bits) of each activation by name; in integers a norm is divided by its factors."""
    grids = {}
    for operation in vit.program:
        if isinstance(operation, Rounded):
            step = torch.as_tensor(np.ldexp(1.0, vit.scale(operation.name)))
            offset = vit.offsets.get(operation.name, 0) * step + torch.from_numpy(vit.key_mean(operation.name))
            if isinstance(operation, Embedding):  # in floating point, its prefix tokens are whole
                bias = vit.real(operation.branch, vit.tensors[cast(Linear, vit.program[operation.branch]).bias])
                offset = torch.zeros(operation.shape)
                offset[: operation.prefix] = torch.from_numpy(bias)
            grids[operation.name] = step * factors.get(operation.name, torch.tensor(1.0)), offset, operation.width
    return grids


def _grids_of_weights(vit: IntegerVit, factors: dict[str, torch.Tensor], std: tuple[float, ...]) -> dict:
    """(step of the grid, offset, bits) of each weight that integers have, by its name in `_FloatSteps`."""
    grids = {}
    for operation in vit.program:
        if isinstance(operation, Linear):
            shifts = vit.left_shifts(operation.name)  # of channels, or one for all
            step = torch.as_tensor(np.ldexp(1.0, vit.exponents[operation.weight] + shifts)).reshape(-1, 1)
            # In integers, weights are multiplied by the factors of a norm, and those on pixels divided by 255 std.
            step = step / factors.get(operation.source, torch.tensor(1.0))
            if isinstance(vit.program[operation.source], Patches):
                step = step[..., None, None] * 255 * torch.tensor(std).view(-1, 1, 1)
            grids[f"model.{operation.float_weight}"] = step, 0.0, vit.program.parameters[operation.weight].bits
    return grids

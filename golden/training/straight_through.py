"""Quantization-aware training: forward, weights and activations are on the grids of an integer model; backward, not.

The gradient of rounding is taken to be 1 within the range of the integers, and 0 beyond it, where they saturate: the
straight-through estimator (Bengio et al., arXiv 1308.3432). The grids are those of the integer model, and stay.

`golden.network.grids` says what is rounded.
"""

import torch
from torch import nn
from torch.func import functional_call

from taylorvit.golden.network.float_steps import FloatSteps, Steps
from taylorvit.golden.network.grids import grids_of_steps, grids_of_weights
from taylorvit.golden.network.integer_vit import IntegerVit
from taylorvit.golden.network.operations import Logits
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
        self.network = FloatSteps(model, vit.kernels)
        [self._logits] = [operation for operation in vit.program if isinstance(operation, Logits)]
        device = next(model.parameters()).device
        self._of_steps = {name: grid.to(device) for name, grid in grids_of_steps(vit).items()}
        self._of_weights = {f"model.{name}": grid.to(device) for name, grid in grids_of_weights(vit, std).items()}

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

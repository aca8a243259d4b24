"""The real values that the integers of an integer model stand for: grids, to round a float model to.

Rounded are the weights of linear layers and all activations, to 8 bits or the accelerator's widths. What attention and
LayerNorm round inside is not, nor are biases and gammas, which have 16 bits and more.
"""

from typing import Any, NamedTuple, cast

import numpy as np
import torch

from .integer_vit import IntegerVit
from .operations import Attention, Embedding, Linear, Norm, Patches, Rounded

__all__ = ["Grid", "grids_of_steps", "grids_of_weights"]


class Grid(NamedTuple):
    """A grid of real values.

    Attributes:
        step (torch.Tensor): what is between two of them; it broadcasts against what is rounded, as the offset does.
        offset (torch.Tensor): what the integer 0 stands for.
        bits (int): bits of the signed integers.
    """

    step: torch.Tensor
    offset: torch.Tensor
    bits: int

    def round(self, x: torch.Tensor) -> torch.Tensor:
        """Rounds to the grid, and saturates; backward, the gradient of rounding is 1 where nothing saturates."""
        limit = 1 << (self.bits - 1)
        scaled = ((x - self.offset) / self.step).clamp(-limit, limit - 1)
        whole = scaled + (torch.floor(scaled + 0.5).clamp(max=limit - 1) - scaled).detach()
        return whole * self.step + self.offset

    def finer(self, bits: int) -> "Grid":
        """The grid of so many bits more, of the same range."""
        return self._replace(step=self.step / (1 << bits), bits=self.bits + bits)

    def to(self, device: torch.device) -> "Grid":
        """The same on a device, in single precision."""
        of_device = (each.to(device, torch.float32) for each in (self.step, self.offset))
        step, offset = of_device
        return Grid(step, offset, self.bits)


def grids_of_steps(vit: IntegerVit) -> dict[str, Grid]:
    """The grid of each activation, by the name of the step; of a norm, with its smoothing undone.

    Args:
        vit (IntegerVit): as `quantize_vit` makes it.

    Raises:
        ValueError: it does not say how it was smoothed, or which mean keys it lacks.
    """
    factors = _smoothing_factors(vit)
    _check_key_means(vit)
    grids = {}
    for operation in vit.program:
        if isinstance(operation, Rounded):
            step = torch.as_tensor(np.ldexp(1.0, vit.scale(operation.name)))
            offset = vit.offsets.get(operation.name, 0) * step + torch.from_numpy(vit.key_mean(operation.name))
            if isinstance(operation, Embedding):  # in floating point, its prefix tokens are whole
                bias = vit.real(operation.branch, vit.tensors[cast(Linear, vit.program[operation.branch]).bias])
                offset = torch.zeros(operation.shape)
                offset[: operation.prefix] = torch.from_numpy(bias)
            factor = factors.get(operation.name, torch.tensor(1.0))
            grids[operation.name] = Grid(step * factor, offset, operation.width)
    return grids


def grids_of_weights(vit: IntegerVit, std: tuple[float, ...]) -> dict[str, Grid]:
    """The grid of each weight that integers have, by its name in the float model.

    Args:
        vit (IntegerVit): as `quantize_vit` makes it.
        std (tuple[float, ...]): standard deviation of each channel of the images, which is part of the integer weights
            of the patch embedding.

    Raises:
        ValueError: it does not say how it was smoothed.
    """
    factors = _smoothing_factors(vit)
    grids = {}
    for operation in vit.program:
        if isinstance(operation, Linear):
            shifts = vit.left_shifts(operation.name)  # of channels, or one for all
            step = torch.as_tensor(np.ldexp(1.0, vit.exponents[operation.weight] + shifts)).reshape(-1, 1)
            # In integers, weights are multiplied by the factors of a norm, and those on pixels divided by 255 std.
            step = step / factors.get(operation.source, torch.tensor(1.0))
            if isinstance(vit.program[operation.source], Patches):
                step = step[..., None, None] * 255 * torch.tensor(std).view(-1, 1, 1)
            bits = vit.program.parameters[operation.weight].bits
            grids[operation.float_weight] = Grid(step, torch.zeros(()), bits)
    return grids


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

"""Computes a network in floating point, step by step: what an integer model computes, by the same names.

Attention is that of the kernels of the integer model, in floating point, whatever the float model was trained with.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from taylorvit.golden.attention.float_attention import softmax_attention, taylor_attention

from .operations import (
    PIXELS,
    Add,
    Attention,
    Embedding,
    Linear,
    Logits,
    LookUp,
    Norm,
    Operation,
    Patches,
    Requantize,
    Rounded,
    unknown_operation,
)
from .program import compute, network_of
from .vit import VisionTransformer

__all__ = ["ATTENTIONS", "FUNCTIONS", "FloatSteps", "Rounding", "Steps", "float_result", "float_steps", "in_rows"]

Steps = dict[str, torch.Tensor]
Rounding = Callable[[str, torch.Tensor], torch.Tensor]

#: What `Attention` computes of q, k and v, by the name of its kernel.
ATTENTIONS: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "taylor": lambda q, k, v: taylor_attention(q, k, v).z,
    "softmax": softmax_attention,
}

#: What a `LookUp` computes, by the name of its function.
FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"gelu": functional.gelu}


def _unrounded(_name: str, x: torch.Tensor) -> torch.Tensor:
    return x


def float_steps(
    model: VisionTransformer,
    inputs: torch.Tensor,
    rounded: Rounding = _unrounded,
    *,
    kernels: str | tuple[str, ...] = "taylor",
) -> Steps:
    """Computes the activations and the scores of a float model, by their names, in order.

    Args:
        model (VisionTransformer): whose weights are taken.
        inputs (torch.Tensor): normalized images, (images, channels, size, size).
        rounded (Rounding): called with the name and the value of each activation; what it returns is what later
            operations read. Activations stay as they are if left out.
        kernels (str | tuple[str, ...]): attention kernel of each layer, or the name of that of all.
    """
    program = network_of(model.shape, kernels=kernels)
    scores = {head for operation in program if isinstance(operation, Logits) for head in operation.heads}
    steps: Steps = {}

    def result(operation: Operation, operands: list[torch.Tensor]) -> torch.Tensor:
        value = float_result(model, operation, operands)
        if isinstance(operation, Rounded):
            value = rounded(operation.name, value)
        if isinstance(operation, Rounded | Logits) or operation.name in scores:  # not the sums that integers requantize
            steps[operation.name] = value
        return value

    compute(program, {PIXELS: inputs}, result)
    return steps


class FloatSteps(nn.Module):
    """`float_steps` as a module, the parameters of which can be replaced in a call; their names begin with `model.`.

    Args:
        model (VisionTransformer): whose weights are taken.
        kernels (tuple[str, ...]): attention kernel of each layer.
    """

    def __init__(self, model: VisionTransformer, kernels: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.kernels = model, kernels

    def forward(self, inputs: torch.Tensor, rounded: Rounding) -> Steps:
        """Computes the steps of normalized images, as `float_steps` does."""
        return float_steps(self.model, inputs, rounded, kernels=self.kernels)


def float_result(model: VisionTransformer, operation: Operation, steps: list[torch.Tensor]) -> torch.Tensor:
    """Computes one operation.

    Args:
        model (VisionTransformer): whose weights are taken.
        operation (Operation): what is computed.
        steps (list[torch.Tensor]): the steps that it reads, with the shapes that they have in integers; the pixels are
            normalized images.
    """
    match operation:
        case Patches():
            [images] = steps  # the patch embedding is a convolution, and takes whole images
            return images
        case Linear():
            [x] = steps
            x = x[:, operation.token] if operation.token is not None else in_rows(operation, x)
            y = model.get_submodule(operation.module)(x)
            # The patch embedding has no rows of the prefix tokens. In integers they hold its bias, which the embedding
            # takes off again.
            return y if operation.token is not None else functional.pad(y, (0, 0, operation.rows - y.shape[1], 0))
        case Embedding():
            positions = model.pos_embed  # (1, rows, features)
            return model.with_prefix(torch.zeros_like(positions[:, operation.prefix :]))
        case Norm():
            [x] = steps
            return model.get_submodule(operation.module)(x)[:, : operation.rows]
        case Requantize():
            [total] = steps  # (images, rows, columns)
            x = total[..., operation.first : operation.first + operation.features]
            return x if operation.heads is None else x.unflatten(2, (operation.heads, -1)).transpose(1, 2)
        case Attention():
            return ATTENTIONS[operation.kernel](*steps)
        case LookUp():
            return FUNCTIONS[operation.function](*steps)
        case Add():
            stream, branch = steps
            return stream + branch
        case Logits():
            return torch.stack(steps).mean(dim=0)
        case _:
            raise unknown_operation(operation)


def in_rows(operation: Linear, x: torch.Tensor) -> torch.Tensor:
    """The step that a linear layer reads with its heads side by side: (images, tokens, inputs)."""
    return x if operation.heads is None else x.transpose(1, 2).flatten(2)

"""Post-training quantization of a Vision Transformer: an integer model of it, with power-of-two scales throughout.

The method is P2-ViT's (arXiv 2405.19915) where it says one, operation by operation, on the float activations of
training images:

    exponent of a tensor   floor(log2(max|x| / 127.5)) + {-1, 0, 1, 2}, the one whose error at the output of what reads
                           the tensor is least: of the layer for activations, of attention for Q, K, V; coarser where
                           constants would not fit their registers
    weights                an exponent for each output channel, of the same candidates, by the error of the channel's
                           output; no more than 7 above the least one, and coarser where the bias would not fit 32 bits
                           beside it. The heads have one exponent together, since logits are compared
    GELU's output          an exponent and an offset: the largest of 0 to 127 with which the least value of the table
                           does not saturate, so that all bits are used; the bias of the next layer takes it up. Only
                           exponents with which no token, over all images, has an error of more than 1/32 of its
                           squares behind the next layer: pretrained models rest on single large features of the class
                           token, which the least error over all tokens would saturate
    GELU's input           an exponent and an offset: none, or the largest with which -3 does not saturate, below which
                           GELU is nearly 0; the bias of the layer before takes it up
    residual stream        an exponent, by the sum of two relative errors: of the stream, which goes on to later layers,
                           and of the normalized tokens, which this layer reads; below 12 bits also a left shift of 0
                           to 3 for each channel, by the channel's error (PTF of FQ-ViT, arXiv 2111.13824). From 12 bits
                           on, only exponents with which nothing saturates: the bits are better spent on unseen images
    smoothing              LayerNorm's outputs divided, and the columns of the weights behind it multiplied, by
                           2^round(log2(max|x_c|^a / max|w_c|^(1 - a))) for each channel c; a is 0.35, 0.5 or none at
                           all, by the error of the layer
    biases                 corrected by the mean error of the rounded weights, (W - W_rounded) mean(x) (bias correction
                           of DFQ, arXiv 1906.04721)
    keys of softmax        less the mean key of the calibration images, which softmax does not notice: it comes off the
                           bias of the layer before. Keys then lie around 0, and scores are smaller

Attention, where it is computed here, is that of the layer's kernel, Taylor or softmax, in floating point. No test image
is looked at. What is linear is folded: mean and standard deviation of the images into the patch embedding, smoothing
into gamma and beta.
"""

import copy
import math
import sys
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from taylorvit.golden.arithmetic.number_format import NetworkFormat, OperandFormat
from taylorvit.golden.arithmetic.quantizer import quantize_tensor
from taylorvit.golden.attention.constants import Constants
from taylorvit.golden.attention.kernels import KERNELS

from .float_steps import FUNCTIONS, Steps, float_result, in_rows
from .integer_layers import NORMALIZED_FRACTION
from .integer_vit import IntegerVit, to_pixels
from .operations import (
    LARGEST_LEFT_SHIFT,
    LARGEST_OFFSET,
    LARGEST_WEIGHT_SHIFT,
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
    Stream,
    unknown_operation,
)
from .program import compute, each_layer, kernels_of, network_of
from .vit import EPSILON, VisionTransformer

__all__ = ["quantize_vit"]

_CANDIDATES = (-1, 0, 1, 2)
# Below it, a function is nearly constant: what it is of saturates there without harm.
_FLAT_BELOW = {"gelu": -3.0}
# A table with an offset has about twice the range.
_OFFSET_CANDIDATES = (-2, *_CANDIDATES)
# From this width on, a residual stream has bits enough without saturating, and without left shifts.
_WIDE_STREAM = 12
_WIDE_CANDIDATES = (1, 2)
_SMOOTHING = (None, 0.35, 0.5)

# Of the squares of a token behind a table, over all images: 15 dB. A token of which the largest features saturate in
# every image has more, one of which they do so in a few images has far less.
_LARGEST_PART_WRONG = 1 / 32

# Errors behind a layer are summed over so many images at a time, which stay in the processor's cache.
_IMAGES_AT_ONCE = 4

# Biases of 32 bits stay below 2^30: the rest is for the products that they are added to.
_BIAS_BITS = 30


def quantize_vit(
    model: VisionTransformer,
    images: torch.Tensor,
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    number_format: OperandFormat | None = None,
    attention: str | Sequence[str] | None = None,
    data: dict | None = None,
    quantization: dict | None = None,
    progress: Callable[[str], None] = lambda _step: None,
) -> IntegerVit:
    """Makes an integer model of a float model.

    Args:
        model (VisionTransformer): the float model, which stays as it is.
        images (torch.Tensor): training images, (images, channels, size, size), values of 0 to 1: a hundred or so.
        mean (tuple[float, ...]): mean of each channel, with which the model's inputs are normalized.
        std (tuple[float, ...]): standard deviation of each channel.
        number_format (OperandFormat | None): of the accelerator, or of attention alone; `NetworkFormat()` if left out.
        attention (str | Sequence[str] | None): attention kernel of each layer, "taylor" or "softmax", or that of all
            layers; what the float model has if left out: softmax where it has softmax, Taylor attention where it has
            that or ViTALiTy's.
        data (dict | None): what the file is to say of the images.
        quantization (dict | None): what the file is to say of this quantization.
        progress (Callable[[str], None]): called with the name of each layer as it begins.

    Raises:
        ValueError: the model has an attention that no kernel computes, weights that are not finite, or logits too large
            for the registers; there is no such kernel, or not one for each layer; or the images are of another shape.
        OverflowError: sums could need more bits than there are.
    """
    own = kernels_of([choice.name for choice in model.attentions])
    kernels = each_layer(own if attention is None else attention, model.shape.depth)
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise ValueError(f"weights must be finite, and {name} is not")
    size = (model.shape.channels, model.shape.image_size, model.shape.image_size)
    if images.ndim != 4 or images.shape[1:] != size or not len(images):
        raise ValueError(f"images must be of shape (images, {', '.join(map(str, size))}), not {tuple(images.shape)!r}")
    with torch.no_grad():
        in_double = copy.deepcopy(model).double().eval()
        quantizer = _Quantizer(in_double, images, mean, std, NetworkFormat.around(number_format), kernels)
        vit = quantizer.run(progress)
    vit.data, vit.quantization = data or {}, {**(quantization or {}), "smoothing": quantizer.smoothing}
    if quantizer.key_means:
        vit.quantization["key_means"] = {name: mean.tolist() for name, mean in quantizer.key_means.items()}
    vit.widths()
    return vit


class _Quantizer:
    """The state of one quantization: the float model, the steps of one layer, and the integers so far."""

    def __init__(
        self, model: VisionTransformer, images, mean, std, number_format: NetworkFormat, kernels: tuple[str, ...]
    ) -> None:
        self.model, self.number_format = model, number_format
        self.program = network_of(model.shape, number_format, kernels=kernels)
        self.mean, self.std = (torch.tensor(each, dtype=torch.float64).view(-1, 1, 1) for each in (mean, std))
        self.pixels = torch.from_numpy(to_pixels(images)).double()
        self.float: Steps = {PIXELS: (self.pixels / 255 - self.mean) / self.std}
        self.factors: Steps = {}  # of the channels of each norm, by which smoothing divides it
        self.key_means: Steps = {}  # (features,), what is taken off the keys of softmax attention
        self.tensors: dict[str, np.ndarray] = {}
        self.exponents: dict[str, int] = {}
        self.offsets: dict[str, int] = {}
        self.registers: list[Constants] = []

    @property
    def smoothing(self) -> dict[str, list[int]]:
        """The log2 of the factor of each channel, by norm."""
        return {name: torch.log2(factors).int().tolist() for name, factors in self.factors.items()}

    def run(self, progress: Callable[[str], None]) -> IntegerVit:
        shape = self.model.shape
        for layer, operations in self.program.parts():
            if layer is not None:
                progress(f"layer {layer + 1} of {shape.depth}")
            self._compute(operations)
            for operation in operations:
                self._quantize(operation)
        return IntegerVit(shape, self.tensors, self.exponents, self.offsets, self.registers, self.number_format)

    def _compute(self, operations: tuple[Operation, ...]) -> None:
        """The float steps of a part of the network, which replace those of the part before."""
        given, self.float = self.float, {}

        def result(operation: Operation, steps: list[torch.Tensor]) -> torch.Tensor:
            self.float[operation.name] = float_result(self.model, operation, steps)
            return self.float[operation.name]

        compute(operations, given, result)
        for operation in operations:
            if isinstance(operation, Attention) and operation.kernel == "softmax":
                self._centre_keys(operation)

    def _centre_keys(self, operation: Attention) -> None:
        """Takes the mean key off the keys: of 6 significant digits, so that the file can say it."""
        keys = self.float[operation.k]  # (images, heads, rows, head_dim)
        rounded = [float(f"{each:.6g}") for each in keys.mean(dim=(0, 2)).flatten().tolist()]
        self.key_means[operation.k] = mean = torch.tensor(rounded, dtype=torch.float64)  # (features,)
        self.float[operation.k] = keys - mean.view(1, operation.heads, 1, operation.head_dim)

    def _quantize(self, operation: Operation) -> None:
        match operation:
            case Patches():
                pass  # integers already
            case Linear() if isinstance(self.program[operation.source], Patches):
                self._patch_embedding(operation)
            case Linear():
                self._linear(operation)
            case Embedding():
                self._embedding(operation)
            case Norm():
                self._norm(operation)
            case Requantize():
                self._requantize(operation)
            case Attention():
                self._attention(operation)
            case LookUp():
                self._look_up(operation)
            case Add():
                self._add(operation)
            case Logits():
                head, *others = operation.heads
                self.exponents[operation.name] = self.exponents[head] - len(others)  # half of a sum of two
            case _:
                raise unknown_operation(operation)

    def _patch_embedding(self, operation: Linear) -> None:
        """On pixels minus 128: weights / (255 std), and the rest into the bias."""
        projection = self.model.patch_embed.proj
        weight = projection.weight / (255 * self.std)  # (width, channels, patch, patch)
        offset = (128 / 255 - self.mean) / self.std  # what a pixel of 128 is for the model
        assert projection.bias is not None
        bias = projection.bias + (projection.weight * offset).sum(dim=(1, 2, 3))  # (width,)
        weight = weight.flatten(1)  # (width, channels patch^2)
        # Every pixel weighs the same here: the error of the weights themselves.
        exponents = _least_by_channel(weight, torch.eye(weight.shape[1], dtype=weight.dtype))
        patch = self.model.shape.patch_size
        mean_patch = functional.unfold(self.pixels - 128, patch, stride=patch).mean(dim=(0, 2))  # (channels patch^2,)
        self._put_linear(operation, weight, bias, exponents, 0, mean_patch)

    def _linear(self, operation: Linear) -> None:
        layer, factors = self._layer(operation), self.factors.get(operation.source, torch.ones(()))
        weight = layer.weight * factors
        x = in_rows(operation, self.float[operation.source] / factors).reshape(-1, operation.inputs)
        if operation.by_channel:
            exponents = _least_by_channel(weight, x.T @ x)
        else:
            exponents = self._common_exponent(operation, x, factors).expand(operation.features)
        bias = layer.bias.clone()
        for reader in self.program.readers(operation.name):
            if isinstance(reader, Requantize) and reader.name in self.key_means:
                bias[reader.first : reader.first + reader.features] -= self.key_means[reader.name]
        self._put_linear(operation, weight, bias, exponents, self.exponents[operation.source], x.mean(dim=0))

    def _common_exponent(self, operation: Linear, x: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """The exponent of all layers that read the step of this one."""
        layers = [
            self._layer(reader) for reader in self.program.readers(operation.source) if isinstance(reader, Linear)
        ]
        weight, bias = (
            torch.cat([layer.weight for layer in layers]) * factors,
            torch.cat([each.bias for each in layers]),
        )
        wanted = x @ weight.T
        exponent = _least(_scale_candidates(weight), lambda e: x @ _quantized(weight, e).T - wanted)
        return torch.tensor(exponent).maximum(_finest_for_bias(bias).max() - self.exponents[operation.source])

    def _put_linear(
        self,
        operation: Linear,
        weight: torch.Tensor,
        bias: torch.Tensor,
        exponents: torch.Tensor,
        input_exponent: int,
        mean_input: torch.Tensor,
    ) -> None:
        """`mean_input`, (inputs,), is the mean of what the layer gets: its mean output stays, though weights round."""
        exponents = exponents.maximum(_finest_for_bias(bias) - input_exponent)
        exponent = max(int(exponents.min()), int(exponents.max()) - LARGEST_WEIGHT_SHIFT)
        exponents = exponents.clamp_min(exponent)  # (features,)
        rounded = _quantized(weight, exponents[:, None])
        bias = bias + (weight - rounded) @ mean_input
        self.exponents[operation.weight] = exponent
        self.exponents[operation.name] = exponent + input_exponent
        integers = (rounded / _step(exponents[:, None])).numpy().astype(np.int64)
        self.tensors[operation.weight] = integers
        if operation.by_channel:
            self.tensors[operation.weight_shift] = (exponents - exponent).numpy().astype(np.int64)
        self.tensors[operation.bias] = _integers(bias, (exponents + input_exponent).numpy())
        # What the layer reads is less than what it stands for by the offset.
        self.tensors[operation.bias] += self.offsets.get(operation.source, 0) * integers.sum(axis=1)

    def _embedding(self, operation: Embedding) -> None:
        """Prefix tokens and positions; of the prefix tokens, less the bias that the patch embedding adds to them."""
        branch = cast(Linear, self.program[operation.branch])
        x = self.float[operation.name][0].clone()  # (rows, features)
        x[: operation.prefix] -= torch.from_numpy(
            np.ldexp(self.tensors[branch.bias].astype(float), self._scale(branch.name))
        )
        self._stream(operation, x, _relative_error)
        scale = self._scale(operation.name)  # (features,)
        self.tensors[operation.integers] = np.stack(
            [quantize_tensor(x[:, c], int(scale[c]), operation.width) for c in range(operation.features)], axis=1
        )

    def _add(self, operation: Add) -> None:
        """The residual stream: no finer than the finer one of its operands, since sums are only shifted right."""
        x = self.float[operation.name].reshape(-1, operation.features)

        def error(rounded: torch.Tensor, x: torch.Tensor) -> float:
            norms = (functional.layer_norm(each, x.shape[-1:], eps=EPSILON) for each in (rounded, x))
            return _relative_error(rounded, x) + _relative_error(*norms)

        finest = np.minimum(self._scale(operation.stream), self._scale(operation.branch))
        self._stream(operation, x, error, torch.from_numpy(finest))

    def _stream(
        self,
        operation: Stream,
        x: torch.Tensor,
        error: Callable[[torch.Tensor, torch.Tensor], float],
        finest: torch.Tensor | None = None,
    ) -> None:
        """The exponent and the left shifts of a residual stream, (rows, features), none finer than the finest."""
        wide = operation.width >= _WIDE_STREAM
        shifts = torch.arange(1 if wide else LARGEST_LEFT_SHIFT + 1)
        least = torch.tensor(-sys.maxsize) if finest is None else finest
        candidates = []
        for base in _scale_candidates(x, operation.width, _WIDE_CANDIDATES if wide else _CANDIDATES):
            exponent = max(base - int(shifts.max()), int(least.max()) - int(shifts.max()))
            rounded = torch.stack([_quantized(x, exponent + int(shift), operation.width) for shift in shifts])
            errors = ((rounded - x) ** 2).sum(dim=1)  # (shifts, features)
            allowed = exponent + shifts[:, None] >= least
            chosen = errors.where(allowed, torch.inf).argmin(dim=0)  # (features,)
            best = rounded.gather(0, chosen.expand(1, *x.shape))[0]
            candidates.append((error(best, x), exponent, chosen))
        _error, self.exponents[operation.name], chosen = min(candidates, key=lambda candidate: candidate[0])
        self.tensors[operation.left_shift] = chosen.numpy().astype(np.int64)

    def _scale(self, name: str) -> np.ndarray:
        """The exponent of each channel of a residual stream or of sums."""
        operation = self.program[name]
        shifts = operation.left_shift if isinstance(operation, Stream) else cast(Linear, operation).weight_shift
        return self.exponents[name] + self.tensors[shifts]

    def _norm(self, operation: Norm) -> None:
        """A LayerNorm: one smoothing and one exponent for all that read it."""
        y = self.float[operation.name].reshape(-1, operation.features)
        layers = [self._layer(reader) for reader in self.program.readers(operation.name) if isinstance(reader, Linear)]
        weight = torch.cat([layer.weight for layer in layers])  # (outputs, features)
        products = weight.T @ weight  # an error e of y is one of e products e^T behind the layers
        candidates = []
        for strength in _SMOOTHING:
            factors = _smoothing(y, weight, strength)  # (features,)
            smooth = y / factors
            for exponent in _scale_candidates(smooth, operation.width):
                wrong = _quantized(smooth, exponent, operation.width) * factors - y
                error = float(((wrong @ products) * wrong).sum())
                candidates.append((error, exponent, factors))
        _error, self.exponents[operation.name], factors = min(candidates, key=lambda candidate: candidate[0])
        self.factors[operation.name] = factors
        norm = cast(nn.LayerNorm, self.model.get_submodule(operation.module))
        gamma, beta = norm.weight / factors, norm.bias / factors
        bits = self.program.parameters[operation.gamma].bits
        exponent = math.frexp(float(gamma.abs().max()) or 1.0)[1] - (bits - 1)
        exponent = max(exponent, int(_finest_for_bias(beta).max()) + NORMALIZED_FRACTION)
        self.exponents[operation.gamma] = exponent
        self._put(operation.gamma, gamma, exponent)
        self.tensors[operation.beta] = _integers(beta, exponent - NORMALIZED_FRACTION)

    def _requantize(self, operation: Requantize) -> None:
        """The exponent, no finer than the sums, which shift right; and the offset of what is looked up."""
        columns = slice(operation.first, operation.first + operation.features)
        sums = self._scale(operation.source)[columns]
        exponents = [
            max(exponent, int(sums.max()))
            for exponent in _scale_candidates(self.float[operation.name], operation.width)
        ]
        [reader] = self.program.readers(operation.name)
        if not isinstance(reader, LookUp):
            self.exponents[operation.name], _offset = self._least_behind(operation, [(each, 0) for each in exponents])
            return
        choices = []
        for exponent in exponents:
            offset = _offset_for(_FLAT_BELOW[reader.function], exponent, operation.width)
            fits = offset << int((exponent - sums).max()) < 1 << _BIAS_BITS
            choices += [(exponent, offset if fits else 0), (exponent, 0)]  # of equals, the one with room above
        exponent, offset = self._least_behind(operation, choices)
        self.exponents[operation.name], self.offsets[operation.name] = exponent, offset
        self.tensors[cast(Linear, self.program[operation.source]).bias][columns] -= offset << (exponent - sums)

    def _look_up(self, operation: LookUp) -> None:
        """Exponent, offset and table."""
        limit = 1 << (operation.source_width - 1)
        entries = np.arange(-limit, limit) + float(self.offsets[operation.source])
        inputs = torch.from_numpy(np.ldexp(entries, self.exponents[operation.source]))
        values = FUNCTIONS[operation.function](inputs)
        exponents = _scale_candidates(self.float[operation.name], operation.width, _OFFSET_CANDIDATES)
        choices = [(exponent, _offset_for(float(values.min()), exponent, operation.width)) for exponent in exponents]
        exponent, offset = self._least_behind(operation, choices, _LARGEST_PART_WRONG)
        self.exponents[operation.name], self.offsets[operation.name] = exponent, offset
        self._put(operation.table, values - math.ldexp(offset, exponent), exponent)

    def _least_behind(
        self, operation: Rounded, choices: list[tuple[int, int]], allowed: float = math.inf
    ) -> tuple[int, int]:
        """The exponent and the offset of the least error at the output of what reads the step.

        `allowed` is the largest part of its squares that may be wrong of a token, over all images. Where each choice
        has a token of which more is wrong, the one with which the largest part is least.
        """
        choices = list(dict.fromkeys(choices))
        errors = [torch.zeros(())] * len(choices)  # (rows,) each
        squares = torch.zeros(())
        for begin in range(0, len(self.pixels), _IMAGES_AT_ONCE):
            images = slice(begin, begin + _IMAGES_AT_ONCE)
            x = self.float[operation.name][images]
            wanted = self._behind(operation, x, images)
            squares = squares + _squares_of_rows(wanted)
            for index, (exponent, offset) in enumerate(choices):
                real = math.ldexp(offset, exponent)
                rounded = _quantized(x - real, exponent, operation.width) + real
                errors[index] = errors[index] + _squares_of_rows(self._behind(operation, rounded, images) - wanted)

        def ranks(index: int) -> tuple[float, float]:
            largest = float((errors[index] / squares.clamp_min(sys.float_info.min)).max())
            return max(largest, allowed), float(errors[index].sum())

        return choices[min(range(len(choices)), key=ranks)]

    def _behind(self, operation: Rounded, x: torch.Tensor, images: slice) -> torch.Tensor:
        """What attention or the next linear layer makes of x in place of a step, (..., rows, features)."""
        [reader] = self.program.readers(operation.name)
        match reader:
            case Linear():
                return x @ self._layer(reader).weight.T
            case LookUp():
                return self._behind(reader, FUNCTIONS[reader.function](x), images)
            case Attention():
                operands = [x if source == operation.name else self.float[source][images] for source in reader.sources]
                return float_result(self.model, reader, operands)
            case _:
                raise TypeError(f"reader of {operation.name} must be linear, a look-up or attention, not {reader!r}")

    def _attention(self, operation: Attention) -> None:
        """The registers of the layer, Z's exponent, and coarser exponents of Q and K where the registers need them."""
        kernel, number_format = KERNELS[operation.kernel], self.number_format
        rows, head_dim = operation.rows, operation.head_dim
        q_exp, k_exp, v_exp = (self.exponents[source] for source in operation.sources)
        q_exp, k_exp = kernel.fitting_exponents(q_exp, k_exp, rows, head_dim, number_format)
        self.exponents[operation.q], self.exponents[operation.k] = q_exp, k_exp
        steps = (
            quantize_tensor(self.float[source], self.exponents[source], operation.width) for source in operation.sources
        )
        q, k, v = (step.reshape(-1, rows, head_dim) for step in steps)
        scales = kernel.scales(q, k, v, q_exp, k_exp, v_exp, number_format)
        self.registers.append(scales.constants)
        self.exponents[operation.name] = scales.z_exp

    def _layer(self, operation: Linear) -> nn.Linear:
        return cast(nn.Linear, self.model.get_submodule(operation.module))

    def _put(self, name: str, x: torch.Tensor, exponent: int) -> None:
        self.tensors[name] = quantize_tensor(x, exponent, self.program.parameters[name].bits)


def _scale_candidates(x: torch.Tensor, width: int = 8, candidates: tuple[int, ...] = _CANDIDATES) -> list[int]:
    """P2-ViT's exponents to choose from: around that of the largest magnitude."""
    largest = float(x.abs().max())
    alpha = math.log2(largest / ((1 << (width - 1)) - 0.5)) if largest > 0 else -width
    return [math.floor(alpha) + candidate for candidate in candidates]


def _least_by_channel(weight: torch.Tensor, products: torch.Tensor) -> torch.Tensor:
    """The exponent of each output channel of a weight, (outputs, inputs), for the least squared error of its output.

    `products`, (inputs, inputs), are x^T x, the sums of the products of each two inputs: an error e of a channel's
    weights is one of e x^T x e^T at its output. Channels of zeros fit any exponent, and have the coarsest of the
    others.
    """
    largest = weight.abs().amax(dim=1)  # (outputs,)
    if not largest.any():
        return torch.full(largest.shape, -8)
    some = largest > 0
    lowest = torch.log2(largest.where(some, largest.max()) / 127.5).floor().int()
    candidates = torch.stack([lowest + candidate for candidate in _CANDIDATES])  # (candidates, outputs)
    wrong = [_quantized(weight, each[:, None]) - weight for each in candidates]  # (outputs, inputs) each
    errors = torch.stack([((each @ products) * each).sum(dim=1) for each in wrong])
    best = candidates.gather(0, errors.argmin(dim=0, keepdim=True))[0]
    return best.where(some, best[some].max())


def _offset_for(least: float, exponent: int, width: int) -> int:
    """The largest offset with which a value does not saturate."""
    return min(max((1 << (width - 1)) + math.floor(math.ldexp(least, -exponent) + 0.5), 0), LARGEST_OFFSET)


def _squares_of_rows(x: torch.Tensor) -> torch.Tensor:
    """The sum of squares of each row, (rows,), of x, (..., rows, features)."""
    return (x**2).sum(dim=-1).flatten(end_dim=-2).sum(dim=0)


def _relative_error(x: torch.Tensor, wanted: torch.Tensor) -> float:
    """Noise over signal; of a signal of zeros, the noise."""
    return float(((x - wanted) ** 2).sum()) / (float((wanted**2).sum()) or 1.0)


def _least(exponents: list[int], error: Callable[[int], torch.Tensor]) -> int:
    """The exponent of the least squared error."""
    return min(exponents, key=lambda exponent: float((error(exponent) ** 2).sum()))


def _quantized(x: torch.Tensor, exponent: int | torch.Tensor, width: int = 8) -> torch.Tensor:
    """Real values of what `quantize_tensor` makes of x, with one exponent or several that broadcast against it."""
    step, limit = _step(exponent), 1 << (width - 1)
    return torch.floor(x / step + 0.5).clamp(-limit, limit - 1) * step


def _step(exponent: int | torch.Tensor) -> torch.Tensor:
    """2^exponent, exactly."""
    return torch.as_tensor(np.ldexp(1.0, np.asarray(exponent)))


def _smoothing(y: torch.Tensor, weight: torch.Tensor, strength: float | None) -> torch.Tensor:
    """Power-of-two factor of each channel of y, (rows, features), for weights (outputs, features)."""
    if strength is None:
        return torch.ones(y.shape[1], dtype=y.dtype)
    tiny = 1e-8  # a channel that is always 0 keeps finite factors
    ratio = y.abs().amax(dim=0).clamp_min(tiny) ** strength / weight.abs().amax(dim=0).clamp_min(tiny) ** (1 - strength)
    return torch.exp2(torch.log2(ratio).round().clamp(-8, 8))


def _finest_for_bias(bias: torch.Tensor) -> torch.Tensor:
    """The finest exponent in which each bias has no more than its bits; far below all others for zero."""
    return torch.frexp(bias.abs().clamp_min(sys.float_info.min)).exponent - _BIAS_BITS


def _integers(x: torch.Tensor, exponent: int | np.ndarray) -> np.ndarray:
    """Integers nearest to x / 2^exponent, rounded half up."""
    return np.floor(np.ldexp(x.numpy(), -exponent) + 0.5).astype(np.int64)

"""From a trained Vision Transformer to an integer one, after training, with power-of-two scales everywhere.

The method is P2-ViT's (arXiv 2405.19915) where it says one, layer by layer, on the float activations of training
images:

    exponent of a tensor   floor(log2(max|x| / 127.5)) + {-1, 0, 1, 2}, the one whose error at the output of what reads
                           the tensor is least: of the layer for weights and activations, of attention for Q, K, V;
                           coarser where biases would not fit 32 bits beside it, or constants their registers
    residual stream        an exponent, by the sum of two relative errors: of the stream, which goes on to later layers,
                           and of the normalized tokens, which this layer reads; and a left shift of 0 to 3 for each
                           channel, by the channel's error (PTF of FQ-ViT, arXiv 2111.13824)
    smoothing              LayerNorm's outputs divided, and the columns of the weights behind it multiplied, by
                           2^round(log2(max|x_c|^a / max|w_c|^(1 - a))) for each channel c; a is 0.35, 0.5 or none at
                           all, by the error of the layer

    biases                 corrected by the mean error of the rounded weights, (W - W_rounded) mean(x) (bias correction
                           of DFQ, arXiv 1906.04721)

Nothing here is looked up in test images. What is linear is folded: mean and deviation of the images into the patch
embedding, positions into its bias, smoothing into gamma and beta.
"""

import copy
import math
import sys
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from taylorvit.golden.arithmetic.number_format import NumberFormat
from taylorvit.golden.arithmetic.quantizer import constants_for, fitting_exponents, quantize_tensor
from taylorvit.golden.attention.float_attention import taylor_attention
from taylorvit.golden.attention.integer_attention import JobConstants

from .integer_layers import NORMALIZED_FRACTION
from .integer_vit import EPSILON, LARGEST_LEFT_SHIFT, IntegerVit, to_pixels
from .vit import VisionTransformer

__all__ = ["Rounding", "Steps", "float_steps", "quantize_vit"]

_CANDIDATES = (-1, 0, 1, 2)
_CHANNEL_SHIFTS = range(LARGEST_LEFT_SHIFT + 1)
_SMOOTHING = (None, 0.35, 0.5)
_GAMMA_BITS = 16

# Biases of 32 bits stay below 2^30: the rest is for the products that they are added to.
_BIAS_BITS = 30

Steps = dict[str, torch.Tensor]
Rounding = Callable[[str, torch.Tensor], torch.Tensor]


def quantize_vit(
    model: VisionTransformer,
    images: torch.Tensor,
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    number_format: NumberFormat | None = None,
    data: dict | None = None,
    quantization: dict | None = None,
    progress: Callable[[str], None] = lambda _step: None,
) -> IntegerVit:
    """The integer model of a trained one, whose attention is Taylor attention then, whatever it was trained with.

    Args:
        images: training images, (images, channels, size, size), 0 to 1: a hundred or so.
        mean, std: with which the model's inputs were normalized, a channel.
        number_format: of the accelerator.
        data, quantization: what the file is to say of the images and of this quantization.
        progress: told each step.

    Raises:
        ValueError: attention of another kind than softmax, Taylor or ViTALiTy; weights that are not finite; images of
            another shape, or none; logits so large that the constant n sqrt(d) vanishes beside them.
        OverflowError: sums that could need more than 32 bits.
    """
    if model.attention.name not in ("softmax", "taylor", "vitality"):
        raise ValueError(f"attention must be softmax, taylor or vitality, not {model.attention.name!r}: "
                         "the accelerator computes Taylor attention")  # fmt: skip
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise ValueError(f"weights must be finite, and {name} is not")
    size = (model.shape.channels, model.shape.image_size, model.shape.image_size)
    if images.ndim != 4 or images.shape[1:] != size or not len(images):
        raise ValueError(f"images must be of shape (images, {', '.join(map(str, size))}), not {tuple(images.shape)!r}")
    with torch.no_grad():
        in_double = copy.deepcopy(model).double().eval()
        quantizer = _Quantizer(in_double, images, mean, std, number_format or NumberFormat(), progress)
        vit = quantizer.run()
    vit.data, vit.quantization = data or {}, {**(quantization or {}), "smoothing": quantizer.smoothing}
    vit.widths()
    return vit


def _as_it_is(_name: str, x: torch.Tensor) -> torch.Tensor:
    return x


def float_steps(model: VisionTransformer, inputs: torch.Tensor, rounded: Rounding = _as_it_is) -> Steps:
    """What an `IntegerVit` computes between its layers, by the same names, of a float model with Taylor attention.

    Args:
        inputs: normalized images, (images, channels, size, size).
        rounded: what the layers behind a step get of it, from its name and value; as it is, if left out.
    """
    steps = {"residual.0": rounded("residual.0", model.embed(inputs))}
    for layer in range(model.shape.depth):
        steps |= _steps_of_block(model, layer, steps[f"residual.{2 * layer}"], rounded)
    return steps | _steps_of_heads(model, steps[f"residual.{2 * model.shape.depth}"], rounded)


def _steps_of_block(model: VisionTransformer, layer: int, x: torch.Tensor, rounded: Rounding = _as_it_is) -> Steps:
    block, name = model.blocks[layer], f"blocks.{layer}"
    steps: Steps = {}

    def note(step: str, value: torch.Tensor) -> torch.Tensor:
        steps[step] = rounded(step, value)
        return steps[step]

    y = note(f"{name}.norm1", block.norm1(x))
    q, k, v = (note(f"{name}.{step}", operand) for step, operand in zip("qkv", block.attn.project(y), strict=True))
    z = note(f"{name}.z", taylor_attention(q, k, v).z)
    x = note(f"residual.{2 * layer + 1}", x + block.attn.proj(z.transpose(1, 2).flatten(2)))
    y = note(f"{name}.norm2", block.norm2(x))
    hidden = note(f"{name}.hidden", block.mlp.fc1(y))
    y = note(f"{name}.gelu", block.mlp.act(hidden))
    note(f"residual.{2 * layer + 2}", x + block.mlp.fc2(y))
    return steps


def _steps_of_heads(model: VisionTransformer, x: torch.Tensor, rounded: Rounding = _as_it_is) -> Steps:
    y = rounded("norm", model.norm(x)[:, : model.shape.extra_tokens])
    heads = {"head": model.head} | ({"head_dist": model.head_dist} if model.shape.distilled else {})
    scores = {name: head(y[:, token]) for token, (name, head) in enumerate(heads.items())}
    return {"norm": y, **scores, "logits": torch.stack(list(scores.values())).mean(dim=0)}


class _Quantizer:
    """The state of one quantization: the float model, its activations in one layer, and the integers so far."""

    def __init__(self, model, images, mean, std, number_format, progress) -> None:
        self.model, self.shape, self.number_format, self.progress = model, model.shape, number_format, progress
        self.mean, self.std = (torch.tensor(each, dtype=torch.float64).view(-1, 1, 1) for each in (mean, std))
        pixels = torch.from_numpy(to_pixels(images)).double()
        patch = self.shape.patch_size
        self.mean_patch = functional.unfold(pixels - 128, patch, stride=patch).mean(dim=(0, 2))  # (channels patch^2,)
        self.float = {"residual.0": model.embed((pixels / 255 - self.mean) / self.std)}
        self.tensors: dict[str, np.ndarray] = {}
        self.exponents: dict[str, int] = {}
        self.registers: list[JobConstants] = []
        self.smoothing: dict[str, list[int]] = {}  # of each norm: log2 of the factor of each channel

    def run(self) -> IntegerVit:
        self._patch_embedding()
        for layer in range(self.shape.depth):
            self.progress(f"layer {layer + 1} of {self.shape.depth}")
            block, name = self.model.blocks[layer], f"blocks.{layer}"
            self.float = _steps_of_block(self.model, layer, self.float[f"residual.{2 * layer}"])
            self._norm_and_linear(f"{name}.norm1", block.norm1, {f"{name}.qkv": block.attn.qkv})
            self._attention(name)
            self._linear(f"{name}.proj", f"{name}.z", block.attn.proj, self._merged(f"{name}.z"))
            self._residual(2 * layer + 1)
            self._norm_and_linear(f"{name}.norm2", block.norm2, {f"{name}.fc1": block.mlp.fc1})
            self._gelu(name, block.mlp)
            self._linear(f"{name}.fc2", f"{name}.gelu", block.mlp.fc2, self.float[f"{name}.gelu"])
            self._residual(2 * layer + 2)
        self.float = _steps_of_heads(self.model, self.float[f"residual.{2 * self.shape.depth}"])
        heads = {"head": self.model.head} | ({"head_dist": self.model.head_dist} if self.shape.distilled else {})
        self._norm_and_linear("norm", self.model.norm, heads)
        self.exponents["logits"] = min(self.exponents[name] for name in heads) - (len(heads) - 1)
        return IntegerVit(self.shape, self.tensors, self.exponents, self.registers, self.number_format)

    # Parts of the model, in its order

    def _patch_embedding(self) -> None:
        """On pixels minus 128: weights / (255 std), and the rest into the bias, with the position of each patch."""
        projection = self.model.patch_embed.proj
        weight = projection.weight / (255 * self.std)  # (width, channels, patch, patch)
        offset = (128 / 255 - self.mean) / self.std  # what a pixel of 128 is for the model
        bias = projection.bias + (projection.weight * offset).sum(dim=(1, 2, 3))  # (width,)
        extra = self.shape.extra_tokens
        bias = bias + self.model.pos_embed[0, extra:]  # (patches, width)
        weight = weight.flatten(1)  # (width, channels patch^2)
        scale = _scale_candidates(weight)
        # Every pixel weighs the same here: the error of the weights themselves.
        exponent = _least(scale, lambda e: _quantized(weight, e) - weight)
        self._put_linear("patch_embed", weight, bias, exponent, 0, self.mean_patch)
        self._residual(0)
        tokens = self.float["residual.0"][0, :extra]  # (extra, width), the same for every image
        grid = self.exponents["residual.0"] + self.tensors["residual.0.left_shift"]  # (width,)
        self.tensors["extra_tokens"] = np.stack([quantize_tensor(tokens[:, c], int(grid[c]), 8)
                                                 for c in range(self.shape.width)], axis=1)  # fmt: skip

    def _residual(self, stream: int) -> None:
        """The exponent and the left shifts of the stream."""
        name = f"residual.{stream}"
        x = self.float[name].reshape(-1, self.shape.width)
        wanted = functional.layer_norm(x, x.shape[-1:], eps=EPSILON)
        candidates = []
        for base in _scale_candidates(x):
            exponent = base - max(_CHANNEL_SHIFTS)
            errors = torch.stack([((_quantized(x, exponent + shift) - x) ** 2).sum(dim=0) for shift in _CHANNEL_SHIFTS])
            shifts = errors.argmin(dim=0)  # (width,)
            rounded = torch.stack([_quantized(x, exponent + shift) for shift in _CHANNEL_SHIFTS])
            rounded = rounded.gather(0, shifts.expand(1, *x.shape))[0]
            error = _relative_error(rounded, x)
            error += _relative_error(functional.layer_norm(rounded, x.shape[-1:], eps=EPSILON), wanted)
            candidates.append((error, exponent, shifts))
        _error, self.exponents[name], shifts = min(candidates, key=lambda candidate: candidate[0])
        self.tensors[f"{name}.left_shift"] = shifts.numpy().astype(np.int64)

    def _norm_and_linear(self, name: str, norm, linears: dict) -> None:
        """A LayerNorm and what reads it: one smoothing and one exponent for all of them."""
        y = self.float[name].reshape(-1, self.shape.width)
        weight = torch.cat([linear.weight for linear in linears.values()])  # (outputs, width)
        wanted = y @ weight.T
        candidates = []
        for strength in _SMOOTHING:
            factors = _smoothing(y, weight, strength)  # (width,)
            smooth, behind = y / factors, weight * factors
            for exponent in _scale_candidates(smooth):
                error = float(((_quantized(smooth, exponent) @ behind.T - wanted) ** 2).sum())
                candidates.append((error, exponent, factors))
        _error, self.exponents[name], factors = min(candidates, key=lambda candidate: candidate[0])
        self.smoothing[name] = torch.log2(factors).int().tolist()
        gamma, beta = norm.weight / factors, norm.bias / factors
        exponent = math.frexp(float(gamma.abs().max()) or 1.0)[1] - (_GAMMA_BITS - 1)
        exponent = max(exponent, _finest_for_bias(beta) + NORMALIZED_FRACTION)
        self.exponents[f"{name}.gamma"] = exponent
        self.tensors[f"{name}.gamma"] = quantize_tensor(gamma, exponent, _GAMMA_BITS)
        self.tensors[f"{name}.beta"] = _integers(beta, exponent - NORMALIZED_FRACTION)
        for of, linear in linears.items():
            self._linear(of, name, linear, y / factors, factors)

    def _linear(self, name: str, source: str, linear, x: torch.Tensor, factors=1.0) -> None:
        """A linear layer on the step `source`, float `x`; `factors` multiply the columns of its weights."""
        weight = linear.weight * factors
        x = x.reshape(-1, weight.shape[1])
        wanted = x @ weight.T
        exponent = _least(_scale_candidates(weight), lambda e: x @ _quantized(weight, e).T - wanted)
        self._put_linear(name, weight, linear.bias, exponent, self.exponents[source], x.mean(dim=0))

    def _put_linear(self, name: str, weight, bias, exponent: int, input_exponent: int, mean_input) -> None:
        """`mean_input`, (inputs,), is the mean of what the layer gets: its mean output stays, though weights round."""
        exponent = max(exponent, _finest_for_bias(bias) - input_exponent)
        bias = bias + (weight - _quantized(weight, exponent)) @ mean_input
        self.exponents[f"{name}.weight"] = exponent
        self.exponents[name] = exponent + input_exponent
        self.tensors[f"{name}.weight"] = quantize_tensor(weight, exponent, 8)
        self.tensors[f"{name}.bias"] = _integers(bias, exponent + input_exponent)

    def _attention(self, name: str) -> None:
        """Exponents of Q, K and V by the error of attention, then the registers of the layer and Z's exponent."""
        operands = [self.float[f"{name}.{operand}"] for operand in "qkv"]
        wanted = self.float[f"{name}.z"]
        width = self.number_format.data_width
        for index, operand in enumerate("qkv"):

            def error(exponent, index=index):
                rounded = list(operands)
                rounded[index] = _quantized(operands[index], exponent, width)
                return taylor_attention(*rounded).z - wanted

            self.exponents[f"{name}.{operand}"] = _least(_scale_candidates(operands[index], width), error)
        q_exp, k_exp, v_exp = (self.exponents[f"{name}.{operand}"] for operand in "qkv")
        tokens, head_dim = wanted.shape[2:]
        q_exp, k_exp = fitting_exponents(q_exp, k_exp, tokens, head_dim, self.number_format)
        self.exponents[f"{name}.q"], self.exponents[f"{name}.k"] = q_exp, k_exp
        q, k, v = (quantize_tensor(x, exponent, width).reshape(-1, tokens, head_dim)
                   for x, exponent in zip(operands, (q_exp, k_exp, v_exp), strict=True))  # fmt: skip
        scales = constants_for(q, k, v, q_exp, k_exp, v_exp, self.number_format)
        self.registers.append(scales.constants)
        self.exponents[f"{name}.z"] = scales.z_exp

    def _gelu(self, name: str, mlp) -> None:
        """Exponents before and after GELU, and its table."""
        hidden, y, weight = self.float[f"{name}.hidden"], self.float[f"{name}.gelu"], mlp.fc2.weight
        wanted = y @ weight.T
        before = _least(_scale_candidates(hidden), lambda e: functional.gelu(_quantized(hidden, e)) @ weight.T - wanted)
        after = _least(_scale_candidates(y), lambda e: _quantized(y, e) @ weight.T - wanted)
        inputs = torch.from_numpy(np.ldexp(np.arange(-128.0, 128.0), before))
        self.exponents[f"{name}.hidden"], self.exponents[f"{name}.gelu"] = before, after
        self.tensors[f"{name}.gelu.table"] = quantize_tensor(functional.gelu(inputs), after, 8)

    def _merged(self, name: str) -> torch.Tensor:
        """Z, (images, heads, tokens, head_dim), as the projection reads it: (images, tokens, width)."""
        return self.float[name].transpose(1, 2).flatten(2)


def _scale_candidates(x: torch.Tensor, width: int = 8) -> list[int]:
    """P2-ViT's exponents to choose from: around that of the largest magnitude."""
    largest = float(x.abs().max())
    alpha = math.log2(largest / ((1 << (width - 1)) - 0.5)) if largest > 0 else -width
    return [math.floor(alpha) + candidate for candidate in _CANDIDATES]


def _relative_error(x: torch.Tensor, wanted: torch.Tensor) -> float:
    """Noise over signal; of a signal of zeros, the noise."""
    return float(((x - wanted) ** 2).sum()) / (float((wanted**2).sum()) or 1.0)


def _least(exponents: list[int], error: Callable[[int], torch.Tensor]) -> int:
    """The exponent of the least squared error."""
    return min(exponents, key=lambda exponent: float((error(exponent) ** 2).sum()))


def _quantized(x: torch.Tensor, exponent: int, width: int = 8) -> torch.Tensor:
    """Real values of what `quantize_tensor` makes of x."""
    step, limit = 2.0**exponent, 1 << (width - 1)
    return torch.floor(x / step + 0.5).clamp(-limit, limit - 1) * step


def _smoothing(y: torch.Tensor, weight: torch.Tensor, strength: float | None) -> torch.Tensor:
    """Power-of-two factor of each channel of y, (rows, width), for weights (outputs, width)."""
    if strength is None:
        return torch.ones(y.shape[1], dtype=y.dtype)
    tiny = 1e-8  # a channel that is always 0 keeps finite factors
    ratio = y.abs().amax(dim=0).clamp_min(tiny) ** strength / weight.abs().amax(dim=0).clamp_min(tiny) ** (1 - strength)
    return torch.exp2(torch.log2(ratio).round().clamp(-8, 8))


def _finest_for_bias(bias: torch.Tensor) -> int:
    """The finest exponent in which a bias has no more than its bits; far below all others for one of zeros."""
    return math.frexp(float(bias.abs().max()) or sys.float_info.min)[1] - _BIAS_BITS


def _integers(x: torch.Tensor, exponent: int) -> np.ndarray:
    """x / 2^exponent, rounded half up."""
    return np.floor(np.ldexp(x.numpy(), -exponent) + 0.5).astype(np.int64)

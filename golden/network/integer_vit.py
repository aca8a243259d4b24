"""A Vision Transformer in integers only: what a whole model on the accelerator has to compute, bit for bit.

    pixels 8 bits --> patch_embed --> residual.0
    residual.2i   --> norm1 --> qkv --> Taylor attention --> proj --> + --> residual.2i+1
    residual.2i+1 --> norm2 --> fc1 --> GELU table --> fc2 --> + --> residual.2i+2
    residual.2L   --> norm --> head --> logits

Every tensor is integers with a power-of-two exponent, real = integer * 2^exponent, so that going from one exponent to
another is a shift with rounding. Tensors between layers have 8 bits; the residual stream has 8 bits and a left shift
for each channel besides (real = integer << left_shift * 2^exponent; P2-ViT, arXiv 2405.19915). Sums of products have at
most 32 bits, which `IntegerVit.widths` proves for the given weights, for all images.

Attention is `golden.attention.integer_attention`, the accelerator's contract, with the registers of a layer fixed for
all images. LayerNorm is that of `golden.network.integer_layers`, with an epsilon of 10^-6 D^2 / 4^exponent, rounded, at
least 1.

A model is a safetensors file of integers; its metadata "taylorvit" is a JSON text:

    kind           "integer vit"
    shape          sizes, the fields of `golden.network.vit.VitShape`
    exponents      of weights, gammas and what is between layers, by name
    registers      of each layer's attention: shift_g, shift_z, c_v, c_d
    number_format  of the accelerator, the fields of `golden.arithmetic.number_format.NumberFormat`
    data           name, classes of the images
    quantization   how it was made: checkpoint, images, recipe of the training, SQNR of steps in dB ("sqnr_db"), and for
                   each NORM the log2 of the factors by which its channels were smoothed ("smoothing")

and its tensors are, W features, L layers, T tokens of patches, E extra tokens (class, distillation):

    patch_embed.weight    (W, channels patch^2)  int8      of pixels minus 128, mean and deviation folded in
    patch_embed.bias      (T, W)                 int32     bias and position of each patch
    extra_tokens          (E, W)                 int8      class token, distillation token, with their positions
    residual.K.left_shift (W,)                   int8      of channels, K = 0 to 2 L: 0 to 3
    NORM.gamma            (W,)                   int16     NORM is blocks.i.norm1, blocks.i.norm2, norm
    NORM.beta             (W,)                   int32
    LINEAR.weight         (outputs, inputs)      int8      LINEAR is blocks.i.qkv, .proj, .fc1, .fc2, head, head_dist
    LINEAR.bias           (outputs,)             int32
    blocks.i.gelu.table   (256,)                 int8      of -128 to 127
"""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from taylorvit.golden.arithmetic.number_format import NumberFormat, check_integer
from taylorvit.golden.attention.integer_attention import JobConstants, integer_taylor_attention
from taylorvit.golden.checkpoints.checkpoint import Checkpoint, CheckpointError, load, save

from .integer_layers import (
    NORMALIZED_FRACTION,
    RECIPROCAL_FRACTION,
    VARIANCE_BITS,
    bits_of,
    layer_norm,
    look_up,
    matmul,
    requantize,
)
from .vit import VitShape

__all__ = ["EPSILON", "LARGEST_LEFT_SHIFT", "IntegerVit", "from_checkpoint", "load_integer_vit", "to_pixels"]

#: LayerNorm's epsilon, that of timm and of `golden.network.vit`.
EPSILON = 1e-6

#: Of a channel of the residual stream.
LARGEST_LEFT_SHIFT = 3

# 4^500 still is a number of double precision; no model comes near to it.
_EXPONENT_LIMIT = 500

_SUM_BITS = 32
_WORD_BITS = 64


def to_pixels(images) -> np.ndarray:
    """Images of 0 to 1, (images, channels, height, width), as pixels of 8 bits, 0 to 255."""
    return np.floor(np.asarray(images, dtype=np.float64) * 255 + 0.5).clip(0, 255).astype(np.int64)


@dataclass
class IntegerVit:
    """An integer Vision Transformer; the module's docstring names its tensors and exponents.

    Attributes:
        shape: sizes.
        tensors: integers by name, int64.
        exponents: by name: of `TENSOR.weight`, `NORM.gamma`, and of what is between layers.
        registers: of each layer's attention.
        number_format: widths of the accelerator that computes attention.
        data, quantization: what the file says of images and of how it was made.

    Raises:
        TypeError, ValueError: a tensor, an exponent or the registers of a layer are missing, too many, of another
            shape or out of range.
    """

    shape: VitShape
    tensors: dict[str, np.ndarray]
    exponents: dict[str, int]
    registers: list[JobConstants]
    number_format: NumberFormat = field(default_factory=NumberFormat)
    data: dict = field(default_factory=dict)
    quantization: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        expected = _tensors_of(self.shape)
        _check_names("tensors", self.tensors, expected)
        for name, (size, bits) in expected.items():
            _check_tensor(name, self.tensors[name], size, bits)
        _check_names("exponents", self.exponents, _exponents_of(self.shape))
        for name, exponent in self.exponents.items():
            check_integer(f"exponent of {name}", exponent, -_EXPONENT_LIMIT, _EXPONENT_LIMIT)
        if len(self.registers) != self.shape.depth:
            raise ValueError(f"registers must be of {self.shape.depth} layers, not {len(self.registers)}")
        for registers in self.registers:
            registers.check(self.number_format)

    # Computing

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Logits, integers (images, classes), of pixels 0 to 255, (images, channels, height, width).

        Raises:
            ValueError: pixels of another shape, none, or out of range. TypeError: pixels that are not integers.
        """
        return self._run(pixels, lambda _name, value: value)

    def with_errors(self, pixels: np.ndarray) -> tuple[np.ndarray, int]:
        """The logits, and in how many rows of attention, of all heads and layers, a denominator was not positive."""
        errors = []

        def count(name, value):
            if name.endswith(".denominator_errors"):
                errors.append(int(value))
            return value

        return self._run(pixels, count), sum(errors)

    def steps(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Every step by its name, in order; "logits" comes last. For a DeiT-Tiny, some 100 MB an image."""
        steps = {}

        def keep(name, value):
            steps[name] = value
            return value

        self._run(pixels, keep)
        return steps

    def real(self, name: str, value: np.ndarray) -> np.ndarray:
        """The real values, float64, of a step that has an exponent."""
        exponent = np.full((), self.exponents[name], dtype=np.int64)
        if name.startswith("residual."):
            exponent = exponent + self.tensors[f"{name}.left_shift"]
        return np.ldexp(value.astype(np.float64), exponent)

    def _run(self, pixels: np.ndarray, note) -> np.ndarray:
        x = self._embed(self._check_pixels(pixels), note)  # (images, tokens, width)
        for layer in range(self.shape.depth):
            x = self._attention_branch(layer, x, note)
            x = self._mlp_branch(layer, x, note)
        x = self._norm("norm", x[:, : self.shape.extra_tokens], f"residual.{2 * self.shape.depth}", note)
        return note("logits", self._heads(x, note))

    def _check_pixels(self, pixels: np.ndarray) -> np.ndarray:
        pixels = np.asarray(pixels)
        size = (self.shape.channels, self.shape.image_size, self.shape.image_size)
        if pixels.ndim != 4 or pixels.shape[1:] != size or not len(pixels):
            raise ValueError(f"pixels must be of shape (images, {', '.join(map(str, size))}), not {pixels.shape!r}")
        if not np.issubdtype(pixels.dtype, np.integer):
            raise TypeError(f"pixels must be integers, not {pixels.dtype}")
        for value in (int(pixels.min()), int(pixels.max())):
            check_integer("pixels", value, 0, 255)
        return pixels.astype(np.int64)

    def _embed(self, pixels: np.ndarray, note) -> np.ndarray:
        images, channels = pixels.shape[:2]
        patch = self.shape.patch_size
        side = self.shape.image_size // patch
        patches = pixels.reshape(images, channels, side, patch, side, patch)
        patches = patches.transpose(0, 2, 4, 1, 3, 5)  # (images, rows, columns, channels, patch, patch)
        patches = note("patches", patches.reshape(images, side * side, -1) - 128)  # (images, patches, channels patch^2)
        total = matmul(patches, self.tensors["patch_embed.weight"]) + self.tensors["patch_embed.bias"]
        note("patch_embed", total)
        grid = self.exponents["residual.0"] + self.tensors["residual.0.left_shift"]  # (width,)
        x = requantize(total, grid - self.exponents["patch_embed"], 8)
        extra = np.broadcast_to(self.tensors["extra_tokens"], (images, *self.tensors["extra_tokens"].shape))
        return note("residual.0", np.concatenate([extra, x], axis=1))

    def _attention_branch(self, layer: int, x: np.ndarray, note) -> np.ndarray:
        block = f"blocks.{layer}"
        images, tokens, width = x.shape
        heads, head_dim = self.shape.heads, self.shape.head_dim
        y = self._norm(f"{block}.norm1", x, f"residual.{2 * layer}", note)
        qkv = self._linear(f"{block}.qkv", y, note)  # (images, tokens, 3 width)
        operands = []
        for name, part in zip("qkv", np.split(qkv, 3, axis=-1), strict=True):
            shift = self.exponents[f"{block}.{name}"] - self.exponents[f"{block}.qkv"]
            part = requantize(part, shift, self.number_format.data_width)
            part = part.reshape(images, tokens, heads, head_dim).transpose(0, 2, 1, 3)
            operands.append(note(f"{block}.{name}", part).reshape(images * heads, tokens, head_dim))
        q, k, v = operands
        attention = integer_taylor_attention(q, k, v, self.registers[layer], self.number_format)
        note(f"{block}.denominator_errors", np.array(attention.denominator_errors))
        z = attention.z.reshape(images, heads, tokens, head_dim)
        z = note(f"{block}.z", z).transpose(0, 2, 1, 3).reshape(images, tokens, width)
        total = self._linear(f"{block}.proj", z, note)
        return self._add(2 * layer, x, f"{block}.proj", total, note)

    def _mlp_branch(self, layer: int, x: np.ndarray, note) -> np.ndarray:
        block = f"blocks.{layer}"
        y = self._norm(f"{block}.norm2", x, f"residual.{2 * layer + 1}", note)
        total = self._linear(f"{block}.fc1", y, note)
        hidden = requantize(total, self.exponents[f"{block}.hidden"] - self.exponents[f"{block}.fc1"], 8)
        y = note(f"{block}.gelu", look_up(note(f"{block}.hidden", hidden), self.tensors[f"{block}.gelu.table"]))
        total = self._linear(f"{block}.fc2", y, note)
        return self._add(2 * layer + 1, x, f"{block}.fc2", total, note)

    def _norm(self, name: str, x: np.ndarray, residual: str, note) -> np.ndarray:
        steps = layer_norm(
            x, self.tensors[f"{residual}.left_shift"], self._epsilon(residual), self.tensors[f"{name}.gamma"],
            self.tensors[f"{name}.beta"], self._norm_shift(name), 8,
        )  # fmt: skip
        for step in ("total", "variance", "reciprocal", "normalized"):
            note(f"{name}.{step}", getattr(steps, step))
        return note(name, steps.output)

    def _epsilon(self, residual: str) -> int:
        scaled = EPSILON * self.shape.width**2 * 2.0 ** (-2 * self.exponents[residual])
        return max(round(scaled), 1)

    def _norm_shift(self, name: str) -> int:
        return self.exponents[name] - (self.exponents[f"{name}.gamma"] - NORMALIZED_FRACTION)

    def _linear(self, name: str, x: np.ndarray, note) -> np.ndarray:
        return note(name, matmul(x, self.tensors[f"{name}.weight"]) + self.tensors[f"{name}.bias"])

    def _add(self, stream: int, x: np.ndarray, branch: str, total: np.ndarray, note) -> np.ndarray:
        """The residual stream and a branch's sums, in the finer of their exponents, to the next of the stream."""
        name = f"residual.{stream + 1}"
        before, branch_shift, after = self._add_shifts(stream, branch)
        both = note(f"{name}.sum", (x << before) + (total << branch_shift))
        return note(name, requantize(both, after, 8))

    def _add_shifts(self, stream: int, branch: str) -> tuple[np.ndarray, int, np.ndarray]:
        """Left shifts of stream and branch, and the right shift of their sum, by channel."""
        stream_exponents = self.exponents[f"residual.{stream}"] + self.tensors[f"residual.{stream}.left_shift"]
        finest = min(self.exponents[branch], int(stream_exponents.min()))
        next_exponents = self.exponents[f"residual.{stream + 1}"] + self.tensors[f"residual.{stream + 1}.left_shift"]
        return stream_exponents - finest, self.exponents[branch] - finest, next_exponents - finest

    def _heads(self, x: np.ndarray, note) -> np.ndarray:
        logits = self._linear("head", x[:, 0], note)
        if self.shape.distilled:  # the mean of two: their sum, in half of the exponent
            other = self._linear("head_dist", x[:, 1], note)
            finest = min(self.exponents["head"], self.exponents["head_dist"])
            logits = (logits << (self.exponents["head"] - finest)) + (other << (self.exponents["head_dist"] - finest))
        return logits

    # Widths

    @property
    def linears(self) -> list[str]:
        """The steps that are sums of products of the network's weights."""
        return [name.removesuffix(".weight") for name in self.tensors if name.endswith(".weight")]

    def widths(self) -> dict[str, int]:
        """Bits that each sum can need, for any image, by interval arithmetic over the weights; step -> bits, signed.

        Besides steps, NORM.product is centred * reciprocal, and STEP.unrounded what a step is before its requantization
        drops bits: with half of the last one that stays, or shifted left.

        Raises:
            OverflowError: a sum of products could need more than 32 bits, or another step more than 64.
        """
        widths: dict[str, int] = {}
        total = self._bound_linear(widths, "patch_embed", 8)
        grid = self.exponents["residual.0"] + self.tensors["residual.0.left_shift"]
        self._bound_requantized(widths, "patch_embed", total, grid - self.exponents["patch_embed"])
        for layer in range(self.shape.depth):
            block = f"blocks.{layer}"
            self._bound_norm(widths, f"{block}.norm1", f"residual.{2 * layer}")
            qkv = self._bound_linear(widths, f"{block}.qkv", 8)
            after = [self.exponents[f"{block}.{name}"] - self.exponents[f"{block}.qkv"] for name in "qkv"]
            self._bound_requantized(widths, f"{block}.qkv", qkv, after)
            proj = self._bound_linear(widths, f"{block}.proj", self.number_format.data_width)
            self._bound_sum(widths, 2 * layer, f"{block}.proj", proj)
            self._bound_norm(widths, f"{block}.norm2", f"residual.{2 * layer + 1}")
            fc1 = self._bound_linear(widths, f"{block}.fc1", 8)
            after = [self.exponents[f"{block}.hidden"] - self.exponents[f"{block}.fc1"]]
            self._bound_requantized(widths, f"{block}.fc1", fc1, after)
            fc2 = self._bound_linear(widths, f"{block}.fc2", 8)
            self._bound_sum(widths, 2 * layer + 1, f"{block}.fc2", fc2)
        self._bound_norm(widths, "norm", f"residual.{2 * self.shape.depth}")
        self._bound_heads(widths)
        for name, bits in widths.items():
            limit = _SUM_BITS if name in self.linears else _WORD_BITS
            if bits > limit:
                raise OverflowError(f"{name} must fit {limit} bits, and can need {bits}")
        return widths

    def _bound_linear(self, widths: dict, name: str, bits: int) -> int:
        """The largest magnitude of a linear layer's outputs, for inputs of so many bits."""
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        positive, negative = weight.clip(min=0).sum(axis=1), weight.clip(max=0).sum(axis=1)  # (outputs,)
        least = int((positive * low + negative * high + bias).min())
        most = int((positive * high + negative * low + bias).max())
        widths[name] = bits_of(least, most)
        return max(-least, most)

    def _bound_requantized(self, widths: dict, name: str, largest: int, shifts) -> None:
        """What a sum becomes before its bits are dropped: with half of the last one that stays, or shifted left."""
        grown = max((largest << -shift) if shift <= 0 else largest + (1 << (shift - 1)) for shift in map(int, shifts))
        widths[f"{name}.unrounded"] = bits_of(-grown, grown)

    def _bound_norm(self, widths: dict, name: str, residual: str) -> None:
        features = self.shape.width
        largest = 128 << self.tensors[f"{residual}.left_shift"]  # (width,)
        total = int(largest.sum())
        widths[f"{name}.total"] = bits_of(-total, total)
        centred = features * int(largest.max()) + total
        variance = features * int((largest * largest).sum()) + self._epsilon(residual)
        widths[f"{name}.variance"] = bits_of(0, variance)
        # The reciprocal is at most 2^15; the half that rounding adds grows with the variance.
        scaled = max((variance.bit_length() - VARIANCE_BITS + 1) >> 1, 0)
        product = (centred << 15) + (1 << (RECIPROCAL_FRACTION - NORMALIZED_FRACTION + scaled - 1))
        widths[f"{name}.product"] = bits_of(-product, product)
        # No feature is further than sqrt(D) deviations from the mean; the reciprocal errs by less than 2^-13 of it.
        normalized = math.ceil(math.sqrt(features) * (1 + 2**-13) * 2**NORMALIZED_FRACTION) + 1
        widths[f"{name}.normalized"] = bits_of(-normalized, normalized)
        affine = normalized * np.abs(self.tensors[f"{name}.gamma"]) + np.abs(self.tensors[f"{name}.beta"])
        self._bound_requantized(widths, name, int(affine.max()), [self._norm_shift(name)])

    def _bound_sum(self, widths: dict, stream: int, branch: str, largest: int) -> None:
        """Of the residual stream and a branch of this largest magnitude."""
        before, branch_shift, after = self._add_shifts(stream, branch)
        largest = (largest << branch_shift) + (128 << int(before.max()))
        widths[f"residual.{stream + 1}.sum"] = bits_of(-largest, largest)
        self._bound_requantized(widths, f"residual.{stream + 1}.sum", largest, after)

    def _bound_heads(self, widths: dict) -> None:
        heads = ("head", "head_dist") if self.shape.distilled else ("head",)
        finest = min(self.exponents[name] for name in heads)
        largest = sum(self._bound_linear(widths, name, 8) << (self.exponents[name] - finest) for name in heads)
        widths["logits"] = bits_of(-largest, largest)

    # Files

    def save(self, path: str | Path) -> None:
        """Writes the model; `CheckpointError` if that is not possible."""
        types = {8: torch.int8, 16: torch.int16, 32: torch.int32}
        bits = {name: bits for name, (_size, bits) in _tensors_of(self.shape).items()}
        tensors = {name: torch.from_numpy(value).to(types[bits[name]]) for name, value in self.tensors.items()}
        save(path, tensors, {
            "kind": "integer vit", "shape": asdict(self.shape), "exponents": self.exponents,
            "registers": [asdict(registers) for registers in self.registers],
            "number_format": asdict(self.number_format), "data": self.data, "quantization": self.quantization,
        })  # fmt: skip


_LINEARS = ("qkv", "proj", "fc1", "fc2")


def _tensors_of(shape: VitShape) -> dict[str, tuple[tuple[int, ...], int]]:
    """Shape and bits of every tensor of a model, by name."""
    width, hidden = shape.width, shape.mlp_ratio * shape.width
    linears = {"head": (shape.classes, width)} | ({"head_dist": (shape.classes, width)} if shape.distilled else {})
    norms = ["norm"]
    tensors: dict[str, tuple[tuple[int, ...], int]] = {
        "patch_embed.weight": ((width, shape.channels * shape.patch_size**2), 8),
        "patch_embed.bias": ((shape.tokens - shape.extra_tokens, width), 32),
        "extra_tokens": ((shape.extra_tokens, width), 8),
    }
    for layer in range(shape.depth):
        sizes = ((3 * width, width), (width, width), (hidden, width), (width, hidden))
        linears |= {f"blocks.{layer}.{name}": size for name, size in zip(_LINEARS, sizes, strict=True)}
        norms += [f"blocks.{layer}.norm1", f"blocks.{layer}.norm2"]
        tensors[f"blocks.{layer}.gelu.table"] = ((256,), 8)
    tensors |= {f"residual.{stream}.left_shift": ((width,), 8) for stream in range(2 * shape.depth + 1)}
    for name in norms:
        tensors |= {f"{name}.gamma": ((width,), 16), f"{name}.beta": ((width,), 32)}
    for name, (outputs, inputs) in linears.items():
        tensors |= {f"{name}.weight": ((outputs, inputs), 8), f"{name}.bias": ((outputs,), 32)}
    return tensors


def _exponents_of(shape: VitShape) -> list[str]:
    """Names of everything that has an exponent."""
    scaled = [name for name in _tensors_of(shape) if name.endswith((".weight", ".gamma"))]
    read = [name.rpartition(".")[0] for name in scaled]  # norms and linear layers: what comes out of them
    streams = [f"residual.{stream}" for stream in range(2 * shape.depth + 1)]
    steps = ("q", "k", "v", "z", "hidden", "gelu")
    inside = [f"blocks.{layer}.{step}" for layer in range(shape.depth) for step in steps]
    return [*scaled, *read, *streams, *inside, "logits"]


def _check_names(what: str, given: dict, expected) -> None:
    if missing := sorted(set(expected) - set(given)):
        raise ValueError(f"{what} must be those of the shape, and lack {missing[0]}")
    if unknown := sorted(set(given) - set(expected)):
        raise ValueError(f"{what} must be those of the shape, and have {unknown[0]}")


def _check_tensor(name: str, tensor: np.ndarray, size: tuple[int, ...], bits: int) -> None:
    if not np.issubdtype(tensor.dtype, np.integer):
        raise TypeError(f"{name} must be integers, not {tensor.dtype}")
    if tensor.shape != size:
        raise ValueError(f"{name} must be of shape {size!r}, not {tensor.shape!r}")
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if name.endswith(".left_shift"):
        low, high = 0, LARGEST_LEFT_SHIFT
    for value in (int(tensor.min()), int(tensor.max())):
        check_integer(name, value, low, high)


def load_integer_vit(path: str | Path) -> IntegerVit:
    """Reads what `IntegerVit.save` wrote; `CheckpointError` if it is anything else, or could overflow."""
    return from_checkpoint(load(path))


def from_checkpoint(checkpoint: Checkpoint) -> IntegerVit:
    """The integer model that a checkpoint holds."""
    path, tensors, description = checkpoint.path, checkpoint.tensors, checkpoint.description
    if description.get("kind") != "integer vit":
        raise CheckpointError(f"{path} must be an integer ViT, as `taylorvit quantize` writes it")
    try:
        vit = IntegerVit(
            VitShape(**description["shape"]),
            {name: _as_int64(name, tensor) for name, tensor in tensors.items()},
            description["exponents"],
            [JobConstants(**registers) for registers in description["registers"]],
            NumberFormat(**description["number_format"]), description["data"], description["quantization"],
        )  # fmt: skip
        vit.widths()
    except KeyError as error:
        raise CheckpointError(f"{path} must be a whole integer ViT, and lacks {error}") from None
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{path} must be a whole integer ViT: {error}") from None
    return vit


def _as_int64(name: str, tensor: torch.Tensor) -> np.ndarray:
    if tensor.dtype not in (torch.int8, torch.int16, torch.int32, torch.int64):
        raise TypeError(f"{name} must be integers, not {tensor.dtype}")
    return tensor.numpy().astype(np.int64)

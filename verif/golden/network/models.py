"""Models for the tests of this folder: quantized ones, and ones of random integers that no training made."""

import math
import zlib
from dataclasses import replace

import numpy as np
import torch

from taylorvit.golden.arithmetic.number_format import NetworkFormat, OperandFormat
from taylorvit.golden.attention.constants import Constants
from taylorvit.golden.attention.integer_attention import JobConstants
from taylorvit.golden.attention.integer_softmax import SoftmaxConstants
from taylorvit.golden.network.integer_vit import IntegerVit
from taylorvit.golden.network.operations import Add, Linear, Norm
from taylorvit.golden.network.program import Program, network_of
from taylorvit.golden.network.quantize import quantize_vit
from taylorvit.golden.network.vit import VisionTransformer, VitShape

SHAPE = VitShape(image_size=6, patch_size=3, channels=1, classes=3, depth=2, width=6, heads=2, mlp_ratio=2)
SHAPES = [
    SHAPE,
    VitShape(image_size=6, patch_size=3, channels=1, classes=1, depth=1, width=3, heads=3, mlp_ratio=1),
    VitShape(image_size=5, patch_size=5, channels=3, classes=2, depth=1, width=5, heads=1, mlp_ratio=3),
    VitShape(image_size=9, patch_size=3, channels=2, classes=4, depth=3, width=9, heads=3, mlp_ratio=2, distilled=True),
    VitShape(image_size=4, patch_size=2, channels=1, classes=2, depth=1, width=1, heads=1, mlp_ratio=1, distilled=True),
]
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def images_of(shape: VitShape, count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, shape.channels, shape.image_size, shape.image_size, generator=generator)


def float_model(shape: VitShape, seed: int = 0) -> VisionTransformer:
    """Random weights larger than those that a training begins from, so that no branch vanishes beside the stream."""
    torch.manual_seed(seed)
    model = VisionTransformer(shape, "taylor").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def mixed(shape: VitShape) -> tuple[str, ...]:
    """Kernels of the layers, softmax first, then the other."""
    return tuple(("softmax", "taylor")[layer % 2] for layer in range(shape.depth))


def quantized(
    shape: VitShape,
    seed: int = 0,
    number_format: OperandFormat | None = None,
    kernels: str | tuple[str, ...] = "taylor",
) -> IntegerVit:
    mean, std = MEAN[: shape.channels], STD[: shape.channels]
    return quantize_vit(float_model(shape, seed), images_of(shape, 4), mean=mean, std=std, number_format=number_format,
                        attention=kernels, data={"name": "noise"}, quantization={"images": 4})  # fmt: skip


def random_vit(
    shape: VitShape,
    seed: int,
    number_format: NetworkFormat | None = None,
    kernels: str | tuple[str, ...] = "taylor",
) -> IntegerVit:
    """A model that no training made: every integer, exponent, offset and register is random in its range."""
    random = np.random.default_rng(seed)
    vit = quantized(shape, seed, number_format, kernels)
    bits = {"bias": 15, "beta": 28, "gamma": 16}  # biases no larger than the products that they are added to
    tensors = {}
    for name, tensor in vit.tensors.items():
        _shape, _bits, low, high = vit.program.parameters[name]
        if (width := bits.get(name.rpartition(".")[2])) is not None:
            low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
        tensors[name] = random.integers(low, high + 1, tensor.shape)
    exponents = {name: exponent + int(random.integers(-4, 5)) for name, exponent in vit.exponents.items()}
    offsets = {name: int(random.integers(0, 128)) for name in vit.offsets}
    registers = [_random_constants(random, kernel, vit.number_format) for kernel in vit.kernels]
    return IntegerVit(shape, tensors, possible(vit.program, tensors, exponents), offsets, registers, vit.number_format)


def _random_constants(random: np.random.Generator, kernel: str, number_format: NetworkFormat) -> Constants:
    if kernel == "taylor":
        ranges = ((0, 12), (0, 20), (0, 2**14), (0, 2**14))
        return JobConstants(*(int(random.integers(low, high)) for low, high in ranges))
    table = random.integers(0, number_format.exponential_max, number_format.exponential_entries, endpoint=True)
    table[0] = max(table[0], 1)
    return SoftmaxConstants(int(random.integers(0, 12)), int(random.integers(-3, 5)), table)


def possible(program: Program, tensors: dict[str, np.ndarray], exponents: dict[str, int]) -> dict[str, int]:
    """The exponents, changed where no model can have them: sums of streams too fine, heads that differ."""
    exponents = dict(exponents)
    for operation in program:
        if isinstance(operation, Add):
            branch = program[operation.branch]
            finest = np.minimum(
                exponents[operation.stream] + tensors[program[operation.stream].left_shift],
                exponents[operation.branch] + tensors[branch.weight_shift],
            )
            least = int((finest - tensors[operation.left_shift]).max())
            exponents[operation.name] = max(exponents[operation.name], least)
        if isinstance(operation, Linear) and not operation.by_channel:
            exponents |= {operation.weight: exponents["head.weight"], operation.name: exponents["head"]}
    return exponents


def counted_vit(shape: VitShape) -> IntegerVit:
    """A model of integers that are made by counting: the same on every machine, whatever torch or numpy draw."""
    program = network_of(shape)
    tensors = {}
    for name, (size, _bits, low, high) in program.parameters.items():
        low, high = max(low, -30_000), min(high, 30_000)  # sums of products stay below 32 bits
        high = min(high, 3) if name.endswith("shift") else high
        counted = (np.arange(math.prod(size), dtype=np.int64) + zlib.crc32(name.encode())) * 2_654_435_761 % (1 << 32)
        tensors[name] = (counted % (high - low + 1) + low).reshape(size)
    exponents = {name: -3 - zlib.crc32(name.encode()) % 3 for name in program.exponents}
    for operation in program:
        if isinstance(operation, Linear):
            exponents[operation.name] = -12  # of products: finer than what is rounded
        if isinstance(operation, Norm):
            exponents[operation.gamma] = -11
    offsets = dict.fromkeys(program.offsets, 100)
    registers = [JobConstants(shift_g=7 + layer, shift_z=0, c_v=900, c_d=60_000) for layer in range(shape.depth)]
    return IntegerVit(shape, tensors, possible(program, tensors, exponents), offsets, registers)


def pixels_of(shape: VitShape, seed: int = 0) -> np.ndarray:
    """Images: two of noise, black, white, and black and white squares."""
    size = (shape.channels, shape.image_size, shape.image_size)
    noise = np.random.default_rng(seed).integers(0, 256, (2, *size))
    squares = 255 * (np.indices(size).sum(axis=0) % 2)
    return np.stack([*noise, np.zeros(size, dtype=int), np.full(size, 255), squares])


def changed(vit: IntegerVit, name: str, value, index=0) -> IntegerVit:
    """The model with other integers at an index of a tensor, or another exponent."""
    if name in vit.exponents and name not in vit.tensors:
        return replace(vit, exponents=vit.exponents | {name: value})
    tensor = vit.tensors[name].copy()
    tensor[index] = value
    return replace(vit, tensors=vit.tensors | {name: tensor})

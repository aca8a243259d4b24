"""An integer ViT is its equations in Python ints at every step, never exceeds its widths, and survives its file."""

import json
import math
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from taylorvit.golden.arithmetic.number_format import NumberFormat
from taylorvit.golden.attention.integer_attention import JobConstants
from taylorvit.golden.checkpoints.checkpoint import CheckpointError
from taylorvit.golden.checkpoints.checkpoint import save as save_checkpoint
from taylorvit.golden.network.float_steps import float_steps
from taylorvit.golden.network.integer_layers import bits_of
from taylorvit.golden.network.integer_vit import IntegerVit, load_integer_vit, to_pixels
from taylorvit.golden.network.quantize import quantize_vit
from taylorvit.golden.network.vit import VisionTransformer, VitShape
from taylorvit.golden.reports.sqnr import sqnr_db

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


def quantized(shape: VitShape, seed: int = 0, number_format: NumberFormat | None = None) -> IntegerVit:
    mean, std = MEAN[: shape.channels], STD[: shape.channels]
    return quantize_vit(float_model(shape, seed), images_of(shape, 4), mean=mean, std=std, number_format=number_format,
                        data={"name": "noise"}, quantization={"images": 4})  # fmt: skip


def random_vit(shape: VitShape, seed: int) -> IntegerVit:
    """A model that no training made: every integer, exponent and register is random in its range."""
    random = np.random.default_rng(seed)
    vit = quantized(shape, seed)
    bits = {"bias": 15, "beta": 28, "gamma": 16}  # biases no larger than the products that they are added to
    tensors = {}
    for name, tensor in vit.tensors.items():
        limit = 1 << (bits.get(name.rpartition(".")[2], 8) - 1)
        low, high = (0, 4) if name.endswith("left_shift") else (-limit, limit)
        tensors[name] = random.integers(low, high, tensor.shape)
    exponents = {name: exponent + int(random.integers(-4, 5)) for name, exponent in vit.exponents.items()}
    registers = [
        JobConstants(*(int(random.integers(low, high)) for low, high in ((0, 12), (0, 20), (0, 2**14), (0, 2**14))))
        for _layer in vit.registers
    ]
    return IntegerVit(shape, tensors, exponents, registers, vit.number_format)


def pixels_of(shape: VitShape, seed: int = 0) -> np.ndarray:
    """Images: two of noise, black, white, and black and white squares."""
    size = (shape.channels, shape.image_size, shape.image_size)
    noise = np.random.default_rng(seed).integers(0, 256, (2, *size))
    squares = 255 * (np.indices(size).sum(axis=0) % 2)
    return np.stack([*noise, np.zeros(size, dtype=int), np.full(size, 255), squares])


# The same in Python ints, for one image


@np.vectorize(otypes=[object])
def shifted(x, shift):
    return math.floor(Fraction(x) / Fraction(2) ** int(shift) + Fraction(1, 2))


@np.vectorize(otypes=[object])
def saturated(x, width):
    return max(-(2 ** (width - 1)), min(2 ** (width - 1) - 1, x))


@np.vectorize(otypes=[object])
def unrounded(x, shift):
    """What is in a register before the lower bits are dropped."""
    return x * 2 ** -int(shift) if shift <= 0 else x + 2 ** (int(shift) - 1)


class InInts:
    """The docstring's equations, step by step; matrices are arrays of Python ints."""

    def __init__(self, vit: IntegerVit, image: np.ndarray) -> None:
        self.vit, self.shape, self.exponents = vit, vit.shape, vit.exponents
        self.tensors = {name: tensor.astype(object) for name, tensor in vit.tensors.items()}
        self.steps = {}  # what the model notes
        self.inside = {}  # what it does not note, and bounds
        self.run(image.astype(object))

    def note(self, name, value):
        self.steps[name] = value
        return value

    def requantized(self, name, x, exponent, wanted, width=8):
        shift = np.broadcast_to(np.asarray(wanted - exponent, dtype=object), x.shape)
        self.inside[f"{name}.unrounded"] = unrounded(x, shift)
        return saturated(shifted(x, shift), width)

    def grid(self, stream):
        return self.exponents[f"residual.{stream}"] + self.tensors[f"residual.{stream}.left_shift"]

    def linear(self, name, x):
        return self.note(name, x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"])

    def norm(self, name, stream, x):
        gamma, beta = self.tensors[f"{name}.gamma"], self.tensors[f"{name}.beta"]
        features = self.shape.width
        exponent = self.exponents[f"residual.{stream}"]
        epsilon = max(round(Fraction(1, 10**6) * features**2 / Fraction(4) ** exponent), 1)
        x = x * 2 ** self.tensors[f"residual.{stream}.left_shift"]
        total = self.note(f"{name}.total", x.sum(axis=1, keepdims=True))
        variance = features * (x * x).sum(axis=1, keepdims=True) - total * total + epsilon
        self.note(f"{name}.variance", variance)
        products, rows, reciprocals = [], [], []
        for row, [row_total], [row_variance] in zip(x, total, variance, strict=True):
            half_shift = math.ceil(Fraction(row_variance.bit_length() - 30, 2))
            reciprocal = math.isqrt(2**58 // math.floor(Fraction(row_variance) / Fraction(4) ** half_shift))
            product = (features * row - row_total) * reciprocal
            products.append(unrounded(product, 17 + half_shift))
            rows.append(shifted(product, 17 + half_shift))
            reciprocals.append([reciprocal])
        self.inside[f"{name}.product"] = np.array(products)
        self.note(f"{name}.reciprocal", np.array(reciprocals, dtype=object))
        normalized = self.note(f"{name}.normalized", np.array(rows))
        affine = self.exponents[f"{name}.gamma"] - 12
        return self.note(name, self.requantized(name, normalized * gamma + beta, affine, self.exponents[name]))

    def attention(self, layer, qkv):
        """Of one layer: Algorithm 1 head by head. Gives Z, (tokens, width)."""
        registers, number_format = self.vit.registers[layer], self.vit.number_format
        data, mean, constant = (number_format.data_width, number_format.mean_fraction, number_format.constant_fraction)
        width, tokens, name = self.shape.width, self.shape.tokens, f"blocks.{layer}"
        operands = []
        for index, operand in enumerate("qkv"):
            part = qkv[:, index * width : (index + 1) * width]
            part = self.requantized(f"{name}.qkv", part, self.exponents[f"{name}.qkv"],
                                    self.exponents[f"{name}.{operand}"], data)  # fmt: skip
            operands.append(part)
        errors, results = 0, []
        size = width // self.shape.heads
        heads = [[part[:, begin : begin + size] for part in operands] for begin in range(0, width, size)]
        for q, k, v in heads:
            k_hat = k * 2**mean - shifted(k.sum(axis=0) * 2**mean * Fraction(1, tokens), 0)
            g = saturated(shifted(k_hat.T @ v, registers.shift_g), data)
            numerator = (q @ g) * 2**constant + registers.c_v * v.sum(axis=0)
            denominator = registers.c_d + (q @ k_hat.sum(axis=0)) * 2**constant
            z = np.zeros_like(q)
            for token, feature in np.ndindex(z.shape):
                above, below = numerator[token, feature], denominator[token]
                extreme = -(2**40) if above < 0 else 2**40
                exact = Fraction(above) * Fraction(2) ** registers.shift_z / below if below > 0 else extreme
                z[token, feature] = saturated(shifted(exact, 0), data)[()]
            errors += sum(below <= 0 for below in denominator)
            results.append(z)
        for operand, of_heads in zip("qkvz", [*zip(*heads, strict=True), results], strict=True):
            self.note(f"{name}.{operand}", np.stack(of_heads))
        self.steps[f"{name}.denominator_errors"] = errors
        return np.concatenate(results, axis=1)

    def add(self, stream, x, branch, total):
        finest = min(self.exponents[branch], *self.grid(stream))
        both = x * 2 ** (self.grid(stream) - finest) + total * 2 ** (self.exponents[branch] - finest)
        name = f"residual.{stream + 1}"
        self.note(f"{name}.sum", both)
        return self.note(name, self.requantized(f"{name}.sum", both, finest, self.grid(stream + 1)))

    def run(self, image):
        patch = self.shape.patch_size
        corners = range(0, self.shape.image_size, patch)
        patches = [image[:, top : top + patch, left : left + patch].ravel() for top in corners for left in corners]
        x = self.linear("patch_embed", self.note("patches", np.array(patches) - 128))
        x = self.requantized("patch_embed", x, self.exponents["patch_embed"], self.grid(0))
        x = self.note("residual.0", np.concatenate([self.tensors["extra_tokens"], x]))
        for layer in range(self.shape.depth):
            name = f"blocks.{layer}"
            z = self.attention(layer, self.linear(f"{name}.qkv", self.norm(f"{name}.norm1", 2 * layer, x)))
            x = self.add(2 * layer, x, f"{name}.proj", self.linear(f"{name}.proj", z))
            total = self.linear(f"{name}.fc1", self.norm(f"{name}.norm2", 2 * layer + 1, x))
            before, after = self.exponents[f"{name}.fc1"], self.exponents[f"{name}.hidden"]
            hidden = self.note(f"{name}.hidden", self.requantized(f"{name}.fc1", total, before, after))
            y = self.note(f"{name}.gelu", self.tensors[f"{name}.gelu.table"][(hidden + 128).astype(int)])
            x = self.add(2 * layer + 1, x, f"{name}.fc2", self.linear(f"{name}.fc2", y))
        extra = self.shape.extra_tokens
        x = self.norm("norm", 2 * self.shape.depth, x[:extra])
        logits = self.linear("head", x[0])
        if self.shape.distilled:
            other, exponents = self.linear("head_dist", x[1]), [self.exponents[name] for name in ("head", "head_dist")]
            finest = min(exponents)
            logits = logits * 2 ** (exponents[0] - finest) + other * 2 ** (exponents[1] - finest)
        self.note("logits", logits)


def check_steps(vit: IntegerVit, pixels: np.ndarray) -> None:
    """Every step of every image is that of Python ints, and fits the widths."""
    steps = vit.steps(pixels)
    in_ints = [InInts(vit, image) for image in pixels]
    assert set(steps) == set(in_ints[0].steps) and list(steps)[-1] == "logits"
    for name, value in steps.items():
        if name.endswith("denominator_errors"):
            assert value == sum(each.steps[name] for each in in_ints), name
        else:
            assert value.dtype == np.int64
            assert value.tolist() == [each.steps[name].tolist() for each in in_ints], name
    widths = vit.widths()
    for name, bits in widths.items():
        for each in in_ints:
            value = (each.steps | each.inside)[name]
            assert bits_of(value.min(), value.max()) <= bits, name
    logits, errors = vit.with_errors(pixels)
    np.testing.assert_array_equal(logits, steps["logits"])
    np.testing.assert_array_equal(vit(pixels), logits)
    assert errors == sum(value for each in in_ints for name, value in each.steps.items() if name.endswith("_errors"))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_step_of_a_quantized_model_is_that_of_ints(shape):
    check_steps(quantized(shape), pixels_of(shape))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_every_step_of_random_integers_is_that_of_ints(shape, seed):
    check_steps(random_vit(shape, seed), pixels_of(shape, seed))


@pytest.mark.parametrize("number_format", [NumberFormat(data_width=6), NumberFormat(data_width=11, mean_fraction=0)])
def test_other_formats_of_attention(number_format):
    vit = quantized(SHAPE, number_format=number_format)
    check_steps(vit, pixels_of(SHAPE))
    largest = np.abs(vit.steps(to_pixels(images_of(SHAPE, 4)))["blocks.0.q"]).max()
    assert number_format.data_max / 2 < largest <= number_format.data_max + 1


def test_random_models_reach_what_a_trained_one_seldom_does():
    """Else the comparison above would say nothing of it."""
    steps = [random_vit(shape, seed).steps(pixels_of(shape, seed)) for shape in SHAPES for seed in range(3)]
    assert sum(int(value) for each in steps for name, value in each.items() if name.endswith("_errors")) > 0
    for extreme in (-128, 127):
        for name in ("residual.1", "blocks.0.norm1", "blocks.0.z", "blocks.0.q", "blocks.0.hidden"):
            assert any((each[name] == extreme).any() for each in steps), name


# Widths


def test_width_of_the_patch_embedding_is_reached():
    """The worst pixels for an output: white where its weight is positive, black elsewhere, and the contrary."""
    vit = random_vit(SHAPE, 1)
    low, high = 0, 0
    for weight in vit.tensors["patch_embed.weight"]:
        for bright in (weight > 0, weight < 0):
            patch = 255 * bright.reshape(1, 1, 3, 3).astype(int)
            total = vit.steps(np.tile(patch, (1, 1, 2, 2)))["patch_embed"]
            low, high = min(low, int(total.min())), max(high, int(total.max()))
    assert bits_of(low, high) == vit.widths()["patch_embed"]


@pytest.mark.parametrize("signs", [[1], [-1], [1, -1], [1, -1, -1, -1, -1, -1], [-1, 1, 1, 1, 1, 1]])
def test_widths_hold_for_a_stream_of_extremes(signs):
    """Every feature at 127 or -128, times 8: the largest sums, deviations and variances that LayerNorm can meet."""
    vit = changed(random_vit(SHAPE, 2), "residual.0.left_shift", 3, ...)
    vit = changed(vit, "residual.0", vit.exponents["patch_embed"] - 3)
    for name, value in (("patch_embed.weight", 0), ("patch_embed.bias", 200 * np.resize(signs, SHAPE.width)),
                        ("extra_tokens", -128)):  # fmt: skip
        vit = changed(vit, name, value, ...)
    x = vit.steps(pixels_of(SHAPE))["residual.0"]
    assert set(np.unique(x)) <= {-128, 127} and x.shape == (5, 5, 6)
    check_steps(vit, pixels_of(SHAPE)[:1])


@pytest.mark.parametrize(
    ("bias", "bits"), [(0, 15), (99, 15), (100, 16), (-28, 15), (-29, 16), (2**31 - 1 - 16284, 32), (16356 - 2**31, 32)]
)
def test_widths_of_a_linear_layer_by_hand(bias, bits):
    """100 x 127 - 28 x -128 is 16284, 99 below 2^14 - 1; 100 x -128 - 28 x 127 is -16356, 28 above -2^14."""
    weight = np.zeros((6, 12), dtype=int)
    weight[2, :2] = (100, -28)
    vit = changed(quantized(SHAPE), "blocks.1.fc2.weight", weight, ...)
    vit = changed(vit, "blocks.1.fc2.bias", [0, 0, bias, 0, 0, 0], ...)
    assert vit.widths()["blocks.1.fc2"] == bits


def changed(vit: IntegerVit, name: str, value, index=0) -> IntegerVit:
    """The model with other integers at an index of a tensor, or another exponent."""
    if name in vit.exponents and name not in vit.tensors:
        return replace(vit, exponents=vit.exponents | {name: value})
    tensor = vit.tensors[name].copy()
    tensor[index] = value
    return replace(vit, tensors=vit.tensors | {name: tensor})


@pytest.mark.parametrize("name", ["patch_embed", "blocks.0.qkv", "blocks.1.proj", "blocks.0.fc1", "blocks.1.fc2",
                                  "head"])  # fmt: skip
@pytest.mark.parametrize("bias", [2**31 - 1, -(2**31)])
def test_sums_beyond_32_bits_are_refused(name, bias, tmp_path):
    vit = changed(changed(quantized(SHAPE), f"{name}.weight", 1), f"{name}.bias", bias)
    text = f"{name} must fit 32 bits, and can need 33"
    with pytest.raises(OverflowError, match=re.escape(text)):
        vit.widths()
    vit.save(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=f"a.safetensors must be a whole integer ViT: {re.escape(text)}$"):
        load_integer_vit(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("name", "exponent", "text"),
    [
        ("patch_embed", 70, "patch_embed.unrounded must fit 64 bits"),
        ("patch_embed", -80, "patch_embed.unrounded must fit 64 bits"),
        ("blocks.0.q", -100, "blocks.0.qkv.unrounded must fit 64 bits"),
        ("blocks.1.hidden", -100, "blocks.1.fc1.unrounded must fit 64 bits"),
        ("blocks.1.norm2", -80, "blocks.1.norm2.unrounded must fit 64 bits"),
        ("blocks.1.fc2", 50, "residual.4.sum must fit 64 bits"),
        ("residual.4", -70, "residual.4.sum.unrounded must fit 64 bits"),
        ("residual.2", -40, "blocks.1.norm1.variance must fit 64 bits"),
    ],
)
def test_steps_beyond_64_bits_are_refused(name, exponent, text):
    with pytest.raises(OverflowError, match=f"{re.escape(text)}, and can need "):
        changed(quantized(SHAPE), name, exponent).widths()


def test_logits_beyond_64_bits_are_refused():
    vit = quantized(SHAPES[3])
    with pytest.raises(OverflowError, match="^logits must fit 64 bits, and can need "):
        changed(vit, "head_dist", vit.exponents["head"] - 60).widths()


# Real values


@pytest.mark.parametrize("shape", SHAPES[:4])
def test_real_values_are_near_to_those_in_floats(shape):
    """20 dB are 10 %: a wrong exponent would be a factor of 2, which is 6 dB or less."""
    vit = quantized(shape)
    pixels = to_pixels(images_of(shape, 4))
    steps = vit.steps(pixels)
    mean, std = (torch.tensor(each[: shape.channels], dtype=torch.float64).view(-1, 1, 1) for each in (MEAN, STD))
    with torch.no_grad():
        wanted = float_steps(float_model(shape).double(), (torch.from_numpy(pixels) / 255 - mean) / std)
    smoothed = [name for name in wanted if name.rpartition(".")[2] in ("norm1", "norm2", "norm")]
    for name in wanted.keys() - set(smoothed):
        assert sqnr_db(wanted[name].numpy(), vit.real(name, steps[name])) > 20, name


def test_real_values_have_the_shift_of_their_channel():
    vit = random_vit(SHAPE, 0)
    exponent, shifts = vit.exponents["residual.1"], vit.tensors["residual.1.left_shift"]
    real = vit.real("residual.1", np.full((2, SHAPE.width), 3))
    assert real.tolist() == [[3 * 2.0 ** (exponent + int(shift)) for shift in shifts]] * 2
    assert vit.real("blocks.0.q", np.array([-5])).tolist() == [-5 * 2.0 ** vit.exponents["blocks.0.q"]]


def test_pixels_are_rounded_half_up():
    images = np.array([0, 0.5 / 255, 1.49 / 255, 1.5 / 255, 254.5 / 255, 1, 1.2, -0.2])
    assert to_pixels(images).tolist() == [0, 1, 1, 2, 255, 255, 255, 0]
    assert to_pixels(torch.arange(256) / 255).tolist() == list(range(256))


# Files


def test_what_is_saved_is_loaded(tmp_path):
    vit = quantized(SHAPES[3], number_format=NumberFormat(shift_g_max=26))
    vit.save(tmp_path / "a.safetensors")
    loaded = load_integer_vit(tmp_path / "a.safetensors")
    for name in ("shape", "exponents", "registers", "number_format", "data", "quantization"):
        assert getattr(loaded, name) == getattr(vit, name)
    assert loaded.tensors.keys() == vit.tensors.keys()
    assert all(np.array_equal(loaded.tensors[name], vit.tensors[name]) for name in vit.tensors)
    assert np.array_equal(loaded(pixels_of(SHAPES[3])), vit(pixels_of(SHAPES[3])))


def test_types_in_the_file_are_those_that_the_docstring_names(tmp_path):
    quantized(SHAPE).save(tmp_path / "a.safetensors")
    types = {"gamma": torch.int16, "beta": torch.int32, "bias": torch.int32}
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["taylorvit"])["kind"] == "integer vit"
        for name in file.keys():  # noqa: SIM118 - not a dictionary
            assert file.get_tensor(name).dtype == types.get(name.rpartition(".")[2], torch.int8), name


def described(vit: IntegerVit, path) -> tuple[dict, dict]:
    """Tensors and description of a file, to change and to write again."""
    vit.save(path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
        return tensors, json.loads(file.metadata()["taylorvit"])


def without(table: dict, name: str) -> dict:
    return {key: value for key, value in table.items() if key != name}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t, d: (t, {}), "must be an integer ViT, as `taylorvit quantize` writes it"),
        (lambda t, d: (t, d | {"kind": "model"}), "must be an integer ViT"),
        (lambda t, d: (t, without(d, "shape")), "must be a whole integer ViT, and lacks 'shape'"),
        (lambda t, d: (t, without(d, "registers")), "and lacks 'registers'"),
        (lambda t, d: (t, without(d, "number_format")), "and lacks 'number_format'"),
        (lambda t, d: (t, d | {"shape": d["shape"] | {"width": 5}}), "heads must be a divisor of 5, not 2"),
        (lambda t, d: (t, d | {"shape": d["shape"] | {"width": 8}}), r"must be of shape \(8, 9\), not \(6, 9\)"),
        (lambda t, d: (t, d | {"shape": d["shape"] | {"colours": 3}}), "unexpected keyword argument 'colours'"),
        (lambda t, d: (t, d | {"shape": d["shape"] | {"depth": 3}}), "tensors must be those .* lack blocks.2.fc1.bias"),
        (lambda t, d: (t, d | {"exponents": without(d["exponents"], "logits")}), "exponents must be .* lack logits"),
        (lambda t, d: (t, d | {"exponents": d["exponents"] | {"x": 1}}), "exponents must be those .* and have x"),
        (lambda t, d: (t, d | {"exponents": d["exponents"] | {"norm": -7.5}}), "exponent of norm must be an integer"),
        (lambda t, d: (t, d | {"exponents": d["exponents"] | {"norm": 999}}), "norm must be -500 to 500, not 999"),
        (lambda t, d: (t, d | {"exponents": []}), "exponents must be those of the shape, and lack "),
        (lambda t, d: (t, d | {"registers": d["registers"][:1]}), "registers must be of 2 layers, not 1"),
        (lambda t, d: (t, d | {"registers": [d["registers"][0] | {"c_v": -1}] * 2}), "c_v must be 0 to 16777215"),
        (lambda t, d: (t, d | {"registers": [without(d["registers"][0], "c_d")] * 2}), "argument: 'c_d'"),
        (lambda t, d: (t, d | {"registers": None}), "must be a whole integer ViT: "),
        (lambda t, d: (t, d | {"number_format": {"data_width": 1}}), "data_width must be 2 to 24, not 1"),
        (lambda t, d: (without(t, "head.bias"), d), "tensors must be those of the shape, and lack head.bias"),
        (lambda t, d: (t | {"dist_token": t["head.bias"]}, d), "tensors must be those .*, and have dist_token"),
        (lambda t, d: (t | {"head.bias": t["head.bias"][:2].clone()}, d), r"head.bias must be of shape \(3,\), not"),
        (lambda t, d: (t | {"head.bias": t["head.bias"].float()}, d), "head.bias must be integers, not torch.float32"),
        (lambda t, d: (t | {"head.weight": t["head.weight"].int() + 300}, d), "head.weight must be -128 to 127, not "),
        (lambda t, d: (t | {"residual.1.left_shift": t["residual.1.left_shift"] + 4}, d), "left_shift must be 0 to 3"),
    ],
)  # fmt: skip
def test_files_that_are_no_integer_model(change, text, tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, *change(*described(quantized(SHAPE), path)))
    with pytest.raises(CheckpointError, match=text) as error:
        load_integer_vit(path)
    assert "\n" not in str(error.value)


def test_files_of_others_are_refused(tmp_path):
    save_file({"x": torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="must be an integer ViT"):
        load_integer_vit(tmp_path / "a.safetensors")


def test_a_model_cannot_be_made_wrong():
    vit = quantized(SHAPE)
    with pytest.raises(TypeError, match="^head.bias must be integers, not float64$"):
        replace(vit, tensors=vit.tensors | {"head.bias": np.zeros(3)})
    with pytest.raises(ValueError, match="^c_d must be 0 to 1, not "):
        replace(vit, number_format=NumberFormat(c_d_width=1))


# Pixels


@pytest.mark.parametrize(
    ("pixels", "error", "text"),
    [
        (np.zeros((1, 6, 6), dtype=int), ValueError, "pixels must be of shape (images, 1, 6, 6), not (1, 6, 6)"),
        (np.zeros((2, 1, 6, 5), dtype=int), ValueError, "pixels must be of shape (images, 1, 6, 6), not (2, 1, 6, 5)"),
        (np.zeros((2, 3, 6, 6), dtype=int), ValueError, "pixels must be of shape (images, 1, 6, 6), not (2, 3, 6, 6)"),
        (np.zeros((0, 1, 6, 6), dtype=int), ValueError, "pixels must be of shape (images, 1, 6, 6), not (0, 1, 6, 6)"),
        (np.full((1, 1, 6, 6), 256), ValueError, "pixels must be 0 to 255, not 256"),
        (np.full((1, 1, 6, 6), -1), ValueError, "pixels must be 0 to 255, not -1"),
        (np.zeros((1, 1, 6, 6)), TypeError, "pixels must be integers, not float64"),
        (np.zeros((1, 1, 6, 6), dtype=bool), TypeError, "pixels must be integers, not bool"),
    ],
)
def test_wrong_pixels_are_named(pixels, error, text):
    with pytest.raises(error, match=re.escape(text)):
        quantized(SHAPE)(pixels)


def test_bytes_and_tensors_are_pixels():
    vit, pixels = quantized(SHAPE), pixels_of(SHAPE)
    for kind in (pixels.astype(np.uint8), torch.from_numpy(pixels)):
        assert np.array_equal(vit(kind), vit(pixels))


def test_an_image_alone_has_the_logits_that_it_has_among_others():
    vit, pixels = quantized(SHAPE), pixels_of(SHAPE)
    for index, logits in enumerate(vit(pixels)):
        assert np.array_equal(vit(pixels[[index]])[0], logits)

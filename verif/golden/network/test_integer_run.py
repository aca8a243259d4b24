"""Every step of an integer model is that of its equations in Python ints, and fits the widths that are proven."""

import zlib

import numpy as np
import pytest

from taylorvit.golden.arithmetic.number_format import NetworkFormat, NumberFormat, SoftmaxFormat
from taylorvit.golden.network import integer_run
from taylorvit.golden.network.integer_vit import to_pixels
from taylorvit.golden.network.vit import VitShape
from verif.golden.network.in_ints import check_steps
from verif.golden.network.models import SHAPE, SHAPES, counted_vit, images_of, mixed, pixels_of, quantized, random_vit


@pytest.mark.parametrize("shape", SHAPES)
def test_every_step_of_a_quantized_model_is_that_of_ints(shape):
    check_steps(quantized(shape), pixels_of(shape))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_every_step_of_random_integers_is_that_of_ints(shape, seed):
    check_steps(random_vit(shape, seed), pixels_of(shape, seed))


@pytest.mark.parametrize("shape", SHAPES)
def test_kernels_by_layer(shape):
    check_steps(quantized(shape, kernels=mixed(shape)), pixels_of(shape))
    check_steps(random_vit(shape, 1, kernels=mixed(shape)), pixels_of(shape, 1))


@pytest.mark.parametrize("number_format", [
    SoftmaxFormat(data_width=6, score_width=7, exponential_width=5, exponential_entries=32),
    SoftmaxFormat(data_width=11, score_width=16, exponential_width=14, exponential_entries=4096),
])  # fmt: skip
def test_other_formats_of_softmax(number_format):
    vit = quantized(SHAPE, number_format=number_format, kernels="softmax")
    assert vit.number_format == NetworkFormat.around(number_format)
    check_steps(vit, pixels_of(SHAPE))
    check_steps(random_vit(SHAPE, 2, vit.number_format, "softmax"), pixels_of(SHAPE, 2))


def test_many_heads_are_computed_in_parts(monkeypatch):
    """Of softmax, and of Taylor attention, whose rows without a quotient are counted over the parts."""
    vit, pixels = random_vit(SHAPES[3], 0, kernels=mixed(SHAPES[3])), pixels_of(SHAPES[3])
    whole = vit.steps(pixels)
    monkeypatch.setattr(integer_run, "_MOST_SCORES", 2 * SHAPES[3].tokens ** 2)
    parts = vit.steps(pixels)
    assert list(whole) == list(parts) and all(np.array_equal(whole[name], parts[name]) for name in whole)
    assert sum(int(value) for name, value in whole.items() if name.endswith("_errors")) > 0


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[3]])
@pytest.mark.parametrize("residual_width", [8, 9, 16])
def test_other_widths_of_the_residual_stream(shape, residual_width):
    number_format = NetworkFormat(residual_width=residual_width)
    vit = quantized(shape, number_format=number_format)
    check_steps(vit, pixels_of(shape))
    largest = np.abs(vit.steps(to_pixels(images_of(shape, 4)))["residual.1"]).max()
    assert 1 << (residual_width - 3) <= largest <= 1 << (residual_width - 1)
    check_steps(random_vit(shape, 0, number_format), pixels_of(shape))


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
    for name in ("residual.1", "blocks.0.norm1", "blocks.0.z", "blocks.0.q", "blocks.0.hidden"):
        for extreme in (-2048, 2047) if name == "residual.1" else (-128, 127):
            assert any((each[name] == extreme).any() for each in steps), name


# What the steps were before, and have to stay: no hardware that is built can be changed any more

CHECKSUMS = """
    patches                     3ea8127d
    patch_embed                 4447dec6
    embedding                   dcb01915
    residual.0.sum              6727f7fe
    residual.0                  5dbf2585
    blocks.0.norm1.total        a2c5d621
    blocks.0.norm1.variance     9efec7c5
    blocks.0.norm1.reciprocal   0e25f8c5
    blocks.0.norm1.normalized   83813422
    blocks.0.norm1              253bf807
    blocks.0.qkv                e1b37e09
    blocks.0.q                  8d6effb7
    blocks.0.k                  978f3adc
    blocks.0.v                  fecd7b11
    blocks.0.denominator_errors fe27cab8
    blocks.0.z                  445b7050
    blocks.0.proj               33284e6e
    residual.1.sum              dc263986
    residual.1                  cb0f8d71
    blocks.0.norm2.total        919a6d20
    blocks.0.norm2.variance     7153b8aa
    blocks.0.norm2.reciprocal   a24941eb
    blocks.0.norm2.normalized   aaa0aa2a
    blocks.0.norm2              374a2439
    blocks.0.fc1                0c38ebcc
    blocks.0.hidden             48a867c4
    blocks.0.gelu               97ccdfdc
    blocks.0.fc2                7df00a89
    residual.2.sum              197b57ef
    residual.2                  80ea688e
    norm.total                  4e337867
    norm.variance               23c1d553
    norm.reciprocal             b3d228e0
    norm.normalized             ef0f1612
    norm                        ee9c4337
    head                        e01d0157
    head_dist                   5ba72f8a
    logits                      4a5e441b
"""


def test_steps_are_those_that_hardware_was_built_for():
    """Names, order and bits of a model whose integers do not depend on any library; a difference names its stage."""
    shape = VitShape(
        image_size=6, patch_size=3, channels=2, classes=3, depth=1, width=6, heads=2, mlp_ratio=2, distilled=True
    )
    pixels = (np.arange(3 * 2 * 36) * 2_654_435_761 % (1 << 32) % 256).reshape(3, 2, 6, 6)
    steps = counted_vit(shape).steps(pixels)
    found = [f"{name} {zlib.crc32(value.astype('<i8').tobytes()):08x}" for name, value in steps.items()]
    assert found == [" ".join(line.split()) for line in CHECKSUMS.strip().splitlines()]

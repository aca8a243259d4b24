"""Every step of an integer model is that of its equations in Python ints, and fits the widths that are proven."""

import zlib

import numpy as np
import pytest

from taylorvit.golden.arithmetic.number_format import NumberFormat
from taylorvit.golden.network.integer_vit import to_pixels
from taylorvit.golden.network.vit import VitShape
from verif.golden.network.in_ints import check_steps
from verif.golden.network.models import SHAPE, SHAPES, counted_vit, images_of, pixels_of, quantized, random_vit


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


# What the steps were before, and have to stay: no hardware that is built can be changed any more

CHECKSUMS = """
    patches                     abc30a12
    patch_embed                 f36184f3
    residual.0                  b01f268c
    blocks.0.norm1.total        467e449b
    blocks.0.norm1.variance     051b0ffb
    blocks.0.norm1.reciprocal   02de0a22
    blocks.0.norm1.normalized   1cd99d15
    blocks.0.norm1              30808d45
    blocks.0.qkv                0425d8ed
    blocks.0.q                  0ca6a989
    blocks.0.k                  3f0f64ec
    blocks.0.v                  8653e7ed
    blocks.0.denominator_errors ebadd88a
    blocks.0.z                  6c6fe06f
    blocks.0.proj               9857d3e9
    residual.1.sum              93cc26d3
    residual.1                  55855ba6
    blocks.0.norm2.total        f64d7ebe
    blocks.0.norm2.variance     a9b4908c
    blocks.0.norm2.reciprocal   c3d423a7
    blocks.0.norm2.normalized   db4ba7d5
    blocks.0.norm2              6eb9521b
    blocks.0.fc1                6a122abe
    blocks.0.hidden             0fe721d0
    blocks.0.gelu               18cd3f30
    blocks.0.fc2                f4eaefc5
    residual.2.sum              7be617ed
    residual.2                  6a1ed14e
    norm.total                  c6f83f84
    norm.variance               64f64d52
    norm.reciprocal             d53c6e92
    norm.normalized             4cceec2c
    norm                        f61ea217
    head                        3ba4938e
    head_dist                   dc2d6325
    logits                      ea517272
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

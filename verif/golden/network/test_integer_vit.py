"""The integer model as its users see it: pixels in, logits out, real values, and what it refuses."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from taylorvit.golden.network.float_steps import float_steps
from taylorvit.golden.network.integer_vit import to_pixels
from taylorvit.golden.reports.sqnr import sqnr_db
from verif.golden.network.models import (
    MEAN,
    SHAPE,
    SHAPES,
    STD,
    float_model,
    images_of,
    pixels_of,
    quantized,
    random_vit,
)

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
    for name in wanted.keys() - {"embedding", *smoothed}:  # the embedding makes up for a bias
        assert sqnr_db(wanted[name].numpy(), vit.real(name, steps[name])) > 20, name


def test_real_values_have_the_shift_of_their_channel():
    vit = random_vit(SHAPE, 0)
    exponent, shifts = vit.exponents["residual.1"], vit.tensors["residual.1.left_shift"]
    real = vit.real("residual.1", np.full((2, SHAPE.width), 3))
    assert real.tolist() == [[3 * 2.0 ** (exponent + int(shift)) for shift in shifts]] * 2
    assert vit.real("blocks.0.q", np.array([-5])).tolist() == [-5 * 2.0 ** vit.exponents["blocks.0.q"]]


def test_real_values_around_gelu_have_an_offset():
    vit = random_vit(SHAPE, 0)
    vit = replace(vit, offsets=vit.offsets | {"blocks.0.gelu": 0, "blocks.1.hidden": 100})
    for name, real in (("blocks.0.gelu", -5), ("blocks.1.hidden", 95)):
        assert vit.real(name, np.array([-5])).tolist() == [real * 2.0 ** vit.exponents[name]]


def test_pixels_are_rounded_half_up():
    images = np.array([0, 0.5 / 255, 1.49 / 255, 1.5 / 255, 254.5 / 255, 1, 1.2, -0.2])
    assert to_pixels(images).tolist() == [0, 1, 1, 2, 255, 255, 255, 0]
    assert to_pixels(torch.arange(256) / 255).tolist() == list(range(256))


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

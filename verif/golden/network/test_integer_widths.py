"""Widths hold for every image, are reached where that can be told, and are refused beyond what there is."""

import re
from dataclasses import replace

import numpy as np
import pytest

from taylorvit.golden.checkpoints.checkpoint import CheckpointError
from taylorvit.golden.network.integer_layers import bits_of
from taylorvit.golden.network.integer_vit import load_integer_vit
from taylorvit.golden.network.vit import VitShape
from verif.golden.network.in_ints import check_steps
from verif.golden.network.models import SHAPE, changed, counted_vit, pixels_of, quantized, random_vit


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
    """Every feature at 2047 or -2048, times 8: the largest sums, deviations and variances that LayerNorm can meet."""
    vit = random_vit(SHAPE, 2)
    exponents = dict.fromkeys(("embedding", "patch_embed", "residual.0"), -12)
    tensors = {
        "patch_embed.weight": 0,
        "patch_embed.bias": 0,
        "patch_embed.weight_shift": 3,
        "embedding.left_shift": 3,
        "embedding": np.where(np.resize(signs, SHAPE.width) > 0, 2047, -2048),
        "residual.0.left_shift": 3,
    }
    tensors = {name: np.zeros_like(vit.tensors[name]) + value for name, value in tensors.items()}
    vit = replace(vit, exponents=vit.exponents | exponents, tensors=vit.tensors | tensors)
    x = vit.steps(pixels_of(SHAPE))["residual.0"]
    assert set(np.unique(x)) <= {-2048, 2047} and x.shape == (5, 5, 6)
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


@pytest.mark.parametrize(
    "name", ["patch_embed", "blocks.0.qkv", "blocks.1.proj", "blocks.0.fc1", "blocks.1.fc2", "head"]
)
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
        ("patch_embed", 70, "residual.0.sum must fit 64 bits"),
        ("patch_embed", -80, "residual.0.sum must fit 64 bits"),
        ("blocks.0.q", -100, "blocks.0.qkv.unrounded must fit 64 bits"),
        ("blocks.1.hidden", -100, "blocks.1.fc1.unrounded must fit 64 bits"),
        ("blocks.1.norm2", -80, "blocks.1.norm2.unrounded must fit 64 bits"),
        ("blocks.1.fc2", 50, "residual.4.sum must fit 64 bits"),
        ("residual.4", 70, "residual.4.sum.unrounded must fit 64 bits"),
    ],
)
def test_steps_beyond_64_bits_are_refused(name, exponent, text):
    vit = quantized(SHAPE)
    with pytest.raises(OverflowError, match=f"{re.escape(text)}, and can need "):
        replace(vit, exponents=vit.exponents | {name: exponent, "residual.4": max(exponent, 0)}).widths()


def test_variances_beyond_64_bits_are_refused():
    """By their epsilon, in a residual stream that is far too fine."""
    vit = quantized(SHAPE)
    with pytest.raises(OverflowError, match="blocks.0.norm1.variance must fit 64 bits, and can need "):
        replace(vit, exponents=vit.exponents | dict.fromkeys(("embedding", "residual.0"), -40)).widths()


def test_widths_of_a_model_that_was_counted():
    shape = VitShape(
        image_size=6, patch_size=3, channels=2, classes=3, depth=1, width=6, heads=2, mlp_ratio=2, distilled=True
    )
    assert counted_vit(shape).widths() == {
        "patch_embed": 19, "residual.0.sum": 23, "residual.0.sum.unrounded": 23, "blocks.0.norm1.total": 17,
        "blocks.0.norm1.variance": 33, "blocks.0.norm1.product": 34, "blocks.0.norm1.normalized": 15,
        "blocks.0.norm1.unrounded": 30, "blocks.0.qkv": 18, "blocks.0.qkv.unrounded": 18, "blocks.0.proj": 18,
        "residual.1.sum": 24, "residual.1.sum.unrounded": 24, "blocks.0.norm2.total": 17,
        "blocks.0.norm2.variance": 33, "blocks.0.norm2.product": 34, "blocks.0.norm2.normalized": 15,
        "blocks.0.norm2.unrounded": 30, "blocks.0.fc1": 18, "blocks.0.fc1.unrounded": 18, "blocks.0.fc2": 18,
        "residual.2.sum": 22, "residual.2.sum.unrounded": 22, "norm.total": 17, "norm.variance": 33,
        "norm.product": 34, "norm.normalized": 15, "norm.unrounded": 30, "head": 18, "head_dist": 18, "logits": 19,
    }  # fmt: skip

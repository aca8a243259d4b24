"""Shifts follow from the exponents, and a network with numbers that are missing or do not fit cannot be made."""

from dataclasses import replace

import numpy as np
import pytest

from taylorvit.golden.arithmetic.number_format import NumberFormat
from verif.golden.network.models import SHAPE, SHAPES, changed, quantized, random_vit


def test_scales_are_by_channel_in_the_residual_stream_alone():
    vit = changed(random_vit(SHAPE, 0), "residual.1.left_shift", [0, 3, 1, 2, 0, 0], ...)
    vit = changed(vit, "residual.1", -4)
    assert vit.scale("residual.1").tolist() == [-4, -1, -3, -2, -4, -4]
    assert vit.left_shifts("residual.1").tolist() == [0, 3, 1, 2, 0, 0]
    assert vit.scale("norm").tolist() == vit.exponents["norm"] and vit.left_shifts("norm").tolist() == 0


def test_requantizing_shifts_lead_from_the_sums_to_the_step():
    vit = changed(changed(random_vit(SHAPE, 0), "blocks.0.qkv", -9), "blocks.0.k", -3)
    assert vit.requantizing_shift(vit.program["blocks.0.k"]).tolist() == 6
    vit = changed(changed(vit, "patch_embed", -9), "residual.0", -5)
    vit = changed(vit, "residual.0.left_shift", [0, 3, 1, 2, 0, 0], ...)
    assert vit.requantizing_shift(vit.program["residual.0"]).tolist() == [4, 7, 5, 6, 4, 4]


@pytest.mark.parametrize(
    ("branch", "expected"),
    [(-9, ([5, 8, 6, 7, 5, 5], 0, [6, 6, 6, 6, 7, 6])), (-1, ([0, 3, 1, 2, 0, 0], 3, [1, 1, 1, 1, 2, 1]))],
)
def test_additions_are_in_the_finest_exponent(branch, expected):
    vit = changed(changed(random_vit(SHAPE, 0), "residual.0", -4), "residual.1", -3)
    vit = changed(vit, "residual.0.left_shift", [0, 3, 1, 2, 0, 0], ...)
    vit = changed(vit, "residual.1.left_shift", [0, 0, 0, 0, 1, 0], ...)
    of_stream, of_branch, of_sum = changed(vit, "blocks.0.proj", branch).add_shifts(vit.program["residual.1"])
    assert (of_stream.tolist(), of_branch, of_sum.tolist()) == expected


@pytest.mark.parametrize(("exponent", "epsilon"), [(-10, round(36e-6 * 4**10)), (-7, 1), (-8, 2), (5, 1)])
def test_epsilon_is_in_the_scale_of_the_variance(exponent, epsilon):
    vit = changed(random_vit(SHAPE, 0), "residual.0", exponent)
    assert vit.epsilon(vit.program["blocks.0.norm1"]) == epsilon


def test_a_norm_is_shifted_from_the_products_with_gamma():
    vit = random_vit(SHAPE, 0)
    vit = replace(vit, exponents=vit.exponents | {"norm.gamma": -13, "norm": -5})
    assert vit.norm_shift(vit.program["norm"]) == 20  # 12 fractional bits of the normalized features


def test_heads_are_added_in_the_finer_exponent():
    vit = changed(changed(random_vit(SHAPES[3], 0), "head", -10), "head_dist", -12)
    assert vit.logit_shifts(vit.program["logits"]) == [2, 0]


def test_linear_layers_come_in_the_order_in_which_they_are_computed():
    assert quantized(SHAPES[4]).linears == [
        "patch_embed", "blocks.0.qkv", "blocks.0.proj", "blocks.0.fc1", "blocks.0.fc2", "head", "head_dist",
    ]  # fmt: skip


def test_a_model_cannot_be_made_wrong():
    vit = quantized(SHAPE)
    with pytest.raises(TypeError, match="^head.bias must be integers, not float64$"):
        replace(vit, tensors=vit.tensors | {"head.bias": np.zeros(3)})
    with pytest.raises(ValueError, match="^c_d must be 0 to 1, not "):
        replace(vit, number_format=NumberFormat(c_d_width=1))

"""Shifts follow from the exponents, and a network with numbers that are missing or do not fit cannot be made."""

from dataclasses import replace

import numpy as np
import pytest

from taylorvit.golden.arithmetic.number_format import NetworkFormat
from verif.golden.network.models import SHAPE, SHAPES, changed, quantized, random_vit


def test_scales_are_by_channel_in_the_residual_stream_and_in_sums():
    vit = changed(random_vit(SHAPE, 0), "residual.0.left_shift", [0, 3, 1, 2, 0, 0], ...)
    vit = changed(vit, "residual.0", -4)
    assert vit.scale("residual.0").tolist() == [-4, -1, -3, -2, -4, -4]
    assert vit.left_shifts("residual.0").tolist() == [0, 3, 1, 2, 0, 0]
    vit = changed(changed(vit, "blocks.0.proj.weight_shift", [7, 0, 1, 2, 0, 5], ...), "blocks.0.proj", -14)
    assert vit.scale("blocks.0.proj").tolist() == [-7, -14, -13, -12, -14, -9]
    for name in ("norm", "head"):
        assert vit.scale(name).tolist() == vit.exponents[name] and vit.left_shifts(name).tolist() == 0


def test_requantizing_shifts_lead_from_the_sums_of_each_channel_to_the_step():
    vit = changed(changed(random_vit(SHAPE, 0), "blocks.0.qkv", -9), "blocks.0.k", -3)
    vit = changed(vit, "blocks.0.qkv.weight_shift", np.arange(18) % 8, ...)
    assert vit.requantizing_shift(vit.program["blocks.0.k"]).tolist() == [0, -1, 6, 5, 4, 3]
    assert vit.requantizing_shift(vit.program["blocks.0.k"]).dtype == np.int64


@pytest.mark.parametrize(
    ("branch", "expected"),
    [
        (-9, ([5, 8, 6, 4, 5, 0], [0, 0, 0, 0, 0, 2], [6, 8, 7, 4, 7, 1])),
        (-4, ([0, 3, 1, 0, 0, 0], [0, 0, 0, 1, 0, 7], [1, 3, 2, 0, 2, 1])),
    ],
)
def test_additions_are_in_the_finer_exponent_of_each_channel(branch, expected):
    vit = random_vit(SHAPE, 0)
    shifts = {
        "residual.0.left_shift": [0, 3, 1, 2, 0, 0],
        "blocks.0.proj.weight_shift": [0, 0, 0, 3, 0, 7],
        "residual.1.left_shift": [0, 2, 1, 1, 1, 0],
    }
    exponents = {"embedding": -10, "residual.0": -4, "blocks.0.proj": branch, "residual.1": -3, "residual.2": 0}
    vit = replace(
        vit,
        tensors=vit.tensors | {name: np.array(each) for name, each in shifts.items()},
        exponents=vit.exponents | exponents,
    )
    found = vit.add_shifts(vit.program["residual.1"])
    assert tuple(each.tolist() for each in found) == expected
    assert all(each.dtype == np.int64 for each in found)


@pytest.mark.parametrize(("exponent", "epsilon"), [(-10, round(36e-6 * 4**10)), (-7, 1), (-8, 2), (5, 1)])
def test_epsilon_is_in_the_scale_of_the_variance(exponent, epsilon):
    vit = quantized(SHAPE)
    vit = replace(vit, exponents=vit.exponents | {"embedding": exponent - 3, "residual.0": exponent})
    assert vit.epsilon(vit.program["blocks.0.norm1"]) == epsilon


def test_a_norm_is_shifted_from_the_products_with_gamma():
    vit = random_vit(SHAPE, 0)
    vit = replace(vit, exponents=vit.exponents | {"norm.gamma": -13, "norm": -5})
    assert vit.norm_shift(vit.program["norm"]) == 20  # 12 fractional bits of the normalized features


@pytest.mark.parametrize("name", ["head_dist", "head_dist.weight"])
def test_heads_must_have_one_exponent(name):
    """Else their sums could not be added as they are."""
    vit = quantized(SHAPES[3])
    wanted = vit.exponents[name]
    text = f"^exponent of {name} must be that of {name.replace('_dist', '')}, {wanted}, not {wanted + 1}$"
    with pytest.raises(ValueError, match=text):
        replace(vit, exponents=vit.exponents | {name: wanted + 1})


def test_sums_are_not_shifted_left_to_the_residual_stream():
    vit = changed(quantized(SHAPE), "residual.1.left_shift", [1, 1, 0, 1, 1, 1], ...)
    finest = np.minimum(vit.scale("residual.0"), vit.scale("blocks.0.proj"))[2]
    assert changed(vit, "residual.1", finest).add_shifts(vit.program["residual.1"])[2][2] == 0
    text = f"exponent of channel 2 of residual.1 must be at least {finest}, the finer one of those of residual.0 and "
    with pytest.raises(ValueError, match=f"^{text}blocks.0.proj, not {finest - 1}$"):
        changed(vit, "residual.1", finest - 1)


def test_linear_layers_come_in_the_order_in_which_they_are_computed():
    assert quantized(SHAPES[4]).linears == [
        "patch_embed", "blocks.0.qkv", "blocks.0.proj", "blocks.0.fc1", "blocks.0.fc2", "head", "head_dist",
    ]  # fmt: skip


def test_a_model_cannot_be_made_wrong():
    vit = quantized(SHAPE)
    with pytest.raises(TypeError, match="^head.bias must be integers, not float64$"):
        replace(vit, tensors=vit.tensors | {"head.bias": np.zeros(3)})
    with pytest.raises(ValueError, match="^c_d must be 0 to 1, not "):
        replace(vit, number_format=NetworkFormat(c_d_width=1))

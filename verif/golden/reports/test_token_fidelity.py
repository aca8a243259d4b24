"""Tokens of an integer model against the float model: exact ones are alike, and fewer or coarser numbers show."""

import math

import numpy as np
import pytest
import torch

from taylorvit.golden.network.quantize import quantize_vit
from taylorvit.golden.network.vit import VisionTransformer, VitShape
from taylorvit.golden.reports.token_fidelity import (
    TokenFidelity,
    fidelity_table,
    float_streams,
    integer_streams,
    rounded_streams,
    token_fidelity,
)
from verif.tools.figures import console

SHAPE = VitShape(image_size=8, patch_size=4, channels=2, classes=3, depth=2, width=16, heads=2)
IMAGES = torch.rand(6, 2, 8, 8, generator=torch.Generator().manual_seed(0))
OF_IMAGES = {"mean": (0.4, 0.5), "std": (0.2, 0.3)}


@pytest.fixture(scope="module")
def pair():
    """A float model and an integer one."""
    torch.manual_seed(0)
    model = VisionTransformer(SHAPE, "softmax").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model, quantize_vit(model, IMAGES, **OF_IMAGES)


def test_figures_are_what_they_are_called():
    wanted = np.array([[[[1.0, 0.0], [0.0, 2.0]]]])
    found = np.array([[[[1.0, 1.0], [0.0, 1.0]]]])
    [figures] = token_fidelity(wanted, found)
    assert figures.cosine == pytest.approx((math.sqrt(0.5) + 1) / 2)
    assert figures.least == pytest.approx(math.sqrt(0.5))
    assert figures.sqnr_db == pytest.approx(10 * math.log10(5 / 2))
    assert token_fidelity(wanted, wanted) == [TokenFidelity(1.0, 1.0, math.inf)]


def test_a_token_of_zeros_is_unlike_all_others():
    assert token_fidelity(np.ones((1, 1, 1, 4)), np.zeros((1, 1, 1, 4)))[0].cosine == 0


def test_float_streams_are_those_of_the_model(pair):
    model, _vit = pair
    x, wanted = IMAGES - torch.tensor(OF_IMAGES["mean"]).view(-1, 1, 1), []
    with torch.no_grad():
        x = model.embed(x / torch.tensor(OF_IMAGES["std"]).view(-1, 1, 1))
        for block in model.blocks:
            wanted.append(x := block(x))
    found = float_streams(model, IMAGES, **OF_IMAGES)
    assert found.shape == (2, 6, 5, 16)
    assert all(each.sqnr_db > 40 for each in token_fidelity(torch.stack(wanted).numpy(), found))  # but for 8-bit pixels
    other = float_streams(model, IMAGES, **OF_IMAGES, kernels=("softmax", "taylor"))
    assert np.array_equal(found[0], other[0]) and not np.allclose(found[1], other[1], atol=1e-3)


def test_integers_are_near_and_rounded_floats_are_nearly_the_integers(pair):
    model, vit = pair
    wanted = float_streams(model, IMAGES, **OF_IMAGES)
    integers = token_fidelity(wanted, integer_streams(vit, IMAGES))
    rounded = token_fidelity(wanted, rounded_streams(model, vit, IMAGES, **OF_IMAGES, grid=lambda _name, grid: grid))
    for each, other in zip(integers, rounded):
        assert 0.99 < each.cosine < 1 and each.least <= each.cosine and each.sqnr_db > 20
        assert other.sqnr_db == pytest.approx(each.sqnr_db, abs=2)


def test_numbers_may_be_exact_or_finer(pair):
    model, vit = pair
    wanted = float_streams(model, IMAGES, **OF_IMAGES)

    def last(grid):
        return token_fidelity(wanted, rounded_streams(model, vit, IMAGES, **OF_IMAGES, grid=grid))[-1].sqnr_db

    names = []
    assert last(lambda name, _grid: names.append(name)) > 100  # nothing is rounded
    assert {"blocks.0.gelu", "blocks.1.attn.qkv.weight", "patch_embed.proj.weight"} <= set(names)
    all_of_8, of_10 = last(lambda _name, grid: grid), last(lambda _name, grid: grid.finer(2))
    exact_weights = last(lambda name, grid: None if name.endswith("weight") else grid)
    assert all_of_8 < exact_weights and all_of_8 + 6 < of_10


def test_table(pair):
    shown = console()
    with shown.capture() as captured:
        shown.print(
            fidelity_table({"a": [TokenFidelity(0.5, 0.25, 10.0)] * 2, "b": [TokenFidelity(1, 1, math.inf)] * 2})
        )
    rows = [line for line in captured.get().splitlines() if "0.5000  0.250   10.0" in line]
    assert len(rows) == 2 and all("1.0000  1.000" in row for row in rows)

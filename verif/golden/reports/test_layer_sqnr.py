"""The noise of a step is that of its values, and the table has it in the row of its layer."""

import math

import pytest
import torch

from taylorvit.golden.checkpoints.checkpoint import load
from taylorvit.golden.network.float_steps import float_steps
from taylorvit.golden.network.integer_vit import to_pixels
from taylorvit.golden.network.program import network_of
from taylorvit.golden.network.quantize import quantize_vit
from taylorvit.golden.network.vit import SHAPES, VisionTransformer, VitShape
from taylorvit.golden.reports.layer_sqnr import layer_sqnr, layer_sqnr_table
from taylorvit.golden.training.loading import load_images, model_of

STEPS = ("q", "k", "v", "z", "hidden", "gelu")


def test_noise_of_each_step_is_that_of_its_values(trained_on_digits):
    path, recipe = trained_on_digits
    model, dataset = model_of(load(path)), load_images(recipe.data, 8)
    vit = quantize_vit(model, dataset.training[list(range(40))][0], mean=dataset.mean, std=dataset.std)
    images, _labels = dataset.testing[list(range(20))]
    sqnr = layer_sqnr(model, vit, images, mean=dataset.mean, std=dataset.std)
    pixels = to_pixels(images)
    steps = vit.steps(pixels)
    inputs = (torch.from_numpy(pixels) / 255 - dataset.mean[0]) / dataset.std[0]
    with torch.no_grad():
        wanted = float_steps(VisionTransformer.double(model_of(load(path))), inputs.double())
    shown = [f"blocks.{layer}.{name}" for layer in range(2) for name in STEPS]
    assert sorted(sqnr) == sorted([*shown, *(f"residual.{stream}" for stream in range(5)), "logits"])
    for name, decibels in sqnr.items():
        x, y = wanted[name].numpy(), vit.real(name, steps[name])
        assert decibels == pytest.approx(10 * math.log10((x**2).sum() / ((x - y) ** 2).sum()), abs=1e-3), name
    assert next(model.parameters()).dtype == torch.float32  # as it was


def test_what_is_equal_has_no_error():
    """A model of zeros but for the bias of its head: the logits are exact."""
    model = VisionTransformer(SHAPES["vit_8"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.head.bias[:] = torch.arange(10) / 8
    images = torch.rand(2, 1, 8, 8)
    vit = quantize_vit(model, images, mean=(0.5,), std=(0.5,))
    assert layer_sqnr(model, vit, images, mean=(0.5,), std=(0.5,))["logits"] == math.inf


def test_the_table_has_a_row_for_each_layer():
    sqnr = {f"blocks.{layer}.{name}": 10.0 * layer + place for layer in range(2) for place, name in enumerate(STEPS)}
    sqnr |= {f"residual.{stream}": 20.0 + stream for stream in range(5)} | {"blocks.1.gelu": math.inf, "logits": 30.0}
    shape = VitShape(image_size=8, patch_size=4, channels=1, classes=3, depth=2, width=12, heads=2)
    table = layer_sqnr_table(sqnr, network_of(shape))
    assert table.title == "Signal to quantization noise, dB; 20.0 behind the patch embedding"
    cells = {column.header: list(column.cells) for column in table.columns}
    assert cells == {
        "layer": ["0", "1"], "q": ["0.0", "10.0"], "k": ["1.0", "11.0"], "v": ["2.0", "12.0"], "z": ["3.0", "13.0"],
        "+ attention": ["21.0", "23.0"], "hidden": ["4.0", "14.0"], "gelu": ["5.0", "no error"],
        "+ MLP": ["22.0", "24.0"],
    }  # fmt: skip

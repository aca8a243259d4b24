"""Trained networks on held-out digits: the logits are those of the integer model."""

from __future__ import annotations

import numpy as np
import pytest

from taylorvit.compiler import compile_network
from taylorvit.fpga.board import load_board
from taylorvit.gen.presets import load_preset
from taylorvit.golden.network.integer_vit import load_integer_vit
from taylorvit.jobs.images import read_images
from taylorvit.jobs.patches import image_beats
from taylorvit.models import bundled_model
from taylorvit.simulation.network import NetworkJob, build_network, simulate_network

NIGHTLY = pytest.mark.nightly


def _of_board(name):
    return load_board(name).network("digits").config


@pytest.mark.parametrize(
    "model, config, count, cycles",
    [
        pytest.param("mnist5k", load_preset("vit-16x16"), 30, 50_000, id="mnist5k"),
        pytest.param("mnist5k", load_preset("vit-16x16"), 200, 50_000, id="mnist5k-more", marks=NIGHTLY),
        pytest.param("digits", _of_board("ulx3s-25f"), 100, 90_000, id="ulx3s-25f"),
        pytest.param("digits", _of_board("tang-nano-20k"), 100, 200_000, id="tang-nano-20k", marks=NIGHTLY),
    ],
)
def test_held_out_digits(model, config, count, cycles):
    vit = load_integer_vit(bundled_model(model))
    compiled = compile_network(vit, config)
    images = read_images([f"{model}:0-{count - 1}"], vit.shape, vit.data["classes"])
    job = NetworkJob(
        tape=compiled.tape,
        beats=image_beats(images.pixels, vit.shape, config.image_lanes),
        patches=compiled.patches,
        patch_pixels=compiled.patch_pixels,
        classes=vit.shape.classes,
    )
    result = simulate_network(build_network(config), job)
    assert result.events == {"DONE"}
    np.testing.assert_array_equal(result.logits, vit(images.pixels.astype(np.int64)))
    assert (result.logits.argmax(axis=1) == np.array(images.labels)).mean() > 0.9
    assert max(result.image_cycles[1:]) == min(result.image_cycles[1:]) < cycles

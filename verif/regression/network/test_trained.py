"""A trained network on real images: the logits of MNIST's digits are those of the integer model."""

from __future__ import annotations

import numpy as np
import pytest

from taylorvit.compiler import compile_network
from taylorvit.gen.presets import load_preset
from taylorvit.golden.network.integer_vit import load_integer_vit
from taylorvit.jobs.images import read_images
from taylorvit.jobs.patches import image_beats
from taylorvit.models import bundled_model
from taylorvit.simulation.network import NetworkJob, build_network, simulate_network

PRESET = "vit-16x16"
CYCLES = 50_000  # of an image, at most


@pytest.mark.parametrize("count", [30, pytest.param(200, marks=pytest.mark.nightly)])
def test_digits_of_mnist(count):
    vit, config = load_integer_vit(bundled_model("mnist5k")), load_preset(PRESET)
    compiled = compile_network(vit, config)
    images = read_images([f"mnist5k:0-{count - 1}"], vit.shape, vit.data["classes"])
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
    assert max(result.image_cycles[1:]) == min(result.image_cycles[1:]) < CYCLES

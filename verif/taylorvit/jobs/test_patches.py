"""Images in the order in which the accelerator takes them: that of the golden model's patches."""

import numpy as np
import pytest

from taylorvit.golden.network.integer_run import run
from taylorvit.golden.network.vit import VitShape
from taylorvit.jobs.patches import image_beats
from verif.golden.network.models import SHAPES, quantized


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_patches_are_those_of_the_golden_model(shape: VitShape):
    vit = quantized(shape)
    size = (2, shape.channels, shape.image_size, shape.image_size)
    pixels = np.random.default_rng(0).integers(0, 256, size)
    steps = {}
    run(vit, pixels, steps.__setitem__)
    expected = steps["patches"][:, shape.extra_tokens :] + 128  # prefix tokens have no pixels
    patches, patch = expected.shape[1:]
    for lanes in (1, 3, 4):
        beats = image_beats(pixels.astype(np.uint8), shape, lanes)
        assert beats.shape == (2, patches * -(-patch // lanes), lanes) and beats.dtype == np.uint8
        padded = beats.reshape(2, patches, -1)
        assert (padded[:, :, :patch] == expected).all()
        assert not padded[:, :, patch:].any()

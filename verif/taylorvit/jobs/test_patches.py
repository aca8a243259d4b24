"""Images in the orders in which the accelerator takes them: that of the golden model's patches, or by row."""

from dataclasses import replace

import numpy as np
import pytest

from taylorvit.golden.network.integer_run import run
from taylorvit.golden.network.vit import VitShape
from taylorvit.jobs.patches import image_beats, image_beats_by_row
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


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_rows_are_those_of_the_picture(lanes):
    shape = replace(SHAPES[0], image_size=8, patch_size=4, channels=3)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 12)).astype(np.uint8)  # wider than high
    beats = image_beats_by_row(pixels, shape, lanes)
    expected = [
        [
            pixels[image, colour, y, x : x + lanes].tolist()
            for y in range(8)
            for x in range(0, 12, lanes)
            for colour in range(3)
        ]
        for image in range(2)
    ]
    assert beats.tolist() == expected and beats.dtype == np.uint8
    if lanes == 1:
        assert beats.tobytes() == pixels.transpose(0, 2, 3, 1).tobytes()


def test_row_of_a_patch_is_of_whole_beats():
    shape = replace(SHAPES[0], image_size=6, patch_size=3, channels=1)
    text = "^patch_size must be a multiple of the 2 pixels of a beat for images in raster order, not 3$"
    with pytest.raises(ValueError, match=text):
        image_beats_by_row(np.zeros((1, 1, 6, 6), dtype=np.uint8), shape, 2)

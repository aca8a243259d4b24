"""Strokes become images like those of the data sets."""

import numpy as np
import pytest

from taylorvit.golden.network.integer_vit import load_integer_vit
from taylorvit.golden.training.images import load_dataset
from taylorvit.models import bundled_model
from taylorvit.web.drawing import STYLES, drawn

from .digits import STROKES

MNIST, DIGITS = STYLES["mnist5k"], STYLES["digits"]


def inside(image):
    """(left, top, right, bottom) of what is not black."""
    rows, columns = (np.flatnonzero((image[0] > 25).any(axis=axis)) for axis in (1, 0))
    return columns[0], rows[0], columns[-1], rows[-1]


@pytest.mark.parametrize("name", STYLES)
def test_every_digit_is_known(name):
    """By the model that comes with the package, at any size and place."""
    vit = load_integer_vit(bundled_model(name))
    for scale, shift in ((1, 0), (0.2, 0.7)):
        images = [drawn([np.array(stroke) * scale + shift for stroke in strokes], STYLES[name])
                  for strokes in STROKES.values()]  # fmt: skip
        found = vit(np.stack(images).astype(np.int64)).argmax(axis=1)
        assert found.tolist() == list(STROKES)


@pytest.mark.parametrize("name", STYLES)
def test_drawings_look_like_the_data(name):
    """Ink and place of the ten digits, on average, are near to those of the data set."""
    data = load_dataset(name)
    wanted = data.training[list(range(500))][0][:, 0].numpy()
    images = np.concatenate([drawn(strokes, STYLES[name]) for strokes in STROKES.values()]) / 255
    assert images.shape[1:] == wanted.shape[1:]
    assert np.isclose(images.sum(axis=(1, 2)).mean(), wanted.sum(axis=(1, 2)).mean(), rtol=0.15)
    assert np.isclose(images.max(axis=(1, 2)).mean(), wanted.max(axis=(1, 2)).mean(), atol=0.02)
    places = np.arange(wanted.shape[1])
    for axis in (1, 2):
        of_drawings, of_data = (each.sum(axis=(0, axis)) @ places / each.sum() for each in (images, wanted))
        assert abs(of_drawings - of_data) < 0.03 * len(places)


def test_place_and_size():
    line = [[(0.1, 0.8), (0.1, 0.9)]]
    left, top, right, bottom = inside(drawn(line, MNIST))
    assert (top, bottom) == (4, 23) and right - left <= 3  # 20 pixels high, as wide as the pen
    image = drawn(line, MNIST)[0].astype(float)
    assert np.isclose(image.sum(axis=0) @ (np.arange(28) + 0.5) / image.sum(), 14, atol=0.1)
    assert inside(drawn(line, DIGITS))[1::2] == (0, 7)
    wide = inside(drawn([[(0, 0.5), (1, 0.5)]], DIGITS))
    assert wide[0] <= 1 and wide[2] >= 6 and wide[3] - wide[1] <= 2


def test_centre_of_mass_is_in_the_middle():
    image = drawn([[(0, 0), (0, 1)], [(0, 1), (0.5, 1)]], MNIST)[0].astype(float)
    places = np.arange(28) + 0.5
    assert np.allclose([image.sum(axis=axis) @ places / image.sum() for axis in (0, 1)], 14, atol=0.1)


def test_dot():
    for style in (MNIST, DIGITS):
        image = drawn([[(0.3, 0.3)]], style)
        left, top, right, bottom = inside(image)
        assert image.max() > 100 and right - left < 4 and bottom - top < 4
        assert np.array_equal(image, drawn([[(0.9, 0.1), (0.9, 0.1)]], style))


def test_edges_are_smooth():
    image = drawn([[(0, 0), (1, 1)]], MNIST)
    assert image.dtype == np.uint8 and ((image > 20) & (image < 235)).sum() > 20

"""Images as characters."""

import numpy as np

from taylorvit.commands.pictures import picture, side_by_side


def test_small_image_has_two_characters_a_pixel():
    pixels = np.array([[[0, 255], [60, 130]]])
    assert picture(pixels) == ["  ██", "░░▒▒"]


def test_large_image_is_shrunk():
    pixels = np.zeros((3, 224, 224))
    pixels[:, :, 112:] = 255
    lines = picture(pixels)
    assert lines == [" " * 16 + "█" * 16] * 16


def test_odd_sizes():
    assert {len(line) for line in picture(np.full((1, 25, 25), 255))} == {25}
    assert len(picture(np.full((1, 25, 25), 255))) == 13
    assert {len(line) for line in picture(np.full((1, 37, 37), 255))} == {18}


def test_pictures_side_by_side():
    lines = side_by_side([["ab", "cd"]] * 3, ["one", "two", "three"], 16)
    assert lines == ["ab     ab", "cd     cd", "one    two", "", "ab", "cd", "three", ""]

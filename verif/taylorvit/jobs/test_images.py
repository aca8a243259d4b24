"""Images from files, folders, arrays and data sets: pixels of the model's size, names, labels, and what is refused."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taylorvit.golden.network.integer_vit import to_pixels
from taylorvit.golden.network.vit import VitShape
from taylorvit.golden.training.images import load_dataset, read_image
from taylorvit.jobs.images import read_images

GREY = VitShape(image_size=8, patch_size=2, channels=1, classes=10, depth=1, width=4, heads=1)
COLOUR = VitShape(image_size=6, patch_size=3, channels=3, classes=2, depth=1, width=4, heads=1)
DIGITS = [str(digit) for digit in range(10)]


def picture(path, shape, seed=0):
    """Writes a random image; its pixels, (height, width[, 3])."""
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def refused(text, *sources, shape=GREY):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}") as error:
        read_images([str(source) for source in sources], shape, DIGITS)
    assert "\n" not in str(error.value)


def test_image_of_the_size_of_the_model_is_taken_as_it_is(tmp_path):
    grey = picture(tmp_path / "a.png", (8, 8))
    images = read_images([str(tmp_path / "a.png")], GREY)
    assert images.pixels.dtype == np.uint8 and images.labels == [None] and images.names == [str(tmp_path / "a.png")]
    assert (images.pixels == grey[None, None]).all()
    colour = picture(tmp_path / "b.png", (6, 6, 3))
    assert (read_images([str(tmp_path / "b.png")], COLOUR).pixels[0] == colour.transpose(2, 0, 1)).all()


def test_centre_of_a_larger_image(tmp_path):
    path = tmp_path / "large.jpg"
    picture(path, (40, 60, 3))
    images = read_images([str(path)], COLOUR)
    assert images.pixels.shape == (1, 3, 6, 6)
    assert (images.pixels[0] == to_pixels(read_image(path, 6, 3).numpy())).all()


def test_folder_and_folders_of_classes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = [picture(tmp_path / name, (8, 8), seed) for seed, name in enumerate(["b.png", "3/x.png", "none/y.png"])]
    (tmp_path / ".hidden").mkdir()
    images = read_images([str(tmp_path)], GREY, DIGITS)
    assert images.labels == [None, 3, None]
    assert (images.pixels[:, 0] == np.stack(pixels)).all()
    for folder in (tmp_path / "3", Path("3"), Path("3") / ".." / "3", Path(".") / "3"):
        assert read_images([str(folder)], GREY, DIGITS).labels == [3]
    sources = [str(tmp_path / "3" / "x.png"), "3/x.png", "none/y.png", "b.png"]
    assert read_images(sources, GREY, DIGITS).labels == [3, 3, None, None]
    monkeypatch.chdir("3")
    for source in (".", "x.png"):
        assert read_images([source], GREY, DIGITS).labels == [3]
    assert read_images(["."], GREY, ["odd", "even"]).labels == [None]
    (tmp_path / "empty").mkdir()
    refused(f"{tmp_path / 'empty'} must have images (.jpg, ", tmp_path / "empty")


def test_arrays(tmp_path):
    path = tmp_path / "pixels.npz"
    pixels = np.random.default_rng(1).integers(0, 256, (3, 1, 8, 8))
    np.savez(path, pixels=pixels, labels=np.array([1, 0, 9]))
    images = read_images([str(path)], GREY)
    assert images.labels == [1, 0, 9] and images.names == ["pixels.npz:0", "pixels.npz:1", "pixels.npz:2"]
    assert (images.pixels == pixels).all()
    np.savez(path, pixels=pixels[:, 0])
    assert (read_images([str(path)], GREY).pixels == pixels).all()


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"pixels": np.zeros((2, 9, 9), int)}, "pixels must be of shape (images, 1, 8, 8), not (2, 9, 9)"),
        ({"pixels": np.zeros((8, 8), int)}, "pixels must be of shape (images, 1, 8, 8), not (8, 8)"),
        ({"pixels": np.zeros((2, 8, 8))}, "pixels must be integers of 0 to 255, not float64"),
        ({"pixels": np.full((2, 8, 8), 256)}, "pixels must be integers of 0 to 255, not 256"),
        ({"pixels": np.full((2, 8, 8), -1)}, "pixels must be integers of 0 to 255, not -1"),
        ({"pixels": np.zeros((0, 8, 8), int)}, "pixels must be of at least one image"),
        (
            {"pixels": np.zeros((2, 8, 8), int), "labels": np.zeros(3, int)},
            "labels must be integers, one for each of 2",
        ),
        ({"image": np.zeros((2, 8, 8), int)}, "file must have the arrays pixels, and lacks pixels"),
    ],
)
def test_wrong_arrays(tmp_path, arrays, text):
    path = tmp_path / "wrong.npz"
    np.savez(path, **arrays)
    refused(f"{path}: {text}", path)


def test_label_that_the_model_does_not_have(tmp_path):
    path = tmp_path / "pixels.npz"
    np.savez(path, pixels=np.zeros((1, 8, 8), int), labels=np.array([10]))
    refused("label of pixels.npz:0 must be in 0..9, not 10", path)


def test_data_set():
    images = read_images(["digits:2-4,0", "digits:7"], GREY, DIGITS)
    pixels, labels = load_dataset("digits").testing[[2, 3, 4, 0, 7]]
    assert images.labels == labels.tolist() and images.names == [f"digits:{index}" for index in (2, 3, 4, 0, 7)]
    assert (images.pixels == to_pixels(pixels.numpy())).all()
    assert len(read_images(["digits"], GREY, DIGITS).names) == 360
    assert read_images(["digits:0"], GREY, ["odd", "even"]).labels == [None]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("digits:0-360", "images of digits must be in 0..359, in rising order, not '0-360'"),
        ("digits:5-4", "images of digits must be in 0..359, in rising order, not '5-4'"),
        ("digits:a", "images of digits must be numbers and ranges of them, as 0-9,12, not 'a'"),
        ("digits:-3", "images of digits must be numbers and ranges of them, as 0-9,12, not '-3'"),
        (
            "faces:0",
            "images of faces must have 1 channel of 8 x 8 pixels, as the model takes them, not 1 channel of 25 x 25 "
            "pixels; only image files are cut and resized",
        ),
        ("cifar:0", "images must be a file, a folder or a data set (mnist5k, digits, faces, photos; mnist5k:0-9 are "),
        ("absent.png", "images must be a file, a folder or a data set"),
        ("", "images must be a file, a folder or a data set"),
    ],
)
def test_wrong_source(source, text):
    refused(text, source)


def test_file_that_is_no_image(tmp_path):
    path = tmp_path / "text.png"
    path.write_text("no image")
    refused(f"{path} must be an image that Pillow can read", path)
    refused("images must be at least one", shape=GREY)
    two = VitShape(image_size=8, patch_size=2, channels=2, classes=10, depth=1, width=4, heads=1)
    refused(f"{path} must be an .npz of pixels: the model's images have 2 channels", path, shape=two)

"""The models that come with the package recognize as many images as the page beside them says."""

import re
from pathlib import Path

import numpy as np
import pytest

import taylorvit
from taylorvit.boundary.errors import FileError
from taylorvit.golden.network.integer_vit import load_integer_vit, to_pixels
from taylorvit.golden.training.loading import load_images
from taylorvit.golden.training.recipe import check_recipe
from taylorvit.models import bundled_model, bundled_names

FOLDER = Path(taylorvit.__file__).parent / "models"
#: Name -> held-out images, recognized in floating point, recognized in integers.
TOLD = {
    name: tuple(map(int, numbers))
    for name, *numbers in re.findall(
        r"^\| `(\w+)\.safetensors` \|[^|]*\| (\d+)[^|]*\| (\d+) \| (\d+) \|", (FOLDER / "README.md").read_text(), re.M
    )
}


def test_names_are_those_of_the_page():
    assert bundled_names() == sorted(TOLD) == ["digits", "mnist5k"]
    assert [bundled_model(name) for name in bundled_names()] == sorted(FOLDER.glob("*.safetensors"))
    assert sum(bundled_model(name).stat().st_size for name in bundled_names()) < 500_000


def test_other_names_are_files(tmp_path):
    path = tmp_path / "mine.safetensors"
    with pytest.raises(FileError, match=f"^model must be one of digits, mnist5k, or a file, not '{path}'$"):
        bundled_model(str(path))
    path.touch()
    assert bundled_model(str(path)) == path


@pytest.mark.parametrize("name", ["digits", pytest.param("mnist5k", marks=pytest.mark.slow)])
def test_they_recognize_what_the_page_says(name):
    vit = load_integer_vit(bundled_model(name))
    recipe = check_recipe(vit.quantization["recipe"], name)
    dataset = load_images(recipe.data, vit.shape.image_size)
    assert vit.data == {"name": name, "classes": list(dataset.classes)}
    images, _in_floats, in_integers = TOLD[name]
    assert len(dataset.testing) == images
    pixels, labels = dataset.testing[list(range(images))]
    found = np.concatenate([vit(to_pixels(batch)).argmax(axis=1) for batch in pixels.split(100)])
    assert int((found == labels.numpy()).sum()) == in_integers

"""pytest: a recipe, a trained model, and the settings of the golden tests."""

import shutil

import pytest

from verif.golden.conftest import trained_on_digits

__all__ = ["trained_on_digits"]

SMALL = "rows = 2\ncolumns = 2\ndata_width = 4\nmax_tokens = 5\nmax_head_dim = 3\nmax_heads = 3\nstream_width = 8\n"

RECIPE = """
title = "tiny [red]$digits$"

[model]
shape = {image_size = 8, patch_size = 4, channels = 1, classes = 10, depth = 1, width = 8, heads = 2}

[data]
name = "digits"

[training]
epochs = 2
batch_size = 200
learning_rate = 1e-2
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # relative paths, and `build`
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return str(path)


@pytest.fixture
def trained(trained_on_digits, tmp_path, monkeypatch):
    """The checkpoint of a small model, as model.safetensors in the working folder."""
    monkeypatch.chdir(tmp_path)
    return shutil.copy(trained_on_digits[0], "model.safetensors")


@pytest.fixture
def small(tmp_path):
    """A configuration of a small array, in a file."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path

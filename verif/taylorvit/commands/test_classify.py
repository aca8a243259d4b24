"""`classify`: pictures, classes and cycles of images through a network accelerator."""

import numpy as np
import pytest

from taylorvit.golden.network.vit import VitShape
from verif.golden.network.models import quantized

from .running import fails, run

SHAPE = VitShape(image_size=8, patch_size=4, channels=1, classes=10, depth=1, width=6, heads=2, mlp_ratio=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "noise.safetensors"
    vit = quantized(SHAPE)
    vit.data.update(name="digits", classes=list("0123456789"))
    vit.save(path)
    return path


@pytest.mark.slow
def test_digits_through_the_smallest_preset(capsys, model):
    status, out, err = run(capsys, "classify", model, "--clock", "50", "--images", "digits:0-2", "--latency", "3")
    assert (status, err) == (0, "3 images of digits:0-2\n")
    assert "3 images through noise on vit-tiny-4x4" in out and "0 of 30 logits" in out
    assert " cycles an image: " in out and " images a second at 50 MHz" in out
    assert "█" in out and "latency 3 cycles" in out


def test_wrong_request(capsys, model, tmp_path):
    assert "model must be one of " in fails(capsys, "classify", tmp_path / "absent")
    assert "classify must have a configuration of accelerator 'network'" in fails(
        capsys, "classify", model, "--preset", "tiny-4x4"
    )
    (tmp_path / "narrow.toml").write_text('extends = "vit-tiny-4x4"\nmax_hidden = 8\n')
    assert "max_hidden" in fails(capsys, "classify", model, "--config", tmp_path / "narrow.toml")
    np.savez(tmp_path / "pixels.npz", pixels=np.zeros((1, 9, 9), dtype=np.uint8))
    assert "pixels must be of shape (images, 1, 8, 8)" in fails(
        capsys, "classify", model, "--images", tmp_path / "pixels.npz"
    )

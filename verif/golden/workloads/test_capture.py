"""A captured workload is what the layers of the trained model received; `taylorvit simulate` takes it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from taylorvit.gen.presets import load_preset
from taylorvit.golden import workloads
from taylorvit.golden.checkpoints.checkpoint import Checkpoint, load
from taylorvit.golden.network.vit import VisionTransformer, VitShape
from taylorvit.golden.training.images import ImageError, read_image
from taylorvit.golden.training.loading import load_images, model_of, normalize
from taylorvit.golden.workloads.capture import capture_heads, capture_workload
from taylorvit.jobs.operands import read_operands

SHAPE = VitShape(image_size=8, patch_size=4, channels=1, classes=3, depth=3, width=12, heads=2)


@pytest.fixture
def checkpoint(trained_on_digits) -> Checkpoint:
    return load(trained_on_digits[0])


def received(model, inputs) -> list:
    """Q, K and V of each layer, computed layer by layer."""
    layers = []
    with torch.no_grad():
        x = model.embed(inputs)
        for block in model.blocks:
            layers.append([operand.numpy() for operand in block.attn.project(block.norm1(x))])
            x = block(x)
    return layers


# Heads


@pytest.mark.parametrize("layers", [None, [0], [2, 0], [1, 1]])
def test_heads_are_images_by_layers_by_heads(layers):
    torch.manual_seed(0)
    model, inputs = VisionTransformer(SHAPE, "vitality", drop_path=0.9), torch.randn(4, 1, 8, 8)
    operands = capture_heads(model.train(), inputs, layers)  # training would leave branches out
    chosen = [0, 1, 2] if layers is None else layers
    expected = received(model.eval(), inputs)
    for index, operand in enumerate(operands):
        assert operand.shape == (4 * len(chosen) * 2, 5, 6) and operand.dtype == np.float32
        heads = iter(operand)
        for image in range(4):
            for layer in chosen:
                for head in range(2):
                    np.testing.assert_allclose(next(heads), expected[layer][index][image, head], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        ([3], "layers must be 0 to 2, not 3"),
        ([0, -1], "layers must be 0 to 2, not -1"),
        ([], "layers must be at least one"),
    ],
)
def test_wrong_layers_are_named(layers, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        capture_heads(VisionTransformer(SHAPE), torch.zeros(1, 1, 8, 8), layers)


# Workloads


def test_workload_of_held_out_images(checkpoint, trained_on_digits, tmp_path):
    recipe = trained_on_digits[1]
    dataset, model = load_images(recipe.data, 8), model_of(checkpoint)
    workload = capture_workload(checkpoint, 3, [1, 0])
    workloads.save(tmp_path / "digits.npz", workload)
    loaded = workloads.load(tmp_path / "digits.npz")

    images, labels = dataset.testing[[0, 1, 2]]
    expected = capture_heads(model, normalize(images, dataset.mean, dataset.std), [1, 0])
    for name, operand in zip("qkv", expected, strict=True):
        assert getattr(loaded, name).shape == (3 * 2 * 3, 5, 4)
        np.testing.assert_allclose(getattr(loaded, name), operand, rtol=2**-11, atol=1e-6)  # float16 has 11 bits
    provenance = loaded.provenance
    assert provenance == json.loads(json.dumps(workload.provenance))
    assert provenance["captured_images"] == [f"held-out image {index}" for index in range(3)]
    assert provenance["captured_labels"] == labels.tolist() and provenance["captured_layers"] == [1, 0]
    assert provenance["attention"] == "vitality" and provenance["data_set"] == "digits"
    assert provenance["training"] == recipe.model_dump(mode="json")
    assert provenance["held_out_accuracy"] == provenance["held_out_correct"] / provenance["held_out_tested"]
    assert "2 layers of width 12, 3 heads of 4 features" in provenance["model"]
    first, second = loaded.heads_of_layers()
    assert first.tolist() == [0, 1, 2, 6, 7, 8, 12, 13, 14] and second.tolist()[:4] == [3, 4, 5, 9]
    alone = capture_heads(model, normalize(images, dataset.mean, dataset.std), [1])
    np.testing.assert_allclose(loaded.q[first], alone[0], rtol=2**-11, atol=1e-6)


@pytest.mark.slow
def test_simulation_takes_the_file(checkpoint, tmp_path):
    workload = capture_workload(checkpoint, 2)
    workloads.save(tmp_path / "digits.npz", workload)
    operands = read_operands(tmp_path / "digits.npz", load_preset("tiny-4x4"))
    assert operands.job.q.shape == (2 * 2 * 3, 5, 4) and operands.quantized_here
    v = np.ldexp(operands.real[2], operands.real_exp)
    np.testing.assert_allclose(v, workload.v, rtol=2**-11, atol=1e-6)


def test_images_from_files(checkpoint, trained_on_digits, tmp_path):
    dataset = load_images(trained_on_digits[1].data, 8)
    paths = [tmp_path / "one.png", tmp_path / "two.jpg"]
    for path, size in zip(paths, ((20, 30), (64, 64)), strict=True):
        noise = np.random.default_rng(size[0]).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    workload = capture_workload(checkpoint, paths, [0])
    pixels = torch.stack([read_image(path, 8, 1) for path in paths])
    expected = capture_heads(model_of(checkpoint), normalize(pixels, dataset.mean, dataset.std), [0])
    for operand, wanted in zip(workload[:3], expected, strict=True):
        np.testing.assert_array_equal(operand, wanted)
    assert not np.array_equal(workload.q[:3], workload.q[3:])
    assert workload.provenance["captured_images"] == ["one.png", "two.jpg"]
    assert workload.provenance["captured_labels"] == []


@pytest.mark.parametrize(
    ("images", "text"),
    [
        (0, "images must be 1 to 360, the held-out ones, not 0"),
        (361, "images must be 1 to 360, the held-out ones, not 361"),
        ([], "images must be at least one file"),
    ],
)
def test_wrong_numbers_of_images_are_named(images, text, checkpoint):
    with pytest.raises(ValueError, match=f"^{text}$"):
        capture_workload(checkpoint, images)


def test_files_that_are_no_images_are_named(checkpoint, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    for name in ("text.png", "missing.png"):
        with pytest.raises(ImageError, match=f"{name} must be an image that Pillow can read"):
            capture_workload(checkpoint, [tmp_path / name])


def test_checkpoints_without_a_recipe_are_refused(checkpoint, tmp_path):
    other = Checkpoint(tmp_path / "deit.pth", checkpoint.tensors, {})
    with pytest.raises(ValueError, match="deit.pth must hold the recipe of its training, as files of `taylorvit tra"):
        capture_workload(other, 1)

"""A checkpoint becomes an integer model, before and after quantization-aware training, without a command line."""

import math

import numpy as np
import pytest

from taylorvit.golden.arithmetic.number_format import NetworkFormat
from taylorvit.golden.checkpoints.checkpoint import CheckpointError, load
from taylorvit.golden.kernel_search import Bound
from taylorvit.golden.metadata import Accelerator
from taylorvit.golden.network.integer_vit import load_integer_vit, to_pixels
from taylorvit.golden.network.quantize import quantize_vit
from taylorvit.golden.quantization import Search, fine_tune, quantize_checkpoint
from taylorvit.golden.reports.layer_sqnr import layer_sqnr
from taylorvit.golden.training.loading import load_images, model_of


def test_an_integer_model_of_a_checkpoint(trained_on_digits):
    path, recipe = trained_on_digits
    told = []
    vit, sqnr = quantize_checkpoint(path, images=30, progress=told.append)
    model, dataset = model_of(load(path)), load_images(recipe.data, 8)
    shown, _labels = dataset.training[[index * len(dataset.training) // 30 for index in range(30)]]
    wanted = quantize_vit(model, shown, mean=dataset.mean, std=dataset.std)
    assert vit.exponents == wanted.exponents and vit.registers == wanted.registers
    assert all(np.array_equal(vit.tensors[name], wanted.tensors[name]) for name in wanted.tensors)
    assert sqnr == layer_sqnr(model, wanted, shown, mean=dataset.mean, std=dataset.std)
    assert told == ["layer 1 of 2", "layer 2 of 2"]
    assert vit.data == {"name": "digits", "classes": [str(digit) for digit in range(10)]}
    described = dict(vit.quantization)
    assert described.pop("smoothing").keys() == wanted.quantization["smoothing"].keys()
    assert described == {
        "checkpoint": str(path),
        "images": 30,
        "recipe": recipe.model_dump(mode="json"),
        "sqnr_db": {name: round(value, 2) for name, value in sqnr.items() if math.isfinite(value)},
    }


def test_no_more_images_are_taken_than_there_are(trained_on_digits):
    path, recipe = trained_on_digits
    images = len(load_images(recipe.data, 8).training)
    assert quantize_checkpoint(path, images=images + 1000).vit.quantization["images"] == images


def test_an_accelerator_gives_its_numbers_or_is_too_small(trained_on_digits):
    number_format = NetworkFormat(data_width=7)
    accelerator = Accelerator("small", number_format, max_tokens=5, max_head_dim=4)
    assert (
        quantize_checkpoint(trained_on_digits[0], images=8, accelerator=accelerator).vit.number_format == number_format
    )
    with pytest.raises(ValueError, match="^tokens must be at most 4 on small, not 5$"):
        quantize_checkpoint(trained_on_digits[0], accelerator=accelerator._replace(max_tokens=4))


def test_an_integer_model_is_not_quantized_again(trained_on_digits, tmp_path):
    quantize_checkpoint(trained_on_digits[0], images=8).vit.save(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="a.safetensors must be a float model, not an integer one$"):
        quantize_checkpoint(tmp_path / "a.safetensors")


def test_quantization_aware_training_ends_on_the_grids(trained_on_digits, tmp_path):
    path, recipe = trained_on_digits
    steps, progress = [], []
    trained = fine_tune(path, tmp_path / "tuned", 1, images=30, on_step=steps.append,
                        progress=lambda done, epochs, text: progress.append((done, epochs)))  # fmt: skip
    assert trained == tmp_path / "tuned" / "model.safetensors" and len(steps) == 2 and progress[-1] == (1, 1)
    grids = load_integer_vit(tmp_path / "tuned" / "grids.safetensors")
    assert grids.quantization["checkpoint"] == str(path) and grids.quantization["images"] == 30
    for operation in grids.program:
        if operation.name in ("blocks.0.fc2", "blocks.1.proj"):  # behind no norm, whose smoothing would be in between
            weight = load(trained).tensors[operation.float_weight].double().numpy()
            shifts = grids.tensors[operation.weight_shift][:, np.newaxis]
            integers = np.ldexp(weight, -grids.exponents[operation.weight] - shifts)
            assert np.array_equal(integers, np.round(integers)) and np.abs(integers).max() > 60
    vit, _sqnr = quantize_checkpoint(trained, images=30)
    assert load(trained).description["recipe"]["training"]["learning_rate"] == recipe.training.learning_rate / 10
    images, labels = load_images(recipe.data, 8).testing[list(range(360))]
    assert np.mean(vit(to_pixels(images)).argmax(axis=1) == labels.numpy()) > 0.5


def test_attention_by_layer(trained_on_digits):
    """That of the training, which is ViTALiTy's, where no choice names a layer; a search leaves others alone."""
    path, _recipe = trained_on_digits
    assert quantize_checkpoint(path, images=8, attention=["1=softmax"]).vit.kernels == ("taylor", "softmax")
    trials = []
    search = Search(lambda kernels: kernels.count("taylor"), Bound(1000.0, "dB"), trials.append)
    vit = quantize_checkpoint(path, images=8, attention=["1=taylor"], search=search).vit
    assert vit.kernels == ("softmax", "taylor")
    assert [trial.kernels for trial in trials if trial.verdict == "kept"] == [("softmax", "taylor")]
    accelerator = Accelerator("small", NetworkFormat(), max_tokens=5, max_head_dim=4, kernels=("softmax",))
    assert quantize_checkpoint(path, images=8, accelerator=accelerator, search=search).vit.kernels == ("softmax",) * 2
    with pytest.raises(ValueError, match="^attention of each layer must be one that small has, softmax, not taylor: "):
        quantize_checkpoint(path, images=8, accelerator=accelerator)


def test_quantization_aware_training_of_softmax(trained_on_digits, tmp_path):
    """The trained checkpoint says what it was trained with, and is quantized so again."""
    path, _recipe = trained_on_digits
    trained = fine_tune(path, tmp_path / "tuned", 1, images=30, attention=["1=softmax"])
    assert load_integer_vit(tmp_path / "tuned" / "grids.safetensors").kernels == ("taylor", "softmax")
    assert load(trained).description["recipe"]["model"]["attention"] == ["vitality", "softmax"]
    vit, sqnr = quantize_checkpoint(trained, images=30)
    assert vit.kernels == ("taylor", "softmax") and sqnr["logits"] > 20

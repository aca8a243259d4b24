"""`python -m golden`: exit statuses, files, what is printed, and one line for whatever cannot be done."""

import dataclasses
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from gen.generate import generate
from gen.presets import load_preset
from golden import workloads
from golden.checkpoint import load
from golden.cli import main
from golden.integer_vit import load_integer_vit
from golden.training import trainer
from verif.bench.accelerator import format_of

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


def run(capsys, *arguments):
    """(exit status, what was printed, errors)."""
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_from_a_recipe_to_a_model(config, capsys):
    status, out, err = run(capsys, "train", "--config", config)
    assert (status, err) == (0, "")
    folder = Path("build/golden/tiny")
    assert sorted(path.name for path in folder.iterdir()) == [
        "curves.png", "last.safetensors", "metrics.csv", "model.safetensors",
    ]  # fmt: skip
    description = load(folder / "model.safetensors").description
    accuracy = description["metrics"][-1]["test_accuracy"]
    assert out.splitlines()[-4:] == [
        f"held-out images recognized: {accuracy:.2%}",
        f"wrote  {folder / 'model.safetensors'}",
        f"wrote  {folder / 'metrics.csv'}",
        f"wrote  {folder / 'curves.png'}",
    ]
    assert "epoch 2, step 7 of 7, loss " in out
    assert description["recipe"]["title"] == "tiny [red]$digits$"


def test_fields_are_changed(config, capsys):
    status, _out, err = run(
        capsys, "train", "--config", config, "-o", "a", "--device", "cpu", "--set", "training.epochs=1",
        "--set", "model.attention=softmax", "--set", "augmentation.rotation=10", "--set", "model.shape.width=4",
    )  # fmt: skip
    assert (status, err) == (0, "")
    checkpoint = load(Path("a/model.safetensors"))
    recipe = checkpoint.description["recipe"]
    assert recipe["training"]["epochs"] == 1 == checkpoint.description["epochs"]
    assert recipe["model"]["attention"] == "softmax" and recipe["augmentation"]["rotation"] == 10
    assert checkpoint.tensors["head.weight"].shape == (10, 4)


def test_interrupted_and_resumed(config, capsys, monkeypatch):
    assert run(capsys, "train", "--config", config, "-o", "whole")[0] == 0
    steps = []
    step = trainer._Training._step

    def interrupted(*arguments):
        steps.append(arguments)
        if len(steps) == 10:  # of 7 an epoch
            raise KeyboardInterrupt
        return step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(trainer._Training, "_step", interrupted)
        status, _out, err = run(capsys, "train", "--config", config, "-o", "parts")
    assert (status, err) == (130, "golden: error: interrupted\n")
    assert load(Path("parts/last.safetensors")).description["epochs"] == 1

    status, _out, err = run(capsys, "train", "--config", config, "-o", "parts")
    text = "golden: error: parts must not hold a training already: go on with --resume, or choose another\n"
    assert (status, err) == (2, text)
    assert run(capsys, "train", "--config", config, "-o", "parts", "--resume")[0] == 0
    one, other = (load(Path(name, "model.safetensors")).tensors for name in ("parts", "whole"))
    assert all(torch.equal(one[name], other[name]) for name in other) and len(other) > 10
    assert run(capsys, "train", "--config", config, "-o", "parts", "--resume")[0] == 0  # nothing left to do


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--config", "none.toml"], "recipe must be a file, or one of .*, not 'none.toml'"),
        (["--set", "training.epochs=0"], ".*tiny.toml: training.epochs must be greater than or equal to 1, not 0"),
        (["--set", "training.epochs=many"], ".*: training.epochs must be a valid integer, not 'many'"),
        (["--set", "training.epochs"], "--set must be NAME=VALUE, in one line, not 'training.epochs'"),
        (["--set", "model.width=3"], ".*: model.width is no field of a recipe"),
        (["--set", "model.shape=vit_28"], "image_size of the model must be that of digits, 8, not 28"),
        (["--set", "data.name=imagenet"], "data set must be one of .*, not 'imagenet'"),
        (["--set", "data={folder='none'}"], "none must have the folders train and val, and none/train is missing"),
        (["--set", "model.weights=none.pth"], "checkpoint must be a file, not 'none.pth'"),
        (["--device", "gpu"], "device must be one that torch finds here, not 'gpu'"),
        (["-o", "tiny.toml"], "output must be a folder, not 'tiny.toml': 'tiny.toml' is a file"),
    ],
)
def test_errors_are_one_line(config, capsys, arguments, text):
    status, out, err = run(capsys, "train", "--config", config, *arguments)
    assert status == 2 and out == ""
    assert re.fullmatch(f"golden: error: ({text})\n", err)


def test_requests_that_are_none(capsys):
    for command in ("train", "quantize", "evaluate", "inspect", "capture", "ops"):
        assert run(capsys, command, "--help")[0] == 0
    for arguments in ([], ["train"], ["learn"], ["train", "--config"], ["quantize"], ["capture", "a"],
                      ["quantize", "a", "--images", "0"], ["inspect", "a", "--images", "all"]):  # fmt: skip
        status, out, err = run(capsys, *arguments)
        assert (status, out) == (2, "") and "error: " in err


def test_packages_that_are_not_installed(config, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "golden.training.recipe")
    monkeypatch.setitem(sys.modules, "pydantic", None)
    status, _out, err = run(capsys, "train", "--config", config)
    assert status == 2
    assert err == (
        "golden: error: this needs the Python package 'pydantic', which is not installed: "
        'pip install "taylorvit[train]"\n'
    )


def test_other_processes_of_a_training_are_silent(config, capsys, monkeypatch):
    assert run(capsys, "train", "--config", config, "-o", "a")[0] == 0
    monkeypatch.setenv("RANK", "1")
    assert run(capsys, "train", "--config", config, "-o", "a", "--resume") == (0, "", "")


# With a trained model


@pytest.fixture
def trained(trained_on_digits, tmp_path, monkeypatch):
    """The checkpoint of a small model, as model.safetensors in the working folder."""
    monkeypatch.chdir(tmp_path)
    return shutil.copy(trained_on_digits[0], "model.safetensors")


def test_from_a_model_to_integers_and_a_table(trained, capsys):
    status, out, err = run(capsys, "quantize", trained, "--images", 40)
    assert (status, err) == (0, "")
    vit = load_integer_vit("integer.safetensors")
    sqnr = vit.quantization["sqnr_db"]
    assert vit.quantization["images"] == 40 and vit.quantization["checkpoint"] == trained
    # The file has one digit more than the table, both rounded from the same value.
    logits = re.search(r"logits: (\d+\.\d) dB; widest sum of products: ", out)
    assert float(logits.group(1)) == pytest.approx(sqnr["logits"], abs=0.056)
    assert out.endswith("wrote  integer.safetensors\n")
    for layer in range(2):  # a row each
        row = re.search(rf"│ +{layer} │ +" + r" │ +".join([r"(\d+\.\d)"] * 4), out)
        of_steps = [sqnr[f"blocks.{layer}.{step}"] for step in "qkvz"]
        assert [float(shown) for shown in row.groups()] == pytest.approx(of_steps, abs=0.056)

    status, out, err = run(capsys, "evaluate", trained, "integer.safetensors", "-o", "a.png")
    assert (status, err) == (0, "")
    accuracy = load(Path(trained)).description["metrics"][-1]["test_accuracy"]
    assert "360 held-out images" in out and re.search(rf"digits +│ vitality +│ float +│ +1 │ +{accuracy:.2%}", out)
    assert re.search(r"digits +│ vitality +│ integers +│ +1 │ +\d\d\.\d\d%", out)
    with Image.open("a.png") as picture:
        assert picture.format == "PNG"


def test_for_an_accelerator_that_was_generated(trained, capsys):
    tiny = load_preset("tiny-4x4")
    config = dataclasses.replace(tiny, data_width=6, max_head_dim=4)
    generate(config, Path("mine"))
    assert run(capsys, "quantize", trained, "--images", 9, "--accelerator", "mine/metadata.json")[0] == 0
    assert load_integer_vit("integer.safetensors").number_format == format_of(config)
    generate(dataclasses.replace(tiny, name="small", max_tokens=4), Path("small"))
    status, _out, err = run(capsys, "quantize", trained, "--accelerator", "small/metadata.json")
    assert (status, err) == (2, "golden: error: tokens must be at most 4 on small, not 5\n")
    status, _out, err = run(capsys, "quantize", trained, "--accelerator", "none.json")
    text = "none.json: file must be readable: no such file or directory"
    assert (status, err) == (2, f"golden: error: {text}\n")


def test_fine_tuned_with_rounding(trained, capsys):
    assert run(capsys, "quantize", trained, "--fine-tune", 2)[0] == 0
    folder = Path("integer_straight_through")
    description = load(folder / "model.safetensors").description
    assert description["epochs"] == 2
    assert description["recipe"]["model"]["rounding"] == str(folder / "grids.safetensors")
    whole = load_integer_vit("integer.safetensors")
    assert whole.quantization["checkpoint"] == str(folder / "model.safetensors")

    text = f"golden: error: {folder} must not hold a training already: go on with --resume, or choose another\n"
    assert run(capsys, "quantize", trained, "--fine-tune", 2) == (2, "", text)
    (folder / "model.safetensors").unlink()
    assert run(capsys, "quantize", trained, "--fine-tune", 2, "--resume")[0] == 0
    again = load_integer_vit("integer.safetensors")
    assert all((again.tensors[name] == tensor).all() for name, tensor in whole.tensors.items())
    status, out, _err = run(capsys, "evaluate", "integer.safetensors", folder / "model.safetensors")
    assert status == 0 and out.count("vitality, rounded") == 2
    text = "golden: error: --resume must come with --fine-tune: only training can be gone on with\n"
    assert run(capsys, "quantize", trained, "--resume") == (2, "", text)


def test_attention_is_looked_into(trained, capsys):
    status, out, err = run(capsys, "inspect", trained, "--images", 7, "-o", "pictures")
    assert (status, err) == (0, "")
    assert re.search(r"│ +1 │ +\d+\.\d% │ +\d+\.\d% │", out) and "7 held-out images of digits" in out
    for name in ("logits.png", "attention.png"):
        with Image.open(Path("pictures", name)) as picture:
            assert picture.format == "PNG"


def test_workloads_are_captured(trained, capsys):
    status, out, err = run(capsys, "capture", trained, "--images", 3, "--layers", 1, "-o", "a.npz")
    assert (status, err) == (0, "")
    assert out == "9 heads of 5 tokens x 4 features\nwrote  a.npz\n"
    assert workloads.load("a.npz").q.shape == (9, 5, 4)


def test_operations_are_counted(capsys):
    status, out, err = run(capsys, "ops")
    assert (status, err) == (0, "")
    assert re.search(r"softmax attention, all layers +│ +178\.8 M", out)
    assert re.search(r"taylor attention, all layers +│ +58\.6 M", out)
    status, _out, err = run(capsys, "ops", "--model", "resnet")
    assert status == 2 and re.fullmatch("golden: error: model must be one of deit_tiny, .*, not 'resnet'\n", err)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["quantize", "none.safetensors"], "checkpoint must be a file, not 'none.safetensors'"),
        (["evaluate", "model.safetensors", "none.pth"], "checkpoint must be a file, not 'none.pth'"),
        (["quantize", "last.safetensors"], "last.safetensors must be a model, and is the state of a training.*"),
        (["inspect", "noise.safetensors"], "noise.safetensors must be .*"),
        (["capture", "model.safetensors", "--images", "1000", "-o", "a.npz"], "images must be 1 to 360, the .*"),
        (["capture", "model.safetensors", "--images", "1", "--layers", "2", "-o", "a.npz"], "layers must be 0 to 1.*"),
        (["capture", "model.safetensors", "--images", "a.png", "-o", "a.npz"], ".*a.png.*"),
        (["evaluate", "model.safetensors", "-o", "none/a.png"], "output must be in a folder that exists, not 'none.*"),
    ],
)  # fmt: skip
def test_errors_of_models_are_one_line(trained, trained_on_digits, capsys, arguments, text):
    Path("noise.safetensors").write_bytes(b"noise" * 100)
    shutil.copy(trained_on_digits[0].with_name("last.safetensors"), "last.safetensors")
    status, _out, err = run(capsys, *arguments)
    assert status == 2
    assert re.fullmatch(f"golden: error: ({text})\n", err)

"""`python -m golden train`: exit statuses, files, and one line for whatever cannot be done."""

import re
import sys
from pathlib import Path

import pytest
import torch

from golden.checkpoint import load
from golden.cli import main
from golden.training import trainer

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
        (["--set", "training.epochs"], "--set must be NAME=VALUE, not 'training.epochs'"),
        (["--set", "model.width=3"], ".*: model.width is no field of a recipe"),
        (["--set", "model.shape=vit_28"], "image_size of the model must be that of digits, 8, not 28"),
        (["--set", "data.name=imagenet"], "data set must be one of .*, not 'imagenet'"),
        (["--set", "data={folder='none'}"], "none must have the folders train and val, and none/train is missing"),
        (["--set", "model.weights=none.pth"], "checkpoint must be a file, not 'none.pth'"),
        (["--device", "gpu"], "device must be one that torch finds here, not 'gpu'"),
        (["-o", "tiny.toml"], "tiny.toml must be a folder to write to: file exists"),
    ],
)
def test_errors_are_one_line(config, capsys, arguments, text):
    status, out, err = run(capsys, "train", "--config", config, *arguments)
    assert status == 2 and out == ""
    assert re.fullmatch(f"golden: error: ({text})\n", err)


def test_requests_that_are_none(capsys):
    assert run(capsys, "--help")[0] == 0 and run(capsys, "train", "--help")[0] == 0
    for arguments in ([], ["train"], ["learn"], ["train", "--config"]):
        status, out, err = run(capsys, *arguments)
        assert (status, out) == (2, "") and "error: " in err


def test_packages_that_are_not_installed(config, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "golden.training.trainer", None)
    status, _out, err = run(capsys, "train", "--config", config)
    assert status == 2
    assert err == "golden: error: golden.training.trainer is not installed: pip install -e '.[train]'\n"


def test_other_processes_of_a_training_are_silent(config, capsys, monkeypatch):
    assert run(capsys, "train", "--config", config, "-o", "a")[0] == 0
    monkeypatch.setenv("RANK", "1")
    assert run(capsys, "train", "--config", config, "-o", "a", "--resume") == (0, "", "")

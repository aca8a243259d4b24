"""`train`: files, what is printed, what is wrong in one line, and going on after an interruption."""

import re
import sys
from pathlib import Path

import pytest
import torch

from taylorvit.golden.checkpoints.checkpoint import load
from taylorvit.golden.training import trainer

from .running import run


def test_from_a_recipe_to_a_model(config, capsys):
    status, out, err = run(capsys, "train", "--config", config)
    assert (status, err) == (0, "")
    folder = Path("build/golden/tiny")
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock",
        "curves.png",
        "last.safetensors",
        "metrics.csv",
        "model.safetensors",
    ]
    description = load(folder / "model.safetensors").description
    accuracy = description["metrics"][-1]["test_accuracy"]
    assert out.splitlines()[-4:] == [
        f"held-out images recognized: {accuracy:.2%}",
        f"wrote  {folder / 'model.safetensors'}",
        f"wrote  {folder / 'metrics.csv'}",
        f"wrote  {folder / 'curves.png'}",
    ]
    before = description["metrics"][-2]["test_accuracy"]
    assert accuracy != before  # so that the last line can tell them apart
    assert re.search(rf"epoch 2, step 7 of 7, loss \d\.\d{{3}}, {accuracy:.1%} of held-out images", out)
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
    assert (status, err) == (130, "taylorvit: error: interrupted; --resume goes on after the last complete epoch\n")
    assert load(Path("parts/last.safetensors")).description["epochs"] == 1

    status, _out, err = run(capsys, "train", "--config", config, "-o", "parts")
    text = (
        "taylorvit: error: cannot begin a training in parts: it holds one; continue it with --resume, or choose "
        "another folder\n"
    )
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
        (["--set", "=3"], "--set must be NAME=VALUE, in one line, not '=3'"),
        (["--set", "model.width=3"], ".*: model.width is not a field of a recipe; model has shape, .*, rounding"),
        (["--set", "model.shape=vit_28"], "image_size of the model must be that of digits, 8, not 28"),
        (["--set", "data.name=imagenet"], "data set must be one of .*, not 'imagenet'"),
        (["--set", "data={folder='none'}"], "folder of the images must be there, .* not 'none'; --data, or .*"),
        (["--set", "model.weights=none.pth"], "model.weights of the recipe must be a file, not 'none.pth', .*"),
        (["--device", "gpu"], "device must be one that torch finds here, not 'gpu'"),
        (["-o", "tiny.toml"], "output must be a folder, not 'tiny.toml': 'tiny.toml' is a file"),
    ],
)
def test_errors_are_one_line(config, capsys, arguments, text):
    status, out, err = run(capsys, "train", "--config", config, *arguments)
    assert status == 2 and out == ""
    assert re.fullmatch(f"taylorvit: error: ({text})\n", err)


def test_packages_that_are_not_installed(config, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "taylorvit.golden.training.recipe")
    monkeypatch.setitem(sys.modules, "pydantic", None)
    status, _out, err = run(capsys, "train", "--config", config)
    assert status == 2
    assert err == (
        "taylorvit: error: this needs the Python package 'pydantic', which is not installed: "
        'pip install "taylorvit[train]"\n'
    )


def test_memory_that_does_not_suffice(config, capsys, monkeypatch):
    def train(*_arguments, **_named):
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
            "you tried to allocate 51539607552 bytes. Error code 12 (Cannot allocate memory)"
        )

    monkeypatch.setattr("taylorvit.golden.training.trainer.train", train)
    text = "taylorvit: error: memory does not suffice: allocate 51539607552 bytes\n"
    assert run(capsys, "train", "--config", config) == (2, "", text)


def test_other_processes_of_a_training_are_silent(config, capsys, monkeypatch):
    assert run(capsys, "train", "--config", config, "-o", "a")[0] == 0
    monkeypatch.setenv("RANK", "1")
    assert run(capsys, "train", "--config", config, "-o", "a", "--resume") == (0, "", "")

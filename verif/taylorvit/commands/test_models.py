"""`taylorvit`: exit statuses, files, what is printed, and one line for whatever cannot be done."""

import dataclasses
import math
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from taylorvit.__main__ import main
from taylorvit.gen.generate import generate
from taylorvit.gen.presets import load_preset
from taylorvit.golden import workloads
from taylorvit.golden.checkpoints.checkpoint import load
from taylorvit.golden.network.integer_vit import load_integer_vit
from taylorvit.golden.training import trainer
from taylorvit.golden.training.loading import model_of
from taylorvit.jobs import format_of
from verif.golden.checkpoints.published import write_folder

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
        ".lock", "curves.png", "last.safetensors", "metrics.csv", "model.safetensors",
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
    assert (status, err) == (130, "taylorvit: error: interrupted\n")
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
        (["--set", "model.width=3"], ".*: model.width is not a field of a recipe"),
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
    assert re.fullmatch(f"taylorvit: error: ({text})\n", err)


def test_requests_that_are_none(capsys):
    for command in ("train", "quantize", "evaluate", "inspect", "capture", "ops"):
        assert run(capsys, command, "--help")[0] == 0
    for arguments in ([], ["train"], ["learn"], ["train", "--config"], ["quantize"], ["capture", "a"],
                      ["quantize", "a", "--images", "0"], ["inspect", "a", "--images", "all"]):  # fmt: skip
        status, out, err = run(capsys, *arguments)
        assert (status, out) == (2, "") and "error: " in err


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


@pytest.mark.slow
def test_for_an_accelerator_that_was_generated(trained, capsys):
    tiny = load_preset("tiny-4x4")
    config = dataclasses.replace(tiny, data_width=6, max_head_dim=4)
    generate(config, Path("mine"))
    assert run(capsys, "quantize", trained, "--images", 9, "--accelerator", "mine/metadata.json")[0] == 0
    assert load_integer_vit("integer.safetensors").number_format == format_of(config)
    generate(dataclasses.replace(tiny, name="small", max_tokens=4), Path("small"))
    status, _out, err = run(capsys, "quantize", trained, "--accelerator", "small/metadata.json")
    assert (status, err) == (2, "taylorvit: error: tokens must be at most 4 on small, not 5\n")
    status, _out, err = run(capsys, "quantize", trained, "--accelerator", "none.json")
    text = "none.json: file must be readable: no such file or directory"
    assert (status, err) == (2, f"taylorvit: error: {text}\n")


@pytest.mark.slow
def test_fine_tuned_with_rounding(trained, capsys):
    assert run(capsys, "quantize", trained, "--fine-tune", 2)[0] == 0
    folder = Path("integer_straight_through")
    description = load(folder / "model.safetensors").description
    assert description["epochs"] == 2
    assert description["recipe"]["model"]["rounding"] == str(folder / "grids.safetensors")
    whole = load_integer_vit("integer.safetensors")
    assert whole.quantization["checkpoint"] == str(folder / "model.safetensors")

    text = (
        f"taylorvit: error: cannot begin a training in {folder}: it holds one; continue it with --resume, or choose "
        "another folder\n"
    )
    assert run(capsys, "quantize", trained, "--fine-tune", 2) == (2, "", text)
    (folder / "model.safetensors").unlink()
    assert run(capsys, "quantize", trained, "--fine-tune", 2, "--resume")[0] == 0
    again = load_integer_vit("integer.safetensors")
    assert all((again.tensors[name] == tensor).all() for name, tensor in whole.tensors.items())
    status, out, _err = run(capsys, "evaluate", "integer.safetensors", folder / "model.safetensors")
    assert status == 0 and out.count("vitality, rounded") == 2
    text = "taylorvit: error: --resume must come with --fine-tune: only training can be gone on with\n"
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


# Weights of others


RECIPE_OF_OTHERS = """
[model]
shape = {image_size = 8, patch_size = 4, channels = 1, classes = 10, depth = 2, width = 12, heads = 3}
attention = "vitality"

[data]
name = "digits"
mean = [%s]
std = [%s]
"""


@pytest.fixture
def others(trained):
    """The trained model as others would publish it, others.pth.tar and the folder hub, and the recipe of the first."""
    checkpoint = load(Path(trained))
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in checkpoint.tensors.items()}, "epoch": 3},
               "others.pth.tar")  # fmt: skip
    data = checkpoint.description["data"]
    Path("others.toml").write_text(RECIPE_OF_OTHERS % (data["mean"][0], data["std"][0]))
    return write_folder(Path("hub"), model_of(checkpoint), mean=(data["mean"], data["std"]))


def same_integers(one, other):
    one, other = load_integer_vit(one), load_integer_vit(other)
    return one.exponents == other.exponents and all((one.tensors[name] == other.tensors[name]).all()
                                                    for name in other.tensors)  # fmt: skip


def test_weights_of_others_need_no_training(trained, others, capsys):
    """A file with its recipe, a folder with its images: both give the integers of our own checkpoint."""
    assert run(capsys, "quantize", trained, "--images", 40)[0] == 0
    for arguments, output in (
        (["others.pth.tar", "--recipe", "others.toml", "-o", "others.safetensors"], "others.safetensors"),
        (["others.pth.tar", "--recipe", "others.toml", "--data", "digits", "-o", "b.safetensors"], "b.safetensors"),
        (["hub", "--data", "digits"], "hub/integer.safetensors"),
    ):
        status, out, err = run(capsys, "quantize", *arguments, "--images", 40)
        assert (status, err) == (0, "") and out.endswith(f"wrote  {output}\n")
        # Which images are the calibration's does not depend on the seed, which the recipe of others does not have.
        assert same_integers(output, "integer.safetensors")

    rows = {}
    for name, arguments in (
        ("ours", [trained, "integer.safetensors"]),
        ("others", ["others.pth.tar", "others.safetensors", "--recipe", "others.toml"]),
        ("hub", ["hub", "hub/integer.safetensors", "--data", "digits"]),
    ):
        status, out, err = run(capsys, "evaluate", *arguments)
        assert (status, err) == (0, "")
        rows[name] = re.findall(r"digits +│ (\w+) +│ (\w+) +│ +1 │ +(\d+\.\d\d%)", out)
        assert [row[1] for row in rows[name]] == ["float", "integers"]
    assert rows["others"] == rows["ours"] and rows["hub"][1][2] == rows["ours"][1][2]
    assert rows["hub"][0][0] == "softmax"  # which is what a published model has

    assert run(capsys, "inspect", "hub", "--data", "digits", "--images", 3, "-o", "pictures")[0] == 0
    assert run(capsys, "capture", trained, "--images", 2, "-o", "ours.npz")[0] == 0
    assert run(capsys, "capture", "others.pth.tar", "--recipe", "others.toml", "--images", 2, "-o", "b.npz")[0] == 0
    assert (workloads.load("b.npz").k == workloads.load("ours.npz").k).all()


def test_files_are_captured_from_a_folder_that_says_all_else(others, capsys):
    Image.new("L", (30, 20), 128).save("a.png")
    assert run(capsys, "capture", "hub", "--images", "a.png", "-o", "a.npz")[0] == 0
    workload = workloads.load("a.npz")
    assert workload.q.shape == (6, 5, 4) and workload.provenance["captured_images"] == ["a.png"]
    status, _out, err = run(capsys, "capture", "hub", "--images", "1", "-o", "b.npz")
    assert (status, err) == (
        2,
        "taylorvit: error: hub does not name its images: --data must be a data set, or a folder\n",
    )


def test_weights_of_others_are_fine_tuned_after_a_recipe_that_trains(others, capsys):
    text = "taylorvit: error: others.pth.tar: training must be given in its recipe, from which fine-tuning starts\n"
    assert run(capsys, "quantize", "others.pth.tar", "--recipe", "others.toml", "--fine-tune", 1) == (2, "", text)
    training = "\n[training]\nepochs = 5\nbatch_size = 300\nlearning_rate = 1e-3\n"
    Path("others.toml").write_text(Path("others.toml").read_text() + training)
    arguments = ["quantize", "others.pth.tar", "--recipe", "others.toml", "--fine-tune", 1, "-o", "a.safetensors"]
    assert run(capsys, *arguments)[0] == 0
    recipe = load(Path("a_straight_through/model.safetensors")).description["recipe"]
    assert recipe["model"]["weights"] == "others.pth.tar" and recipe["training"]["learning_rate"] == 1e-4


def test_positions_are_resampled_on_request(others, capsys):
    """The model takes 8 x 8 pixels; its weights were for 12 x 12, as far as positions go."""
    weights = torch.load("others.pth.tar")["state_dict"]
    weights["module.pos_embed"] = torch.randn(1, 10, 12)
    torch.save(weights, "large.bin")
    arguments = ["evaluate", "large.bin", "--recipe", "others.toml"]
    status, _out, err = run(capsys, *arguments)
    assert status == 2 and "for (1, 5, 12); resample_positions = true under [model] makes it fit\n" in err
    text = Path("others.toml").read_text().replace("[data]", "resample_positions = true\n\n[data]")
    Path("others.toml").write_text(text)
    assert run(capsys, *arguments)[0] == 0


@pytest.mark.parametrize("command", ["evaluate", "quantize", "inspect", "capture"])
@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x: x * math.nan, "weights must be finite numbers of 32 bits, and norm.weight has others"),
        (lambda x: x.to(torch.int8), "weights must be one of float16, bfloat16, .*, and norm.weight is int8"),
        (lambda x: x.to_sparse(), r"weights must be dense tensors, and module.norm.weight is a sparse one \(.*\)"),
        (lambda x: x.to("meta"), r"weights must be dense tensors, and module.norm.weight is one without data \(meta\)"),
    ],
    ids=["nan", "int8", "sparse", "meta"],
)
def test_weights_that_are_no_numbers_are_refused_by_every_command(others, capsys, command, change, text):
    weights = torch.load("others.pth.tar")["state_dict"]
    weights["module.norm.weight"] = change(weights["module.norm.weight"])
    torch.save(weights, "bad.pth")
    options = {"capture": ["--images", 1, "-o", "a.npz"], "inspect": ["-o", "pictures"]}.get(command, [])
    status, out, err = run(capsys, command, "bad.pth", "--recipe", "others.toml", *options)
    assert (status, out) == (2, "") and re.fullmatch(f"taylorvit: error: bad.pth: {text}\n", err)
    assert not Path("a.npz").exists() and not Path("pictures").exists() and not Path("integer.safetensors").exists()


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("evaluate", "bad.pth must give scores that are finite, and does not: weights are too large"),
        ("inspect", "q of layer 0 must be finite, and is not: weights are too large"),
        ("capture", "q of layer 0 must be finite, and is not: weights are too large"),
    ],
)
def test_weights_that_make_no_numbers_are_refused(others, capsys, command, text):
    weights = torch.load("others.pth.tar")["state_dict"]
    weights["module.blocks.0.attn.qkv.weight"][:12] = 3e38
    torch.save(weights, "bad.pth")
    options = {"capture": ["--images", 1, "-o", "a.npz"], "inspect": ["-o", "pictures"]}.get(command, [])
    status, out, err = run(capsys, command, "bad.pth", "--recipe", "others.toml", *options)
    assert (status, out, err) == (2, "", f"taylorvit: error: {text}\n")
    assert not Path("a.npz").exists() and not Path("pictures").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["evaluate", "others.pth.tar"], "others.pth.tar must hold the recipe of its training, .* --recipe .*"),
        (["evaluate", "hub"], "hub does not name its images: --data must be a data set, or a folder"),
        (["evaluate", "hub", "--data", "mnist"], "mnist must have the folders train and val, and .* is missing"),
        (["evaluate", "hub", "--data", "faces"], "classes of the model must be that of faces, 2, not 10"),
        (["quantize", "hub", "--data", "faces"], "image_size of the model must be that of faces, 25, not 8"),
        (["quantize", "others.pth.tar", "--recipe", "none"], "recipe must be a file, or one of .*, not 'none'"),
        (["quantize", "others.pth.tar", "--recipe", "digits"], "others.pth.tar must be for this model: it lacks .*"),
        (["evaluate", "model.safetensors", "--data", "faces"], "classes of the model must be that of faces, 2, not 10"),
        (["train", "--config", "others.toml"], "training must be given in a recipe to train from"),
    ],
)  # fmt: skip
def test_errors_of_weights_of_others_are_one_line(others, capsys, arguments, text):
    status, _out, err = run(capsys, *arguments)
    assert status == 2 and re.fullmatch(f"taylorvit: error: ({text})\n", err)


def test_operations_are_counted(capsys):
    status, out, err = run(capsys, "ops")
    assert (status, err) == (0, "")
    assert re.search(r"softmax attention, all layers +│ +178\.8 M", out)
    assert re.search(r"taylor attention, all layers +│ +58\.6 M", out)
    status, _out, err = run(capsys, "ops", "--model", "resnet")
    assert status == 2 and re.fullmatch("taylorvit: error: model must be one of deit_tiny, .*, not 'resnet'\n", err)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["quantize", "none.safetensors"], "checkpoint must be a file, not 'none.safetensors'"),
        (["evaluate", "model.safetensors", "none.pth"], "checkpoint must be a file, not 'none.pth'"),
        (["quantize", "last.safetensors"], "last.safetensors must be a model, not the state of a training: .*"),
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
    assert re.fullmatch(f"taylorvit: error: ({text})\n", err)

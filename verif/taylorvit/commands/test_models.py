"""Commands of models with published weights, and one line for whatever cannot be done."""

import math
import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from taylorvit.golden import workloads
from taylorvit.golden.checkpoints.checkpoint import load
from taylorvit.golden.network.integer_vit import load_integer_vit
from taylorvit.golden.training.loading import model_of
from verif.golden.checkpoints.published import write_folder

from .running import run


def test_requests_that_are_none(capsys):
    for command in ("train", "quantize", "evaluate", "inspect", "capture", "ops"):
        assert run(capsys, command, "--help")[0] == 0
    for arguments in ([], ["train"], ["learn"], ["train", "--config"], ["quantize"], ["capture", "a"],
                      ["quantize", "a", "--images", "0"], ["inspect", "a", "--images", "all"]):  # fmt: skip
        status, out, err = run(capsys, *arguments)
        assert (status, out) == (2, "") and "error: " in err


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
    torch.save(
        {"state_dict": {f"module.{name}": tensor for name, tensor in checkpoint.tensors.items()}, "epoch": 3},
        "others.pth.tar",
    )
    data = checkpoint.description["data"]
    Path("others.toml").write_text(RECIPE_OF_OTHERS % (data["mean"][0], data["std"][0]))
    return write_folder(Path("hub"), model_of(checkpoint), mean=(data["mean"], data["std"]))


def same_integers(one, other):
    one, other = load_integer_vit(one), load_integer_vit(other)
    return one.exponents == other.exponents and all(
        (one.tensors[name] == other.tensors[name]).all() for name in other.tensors
    )


def test_weights_of_others_need_no_training(trained, others, capsys):
    """A file with its recipe, a folder with its images: both give the integers of our own checkpoint."""
    assert run(capsys, "quantize", trained, "--images", 40)[0] == 0
    for arguments, output in (
        (["others.pth.tar", "--recipe", "others.toml", "-o", "others.safetensors"], "others.safetensors"),
        (["others.pth.tar", "--recipe", "others.toml", "--data", "digits", "-o", "b.safetensors"], "b.safetensors"),
        (["hub", "--data", "digits", "--attention", "all=taylor"], "hub/integer.safetensors"),  # else it is softmax
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
        rows[name] = re.findall(r"digits +│ ([\w, ]+?) +│ (\w+) +│ +1 │ +(\d+\.\d\d%)", out)
        assert [row[1] for row in rows[name]] == ["float", "integers"]
    assert rows["others"] == rows["ours"] and rows["hub"][1][2] == rows["ours"][1][2]
    # A published model has softmax.
    assert [row[0] for row in rows["hub"]] == ["softmax", "softmax, quantized as taylor"]

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
        (["evaluate", "hub", "--data", "mnist"], "folder of the images must be there, .* not 'mnist'; --data, .*"),
        (["evaluate", "hub", "--data", "faces"], "classes of the model must be that of faces, 2, not 10"),
        (["quantize", "hub", "--data", "faces"], "image_size of the model must be that of faces, 25, not 8"),
        (["quantize", "others.pth.tar", "--recipe", "none"], "recipe must be a file, or one of .*, not 'none'"),
        (["quantize", "others.pth.tar", "--recipe", "digits"], "others.pth.tar must be for this model: it lacks .*"),
        (["evaluate", "model.safetensors", "--data", "faces"], "classes of the model must be that of faces, 2, not 10"),
        (["train", "--config", "others.toml"], "training must be given in a recipe to train from"),
    ],
)
def test_errors_of_weights_of_others_are_one_line(others, capsys, arguments, text):
    status, _out, err = run(capsys, *arguments)
    assert status == 2 and re.fullmatch(f"taylorvit: error: ({text})\n", err)


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
)
def test_errors_of_models_are_one_line(trained, trained_on_digits, capsys, arguments, text):
    Path("noise.safetensors").write_bytes(b"noise" * 100)
    shutil.copy(trained_on_digits[0].with_name("last.safetensors"), "last.safetensors")
    status, _out, err = run(capsys, *arguments)
    assert status == 2
    assert re.fullmatch(f"taylorvit: error: ({text})\n", err)

"""Mutated files of each kind that a command reads, and odd values for each option: status 0 or 2, an error of one line.

FUZZ says how many mutations there are of each file (20); SEED which.
"""

import io
import json
import os
import signal
import time
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from taylorvit.__main__ import main
from taylorvit.fpga import board
from taylorvit.gen.generate import generate
from taylorvit.gen.presets import load_preset
from taylorvit.golden import workloads
from taylorvit.golden.checkpoints.checkpoint import load, save
from taylorvit.golden.network.quantize import quantize_vit
from taylorvit.golden.network.vit import VisionTransformer, VitShape
from taylorvit.golden.training.images import load_dataset
from taylorvit.simulation.compilers import ToolError
from verif.fpga.flow.example_report import example_report

from .mutations import ODD_TEXTS, Mutations

MUTATIONS = int(os.environ.get("FUZZ") or 20)
SECONDS = 20  # in which every command must have ended

CONFIGURATION = """\
name = "small"
extends = "base"
rows = 4
columns = 4
data_width = 8
mean_fraction = 3
constant_fraction = 8
max_tokens = 16
max_head_dim = 8
max_heads = 3
pe_pipeline = 1
multiplier = "inferred"
booth_columns = 0
memory_pipeline = 0
shift_z_min = -8
shift_z_max = 31
stream_width = 32
input_timeout = 1000
counter_width = 32
"""
RECIPE = """\
title = "a recipe"
[model]
shape = { image_size = 8, patch_size = 4, channels = 1, classes = 10, depth = 1, width = 8, heads = 2 }
attention = "vitality"
threshold = 0.02
bits = 4
drop_path = 0.1
weights = "absent.safetensors"
[data]
folder = "absent"
workers = 0
[augmentation]
rotation = 10
flip = 0.5
mixup = 0.8
[training]
epochs = 3
batch_size = 40
learning_rate = 0.001
warm_up_epochs = 1
clip_norm = 1.0
seed = 3
[distillation]
teacher = "absent.pth"
kind = "hard"
"""


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """A folder with a valid file of each kind."""
    folder = tmp_path_factory.mktemp("valid")
    (folder / "a.toml").write_text(CONFIGURATION)
    (folder / "recipe.toml").write_text(RECIPE)
    boards = Path(board.__file__).parent / "boards"
    (folder / "board.toml").write_text((boards / "icebreaker.toml").read_text())
    (folder / "report.json").write_text(json.dumps(example_report()))
    generate(load_preset("tiny-4x4"), folder / "generated")
    (folder / "metadata.json").write_text((folder / "generated" / "metadata.json").read_text())
    draw = np.random.default_rng(1)
    np.savez_compressed(folder / "floats.npz", **dict(zip("qkv", draw.normal(size=(3, 2, 5, 4)))))
    np.savez(folder / "integers.npz", **dict(zip("qkv", draw.integers(-128, 128, (3, 2, 5, 4), dtype=np.int16))),
             q_exp=-5, k_exp=np.int8(-5), v_exp=0)  # fmt: skip
    workloads.save(
        folder / "workload.npz",
        workloads.Workload(*draw.normal(size=(3, 2, 5, 4)), {"layers": 1, "heads_per_layer": 2, "order": "heads"}),
    )
    pixels = draw.integers(0, 256, (9, 8, 3), dtype=np.uint8)
    for ending in ("png", "jpg", "bmp", "webp"):
        Image.fromarray(pixels).save(folder / f"a.{ending}")
    _models(folder)
    return folder


def _models(folder):
    shape = VitShape(image_size=8, patch_size=4, channels=1, classes=10, depth=1, width=8, heads=2)
    torch.manual_seed(1)
    model, digits = VisionTransformer(shape), load_dataset("digits")
    recipe = {
        "model": {"shape": asdict(shape), "attention": "taylor"},
        "data": {"name": "digits"},
        "training": {"epochs": 1, "batch_size": 8, "learning_rate": 0.1},
    }
    row = {"epoch": 1, "learning_rate": 0.1, "training_loss": 2.0, "test_loss": 1.5, "test_accuracy": 0.5, "seconds": 3}
    data = {"name": "digits", "classes": list(digits.classes)}
    save(folder / "model.safetensors", model.state_dict(), {
        "kind": "model", "recipe": recipe, "epochs": 1, "metrics": [row],
        "data": data | {"mean": list(digits.mean), "std": list(digits.std)},
    })  # fmt: skip
    torch.save(model.state_dict(), folder / "model.pth")
    vit = quantize_vit(model, digits.training[list(range(4))][0], mean=digits.mean, std=digits.std, data=data,
                       quantization={"checkpoint": "a", "images": 4, "recipe": recipe})  # fmt: skip
    vit.save(folder / "integer.safetensors")


@pytest.fixture
def work(valid, tmp_path, monkeypatch):
    """The working folder of commands; `valid` has the files."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ended(*arguments):
    """(status, standard error) of a command that must end soon, without an exception and without a warning."""
    out, err = io.StringIO(), io.StringIO()

    def late(_number, _frame):
        raise AssertionError(f"{arguments} takes more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            status = main([str(argument) for argument in arguments])
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return status, err.getvalue()


@contextmanager
def kept(path, seed):
    """What fails is to be found: the file stays, and pytest shows which."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"file: {path}, mutation {seed!r}, SEED={os.environ.get('SEED')}")
        raise


def check(path, seed, *arguments, statuses=(0, 2)):
    with kept(path, seed):
        status, err = ended(*arguments)
        assert status in statuses
        if status == 0:
            assert err == ""
        else:
            assert err.count("\n") == 1 and ": error: " in err and len(err) < 2500


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return path


def mutations(name):
    for number in range(MUTATIONS):
        seed = (os.environ.get("SEED", "1"), name, number)
        yield number, seed, Mutations(seed)


# Files


#: File and the command that reads it; what is valid still ends in 2 where something else is missing.
TEXTS = {
    "a.toml": (["c-job", "--config", "FILE", "--input", "floats.npz", "-o", "a.h"], (0, 2)),
    "board.toml": (["load", "--board", "FILE", "absent.bit"], (2,)),
    "recipe.toml": (["train", "--config", "FILE", "-o", "trained"], (2,)),
    "metadata.json": (["quantize", "absent.safetensors", "--accelerator", "FILE"], (2,)),
    "report.json": (["report", "FOLDER"], (0, 2)),
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts(valid, work, name):
    arguments, statuses = TEXTS[name]
    path = work / name
    arguments = [
        {"FILE": path, "FOLDER": work, "floats.npz": valid / "floats.npz"}.get(each, each) for each in arguments
    ]
    text = (valid / name).read_text()
    write(path, text)
    check(path, "none", *arguments, statuses=statuses[:1])
    for number, seed, mutated in mutations(name):
        if number % 4 == 0:
            changed = mutated.bytes(text.encode())
        else:
            changed = mutated.toml(text) if name.endswith(".toml") else mutated.json(json.loads(text))
        write(path, changed)
        check(path, seed, *arguments, statuses=statuses)


@pytest.mark.parametrize("name", ["floats.npz", "integers.npz", "workload.npz"])
def test_operands(valid, work, name):
    content = (valid / name).read_bytes()
    path = work / name
    for _number, seed, mutated in mutations(name):
        write(path, mutated.bytes(content))
        check(path, seed, "c-job", "--preset", "tiny-4x4", "--input", path, "-o", work / "a.h")
        if name == "workload.npz":
            with kept(path, seed), warnings.catch_warnings():
                try:
                    assert len(workloads.load(path).q) == 2
                except ValueError as error:
                    assert str(path) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pth", "integer.safetensors"])
def test_checkpoints(valid, work, name):
    content = (valid / name).read_bytes()
    path = work / name
    command = ["capture", path, "--images", 1, "-o", work / "a.npz"]
    command = ["evaluate", path] if name == "integer.safetensors" else command
    for _number, seed, mutated in mutations(name):
        write(path, mutated.bytes(content))
        check(path, seed, *command)


@pytest.mark.parametrize("name", ["model.safetensors", "integer.safetensors"])
def test_descriptions(valid, work, name):
    tensors, description = load(valid / name)[1:3]
    path = work / name
    for number, seed, mutated in mutations(f"description of {name}"):
        save_file(tensors, path, metadata={"taylorvit": mutated.json(description)})
        if name == "model.safetensors" and number % 2:
            check(path, seed, "capture", path, "--images", 1, "-o", work / "a.npz")
        else:
            check(path, seed, "evaluate", path)


@pytest.mark.parametrize("name", ["model.safetensors", "integer.safetensors"])
def test_tensors(valid, work, name):
    tensors, description = load(valid / name)[1:3]
    path = work / name
    for _number, seed, mutated in mutations(f"tensors of {name}"):
        changed = {key: tensor.contiguous() for key, tensor in mutated.tensors(tensors).items()}
        save_file(changed, path, metadata={"taylorvit": json.dumps(description)})
        check(path, seed, "evaluate", path)


def test_folders_of_the_hub(valid, work):
    tensors = load(valid / "model.safetensors").tensors
    config = {"model_type": "vit", "hidden_act": "gelu", "num_attention_heads": 2, "id2label": {"0": "a", "1": "b"}}
    preprocessor = {"do_normalize": True, "image_mean": [0.5], "image_std": [0.5]}
    index = {"weight_map": dict.fromkeys(tensors, "part.safetensors")}
    folder = work / "hub"
    folder.mkdir()
    for number, seed, mutated in mutations("hub"):
        changed = number % 4
        weights = {key: tensor.contiguous() for key, tensor in mutated.tensors(tensors).items()}
        save_file(weights if changed == 0 else tensors, folder / "part.safetensors")
        for of, (name, content) in enumerate(
            {"config": config, "preprocessor_config": preprocessor, "model.safetensors.index": index}.items()
        ):
            write(folder / f"{name}.json", mutated.json(content) if changed == 1 + of else json.dumps(content))
        check(folder, seed, "capture", folder, "--images", valid / "a.png", "-o", work / "a.npz")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.webp"])
def test_images(valid, work, name):
    content = (valid / name).read_bytes()
    path = work / name
    for _number, seed, mutated in list(mutations(name))[: -(-MUTATIONS // 4)]:
        write(path, mutated.bytes(content))
        check(path, seed, "capture", valid / "model.safetensors", "--images", path, "-o", work / "a.npz")


# Options

#: Command with a place for the odd value; the rest is right, or ends in 2 behind it.
OPTIONS = [
    "info --preset ODD", "info --config ODD", "generate --preset ODD", "generate --config ODD",
          "generate --config a.toml -o ODD", "simulate --config a.toml --input ODD",
          "simulate --config a.toml --input floats.npz -o ODD", "ODD", "serve --sim --http-port 0 --model ODD",
          "serve --sim --model absent --host ODD", "serve --sim --model absent --http-port ODD",
          "serve --sim --model absent --http-port 0 --clock ODD",
    "build --board ODD", "build --board icebreaker --preset ODD", "build --board icebreaker --config ODD",
           "build --board icebreaker --freq ODD", "build --board icebreaker --seed ODD",
           "build --board icebreaker -o ODD",
           "load --board ODD", "load --board icebreaker ODD", "report ODD", "c-job --config a.toml --input ODD",
           "c-job --config a.toml --input floats.npz -o ODD", "c-job --preset ODD --input floats.npz",
           "run --sim --board ODD --input floats.npz", "run --sim --preset ODD --input floats.npz",
           "run --port ODD --input floats.npz", "run --port absent --baud ODD --input floats.npz",
           "run --sim --config a.toml --input ODD", "run --sim --config a.toml --input floats.npz -o ODD",
    "train --config ODD", "train --config recipe.toml -o ODD", "train --config recipe.toml --set ODD",
             "train --config recipe.toml --set training.epochs=ODD", "train --config recipe.toml --set model.shape=ODD",
             "train --config recipe.toml --set data.name=ODD", "train --config recipe.toml --set ODD=1",
             "train --config recipe.toml --device ODD", "quantize ODD", "quantize absent.safetensors -o ODD",
             "quantize absent.safetensors --images ODD", "quantize absent.safetensors --fine-tune ODD",
             "quantize absent.safetensors --accelerator ODD", "evaluate ODD", "evaluate absent.safetensors -o ODD",
             "evaluate absent.safetensors --recipe ODD", "evaluate model.safetensors --data ODD", "inspect ODD",
             "inspect absent.safetensors -o ODD", "inspect absent.safetensors --images ODD",
             "capture ODD --images 1 -o a.npz", "capture model.safetensors --images ODD -o a.npz",
             "capture model.safetensors --images 1 --layers ODD -o a.npz",
             "capture model.safetensors --images 1 -o ODD", "ops --model ODD", "fidelity --count ODD --seed x",
             "fidelity --seed ODD --count x", "fidelity -o ODD --count x",
]  # fmt: skip


@pytest.fixture
def quick(monkeypatch):
    """What is right needs no long work: it is cut off where it would begin."""

    def stop(*_arguments, **_named):
        raise ToolError("the work would begin")

    monkeypatch.setattr("taylorvit.gen.generate.generate", stop)
    monkeypatch.setattr("taylorvit.simulation.simulate.build_accelerator", stop)
    monkeypatch.setattr("taylorvit.simulation.simulated_board.build_board", stop)
    monkeypatch.setattr("taylorvit.commands.build.prepare", stop)
    monkeypatch.setenv("PATH", "")


@pytest.mark.parametrize("command", OPTIONS)
def test_options(valid, work, quick, command):
    for name in ("a.toml", "recipe.toml", "floats.npz", "model.safetensors"):
        (work / name).write_bytes((valid / name).read_bytes())
    for odd in ODD_TEXTS:
        words = [word.replace("ODD", odd) for word in command.split()]
        if "ODD" in command.split() and odd.startswith("-"):  # argparse takes it for an option, unless it is said
            place = command.split().index("ODD")
            if words[place - 1].startswith("-"):
                words[place - 1 : place + 1] = (
                    [f"{words[place - 1]}={odd}"] if words[place - 1].startswith("--") else [f"{words[place - 1]}{odd}"]
                )
        with kept(work, odd[:50]):
            begin = time.process_time()
            status, err = ended(*words)
            assert status in (0, 2), err
            if status == 2:
                *usage, line = err.splitlines()
                assert "error: " in line and (not usage or usage[0].startswith("usage: ")), err
            else:
                assert err == ""
            assert time.process_time() - begin < SECONDS

"""`quantize` and `evaluate`: from a trained model to integers and a table."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from taylorvit.compiler import cycles_of
from taylorvit.compiler.plan import plan_of
from taylorvit.gen.generate import generate
from taylorvit.gen.presets import load_metadata, load_preset
from taylorvit.golden.arithmetic.number_format import NetworkFormat
from taylorvit.golden.checkpoints.checkpoint import load
from taylorvit.golden.network.integer_vit import load_integer_vit
from taylorvit.jobs import format_of

from .running import run


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
    assert load_integer_vit("integer.safetensors").number_format == NetworkFormat.around(format_of(config))
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


def test_attention_by_layer(trained, capsys):
    status, out, err = run(capsys, "quantize", trained, "--images", 9, "--attention", "all=softmax", "--attention",
                           "0=taylor")  # fmt: skip
    assert (status, err) == (0, "") and "\nattention: taylor in 0; softmax in 1\n" in out
    assert load_integer_vit("integer.safetensors").kernels == ("taylor", "softmax")
    for arguments, text in (
        (["--attention", "2=softmax"], "layer must be 0 to 1, not 2 in '2=softmax'"),
        (["--attention", "softmax"], "attention must be LAYERS=KERNEL, for example all=softmax or 0-2,5=taylor, not "
                                     "'softmax'"),
    ):  # fmt: skip
        assert run(capsys, "quantize", trained, *arguments) == (2, "", f"taylorvit: error: {text}\n")


@pytest.fixture
def mixed(trained):
    """The metadata of a network accelerator with both kernels, as `generate` writes it, for the small model."""
    config = dataclasses.replace(load_preset("vit-tiny-4x4"), name="mixed", kernel="taylor+softmax")
    path = Path("mixed.json")
    derived = {told.attribute: getattr(config.attention, told.attribute) for told in config.attention.spec.told}
    content = {"accelerator": "network", "configuration": config.to_mapping(), "derived": derived}
    path.write_text(json.dumps(content | {"derived": derived | {"data_width": 8}}), encoding="utf-8")
    return path


def test_attention_that_is_searched(trained, mixed, capsys):
    """From Taylor attention, which is the cheaper one: nothing to change, unless one layer is softmax in any case."""
    options = ["--images", 40, "--accelerator", mixed, "--attention", "auto"]
    status, out, err = run(capsys, "quantize", trained, *options, "--max-loss", "1dB")
    assert (status, err) == (0, "") and "Attention by layer, at most 1dB lost" in out and "\nattention: taylor\n" in out
    assert len(re.findall("│ reference ", out)) == 1 and "kept" not in out and "alone" not in out
    config = load_metadata(mixed)
    vit = load_integer_vit("integer.safetensors")
    cycles = cycles_of(plan_of(vit.shape, config, vit.kernels), config).cycles
    assert re.search(rf"│ taylor +│ integers +│ +{cycles:,} │", out)
    options += ["--attention", "1=softmax", "--max-loss", "100%"]
    status, out, err = run(capsys, "quantize", trained, *options)
    assert (status, err) == (0, "") and "\nattention: taylor in 0; softmax in 1\n" in out
    assert load_integer_vit("integer.safetensors").kernels == ("taylor", "softmax") and "kept" in out


def test_searches_that_cannot_begin(trained, mixed, capsys):
    generated = ["--accelerator", mixed]
    for arguments, text in (
        (["--attention", "auto"], "--attention auto must come with --max-loss: the cheapest attention of all may lose "
                                  "everything"),
        (["--max-loss", "1dB"], "--max-loss must come with --attention auto: nothing else searches"),
        (["--attention", "auto", "--max-loss", "1dB"], "--attention auto must come with --accelerator, a network "
                                                       "accelerator whose cycles it counts"),
        (["--attention", "auto", "--max-loss", "1", *generated], "largest loss must be points or decibels, for example "
                                                                 "0.5% or 1dB, not '1'"),
    ):  # fmt: skip
        assert run(capsys, "quantize", trained, *arguments) == (2, "", f"taylorvit: error: {text}\n")


def test_kernels_that_the_accelerator_lacks(trained, capsys):
    generate(load_preset("tiny-4x4"), Path("mine"))
    options = ["--accelerator", "mine/metadata.json", "--attention", "1=softmax"]
    status, _out, err = run(capsys, "quantize", trained, *options)
    text = "attention of each layer must be one that tiny-4x4 has, taylor, not softmax: choose with --attention"
    assert status == 2 and err.startswith(f"taylorvit: error: {text}")

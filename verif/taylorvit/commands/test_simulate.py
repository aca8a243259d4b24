"""`simulate`: what it passes on, exit status, errors. `verif/taylorvit/simulation/test_simulate.py` simulates."""

import json
import shutil
import sys
import zlib

import numpy as np
import pytest

from taylorvit.__main__ import main
from taylorvit.fpga.driver import JobReport
from taylorvit.jobs import Outcome, golden_steps
from taylorvit.simulation import simulate as simulation
from verif.golden.network.models import SHAPE, quantized

from .running import fails, run

COUNTERS = dict.fromkeys(("CYCLES", "ARRAY_BUSY", "STALL_INPUT", "STALL_OUTPUT", "HEADS_DONE"), 100)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with small.toml and qkv.npz."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text("rows = 2\ncolumns = 2\nmax_tokens = 5\nmax_head_dim = 3\nstream_width = 8\n")
    np.savez(tmp_path / "qkv.npz", **{name: np.ones((1, 5, 3), dtype=np.int8) for name in "qkv"})
    return tmp_path


COMMAND = ["simulate", "--config", "small.toml", "--input", "qkv.npz"]


@pytest.mark.parametrize("wrong", [0, 1])
def test_what_was_asked_is_simulated_and_judged(folder, monkeypatch, capsys, wrong):
    asked = {}

    def simulate(config, job, **options):
        asked.update(options, name=config.name, shape=job.shape)
        return Outcome(golden_steps(job, config).z + wrong, [JobReport(1, COUNTERS, frozenset({"DONE"}))])

    monkeypatch.setattr(simulation, "simulate", simulate)
    assert main([*COMMAND, "-o", "z.npz", "--waves"]) == wrong
    assert (asked["name"], asked["shape"]) == ("small", (1, 5, 3))
    assert str(asked["waveform"]) == "z.vcd"
    printed = capsys.readouterr().out
    assert "wrote z.npz\n" in printed and ("elements of z differ" in printed) == bool(wrong)
    assert (folder / "z.npz").is_file()


def test_input_is_required(capsys):
    error = fails(capsys, "simulate", "--preset", "tiny-4x4")
    assert "one of the arguments --input --model is required" in error


def test_what_is_wrong_is_one_line(folder, monkeypatch, capsys):
    def simulate(*_arguments, **_options):
        raise ValueError("q must be finite, not nan")

    monkeypatch.setattr(simulation, "simulate", simulate)
    assert fails(capsys, *COMMAND) == "taylorvit: error: q must be finite, not nan\n"


def test_a_missing_package_is_named(folder, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("taylorvit.jobs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert fails(capsys, *COMMAND) == (
        "taylorvit: error: this needs the Python package 'numpy', which is not installed: "
        'pip install "taylorvit[sim]"\n'
    )


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A folder of `taylorvit compile`."""
    folder = tmp_path_factory.mktemp("network")
    quantized(SHAPE).save(folder / "integer.safetensors")
    assert main(["compile", f"{folder}/integer.safetensors", "--preset", "vit-tiny-4x4", "-o", f"{folder}/noise"]) == 0
    return folder / "noise"


@pytest.fixture
def pixels(tmp_path):
    size = (3, SHAPE.channels, SHAPE.image_size, SHAPE.image_size)
    pixels = np.random.default_rng(2).integers(0, 256, size, dtype=np.uint8)
    np.savez(tmp_path / "pixels.npz", pixels=pixels, labels=np.array([0, 1, 2]))
    return tmp_path / "pixels.npz"


@pytest.mark.slow
def test_images_through_a_network(capsys, compiled, pixels, tmp_path):
    command = ["simulate", "--model", compiled, "--images", pixels, "--trace", "--bytes-per-cycle", "1.5"]
    status, out, _err = run(capsys, *command, "-o", tmp_path / "logits.npz")
    assert status == 0
    assert "3 images through noise on vit-tiny-4x4" in out and "0 of 9 logits" in out
    assert "306 elements of residual streams compared, 0 differ" in out
    assert "1.5 bytes a cycle, latency 20 cycles" in out
    with np.load(tmp_path / "logits.npz") as result, np.load(pixels) as given:
        assert (result["logits"] == quantized(SHAPE)(given["pixels"].astype(np.int64))).all()
    status, out, _err = run(capsys, *command, "--image-order", "raster")
    assert status == 0 and "0 of 9 logits" in out


@pytest.mark.slow
def test_first_residual_stream_that_differs_is_named(capsys, compiled, pixels, tmp_path):
    """The weights of the tape differ from the model's; its CRC is right."""
    folder = tmp_path / "changed"
    shutil.copytree(compiled, folder)
    tape = bytearray((compiled / "model.tape").read_bytes())
    description = json.loads((compiled / "model.json").read_text())
    place = next(each for each in description["operations"] if each["name"] == "blocks.0.fc2")["offset"]
    tape[place + 64] ^= 1
    crc = zlib.crc32(tape[:-4])
    tape[-4:] = crc.to_bytes(4, "little")
    (folder / "model.tape").write_bytes(tape)
    description["tape"]["crc32"] = crc
    (folder / "model.json").write_text(json.dumps(description))
    status, out, _err = run(capsys, "simulate", "--model", folder, "--images", pixels, "--trace")
    assert status == 1
    assert "logits differ from the integer model" in out
    assert "image 0: residual.2 (the residual stream plus blocks.0.fc2) is the first that differs, in " in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--preset", "tiny-4x4", "--input", "a.npz", "--trace"], "--trace must come with --model, not with --input"),
        (["--preset", "tiny-4x4", "--input", "a.npz", "--latency", "2"], "--latency must come with --model"),
        (
            ["--preset", "tiny-4x4", "--input", "a.npz", "--image-order", "raster"],
            "--image-order must come with --model",
        ),
        (["--input", "a.npz"], "--input must come with --preset or --config"),
        (["--model", "m"], "--model must come with --images"),
        (["--model", "m", "--input", "a.npz"], "not allowed with argument"),
        (["--model", "m", "--images", "a.png"], "model must be a folder that `taylorvit compile` has written, not 'm'"),
        (["--preset", "vit-16x16", "--input", "a.npz"], "simulate --input must have a configuration of accelerator "),
    ],
)
def test_arguments_that_do_not_belong_together(capsys, arguments, text):
    assert text in fails(capsys, "simulate", *arguments)


def test_tape_for_another_accelerator(capsys, compiled, pixels):
    error = fails(capsys, "simulate", "--model", compiled, "--images", pixels, "--preset", "vit-16x8")
    assert "noise must be a tape for the configuration of vit-16x8, 0x" in error
    error = fails(capsys, "simulate", "--model", compiled, "--images", pixels, "--preset", "tiny-4x4")
    assert "simulate --model must have a configuration of accelerator 'network'" in error

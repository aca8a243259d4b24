"""A job as C source: parsed back, its command, and its errors. `test_c_driver` compiles and runs it."""

import re
import sys
from dataclasses import replace

import numpy as np
import pytest

from taylorvit.__main__ import main
from taylorvit.fpga.driver.tensors import matrix_bytes
from taylorvit.gen.presets import load_preset
from taylorvit.golden.attention.integer_attention import JobConstants
from taylorvit.jobs import Job, golden_steps, job_source
from taylorvit.jobs.operands import read_operands
from taylorvit.jobs.patches import image_beats
from taylorvit.rtl.config import AcceleratorConfig
from verif.golden.network.models import SHAPE, quantized

NARROW = load_preset("tiny-4x4")
WIDE = AcceleratorConfig(name="wide", rows=4, columns=4, data_width=12, constant_fraction=16, max_heads=3)


def random_job(config, heads=2, tokens=3, head_dim=5):
    """A job and a Z for it."""
    half = 1 << (config.data_width - 1)
    q, k, v, z = np.random.default_rng(1).integers(-half, half, (4, heads, tokens, head_dim))
    constants = JobConstants(shift_g=3, shift_z=-2, c_v=77, c_d=(5 << 32) + 9)
    return Job(q, k, v, constants, kernel="taylor"), z


@pytest.mark.parametrize("config", [NARROW, WIDE], ids=lambda config: config.name)
def test_arrays_are_the_packets(config):
    job, z = random_job(config)
    source = job_source(config, job, z)
    for name, operand in (("q", job.q), ("k", job.k), ("v", job.v), ("z", z)):
        text = re.search(rf"uint8_t example_{name}\[.*?\] = \{{(.*?)\n\}};", source, re.S).group(1)
        packets = [bytes(map(int, re.findall(r"\d+", packet))) for packet in re.findall(r"\{(.*?)\}", text, re.S)]
        assert packets == [matrix_bytes(head, config) for head in operand]
    sizes = {name: int(value) for name, value in re.findall(r"#define EXAMPLE_(\w+) (\d+)u", source)}
    element, lanes = config.element_width // 8, config.stream_lanes
    beats = -(-5 // lanes)
    assert sizes == {
        "HEADS": 2,
        "HEAD_BYTES": 3 * beats * lanes * element,
        "TOKEN_BYTES": beats * lanes * element,
        "TOKEN_BYTES_USED": 5 * element,
    }


def test_parameters():
    source = job_source(NARROW, *random_job(NARROW))
    assert ".heads = 2, .tokens = 3, .head_dim = 5," in source
    assert ".shift_g = 3, .shift_z = -2," in source
    assert ".c_v = {0x4du, 0x0u}, .c_d = {0x9u, 0x5u, 0x0u}," in source


def test_constants_of_three_words():
    config = replace(WIDE, data_width=16, mean_fraction=8)
    job, z = random_job(config)
    job = replace(job, constants=JobConstants(shift_g=3, shift_z=-2, c_v=(7 << 32) + 6, c_d=(3 << 64) + (5 << 32) + 9))
    assert ".c_v = {0x6u, 0x7u}, .c_d = {0x9u, 0x5u, 0x3u}," in job_source(config, job, z)


def test_more_heads_than_a_job_has():
    with pytest.raises(ValueError, match=r"^heads must be at most 3 on wide, not 4$"):
        job_source(WIDE, *random_job(WIDE, heads=4))


def command(*arguments):
    """Runs `taylorvit c-job`; returns the exit status."""
    return main(["c-job", *map(str, arguments)])


def test_command(tmp_path, capsys):
    half = 1 << (NARROW.data_width - 1)
    q, k, v = np.random.default_rng(1).integers(-half, half, (3, 2, 3, 5))
    np.savez(tmp_path / "input.npz", q=q, k=k, v=v, q_exp=-5, k_exp=-5, v_exp=-5)
    path = tmp_path / "job.h"
    assert command("--preset", "tiny-4x4", "--input", tmp_path / "input.npz", "-o", path) == 0
    assert capsys.readouterr().out == f"wrote  {path}, 2 heads for tiny-4x4\n"
    job = read_operands(tmp_path / "input.npz", NARROW).job
    assert path.read_text() == job_source(NARROW, job, golden_steps(job, NARROW).z)


def test_input_that_is_no_job(tmp_path, capsys):
    path = tmp_path / "input.npz"
    path.write_text("text")
    assert command("--preset", "tiny-4x4", "--input", path, "-o", tmp_path / "job.h") == 2
    text = "file must be an .npz file, as numpy.savez writes it, not one of another kind"
    assert capsys.readouterr().err == f"taylorvit: error: {path}: {text}\n"
    assert not (tmp_path / "job.h").exists()


def test_accelerator_that_takes_no_such_job(tmp_path, capsys):
    assert command("--preset", "vit-16x16", "--input", "absent.npz", "-o", tmp_path / "job.h") == 2
    assert capsys.readouterr().err.startswith(
        "taylorvit: error: c-job must have a configuration of accelerator 'attention' (tiny-4x4, "
    )


def test_output_that_cannot_be_written(tmp_path, capsys):
    for name, text in (
        ("none/job.h", "output must be in a folder that exists, not "),
        ("job.c", "output must end in .h, not "),
    ):
        assert command("--preset", "tiny-4x4", "--input", "absent.npz", "-o", tmp_path / name) == 2
        assert capsys.readouterr().err == f"taylorvit: error: {text}{str(tmp_path / name)!r}\n"


def test_package_that_is_missing(tmp_path, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("taylorvit.jobs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert command("--preset", "tiny-4x4", "--input", tmp_path / "input.npz", "-o", tmp_path / "job.h") == 2
    assert capsys.readouterr().err == (
        "taylorvit: error: this needs the Python package 'numpy', which is not installed: "
        'pip install "taylorvit[fpga]"\n'
    )


def numbers(source, name):
    """The numbers of an array of arrays."""
    text = re.search(rf"example_{name}\[.*?\] = \{{(.*?)\n\}};", source, re.S).group(1)
    return [[int(number) for number in re.findall(r"-?\d+", row)] for row in re.findall(r"\{(.*?)\}", text, re.S)]


def test_network(tmp_path, capsys):
    """Tape, packets and logits of a compiled model."""
    quantized(SHAPE).save(tmp_path / "integer.safetensors")
    model = tmp_path / "noise"
    assert main(["compile", f"{tmp_path}/integer.safetensors", "--preset", "vit-tiny-4x4", "-o", str(model)]) == 0
    size = (2, SHAPE.channels, SHAPE.image_size, SHAPE.image_size)
    pixels = np.random.default_rng(2).integers(0, 256, size, dtype=np.uint8)
    np.savez(tmp_path / "pixels.npz", pixels=pixels)
    capsys.readouterr()
    path = tmp_path / "job.h"
    assert command("--model", model, "--images", tmp_path / "pixels.npz", "-o", path) == 0
    assert capsys.readouterr().out == f"wrote  {path}, 2 images for noise on vit-tiny-4x4\n"
    source = path.read_text()
    lanes = load_preset("vit-tiny-4x4").image_lanes
    assert numbers(source, "images") == image_beats(pixels, SHAPE, lanes).reshape(2, -1).tolist()
    assert numbers(source, "logits") == quantized(SHAPE)(pixels.astype(np.int64)).tolist()
    tape = (model / "model.tape").read_bytes()
    text = re.search(r"example_tape\[\d+\] = \{(.*?)\n\};", source, re.S).group(1)
    assert bytes(map(int, re.findall(r"\d+", text))) == tape
    assert f".tape_address = 0, .tape_length = {len(tape)}," in source


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--input", "a.npz"], "--input must come with --preset or --config"),
        (
            ["--input", "a.npz", "--preset", "tiny-4x4", "--images", "a.png"],
            "--images must come with --model, not with",
        ),
        (["--model", "m"], "--model must come with --images"),
        (["--model", "m", "--images", "a.png", "--preset", "tiny-4x4"], "--model must come without --preset and"),
        (["--model", "m", "--images", "a.png"], "model must be a folder that `taylorvit compile` has written"),
    ],
)
def test_arguments_that_do_not_belong_together(capsys, arguments, text):
    assert command(*arguments) == 2
    assert text in capsys.readouterr().err

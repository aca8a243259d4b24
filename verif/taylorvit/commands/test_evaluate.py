"""`taylorvit evaluate` with an accelerator: the cycles of an image, and what it refuses before the work."""

import re
from pathlib import Path

import pytest

from taylorvit.compiler import cycles_of
from taylorvit.gen.presets import load_preset
from taylorvit.golden.checkpoints.checkpoint import load
from taylorvit.golden.network.vit import VitShape

from .running import run


def test_cycles_are_those_of_the_accelerator(trained, capsys):
    status, out, err = run(capsys, "evaluate", trained, "--preset", "vit-tiny-4x4", "-o", "a.png")
    assert (status, err) == (0, "") and Path("a.png").stat().st_size > 1000
    [cycles] = re.findall(r"digits .* │ +([\d,]+) │\n", out)
    shape = VitShape(**load(Path(trained)).description["recipe"]["model"]["shape"])
    assert int(cycles.replace(",", "")) == cycles_of(shape, load_preset("vit-tiny-4x4")).cycles > 1000


def test_cycles_of_a_mixed_model(trained, capsys):
    Path("mixed.toml").write_text('extends = "vit-tiny-4x4"\nkernel = "taylor+softmax"\n')
    assert run(capsys, "quantize", trained, "--images", 8, "--attention", "0=softmax", "-o", "m.safetensors")[0] == 0
    status, out, err = run(capsys, "evaluate", trained, "m.safetensors", "--config", "mixed.toml")
    assert (status, err) == (0, "")
    taylor, mixed = (int(text.replace(",", "")) for text in re.findall(r" ([\d,]+) │\n", out))
    assert mixed > taylor


@pytest.mark.parametrize(
    ("preset", "text"),
    [
        ("vit-tiny-4x4", "attention of layer 0 must be one that vit-tiny-4x4 has, taylor, not softmax: choose another"),
        ("edge-16x16", "evaluate must have a configuration of accelerator 'network' "),
    ],
)
def test_accelerators_that_cannot(trained, preset, text, capsys):
    assert run(capsys, "quantize", trained, "--images", 8, "--attention", "0=softmax", "-o", "m.safetensors")[0] == 0
    status, out, err = run(capsys, "evaluate", "m.safetensors", "--preset", preset)
    assert (status, out) == (2, "") and text in err

"""`estimate`: cycles of a network by operation."""

import json
import re

from taylorvit.compiler import Memory, cycles_of
from taylorvit.fpga.board import load_board
from taylorvit.gen.presets import load_file, load_preset
from taylorvit.golden.network.vit import SHAPES
from verif.golden.network.random_models import random_model

from .running import fails, run

CONFIG = load_preset("vit-tiny-4x4")


def test_a_shape_and_a_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, "estimate", "vit_8", "--preset", "vit-tiny-4x4", "--latency", 0)
    assert (status, err) == (0, "")
    image = cycles_of(SHAPES["vit_8"], CONFIG)
    assert f"vit_8 on vit-tiny-4x4: {image.cycles:,} cycles an image" in out
    assert f"useful: {image.utilization(CONFIG):.1%} of 16 multipliers; tape: {image.tape_bytes:,} bytes" in out
    shown = [int(each.replace(",", "")) for each in re.findall(r"^│ \w+ +│ +([\d,]+) │", out, re.MULTILINE)]
    assert len(shown) == 10 and sum(shown) == image.cycles
    random_model(SHAPES["vit_8"], 1).save("digits.safetensors")
    status, again, _err = run(capsys, "estimate", "digits.safetensors", "--preset", "vit-tiny-4x4", "--latency", 0)
    assert status == 0 and f"digits.safetensors on vit-tiny-4x4: {image.cycles:,} cycles an image" in again


def test_a_bundled_model_by_its_name(capsys):
    status, out, _err = run(capsys, "estimate", "digits", "--preset", "vit-tiny-4x4")
    assert status == 0 and f"digits on vit-tiny-4x4: {cycles_of(SHAPES['vit_8'], CONFIG).cycles:,} cycles" in out


def test_the_accelerator_of_a_board(capsys):
    status, out, _err = run(capsys, "estimate", "digits", "--board", "ulx3s-25f", "--network", "digits")
    cycles = cycles_of(SHAPES["vit_8"], load_board("ulx3s-25f").network("digits").config).cycles
    assert status == 0 and f"digits on ulx3s-25f-digits: {cycles:,} cycles" in out
    status, _out, error = run(capsys, "estimate", "digits", "--network", "digits")
    assert status == 2 and error == "taylorvit: error: --network must come with --board\n"


def test_a_slow_memory(capsys):
    status, out, _err = run(
        capsys, "estimate", "vit_8", "--preset", "vit-tiny-4x4", "--bytes-per-cycle", 0.5, "--latency", 100
    )
    cycles = cycles_of(SHAPES["vit_8"], CONFIG, Memory(0.5, 100)).cycles
    assert status == 0 and f": {cycles:,} cycles an image" in out


def test_blocks_of_tokens_are_lines_of_their_layers(tmp_path, capsys):
    (tmp_path / "blocks.toml").write_text('extends = "vit-tiny-4x4"\nmlp_tokens = 5\n')
    config = load_file(tmp_path / "blocks.toml")
    status, out, _err = run(capsys, "estimate", "vit_8", "--config", tmp_path / "blocks.toml", "--latency", 0)
    image = cycles_of(SHAPES["vit_8"], config)
    assert status == 0 and f": {image.cycles:,} cycles an image" in out
    shown = dict(re.findall(r"^│ (\w+) +│ +([\d,]+) │", out, re.MULTILINE))
    assert len(shown) == 10 and sum(int(each.replace(",", "")) for each in shown.values()) == image.cycles
    fc1 = [step.cycles for step in image.steps if "fc1" in step.step.name]
    assert len(fc1) > SHAPES["vit_8"].depth and shown["fc1"] == f"{sum(fc1):,}"


def test_attention_by_layer(capsys, tmp_path):
    from dataclasses import replace

    config = replace(CONFIG, name="both", kernel="taylor+softmax")
    file = tmp_path / "both.toml"
    file.write_text(
        'accelerator = "network"\n'
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in config.to_mapping().items())
    )
    depth = SHAPES["vit_8"].depth
    for options, kernels in (
        ([], ["taylor"] * depth),
        (["--attention", "all=softmax"], ["softmax"] * depth),
        (["--attention", "all=softmax", "--attention", "0=taylor"], ["taylor"] + ["softmax"] * (depth - 1)),
    ):
        status, out, _err = run(capsys, "estimate", "vit_8", "--config", file, "--latency", 0, *options)
        cycles = cycles_of(SHAPES["vit_8"], config, kernels=kernels).cycles
        assert status == 0 and f"vit_8 on both: {cycles:,} cycles an image" in out
        assert ("│ ev " in out) == ("softmax" in kernels)


def test_what_cannot_be_estimated(capsys):
    error = fails(capsys, "estimate", "vit_8", "--preset", "vit-tiny-4x4", "--attention", "all=softmax")
    assert error.startswith(
        "taylorvit: error: attention of layer 0 must be one that vit-tiny-4x4 has, taylor, not softmax: "
    )
    error = fails(capsys, "estimate", "vit_8", "--preset", "vit-tiny-4x4", "--attention", "all=linear")
    assert error == "taylorvit: error: attention kernel must be one of taylor, softmax, not 'linear' in 'all=linear'\n"
    error = fails(capsys, "estimate", "deit_tiny", "--preset", "vit-tiny-4x4")
    assert error.startswith("taylorvit: error: network does not fit vit-tiny-4x4: max_tokens must be at least 197 (")
    error = fails(capsys, "estimate", "resnet", "--preset", "vit-tiny-4x4")
    assert re.fullmatch(
        "taylorvit: error: network must be a .safetensors or one of digits, mnist5k, deit_tiny, .*, not 'resnet'\n",
        error,
    )
    error = fails(capsys, "estimate", "none.safetensors", "--preset", "vit-tiny-4x4")
    assert error == "taylorvit: error: model must be one of digits, mnist5k, or a file, not 'none.safetensors'\n"
    error = fails(capsys, "estimate", "vit_8", "--preset", "tiny-4x4")
    assert error.startswith("taylorvit: error: estimate must have a configuration of accelerator 'network'")

"""`compile`: from an integer model to a folder with its tape."""

import json
import zlib

import pytest

from taylorvit.fpga.board import load_board
from taylorvit.gen.presets import load_preset
from taylorvit.golden.network.vit import SHAPES
from verif.golden.network.random_models import random_model

from .running import fails, run


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random_model(SHAPES["vit_8"], 1).save("digits.safetensors")
    return "digits.safetensors"


def test_a_folder_with_all_that_a_host_needs(model, tmp_path, capsys):
    status, out, err = run(capsys, "compile", model, "--preset", "vit-tiny-4x4")
    assert (status, err) == (0, "")
    folder = tmp_path / "compiled_vit-tiny-4x4"
    description = json.loads((folder / "model.json").read_text())
    tape = (folder / "model.tape").read_bytes()
    assert description["tape"]["bytes"] == len(tape) and zlib.crc32(tape[:-4]) == description["tape"]["crc32"]
    assert description["accelerator"]["configuration"] == load_preset("vit-tiny-4x4").to_mapping()
    assert f"{len(description['operations'])} commands, {len(tape):,} bytes" in out

    (tmp_path / "mine.toml").write_text('extends = "vit-tiny-4x4"\nname = "vit-tiny-4x4"\n')
    assert run(capsys, "compile", model, "--config", "mine.toml", "-o", "mine")[0] == 0
    assert (tmp_path / "mine" / "model.tape").read_bytes() == tape
    metadata = {"accelerator": "network", "configuration": description["accelerator"]["configuration"]}
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    assert run(capsys, "compile", model, "--accelerator", "metadata.json", "-o", "another")[0] == 0
    assert (tmp_path / "another" / "model.tape").read_bytes() == tape


def test_for_a_network_of_a_board(model, tmp_path, capsys):
    of_board = ("compile", "digits", "--board", "ulx3s-25f", "-o", "mine")
    assert run(capsys, *of_board, "--network", "digits")[0] == 0
    description = json.loads((tmp_path / "mine" / "model.json").read_text())
    config = load_board("ulx3s-25f").network("digits").config
    assert description["accelerator"]["configuration"] == config.to_mapping()
    assert "network of ulx3s-25f must be one of " in fails(capsys, *of_board, "--network", "cats")
    assert "--network must come with --board" in fails(capsys, "compile", model, "--network", "digits")
    assert "--board must come with --network" in fails(capsys, *of_board, "--preset", "vit-tiny-4x4")
    assert run(capsys, *of_board)[0] == 0  # it has one network
    assert json.loads((tmp_path / "mine" / "model.json").read_text()) == description
    error = fails(capsys, "compile", model, "--board", "ulx3s-85f")
    assert "--board ulx3s-85f must come with --network, one of deit-tiny, mnist5k" in error
    error = fails(capsys, "compile", model, "--board", "icebreaker")
    assert "icebreaker has no networks; choose another board" in error
    error = fails(capsys, "compile", model)
    assert "compile must have --preset, --config, --accelerator or --board" in error


def test_what_does_not_fit(model, capsys):
    (text := 'extends = "vit-tiny-4x4"\nmax_hidden = 100\n')
    with open("small.toml", "w") as file:
        file.write(text)
    error = fails(capsys, "compile", model, "--config", "small.toml")
    assert error == (
        "taylorvit: error: network does not fit small: max_hidden must be at least 128 (hidden features of the MLP), "
        "not 100\n"
    )
    error = fails(capsys, "compile", model, "--preset", "tiny-4x4")
    assert error.startswith("taylorvit: error: compile must have a configuration of accelerator 'network'")
    error = fails(capsys, "compile", "none.safetensors", "--preset", "vit-tiny-4x4")
    assert "none.safetensors" in error


def test_a_bundled_model_goes_into_build(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "compile", "digits", "--preset", "vit-tiny-4x4")[0] == 0
    assert (tmp_path / "build" / "digits-vit-tiny-4x4" / "model.tape").is_file()

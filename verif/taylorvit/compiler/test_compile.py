"""A compiled network: its bytes, its listing, its description."""

import json
import zlib
from pathlib import Path

import pytest

from taylorvit.compiler import compile_network, write_folder
from taylorvit.gen.presets import load_preset, preset_names
from taylorvit.golden.network.vit import SHAPES
from taylorvit.rtl.network.command import MAGIC

from .networks import UNEVEN, compiled, network, small_config


def test_bytes_are_the_same_each_time():
    first, second = compiled(3), compiled(3)
    assert first.tape == second.tape and first.listing() == second.listing()
    assert first.tape != compiled(4).tape


def test_header_and_trailer():
    made = compiled(1, 5, 3, shape=UNEVEN)
    tape, columns = made.tape, made.config.columns
    assert int.from_bytes(tape[:4], "little") == MAGIC and int.from_bytes(tape[16:20], "little") == len(tape)
    assert int.from_bytes(tape[8:16], "little") == made.config.tape_hash
    assert len(tape) % columns == 0
    covered = len(tape) - 2 * columns  # a CRC of 4 bytes takes two rows of 3
    assert made.crc32 == zlib.crc32(tape[:covered]) == int.from_bytes(tape[covered : covered + 4], "little")
    assert tape[covered + 4 :] == bytes(2)


def test_description_and_listing():
    made = compiled(1, shape=UNEVEN)
    description = json.loads(json.dumps(made.description()))
    assert description["kind"] == "compiled vit" and description["format"] == 1
    assert description["tape"] == {
        "bytes": len(made.tape), "crc32": made.crc32, "configuration": f"{made.config.tape_hash:#018x}"
    }  # fmt: skip
    assert description["image"] == {"channels": 2, "size": 9, "patch_size": 3, "patches": 9, "patch_pixels": 18}
    assert description["classes"] == ["0", "1", "2", "3", "4", "5", "6"]
    assert description["attention"] == ["taylor", "taylor"]
    operations = description["operations"]
    assert sum(operation["bytes"] for operation in operations) + 32 + 4 == len(made.tape)
    [fc1] = [each for each in operations if each["name"] == "blocks.0.fc1"]
    sizes = {"elements": 11, "inputs": 15, "outputs": 45, "input_tiles": 4, "output_tiles": 12, "macs": 11 * 15 * 45}
    assert sizes.items() <= fc1.items()
    assert [operation["name"] for operation in operations] == [part.step.name for part in made.parts]
    lines = made.listing().splitlines()
    assert lines[0].startswith(f"{len(made.tape):,} bytes for small-4x4 (4 x 4), CRC 0x")
    assert f"; {made.cycles.cycles:,} cycles an image" in lines[0]
    assert sum(each.get("cycles", 0) for each in operations) == description["cycles"] == made.cycles.cycles
    assert len(lines) == 3 + len(operations)
    for operation, line in zip(operations, lines[3:], strict=True):
        assert line.startswith(operation["name"]) and f" {operation['bytes']}" in line


def test_description_and_listing_of_blocks():
    made = compiled(1, shape=UNEVEN, mlp_tokens=4)
    operations = [each for each in made.description()["operations"] if each["name"].startswith("blocks.0.fc1")]
    assert [(each["name"], each["elements"]) for each in operations] == [
        ("blocks.0.fc1[0]", 4), ("blocks.0.fc1[1]", 4), ("blocks.0.fc1[2]", 3)
    ]  # fmt: skip
    assert sum(each["macs"] for each in operations) == 11 * 15 * 45
    assert sum(line.startswith("blocks.0.fc1[") for line in made.listing().splitlines()) == 3


def test_names_of_classes():
    vit = network(1, small_config(), shape=UNEVEN)
    vit.data["classes"] = ["cat", "dog", "cow", "hen", "pig", "ant", "bee"]
    assert compile_network(vit, small_config()).description()["classes"] == vit.data["classes"]


def test_presets_hold_what_they_are_for():
    from taylorvit.compiler.fitting import check_shape

    for preset in preset_names("network"):
        check_shape(SHAPES["vit_8" if "tiny" in preset else "deit_tiny_distilled"], load_preset(preset))
    check_shape(SHAPES["deit_base"], load_preset("vit-64x64"))


def test_folder(tmp_path):
    made = compiled(1)
    made.vit.save(tmp_path / "model.safetensors")
    files = write_folder(made, tmp_path / "model.safetensors", tmp_path / "a" / "b")
    assert [file.name for file in files] == ["model.tape", "listing.txt", "model.safetensors", "model.json"]
    assert files[0].read_bytes() == made.tape and files[1].read_text() == made.listing()
    assert files[2].read_bytes() == (tmp_path / "model.safetensors").read_bytes()
    description = json.loads(files[3].read_text())
    assert len(description.pop("model")["sha256"]) == 64 and description == made.description()


def test_folder_that_is_not_finished_is_none(tmp_path, monkeypatch):
    made = compiled(1)
    made.vit.save(tmp_path / "model.safetensors")
    with pytest.raises(FileNotFoundError):
        write_folder(made, tmp_path / "absent.safetensors", tmp_path / "a")
    assert not (tmp_path / "a").exists()
    write_folder(made, tmp_path / "model.safetensors", tmp_path / "a")
    write = Path.write_bytes

    def interrupted(path, content):
        if "listing" in path.name:
            raise KeyboardInterrupt
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_folder(compiled(2), tmp_path / "model.safetensors", tmp_path / "a")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "listing.txt",
        "model.safetensors",
        "model.tape",
    ]


def test_what_is_no_model_or_no_configuration():
    made = compiled(1)
    with pytest.raises(TypeError, match="^vit must be an IntegerVit, as `load_integer_vit` reads it, not 'digits'$"):
        compile_network("digits", made.config)
    with pytest.raises(TypeError, match="^config must be a NetworkConfig, not 'vit-16x16'$"):
        compile_network(made.vit, "vit-16x16")

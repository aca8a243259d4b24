"""The folder of a compiled model: read as it was written, and refused where a file is not what it must be."""

import json
import re
from dataclasses import replace

import pytest

from taylorvit.boundary.errors import FileError
from taylorvit.compiler import compile_network, write_folder
from taylorvit.jobs.compiled_model import check_tape, read_compiled_model, read_tape
from verif.golden.network.models import SHAPE, quantized

from .networks import CONFIG, MODEL, VIT


@pytest.fixture
def folder(tmp_path):
    VIT.save(tmp_path / "integer.safetensors")
    write_folder(compile_network(VIT, CONFIG), tmp_path / "integer.safetensors", tmp_path / "noise")
    return tmp_path / "noise"


def refused(folder, text):
    with pytest.raises(FileError, match=f"^{re.escape(text)}"):
        read_compiled_model(folder)


def test_folder_is_read_as_it_was_written(folder):
    model = read_compiled_model(folder)
    assert (model.name, model.config, model.tape) == ("noise", CONFIG, MODEL.tape)
    assert model.vit.shape == VIT.shape and model.classes == ["0", "1", "2"]


def test_tape_alone(folder):
    for name in ("model.json", "model.safetensors"):
        (folder / name).unlink()
    assert read_tape(folder, CONFIG) == MODEL.tape
    with pytest.raises(FileError, match="model.tape must be a tape for the configuration of wide"):
        read_tape(folder, replace(CONFIG, max_width=48, name="wide"))
    (folder / "model.tape").unlink()
    with pytest.raises(FileError, match="model.tape: file must be readable: no such file"):
        read_tape(folder, CONFIG)


@pytest.mark.parametrize("place", [32, len(MODEL.tape) // 2, len(MODEL.tape) - 4])
def test_damaged_tape(folder, place):
    """A bit anywhere behind the header; what is wrong in the header has texts of its own."""
    path = folder / "model.tape"
    tape = bytearray(MODEL.tape)
    tape[place] ^= 8
    path.write_bytes(tape)
    text = f"^{re.escape(str(path))} must have the CRC 0x[0-9a-f]{{8}}, not 0x[0-9a-f]{{8}}: it is damaged; compile "
    for read in (read_compiled_model, lambda folder: read_tape(folder, CONFIG)):
        with pytest.raises(FileError, match=text):
            read(folder)


def test_tape_of_another_model(folder, tmp_path):
    """Whole and for the same accelerator: nothing but its CRC tells that it belongs elsewhere."""
    description = json.loads((folder / "model.json").read_text())
    wanted = description["tape"]["crc32"]
    (folder / "model.tape").write_bytes(compile_network(quantized(SHAPE, seed=5), CONFIG).tape)
    text = f"{folder / 'model.tape'} must be the tape of {folder / 'model.json'}, whose CRC is {wanted:#010x}, not 0x"
    refused(folder, text)
    with pytest.raises(FileError, match=re.escape(text)):
        read_tape(folder, CONFIG)


def test_folder_that_is_none(tmp_path):
    refused(tmp_path / "absent", f"model must be a folder that `taylorvit compile` has written, not '{tmp_path}")
    refused(tmp_path, f"{tmp_path / 'model.json'}: file must be readable")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kind": "cat"}, "kind and format must be 'compiled vit' and 1, not 'cat' and 1"),
        ({"format": 2}, "kind and format must be 'compiled vit' and 1, not 'compiled vit' and 2"),
        ({"accelerator": {"configuration": {"name": "x"}}}, "configuration must have the key 'rows'"),
    ],
)
def test_wrong_description(folder, changes, text):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    refused(folder, f"{path}: {text}")


def test_member_of_another_kind(folder):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"classes": 3}))
    with pytest.raises(FileError, match="classes must be a list, not 3"):
        read_compiled_model(folder)


def test_names_of_other_classes(folder):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"classes": ["cat"]}))
    refused(folder, f"{path}: classes must be 3 names, not 1")


def test_model_of_another_tape(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes() + b" ")
    refused(folder, f"{path} must be the model of {folder / 'model.json'}, whose hash it does not have")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda tape: tape[:20], "must be a tape of at least 32 bytes, not of 20"),
        (lambda tape: b"x" + tape[1:], ": magic of the tape must be 0x54695654, not 0x54695678"),
        (lambda tape: tape[:4] + b"\x09" + tape[5:], ": version of the tape must be 0x1, not 0x9"),
        (
            lambda tape: tape[:-4],
            f"must have {len(MODEL.tape):,} bytes, as its header says, not {len(MODEL.tape) - 4:,}",
        ),
    ],
)
def test_wrong_tape(change, text):
    with pytest.raises(FileError, match=f"^model.tape ?{re.escape(text)}"):
        check_tape(change(MODEL.tape), CONFIG, "model.tape")


def test_tape_for_another_accelerator():
    check_tape(MODEL.tape, replace(CONFIG, memory_pipeline=0, name="other"), "model.tape")
    text = "^model.tape must be a tape for the configuration of wide, 0x[0-9a-f]{16}, not for 0x"
    with pytest.raises(FileError, match=text):
        check_tape(MODEL.tape, replace(CONFIG, max_width=48, name="wide"), "model.tape")


def test_tape_that_is_longer_than_the_memory_for_it():
    """Where the tape is does not belong to the hash, and its size is known before anything is built."""
    held = replace(CONFIG, tape_source="memory", tape_memory_bytes=-(-len(MODEL.tape) // 64) * 64, name="held")
    check_tape(MODEL.tape, held, "model.tape")
    text = "^model.tape must have at most 1,024 bytes, which the memory of small has .*, not [0-9,]+$"
    with pytest.raises(FileError, match=text):
        check_tape(MODEL.tape, replace(held, tape_memory_bytes=1024, name="small"), "model.tape")

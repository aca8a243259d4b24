"""Files of torch and of safetensors hold tensors, whatever is around them; a pickle runs nothing, and says why."""

import argparse
import collections
import io
import json
import pickle
import random
import re
import shlex
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from taylorvit.golden.checkpoints.checkpoint import load
from taylorvit.golden.checkpoints.weight_files import ENDINGS, CheckpointError, read_tensors

WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}


def assert_weights(path):
    tensors, _metadata = read_tensors(path)
    assert tensors.keys() == WEIGHTS.keys() and all(torch.equal(tensors[name], WEIGHTS[name]) for name in WEIGHTS)


# Endings, containers


@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.bin", "a.ckpt", "a.pth.tar", "A.PTH.TAR", "a.PT", "a.b.Bin"])
def test_endings_of_torch(tmp_path, name):
    torch.save(WEIGHTS, tmp_path / name)
    assert_weights(tmp_path / name)


@pytest.mark.parametrize("name", ["a.safetensors", "A.SafeTensors"])
def test_endings_of_safetensors(tmp_path, name):
    save_file(WEIGHTS, tmp_path / name)
    assert_weights(tmp_path / name)


def test_names_that_are_none(tmp_path):
    for name in ("a.onnx", "a.tar", "pth", "a.pth.zip"):
        (tmp_path / name).write_bytes(b"")
        text = f"^checkpoint must end in one of {', '.join(ENDINGS)}, not '{name}'$"
        with pytest.raises(CheckpointError, match=text):
            read_tensors(tmp_path / name)
    for path in (tmp_path / "missing.pth", tmp_path):
        with pytest.raises(CheckpointError, match="^checkpoint must be a file, not "):
            read_tensors(path)


@pytest.mark.parametrize(
    "keys", [[], ["model"], ["state_dict"], ["model_state_dict"], ["module"], ["model_ema"], ["state_dict_ema"],
             ["model", "state_dict"], ["state_dict", "model", "module"]]
)  # fmt: skip
def test_containers(tmp_path, keys):
    content = WEIGHTS
    for key in reversed(keys):
        others = {"optimizer": {"state": {0: torch.zeros(1)}}, "epoch": 1, "args": argparse.Namespace(lr=0.1)}
        content = {key: content} | others
    torch.save(content, tmp_path / "a.pth")
    assert_weights(tmp_path / "a.pth")


def test_averages_are_taken_where_there_is_nothing_else(tmp_path):
    other = {name: tensor + 1 for name, tensor in WEIGHTS.items()}
    torch.save({"state_dict_ema": other, "model_ema": other, "state_dict": WEIGHTS}, tmp_path / "a.pth")
    assert_weights(tmp_path / "a.pth")


def test_parameters_and_ordered_dictionaries(tmp_path):
    parameters = {name: torch.nn.Parameter(tensor) for name, tensor in WEIGHTS.items()}
    torch.save(collections.OrderedDict(parameters), tmp_path / "a.pt")
    assert_weights(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([1, 2], "and holds list"),
        ({}, "and holds nothing"),
        (WEIGHTS | {"epoch": 3}, r"and holds 'epoch' \(int\)"),
        ({"model": {"x": 1, 2: torch.zeros(1)}}, r"and holds 'x' \(int\), 2 \(Tensor\)"),
        ({"model": {"inner": WEIGHTS}}, r"and holds 'inner' \(dict\)"),
    ],
)
def test_what_is_no_dictionary_of_tensors(tmp_path, content, text):
    torch.save(content, tmp_path / "a.pth")
    text = f"a.pth must hold tensors by name, alone or under one of model, state_dict, .*, {text}$"
    with pytest.raises(CheckpointError, match=text):
        read_tensors(tmp_path / "a.pth")


def test_a_container_in_itself(tmp_path):
    content = {}
    content["model"] = content
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"and holds 'model' \(dict\)$"):
        read_tensors(tmp_path / "a.pth")


# Tensors that are none


@pytest.mark.filterwarnings("ignore")  # torch's, of what it is asked to make here
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: torch.eye(3).to_sparse(), r"a sparse one \(sparse_coo\)"),
        (lambda: torch.eye(3).to_sparse_csr(), r"a sparse one \(sparse_csr\)"),
        (lambda: torch.zeros(3, device="meta"), r"one without data \(meta\)"),
        (lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]), "a nested one"),
        (lambda: torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8), "a quantized one"),
    ],
)
def test_tensors_that_are_not_dense(tmp_path, recwarn, make, kind):
    torch.save(WEIGHTS | {"c": make()}, tmp_path / "a.pth")
    recwarn.clear()
    with pytest.raises(CheckpointError, match=f"a.pth: weights must be dense tensors, and c is {kind}$"):
        read_tensors(tmp_path / "a.pth")
    assert not recwarn


class Strided:
    """Rebuilt by torch with sizes and strides of our choice, over six numbers."""

    def __init__(self, offset, size, stride):
        self.geometry = offset, size, stride

    def __reduce__(self):
        storage = torch.arange(6.0).untyped_storage()
        typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
        return torch._utils._rebuild_tensor_v2, (typed, *self.geometry, False, collections.OrderedDict())


@pytest.mark.filterwarnings("ignore")  # torch's, of the storage above
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "pickle"])
def test_strides_beyond_the_numbers_that_there_are(tmp_path, zipped):
    path = tmp_path / "a.pth"
    torch.save({"a": Strided(1, (2, 2), (1, 3))}, path, _use_new_zipfile_serialization=zipped)
    assert read_tensors(path)[0]["a"].tolist() == [[1, 4], [2, 5]]
    for geometry in ((0, (2, 3), (1000, 1)), (0, (2, 3), (-3, 1)), (-1, (2,), (1,)), (5, (3,), (1,)), (0, (2, 3), (1,)),
                     (0, (2**62, 4), (2**62, 1))):  # fmt: skip
        torch.save({"a": Strided(*geometry)}, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(CheckpointError, match="be a whole file of tensors as torch.save writes it: .") as error:
            read_tensors(path)
        assert "\n" not in str(error.value)


# Pickles that are refused


class Code:
    def __reduce__(self):
        return print, ("run",)


def test_a_file_cannot_run_code(tmp_path, capsys):
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"model": Code()}, protocol=2))
    with pytest.raises(CheckpointError, match="must hold tensors and plain values alone, and needs print: "):
        read_tensors(tmp_path / "a.pth")
    torch.save({"model": Code()}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="must hold tensors and plain values alone, and needs builtins.print: "):
        read_tensors(tmp_path / "a.pth")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "pickle"])
@pytest.mark.parametrize(
    ("content", "names"),
    [
        ({"state_dict": WEIGHTS, "best": np.float64(1)}, ("numpy._core.multiarray.scalar", "numpy.dtype")),
        ({"model": WEIGHTS, "source": Path("x")}, (f"{type(Path()).__module__}.{type(Path()).__name__}",)),
        (WEIGHTS, None),
    ],
    ids=["numpy", "path", "module"],
)
def test_the_reason_and_the_way_out(tmp_path, monkeypatch, zipped, content, names):
    """Every name that a pickle needs, as far as they can be known, and a command that keeps its tensors."""
    if names is None:
        content, names = torch.nn.Linear(3, 2), ("torch.nn.modules.linear.Linear",)
        content.state_dict().update(WEIGHTS)
    monkeypatch.chdir(tmp_path)
    path = Path("it's.pth")
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError) as error:
        read_tensors(path)
    message = str(error.value)
    text = (
        r"it's.pth must hold tensors and plain values alone, and needs (.*): no more of a pickle is loaded \(torch's "
        r"weights_only\), since it could run code\. If you trust its source, keep its tensors: (python -c .*)"
    )
    named = re.fullmatch(text, message)
    assert named[1].split(", ") == list(names if zipped else names[:1])
    python, option, code = shlex.split(named[2])
    assert (python, option) == ("python", "-c")
    exec(code, {})
    if isinstance(content, dict):
        assert_weights(Path("it's.pth.safetensors"))
    else:
        assert read_tensors(Path("it's.pth.safetensors"))[0].keys() == {"weight", "bias"}


def test_reasons_without_torchs_advice_to_run_code(tmp_path):
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    for data, reason in (
        (b"", "it is empty"),
        (b"<html>not found</html>", "it begins with '<html>not found<'"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "it begins with 'version https://'"),
        (tar.getvalue(), "Cannot use ``weights_only=True`` with files saved in the legacy .tar format."),
        (b"\x80\x02}q\x00X", ".+"),
    ):
        (tmp_path / "a.pth").write_bytes(data)
        with pytest.raises(CheckpointError, match=f"be a whole file of tensors as torch.save writes it: {reason}$"):
            read_tensors(tmp_path / "a.pth")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "pickle"])
def test_files_that_end_too_early(tmp_path, zipped, share):
    path = tmp_path / "b.pth"
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match="must be a whole file of tensors as torch.save writes it: .") as error:
        read_tensors(path)
    assert "\n" not in str(error.value)


def test_damaged_files_of_safetensors(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(WEIGHTS, path)
    data = path.read_bytes()

    def with_header(text):
        return struct.pack("<Q", len(text)) + text.encode() + bytes(64)

    for damaged in (
        data[: len(data) // 2],
        b"",
        bytes(8),
        with_header("[]"),
        with_header("{}")[:9],
        with_header(json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}})),
        with_header(json.dumps({"a": {"dtype": "F3", "shape": [4], "data_offsets": [0, 16]}})),
        with_header(json.dumps({"a": {"dtype": "F32", "shape": [1 << 62, 4], "data_offsets": [0, 64]}})),
    ):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="must be a whole safetensors file, and is damaged: .") as error:
            read_tensors(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["zip", "pickle", "safetensors"])
def test_damaged_files_are_weights_or_refused(tmp_path, kind):
    """Any byte may be wrong: tensors, or one line."""
    dice = random.Random(1)
    path = tmp_path / ("a.safetensors" if kind == "safetensors" else "a.pth")
    if kind == "safetensors":
        save_file(WEIGHTS, path)
    else:
        torch.save({"model": WEIGHTS, "epoch": 3}, path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    refused = 0
    for _ in range(250):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 1, 2, 8))):
            data[dice.randrange(len(data) if dice.random() < 0.5 else min(len(data), 300))] = dice.randrange(256)
        path.write_bytes(data)
        try:
            for tensor in load(path).tensors.values():
                assert isinstance(tensor, torch.Tensor)
        except CheckpointError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 50

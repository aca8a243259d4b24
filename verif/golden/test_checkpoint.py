"""Files of weights: what is written is read, what is not for a model is refused by name, nothing is lost."""

import argparse
import errno
import pickle

import pytest
import torch

from golden import checkpoint as checkpoint_module
from golden.checkpoint import CheckpointError, load, load_weights, save
from golden.vit import VisionTransformer, VitShape

SHAPE = VitShape(image_size=8, patch_size=4, channels=1, classes=3, depth=1, width=12, heads=3)


def model(**changes):
    torch.manual_seed(0)
    return VisionTransformer(VitShape(**{**SHAPE.__dict__, **changes}))


def test_what_is_saved_is_loaded(tmp_path):
    weights = model().state_dict()
    save(tmp_path / "new" / "a.safetensors", weights, {"kind": "model", "epochs": 3})
    loaded = load(tmp_path / "new" / "a.safetensors")
    assert loaded.description == {"kind": "model", "epochs": 3}
    assert loaded.tensors.keys() == weights.keys()
    assert all(torch.equal(loaded.tensors[name], weights[name]) for name in weights)
    assert not list((tmp_path / "new").glob("*.partial"))


def test_what_was_loaded_outlives_its_file(tmp_path):
    weights = model().state_dict()
    save(tmp_path / "a.safetensors", weights, {})
    loaded = load(tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors").write_bytes(b"")
    assert all(torch.equal(loaded.tensors[name], weights[name]) for name in weights)


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
def test_checkpoints_of_torch(tmp_path, wrapper):
    weights = model().state_dict()
    training = {"optimizer": {"state": {0: torch.zeros(1)}}, "epoch": 1, "args": argparse.Namespace(lr=0.1)}
    torch.save(weights if wrapper is None else {wrapper: weights} | training, tmp_path / "deit.pth")
    other = model()
    torch.nn.init.zeros_(other.head.weight)
    load_weights(other, load(tmp_path / "deit.pth"))
    assert torch.equal(other.head.weight, weights["head.weight"])


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save(path, {"x": torch.zeros(2)}, {})

    def full(tensors, file, metadata):
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint_module, "save_file", full)
    with pytest.raises(CheckpointError, match="not be written, and is as it was before: no space left on device$"):
        save(path, {"x": torch.ones(2)}, {})
    assert torch.equal(load(path).tensors["x"], torch.zeros(2))
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]


def test_damaged_files(tmp_path):
    save(tmp_path / "a.safetensors", model().state_dict(), {})
    data = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="must be a whole safetensors file, and is damaged"):
        load(tmp_path / "a.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "pickle"])
def test_damaged_files_of_torch(tmp_path, zipped, share):
    path = tmp_path / "b.pth"
    torch.save(model().state_dict(), path, _use_new_zipfile_serialization=zipped)
    load(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match="must be a whole file of tensors as torch.save writes it: .") as error:
        load(path)
    assert "\n" not in str(error.value)


class _Code:
    def __reduce__(self):
        return print, ("run",)


def test_a_file_cannot_run_code(tmp_path, capsys):
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"model": _Code()}, protocol=2))
    with pytest.raises(CheckpointError, match="must be a whole file of tensors"):
        load(tmp_path / "a.pth")
    assert capsys.readouterr().out == ""


def test_files_that_are_none(tmp_path):
    with pytest.raises(CheckpointError, match="^checkpoint must be a file, not "):
        load(tmp_path / "missing.pth")
    (tmp_path / "a.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"^checkpoint must end in .safetensors, .pth or .pt, not 'a.bin'$"):
        load(tmp_path / "a.bin")
    for content in ([1, 2], {"model": {"x": 1}}, {0: torch.zeros(2)}):
        torch.save(content, tmp_path / "other.pt")
        with pytest.raises(CheckpointError, match="must hold tensors by name, alone or under one of model, state_dict"):
            load(tmp_path / "other.pt")


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="a.safetensors could not be written, and is as it was before: "):
        save(tmp_path / "file" / "a.safetensors", {"x": torch.zeros(2)}, {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 5}, r"it has head.weight of shape \(3, 12\) for \(5, 12\), head.bias of shape \(3,\) for \(5,\)$"),
        ({"depth": 2}, r"it lacks blocks.1.attn.proj.bias, .* and 8 more$"),
        ({"distilled": True}, r"it lacks dist_token, head_dist.bias, head_dist.weight; it has pos_embed of shape"),
        ({"patch_size": 2}, r"it has pos_embed of shape \(1, 5, 12\) for \(1, 17, 12\), patch_embed.proj.weight"),
    ],
)
def test_weights_of_another_model(tmp_path, changes, message):
    save(tmp_path / "a.safetensors", model().state_dict(), {})
    other = model(**changes)
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load_weights(other, load(tmp_path / "a.safetensors"))
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())


def test_unknown_tensors_are_named(tmp_path):
    save(tmp_path / "a.safetensors", model().state_dict() | {"fc_norm.weight": torch.zeros(12)}, {})
    with pytest.raises(CheckpointError, match="it has fc_norm.weight, which the model lacks$"):
        load_weights(model(), load(tmp_path / "a.safetensors"))


def test_new_head_for_other_classes(tmp_path):
    weights = model().state_dict()
    save(tmp_path / "a.safetensors", weights, {})
    other = model(classes=5)
    load_weights(other, load(tmp_path / "a.safetensors"), new_head=True)
    assert torch.equal(other.pos_embed, weights["pos_embed"]) and other.head.weight.shape == (5, 12)


def test_parameters_of_an_attention_may_be_missing(tmp_path):
    save(tmp_path / "a.safetensors", model().state_dict(), {})
    load_weights(VisionTransformer(SHAPE, "linear_angular"), load(tmp_path / "a.safetensors"))

"""Files of weights: what is written is read, what is not for a model is refused by name, nothing is lost."""

import errno
import math

import pytest
import torch

from taylorvit.boundary.errors import FileError
from taylorvit.golden.checkpoints import checkpoint as checkpoint_module
from taylorvit.golden.checkpoints.checkpoint import CheckpointError, load, load_weights, save
from taylorvit.golden.network.vit import VisionTransformer, VitShape
from taylorvit.golden.training.loading import model_of

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


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save(path, {"x": torch.zeros(2)}, {})

    def full(tensors, file, metadata):
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint_module, "save_file", full)
    with pytest.raises(FileError, match="must be a file that can be written, not '.*': no space left on device$"):
        save(path, {"x": torch.ones(2)}, {})
    assert torch.equal(load(path).tensors["x"], torch.zeros(2))
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]


def test_damaged_files(tmp_path):
    save(tmp_path / "a.safetensors", model().state_dict(), {})
    data = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="must be a whole safetensors file, and is damaged"):
        load(tmp_path / "a.safetensors")


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


# Numbers


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_of_other_widths_load(tmp_path, dtype):
    weights = {name: tensor.to(dtype) for name, tensor in model().state_dict().items()}
    torch.save(weights, tmp_path / "a.pth")
    other = model()
    torch.nn.init.zeros_(other.head.weight)
    load_weights(other, load(tmp_path / "a.pth"))
    assert torch.equal(other.head.weight, weights["head.weight"].float())


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.int64, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2]
)
def test_other_types_are_no_weights(tmp_path, dtype):
    weights = model().state_dict()
    weights["norm.weight"] = weights["norm.weight"].to(dtype)
    torch.save(weights, tmp_path / "a.pth")
    text = "weights must be one of float16, bfloat16, float32, float64, and norm.weight is " + str(dtype)[6:]
    with pytest.raises(CheckpointError, match=f"a.pth: {text}$"):
        load_weights(model(), load(tmp_path / "a.pth"))


@pytest.mark.parametrize(
    ("value", "dtype"), [(math.nan, torch.float32), (-math.inf, torch.float16), (1e300, torch.float64)]
)
def test_weights_that_are_not_finite_are_named(tmp_path, value, dtype):
    """1e300 is a number of 64 bits, and none of the model's 32."""
    weights = model().state_dict()
    weights["blocks.0.attn.proj.bias"] = weights["blocks.0.attn.proj.bias"].to(dtype)
    weights["blocks.0.attn.proj.bias"][3] = value
    save(tmp_path / "a.safetensors", weights, {})
    other = model(classes=3)
    before = other.head.weight.clone()
    text = "a.safetensors: weights must be finite numbers of 32 bits, and blocks.0.attn.proj.bias has others$"
    with pytest.raises(CheckpointError, match=text):
        load_weights(other, load(tmp_path / "a.safetensors"))
    assert torch.equal(other.head.weight, before)


def test_tensors_that_share_their_memory_and_views(tmp_path):
    """What torch.save writes as it is: rows of one tensor, a transposed one, one number for all."""
    weights = model().state_dict()
    rows = torch.randn(30, 12)
    weights |= {
        "blocks.0.attn.proj.weight": rows[5:17],
        "head.weight": rows[:3],
        "norm.weight": torch.ones(1).expand(12),
        "blocks.0.mlp.fc1.weight": torch.randn(12, 48).T,
    }
    torch.save(weights, tmp_path / "a.pth")
    other = model()
    load_weights(other, load(tmp_path / "a.pth"))
    assert all(torch.equal(tensor, weights[name]) for name, tensor in other.state_dict().items())


def test_a_tensor_larger_than_any_memory_is_not_of_this_model(tmp_path):
    torch.save(model().state_dict() | {"norm.weight": torch.zeros(1).expand(10**13)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"it has norm.weight of shape \(10000000000000,\) for \(12,\)$"):
        load_weights(model(), load(tmp_path / "a.pth"))


def test_a_shape_larger_than_any_memory_is_compared_first(tmp_path):
    large = {**SHAPE.__dict__, "width": 65535, "heads": 3, "depth": 1024}
    recipe = {
        "model": {"shape": large, "attention": "taylor"},
        "data": {"name": "digits"},
        "training": {"epochs": 1, "batch_size": 1, "learning_rate": 0.1},
    }
    save(tmp_path / "a.safetensors", model().state_dict(), {"kind": "model", "recipe": recipe})
    with pytest.raises(CheckpointError, match="a.safetensors must be for this model: it lacks blocks.1.attn.proj.bias"):
        model_of(load(tmp_path / "a.safetensors"))

"""Weights of others become ours whatever their names and folders; what is not a ViT that we compute is refused."""

import json
import re

import pytest
import torch

from taylorvit.boundary.errors import FileError
from taylorvit.golden.checkpoints.checkpoint import CheckpointError, load, load_weights
from taylorvit.golden.checkpoints.published import Published, timm_names
from taylorvit.golden.network.vit import VisionTransformer, VitShape
from taylorvit.golden.training.loading import model_of
from taylorvit.golden.training.recipe import Model

from .published import NEW, OLD, names_of_transformers, write_folder

SHAPE = VitShape(image_size=8, patch_size=4, channels=1, classes=3, depth=2, width=12, heads=3)
DISTILLED = VitShape(
    image_size=9, patch_size=3, channels=3, classes=4, depth=1, width=10, heads=2, mlp_ratio=3, distilled=True
)


def model(shape=SHAPE):
    """With weights that are all different, biases too."""
    torch.manual_seed(0)
    vit = VisionTransformer(shape, "softmax").eval()
    for parameter in vit.requires_grad_(False).parameters():
        parameter.add_(torch.randn_like(parameter))
    return vit


def assert_same(tensors, vit):
    expected = vit.state_dict()
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)


# Names


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "backbone.", "module._orig_mod.model."])
@pytest.mark.parametrize("transformers", [False, True])
def test_wrappers_are_taken_off(tmp_path, prefix, transformers):
    vit = model()
    weights = names_of_transformers(vit) if transformers else vit.state_dict()
    torch.save({prefix + name: tensor for name, tensor in weights.items()}, tmp_path / "a.pth")
    assert_same(load(tmp_path / "a.pth").tensors, vit)


def test_a_body_with_a_prefix_and_a_head_without(tmp_path):
    vit = model()
    names = {name: name if name.startswith("head") else f"backbone.{name}" for name in vit.state_dict()}
    torch.save({names[name]: tensor for name, tensor in vit.state_dict().items()}, tmp_path / "a.pth")
    assert_same(load(tmp_path / "a.pth").tensors, vit)


@pytest.mark.parametrize("inner", [OLD, NEW], ids=["old", "new"])
@pytest.mark.parametrize("shape", [SHAPE, DISTILLED])
def test_names_of_transformers(tmp_path, shape, inner):
    vit = model(shape)
    assert_same(timm_names(tmp_path, names_of_transformers(vit, inner=inner)), vit)


def test_a_model_without_a_head(tmp_path):
    vit = model()
    weights = names_of_transformers(vit, bare=True)
    weights = {name: tensor for name, tensor in weights.items() if "classifier" not in name}
    weights |= {"pooler.dense.weight": torch.zeros(12, 12), "pooler.dense.bias": torch.zeros(12)}
    torch.save(weights, tmp_path / "a.bin")
    other = VisionTransformer(SHAPE, "softmax")
    load_weights(other, load(tmp_path / "a.bin"), new_head=True)
    assert torch.equal(other.pos_embed, vit.pos_embed)
    with pytest.raises(CheckpointError, match="it lacks head.bias, head.weight$"):
        load_weights(other, load(tmp_path / "a.bin"))


def test_biases_that_are_left_out_are_zeros(tmp_path):
    vit = model()
    weights = {
        name: tensor
        for name, tensor in names_of_transformers(vit).items()
        if "attention.attention" not in name or not name.endswith("bias")
    }
    tensors = timm_names(tmp_path, weights)
    assert torch.equal(tensors["blocks.1.attn.qkv.bias"], torch.zeros(36))
    assert torch.equal(tensors["blocks.1.attn.qkv.weight"], vit.blocks[1].attn.qkv.weight)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda weights: weights | {"module.classifier.bias": torch.zeros(3)},
            "must have one tensor for classifier.bias, and has classifier.bias and module.classifier.bias",
        ),
        (
            lambda weights: weights | {"cls_classifier.bias": torch.zeros(3)},
            "must have one tensor for head.bias, and has classifier.bias and cls_classifier.bias",
        ),
        (
            lambda weights: {name: weights[name] for name in weights if "0.attention.attention.key" not in name},
            "must have query, key and value of blocks.0.attn, and lacks weight of k",
        ),
        (
            lambda weights: weights | {"vit.encoder.layer.1.attention.attention.value.bias": torch.zeros(5)},
            "must have query, key and value of blocks.1.attn of one shape and type",
        ),
    ],
)
def test_names_that_do_not_fit_together(tmp_path, change, text):
    with pytest.raises(CheckpointError, match=f"^{re.escape(f'{tmp_path} {text}')}$"):
        timm_names(tmp_path, change(names_of_transformers(model())))


def test_names_that_nobody_knows_are_told_as_they_are(tmp_path):
    weights = names_of_transformers(model()) | {"vit.encoder.layer.0.scale": torch.zeros(1), "vit.mask": torch.zeros(1)}
    torch.save(weights, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="it has vit.encoder.layer.0.scale, vit.mask, which the model lacks$"):
        load_weights(model(), load(tmp_path / "a.pth"))


# Folders


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("shape", [SHAPE, DISTILLED])
def test_folders(tmp_path, shape, shards, pickled):
    vit = model(shape)
    checkpoint = load(write_folder(tmp_path / "vit", vit, shards=shards, pickled=pickled))
    assert checkpoint.description == {} and checkpoint.published == Published(shape, None, None)
    assert_same(checkpoint.tensors, vit)
    assert_same(model_of(checkpoint).state_dict(), vit)


def test_folders_of_transformers(tmp_path):
    """Written by the package itself; both models compute the same."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    sizes = {"image_size": 8, "patch_size": 4, "num_channels": 1, "num_labels": 3, "num_hidden_layers": 2,
             "hidden_size": 12, "num_attention_heads": 3, "intermediate_size": 48}  # fmt: skip
    images = torch.randn(5, 1, 8, 8)
    for config, kind, name in (
        (transformers.ViTConfig, transformers.ViTForImageClassification, "vit"),
        (transformers.DeiTConfig, transformers.DeiTForImageClassificationWithTeacher, "deit"),
        (transformers.DeiTConfig, transformers.DeiTForImageClassification, "deit_of_one_head"),
    ):
        theirs = kind(config(**sizes)).eval()
        for parameter in theirs.requires_grad_(False).parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        theirs.save_pretrained(tmp_path / name, max_shard_size=10_000)
        assert (tmp_path / name / "model.safetensors.index.json").exists()
        ours = model_of(load(tmp_path / name))
        assert ours.shape == VitShape(**SHAPE.__dict__ | {"distilled": name != "vit"})
        # Their epsilon of a norm is 1e-12, ours 1e-6.
        torch.testing.assert_close(ours(images), theirs(images).logits, rtol=1e-4, atol=1e-4)


def test_the_head_of_a_deit_with_one_head_counts_twice(tmp_path):
    """What it computes is its class token's score, as the mean of two heads."""
    vit = model(DISTILLED)
    weights = {
        name.replace("cls_classifier", "classifier"): tensor
        for name, tensor in names_of_transformers(vit).items()
        if not name.startswith("distillation_classifier")
    }
    torch.save(weights, tmp_path / "a.pth")
    loaded = model_of(load(tmp_path / "a.pth"), model=Model(shape=DISTILLED.__dict__, attention="softmax"))
    images = torch.randn(2, 3, 9, 9)
    torch.testing.assert_close(loaded(images), vit.scores_of_heads(images)[0])


def test_a_file_has_the_description_of_its_folder(tmp_path):
    folder = write_folder(tmp_path / "vit", model(), mean=([0.5], [0.25]))
    checkpoint = load(folder / "model.safetensors")
    assert checkpoint.published == load(folder).published == Published(SHAPE, [0.5], [0.25])
    assert_same(model_of(checkpoint).state_dict(), model())
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    assert load(folder / "other.safetensors").published is None
    (folder / "other.safetensors").rename(folder / "model.safetensors")
    (folder / "config.json").write_text('{"model_type": "swin"}')
    with pytest.raises(CheckpointError, match="config.json: model_type must be vit or deit, not 'swin'$"):
        load(folder / "model.safetensors")


def test_normalization_is_that_of_the_folder(tmp_path):
    published = load(write_folder(tmp_path / "a", model(), mean=([0.5], [0.25]))).published
    assert (published.mean, published.std) == ([0.5], [0.25])
    (tmp_path / "a" / "preprocessor_config.json").write_text('{"do_normalize": false, "image_mean": [0.5]}')
    published = load(tmp_path / "a").published
    assert (published.mean, published.std) == ([0.0], [1.0])


def test_folders_of_timm(tmp_path):
    shape = VitShape(image_size=8, patch_size=4, channels=3, classes=3, depth=1, width=192, heads=3)
    vit, folder = model(shape), tmp_path / "timm"
    write_folder(folder, vit)
    torch.save(vit.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    normalization = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.1]}
    config = {
        "architecture": "deit_tiny_patch16_224.fb_in1k",
        "label_names": ["a", "b", "c"],
        "pretrained_cfg": normalization,
    }
    (folder / "config.json").write_text(json.dumps(config))
    checkpoint = load(folder)
    assert checkpoint.published == Published(shape, [0.5, 0.4, 0.3], [0.2, 0.2, 0.1], ["a", "b", "c"])
    assert_same(model_of(checkpoint).state_dict(), vit)
    (folder / "config.json").write_text(json.dumps(config | {"architecture": "vit_base_patch16_clip_quickgelu_224"}))
    with pytest.raises(CheckpointError, match="architecture must be a plain ViT or DeiT of timm, .*, not 'vit_base"):
        load(folder)


def test_heads_that_are_not_those_of_the_folder(tmp_path):
    checkpoint = load(write_folder(tmp_path / "a", model()))
    shape = {name: size for name, size in SHAPE.__dict__.items() if name != "heads"} | {"heads": 2}
    with pytest.raises(CheckpointError, match="^heads must be 3, as .*a says, not 2$"):
        model_of(checkpoint, model=Model(shape=shape))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda folder: (folder / "config.json").unlink(), "checkpoint must be a file, or a folder with config.json"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "config.json: file must be JSON, a JSON object"),
        (lambda folder: (folder / "config.json").write_text("{}"), "model_type must be vit or deit, not None$"),
    ],
)
def test_folders_that_are_none(tmp_path, change, text):
    folder = write_folder(tmp_path / "vit", model(), shards=2)
    change(folder)
    with pytest.raises((CheckpointError, FileError), match=text):
        load(folder)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"model_type": "swin"}, "config.json: model_type must be vit or deit, not 'swin'$"),
        ({"hidden_act": "quick_gelu"}, "config.json: hidden_act must be gelu, not 'quick_gelu'$"),
        ({"num_attention_heads": 5}, "must have the weights of a ViT: heads must be a divisor of 12, not 5$"),
        ({"num_attention_heads": "3"}, "must have the weights of a ViT: heads must be a positive integer, not '3'$"),
        ({"architecture": "resnet50"}, "architecture must be a plain ViT or DeiT of timm, .*, not 'resnet50'$"),
    ],
)
def test_models_that_are_not_computed_are_named(tmp_path, config, text):
    with pytest.raises(CheckpointError, match=text):
        load(write_folder(tmp_path / "vit", model(), config=config))


@pytest.mark.parametrize(
    ("index", "text"),
    [
        ({}, "weight_map must name a file for each tensor$"),
        ({"weight_map": ["a"]}, "weight_map must name a file for each tensor$"),
        ({"weight_map": {"a": 3}}, "weight_map must name a file for each tensor$"),
        ({"weight_map": {"a": "../config.json"}}, "weight_map must name files beside it, not '../config.json'$"),
        ({"weight_map": {"a": "model-3.safetensors"}}, "checkpoint must be a file, not '.*model-3.safetensors'$"),
        ({"weight_map": {"a": "model-00001-of-00002.safetensors"}}, "the file of each tensor, and has none of a$"),
    ],
)
def test_indices_that_are_wrong(tmp_path, index, text):
    folder = write_folder(tmp_path / "vit", model(), shards=2)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=text):
        load(folder)


def test_weights_that_are_no_vit(tmp_path):
    folder, whole = write_folder(tmp_path / "vit", model()), model().state_dict()
    for weights, text in (
        ({"x": torch.zeros(2)}, "must have the weights of a ViT: lacks 'patch_embed.proj.weight'$"),
        (whole | {"pos_embed": torch.zeros(1, 4, 12)}, "positions must be of a square of patches, not of 3$"),
        (whole | {"pos_embed": torch.zeros(())}, "and blocks.0.mlp.fc1.weight have other dimensions$"),
        (whole | {"blocks.0.mlp.fc1.weight": torch.zeros(13, 12)}, "must be a multiple of the width, 12, not 13$"),
    ):
        torch.save(weights, folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink(missing_ok=True)
        with pytest.raises(CheckpointError, match=text):
            load(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(CheckpointError, match="must have weights, one of model.safetensors, model.safetensors.index"):
        load(folder)


@pytest.mark.parametrize("mean", [([0.5, 0.5], [0.25]), ([0.5], [0]), ("0.5", [0.25]), ([0.5], [None]), ([1e400], [1])])
def test_normalizations_that_are_wrong(tmp_path, mean):
    with pytest.raises(CheckpointError, match="image_(mean|std) must be a number for each of 1 channels, not "):
        load(write_folder(tmp_path / "vit", model(), mean=mean))

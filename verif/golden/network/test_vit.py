"""The Vision Transformer has timm's names, is layer by layer that of transformers, and does what its parts say."""

import re

import pytest
import torch

from taylorvit.golden.attention.float_attention import softmax_attention
from taylorvit.golden.network.vit import SHAPES, DropPath, VisionTransformer, VitShape
from verif.golden.checkpoints.published import NEW, names_of_transformers

SHAPE = VitShape(image_size=8, patch_size=4, channels=1, classes=3, depth=2, width=12, heads=3)
DISTILLED = VitShape(
    image_size=9, patch_size=3, channels=3, classes=4, depth=3, width=10, heads=2, mlp_ratio=3, distilled=True
)


def model_and_images(attention="taylor", shape=SHAPE):
    """A model with random weights, norms and biases too, and images for it."""
    torch.manual_seed(0)
    model = VisionTransformer(shape, attention).eval()
    for parameter in model.requires_grad_(False).parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    return model, torch.rand(5, shape.channels, shape.image_size, shape.image_size)


# Names


def names_of(shape):
    block = {
        f"blocks.{layer}.{name}.{kind}"
        for layer in range(shape.depth)
        for name in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
        for kind in ("weight", "bias")
    }
    heads = ("head", "head_dist") if shape.distilled else ("head",)
    outer = {f"{name}.{kind}" for name in ("patch_embed.proj", "norm", *heads) for kind in ("weight", "bias")}
    return block | outer | {"cls_token", "pos_embed"} | ({"dist_token"} if shape.distilled else set())


@pytest.mark.parametrize("shape", [SHAPE, DISTILLED, *SHAPES.values()])
def test_names_are_those_of_timm(shape):
    with torch.device("meta"):
        state = VisionTransformer(shape).state_dict()
    assert set(state) == names_of(shape)
    width = shape.width
    for name, size in {
        "pos_embed": (1, shape.tokens, width),
        "cls_token": (1, 1, width),
        "head.weight": (shape.classes, width),
        "patch_embed.proj.weight": (width, shape.channels, shape.patch_size, shape.patch_size),
        "blocks.0.attn.qkv.weight": (3 * width, width),
        "blocks.0.mlp.fc2.weight": (width, shape.mlp_ratio * width),
    }.items():
        assert state[name].shape == size


@pytest.mark.parametrize(
    ("name", "tensors", "parameters"), [("deit_tiny", 152, 5_717_416), ("deit_tiny_distilled", 155, 5_910_800),
                                        ("deit_small", 152, 22_050_664), ("deit_base", 152, 86_567_656)]
)  # fmt: skip
def test_sizes_are_those_of_the_published_checkpoints(name, tensors, parameters):
    with torch.device("meta"):
        state = VisionTransformer(SHAPES[name], "softmax").state_dict()
    assert len(state) == tensors
    assert sum(tensor.numel() for tensor in state.values()) == parameters
    assert SHAPES[name].head_dim == 64


# Against transformers, an implementation of others


def config_for(kind, shape):
    return kind(
        image_size=shape.image_size, patch_size=shape.patch_size, num_channels=shape.channels, num_labels=shape.classes,
        num_hidden_layers=shape.depth, hidden_size=shape.width, num_attention_heads=shape.heads,
        intermediate_size=shape.mlp_ratio * shape.width, layer_norm_eps=1e-6, attn_implementation="sdpa",
    )  # fmt: skip


@pytest.mark.parametrize("shape", [SHAPE, DISTILLED])
def test_every_layer_is_that_of_transformers(shape):
    transformers = pytest.importorskip("transformers")
    model, images = model_and_images("softmax", shape)
    model, images = model.double(), images.double()
    if shape.distilled:
        other = transformers.DeiTForImageClassificationWithTeacher(config_for(transformers.DeiTConfig, shape))
    else:
        other = transformers.ViTForImageClassification(config_for(transformers.ViTConfig, shape))
    other = other.double().eval()
    other.load_state_dict(names_of_transformers(model, inner=NEW), strict=True)
    after_blocks = [model.embed(images)]
    for block in model.blocks:
        block.register_forward_hook(lambda _module, _inputs, output: after_blocks.append(output))

    scores = model(images)
    with torch.no_grad():
        expected = other(images, output_hidden_states=True)

    assert len(after_blocks) == len(expected.hidden_states) == shape.depth + 1
    for layer, (ours, theirs) in enumerate(zip(after_blocks, expected.hidden_states, strict=True)):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10, msg=lambda text, layer=layer: f"{layer}: {text}")
    torch.testing.assert_close(scores, expected.logits, rtol=0, atol=1e-10)
    if shape.distilled:
        of_heads = expected.cls_logits, expected.distillation_logits
        torch.testing.assert_close(model.scores_of_heads(images), of_heads, rtol=0, atol=1e-10)
    assert scores.std() > 0.1


# Attention


@pytest.mark.parametrize("attention", ["taylor", "softmax"])
def test_attention_is_of_the_captured_tensors(attention):
    model, images = model_and_images(attention)
    captured = []
    scores = model(images, captured)
    assert scores.shape == (5, 3) and len(captured) == 2
    assert captured[0].q.shape == (5, 3, 5, 4)
    torch.testing.assert_close(model(images), scores)


def test_softmax_block_is_multi_head_attention_of_torch():
    model, _ = model_and_images("softmax")
    attention = model.blocks[0].attn
    reference = torch.nn.MultiheadAttention(12, 3, batch_first=True)
    reference.load_state_dict(
        {
            "in_proj_weight": attention.qkv.weight,
            "in_proj_bias": attention.qkv.bias,
            "out_proj.weight": attention.proj.weight,
            "out_proj.bias": attention.proj.bias,
        }
    )
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(attention(x), reference(x, x, x)[0])
    q, k, v = attention.project(x)
    expected = attention.proj(softmax_attention(q, k, v).transpose(1, 2).reshape(2, 5, 12))
    torch.testing.assert_close(attention(x), expected)


# Branches that are left out


def test_branches_are_left_out_in_training_alone_and_their_mean_stays():
    torch.manual_seed(0)
    drop_path = DropPath(0.25)
    branch = torch.rand(20_000, 2, 3) + 1
    after = drop_path.train()(branch)
    kept = (after != 0).all(dim=(1, 2))  # of an image all or nothing
    assert not after[~kept].any()
    torch.testing.assert_close(after[kept], branch[kept] / 0.75)
    deviation = (0.25 * 0.75 / len(branch)) ** 0.5
    assert float(kept.float().mean()) == pytest.approx(0.75, abs=4 * deviation)
    assert torch.equal(drop_path.eval()(branch), branch)


def test_later_branches_are_left_out_more_often():
    model = VisionTransformer(DISTILLED, drop_path=0.3)
    assert [block.drop_path.probability for block in model.blocks] == pytest.approx([0, 0.15, 0.3])
    assert (
        VisionTransformer(VitShape(**SHAPE.__dict__ | {"depth": 1}), drop_path=0.3).blocks[0].drop_path.probability == 0
    )


def test_in_training_a_branch_is_there_or_not():
    """A block of the last layer gives one of four sums for each image."""
    torch.manual_seed(0)
    block = VisionTransformer(SHAPE, drop_path=0.5).blocks[-1].train()
    x = torch.randn(64, 5, 12)
    after = block(x)
    attention = x + 2 * block.attn(block.norm1(x))
    sums = [x, attention, x + 2 * block.mlp(block.norm2(x)), attention + 2 * block.mlp(block.norm2(attention))]
    nearest = torch.stack([(after - each).abs().amax(dim=(1, 2)) for each in sums]).min(dim=0)
    assert nearest.values.max() < 1e-5
    assert set(nearest.indices.tolist()) == {0, 1, 2, 3}


# Wrong arguments


@pytest.mark.parametrize(
    "change, text",
    [
        ({"patch_size": 3}, "patch_size must be a divisor of 8, not 3"),
        ({"heads": 5}, "heads must be a divisor of 12, not 5"),
        ({"depth": 0}, "depth must be a positive integer, not 0"),
        ({"depth": True}, "depth must be a positive integer, not True"),
        ({"depth": 1025}, "depth must be at most 1024, not 1025"),
        ({"mlp_ratio": 1.5}, "mlp_ratio must be a positive integer, not 1.5"),
        ({"distilled": 1}, "distilled must be True or False, not 1"),
    ],
)
def test_a_wrong_size_is_named(change, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        VitShape(**SHAPE.__dict__ | change)


def test_an_unknown_attention_is_named():
    with pytest.raises(ValueError, match="^attention must be one of softmax, taylor, .*, not 'linear'$"):
        VisionTransformer(SHAPE, "linear")


def test_attention_by_block():
    torch.manual_seed(0)
    names = ["softmax", "taylor"]
    model = VisionTransformer(SHAPE, names).eval()
    assert [choice.name for choice in model.attentions] == names
    images = torch.rand(2, SHAPE.channels, SHAPE.image_size, SHAPE.image_size)
    one, other = (VisionTransformer(model.shape, name).eval() for name in names)
    for each in (one, other):
        each.load_state_dict(model.state_dict())
    with torch.no_grad():
        x = other.blocks[1](one.blocks[0](model.embed(images)))
        assert torch.equal(model(images), model.head(model.norm(x)[:, 0]))
    with pytest.raises(ValueError, match="^attentions must be one for each of 2 blocks, not 1$"):
        VisionTransformer(model.shape, ["taylor"])

"""The Vision Transformer has timm's names and does what its parts say."""

import re

import pytest
import torch

from golden.float_attention import softmax_attention
from golden.vit import VisionTransformer, VitShape

SHAPE = VitShape(image_size=8, patch_size=4, channels=1, classes=3, depth=2, width=12, heads=3)


def model_and_images(attention="taylor"):
    torch.manual_seed(0)
    return VisionTransformer(SHAPE, attention).eval(), torch.rand(5, 1, 8, 8)


def test_names_are_those_of_timm():
    state = VisionTransformer(SHAPE).state_dict()
    block = {
        f"blocks.{layer}.{name}.{kind}"
        for layer in range(2)
        for name in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
        for kind in ("weight", "bias")
    }
    outer = {f"{name}.{kind}" for name in ("patch_embed.proj", "norm", "head") for kind in ("weight", "bias")}
    assert set(state) == block | outer | {"cls_token", "pos_embed"}
    assert state["pos_embed"].shape == (1, 5, 12) and state["blocks.0.attn.qkv.weight"].shape == (36, 12)


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


@pytest.mark.parametrize(
    "change, text",
    [
        ({"patch_size": 3}, "patch_size must be a divisor of 8, not 3"),
        ({"heads": 5}, "heads must be a divisor of 12, not 5"),
    ],
)
def test_a_wrong_size_is_named(change, text):
    sizes = {
        "image_size": 8,
        "patch_size": 4,
        "channels": 1,
        "classes": 3,
        "depth": 2,
        "width": 12,
        "heads": 3,
    }
    with pytest.raises(ValueError, match=re.escape(text)):
        VitShape(**sizes | change)


def test_an_unknown_attention_is_named():
    with pytest.raises(ValueError, match="attention must be one of softmax, taylor, not 'linear'"):
        VisionTransformer(SHAPE, "linear")

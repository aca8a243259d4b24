"""Exported Vision Transformers give the weights that they were made of; what is another network is refused by name."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from taylorvit.golden.checkpoints.checkpoint import CheckpointError, file_of, load
from taylorvit.golden.checkpoints.onnx_vit import read_onnx_vit
from taylorvit.golden.network.vit import VitShape
from taylorvit.golden.training.loading import model_of, normalization_of

from .onnx_files import DISTILLED, SHAPE, export, model, onnx
from .onnx_files import file_of as write

GREY = VitShape(image_size=10, patch_size=5, channels=1, classes=1, depth=1, width=6, heads=1, mlp_ratio=1)


def assert_same_scores(file, module, size, output=None):
    """The model that is read computes what the exported one does; returns it."""
    checkpoint = load(file if output is None else f"{file}:{output}")
    found = model_of(checkpoint)
    images = torch.randn(3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(found(images), module(images), rtol=1e-4, atol=1e-4)
    return found


@pytest.mark.parametrize("shape", [SHAPE, DISTILLED, GREY])
def test_our_models(tmp_path, shape):
    vit, size = model(shape), (shape.channels, shape.image_size, shape.image_size)
    file = export(tmp_path / "a.onnx", vit, size)
    assert assert_same_scores(file, vit, size).shape == shape


def test_images_are_normalized_as_those_of_imagenet_are(tmp_path):
    assert normalization_of(load(export(tmp_path / "a.onnx", model(), (3, 8, 8)))) == (
        [0.485, 0.456, 0.406],
        [0.229, 0.224, 0.225],
    )


def test_any_number_of_images(tmp_path):
    vit = model()
    names = {"input_names": ["pixels"], "output_names": ["logits"]}
    file = export(tmp_path / "a.onnx", vit, (3, 8, 8), dynamic_axes={"pixels": {0: "images"}}, **names)
    assert_same_scores(file, vit, (3, 8, 8), "logits")


def test_the_file_of_a_value():
    for path in ("a/b.onnx", "a/b.onnx:/layernorm/Add_1", "a/b.onnx:logits"):
        assert file_of(Path(path)) == Path("a/b.onnx")
    assert file_of(Path("a/b.pth")) == Path("a/b.pth")


class Tokens(nn.Module):
    """A model without a head: the tokens behind the norm."""

    def __init__(self, vit):
        super().__init__()
        self.vit = vit

    def forward(self, images):
        x = self.vit.embed(images)
        for block in self.vit.blocks:
            x = block(x)
        return self.vit.norm(x)


def test_without_a_head_the_features_of_the_class_token_are_the_logits(tmp_path):
    for shape in (SHAPE, DISTILLED):
        tokens = Tokens(model(shape)).eval()
        size = (shape.channels, shape.image_size, shape.image_size)
        file = export(tmp_path / "a.onnx", tokens, size)
        found = assert_same_scores(file, lambda images, tokens=tokens: tokens(images)[:, 0], size)
        assert found.shape.classes == shape.width


class ClassToken(Tokens):
    """A model without a head: the class token behind the norm."""

    def forward(self, images):
        return super().forward(images)[:, 0]


def test_without_a_head_the_class_token_may_be_chosen_in_the_graph(tmp_path):
    chosen = ClassToken(model()).eval()
    file = export(tmp_path / "a.onnx", chosen, (3, 8, 8))
    assert assert_same_scores(file, chosen, (3, 8, 8)).shape.classes == SHAPE.width


class Changed(nn.Module):
    """A model of which a part is another one."""

    def __init__(self, vit, forward):
        super().__init__()
        self.vit, self.changed = vit, forward

    def forward(self, images):
        return self.changed(self.vit, images)


class Scaled(nn.Module):
    """A layer with LayerScale behind it."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.scale = layer, nn.Parameter(torch.linspace(0.1, 2, layer.out_features))

    def forward(self, x):
        return self.layer(x) * self.scale


def test_layer_scale_becomes_part_of_the_layer(tmp_path):
    vit = model()
    for block in vit.blocks:
        block.attn.proj, block.mlp.fc2 = Scaled(block.attn.proj), Scaled(block.mlp.fc2)
    assert_same_scores(export(tmp_path / "a.onnx", vit, (3, 8, 8)), vit, (3, 8, 8))


def test_the_norm_may_be_of_the_class_token_alone(tmp_path):
    def scores(vit, images):
        x = vit.embed(images)
        for block in vit.blocks:
            x = block(x)
        return vit.head(vit.norm(x[:, 0]))

    changed = Changed(model(), scores).eval()
    assert_same_scores(export(tmp_path / "a.onnx", changed, (3, 8, 8)), changed, (3, 8, 8))


# Of others


class Output(nn.Module):
    """One of the outputs of a model of transformers."""

    def __init__(self, whole, name):
        super().__init__()
        self.whole, self.name = whole, name

    def forward(self, images):
        return self.whole(images)[self.name]


@pytest.mark.parametrize(
    "config, name, output",
    [
        ("ViTConfig", "ViTForImageClassification", "logits"),
        ("DeiTConfig", "DeiTForImageClassificationWithTeacher", "logits"),
        ("DeiTConfig", "DeiTForImageClassification", "logits"),
        ("Dinov2Config", "Dinov2Model", "last_hidden_state"),
    ],
)
def test_models_of_transformers(tmp_path, config, name, output):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 8, "patch_size": 4}
    mlp = {} if config == "Dinov2Config" else {"intermediate_size": 24}
    torch.manual_seed(0)
    whole = getattr(transformers, name)(getattr(transformers, config)(**sizes, **mlp, num_labels=5)).eval()
    for parameter in whole.requires_grad_(False).parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    exported = Output(whole, output).eval()
    file = export(tmp_path / "a.onnx", exported, (3, 8, 8))

    def scores(images):
        result = exported(images)
        return result if output == "logits" else result[:, 0]

    found = assert_same_scores(file, scores, (3, 8, 8))
    assert found.shape.mlp_ratio == (2 if mlp else 4) and found.shape.heads == 3


# Other networks


class Registers(nn.Module):
    """Four more tokens behind the class token."""

    def __init__(self, vit):
        super().__init__()
        self.vit, self.registers = vit, nn.Parameter(torch.randn(1, 4, vit.shape.width))

    def forward(self, images):
        positions = self.vit.pos_embed
        class_token, x = self.vit.cls_token + positions[:, :1], self.vit.patch_embed(images) + positions[:, 1:]
        x = torch.cat([class_token, self.registers, x], dim=1)
        for block in self.vit.blocks:
            x = block(x)
        return self.vit.head(self.vit.norm(x)[:, 0])


def blocks_of(vit, x):
    for block in vit.blocks:
        x = block(x)
    return x


def post_norm(vit, x):
    for block in vit.blocks:
        x = block.norm1(x + block.attn(x))
        x = block.norm2(x + block.mlp(x))
    return x


class SwiGlu(nn.Module):
    def __init__(self, mlp):
        super().__init__()
        self.gate, self.fc1, self.fc2 = nn.Linear(12, 48), mlp.fc1, mlp.fc2

    def forward(self, x):
        return self.fc2(nn.functional.silu(self.gate(x)) * self.fc1(x))


class Masked(nn.Module):
    """Attention to earlier tokens alone."""

    def forward(self, q, k, v):
        mask = torch.full((q.shape[2], q.shape[2]), -9.0).triu(1)
        return torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5 + mask, dim=-1) @ v


class NormOfQueries(nn.Module):
    """Queries and keys behind a norm."""

    def forward(self, q, k, v):
        norm = nn.functional.layer_norm
        q, k = (norm(each, each.shape[-1:]) for each in (q, k))
        return torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, dim=-1) @ v


class Mixer(nn.Module):
    """Two layers in place of attention."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(12, 12), nn.Linear(12, 12)

    def forward(self, x, captured=None):
        return self.second(self.first(x).tanh())


class Unscaled(nn.Module):
    def forward(self, q, k, v):
        return torch.softmax(q @ k.transpose(-2, -1), dim=-1) @ v


def part_of_first_block(name, make):
    def change(vit):
        *path, last = name.split(".")
        parent = vit.blocks[0].get_submodule(".".join(path))
        setattr(parent, last, make(getattr(parent, last)))
        return vit

    return change


def forward(function):
    return lambda vit: Changed(vit, function)


@pytest.mark.parametrize(
    "change, reason",
    [
        (
            forward(lambda vit, x: vit.head(vit.norm(blocks_of(vit, vit.embed(x)))[:, 1:].mean(dim=1))),
            "there must be a norm of the tokens in front of the head, and there is ReduceMean",
        ),
        (
            forward(lambda vit, x: vit.head(vit.norm(blocks_of(vit, vit.embed(x)))[:, 1])),
            "heads must be of the first tokens, not of 1",
        ),
        (
            forward(lambda vit, x: vit.head(vit.norm(blocks_of(vit, vit.embed(x))))),
            "there must be all features of one token in front of the head, and there is LayerNormalization",
        ),
        (
            forward(lambda vit, x: vit.head(blocks_of(vit, vit.embed(x))[:, 0])),
            "there must be a norm of the tokens in front of the head, and there is Add",
        ),
        (
            forward(lambda vit, x: vit.norm(blocks_of(vit, vit.embed(x)))[:, 0].softmax(dim=-1)),
            "there must be a head, which is a linear layer, or the norm of the tokens, and there is Softmax",
        ),
        (
            forward(lambda vit, x: vit.head(vit.norm(blocks_of(vit, vit.patch_embed(x)))[:, 0])),
            "there must be a class token, or two with a distillation token, in front of 4 patches, not 0 tokens",
        ),
        (Registers, "in front of 4 patches, not 5 tokens"),
        (
            forward(lambda vit, x: vit.head(vit.norm(vit.embed(x))[:, 0])),
            "there must be the end of a block, a sum of the residual stream and an MLP, and there is",
        ),
        (
            forward(lambda vit, x: vit.head(vit.norm(post_norm(vit, vit.embed(x)))[:, 0])),
            "there must be the end of a block, a sum of the residual stream and an MLP, and there is LayerNorm",
        ),
        (
            forward(lambda vit, x: vit.head(vit.norm(blocks_of(vit, vit.embed(x.flip(-1))))[:, 0])),
            "there must be nothing but the image in front of the patches, and there is",
        ),
        (
            forward(
                lambda vit, x: vit.head(vit.norm(blocks_of(vit, vit.with_prefix(vit.patch_embed(x).flip(1))))[:, 0])
            ),
            "there must be patches row by row behind the prefix tokens",
        ),
        (
            forward(lambda vit, x: vit.head(vit.norm(blocks_of(vit, vit.embed(x).relu()))[:, 0])),
            "there must be a convolution of patches, and there is Relu",
        ),
        (part_of_first_block("mlp.act", lambda _old: nn.GELU(approximate="tanh")), "GELU by erf, and Gelu"),
        (part_of_first_block("mlp.act", lambda _old: nn.ReLU()), "GELU by erf, and Relu"),
        (part_of_first_block("mlp", SwiGlu), "there must be GELU of one linear layer, and there is Mul"),
        (
            part_of_first_block("mlp.fc1", lambda old: nn.Sequential(old, nn.Softmax(-1))),
            "GELU of a linear layer, and there is Softmax",
        ),
        (part_of_first_block("norm2", lambda _old: nn.Identity()), "there must be LayerNorm of the residual stream"),
        (
            part_of_first_block("norm1", lambda _old: nn.LayerNorm(12, eps=1e-3)),
            "epsilon must be at most 1e-05, not 0.001",
        ),
        (part_of_first_block("attn.kernel", lambda _old: Masked()), "the product of Q and K, and there is Add"),
        (
            part_of_first_block("attn.kernel", lambda _old: NormOfQueries()),
            "a linear layer that computes Q, and there is",
        ),
        (part_of_first_block("attn.kernel", lambda _old: Unscaled()), "must multiply by 1/sqrt(4), 0.5, and MatMul"),
        (part_of_first_block("attn", lambda _old: Mixer()), "the product of a softmax and V"),
        (
            part_of_first_block("attn", lambda _old: model(replace(SHAPE, heads=2)).blocks[0].attn),
            "all layers must have the same number of heads, not 2 or 3",
        ),
        (
            part_of_first_block("mlp", lambda _old: model(replace(SHAPE, mlp_ratio=2)).blocks[0].mlp),
            "all layers must be of the same sizes, and blocks.1.mlp.fc1.weight is (48, 12), not (24, 12)",
        ),
    ],
)
def test_other_networks_are_refused_by_name(tmp_path, change, reason):
    file = export(tmp_path / "a.onnx", change(model()), (3, 8, 8))
    with pytest.raises(CheckpointError, match=re.escape(reason)):
        load(file)


def test_attention_of_another_kind(tmp_path):
    file = export(tmp_path / "a.onnx", model(attention="taylor"), (3, 8, 8))
    with pytest.raises(CheckpointError, match="there must be .*, and there is "):
        load(file)


class Convolution(nn.Module):
    """An embedding of patches by another convolution."""

    def __init__(self, **options):
        super().__init__()
        self.proj = nn.Conv2d(3, 12, **options)

    def forward(self, images):
        return self.proj(images).flatten(2).transpose(1, 2)


@pytest.mark.parametrize(
    "size, options, reason",
    [
        ((3, 8, 4), {"kernel_size": 4, "stride": 4}, "images must be square, not 8 x 4"),
        (
            (3, 8, 8),
            {"kernel_size": (4, 2), "stride": (4, 2)},
            "patches must be square and side by side, not 4 x 2 pixels",
        ),
        ((3, 8, 8), {"kernel_size": 4, "stride": 2}, "not 4 x 4 pixels each 2 x 2 of an image of 8"),
        ((3, 9, 9), {"kernel_size": 4, "stride": 4}, "not 4 x 4 pixels each 4 x 4 of an image of 9"),
        ((3, 8, 8), {"kernel_size": 4, "stride": 4, "groups": 3}, "without groups, dilation and padding"),
        ((3, 8, 8), {"kernel_size": 4, "stride": 4, "padding": 2}, "without groups, dilation and padding"),
        ((3, 8, 8), {"kernel_size": 2, "stride": 2, "dilation": 2}, "without groups, dilation and padding"),
    ],
)
def test_other_patches(tmp_path, size, options, reason):
    vit = model()
    vit.patch_embed = Convolution(**options)
    tokens = vit.patch_embed(torch.zeros(1, *size)).shape[1] + 1
    vit.pos_embed = nn.Parameter(torch.randn(1, tokens, 12))
    with pytest.raises(CheckpointError, match=re.escape(reason)):
        load(export(tmp_path / "a.onnx", vit, size))


@pytest.mark.parametrize("dynamic", [{2: "height"}, {3: "width"}, {2: "height", 3: "width"}])
def test_images_of_any_size(tmp_path, dynamic):
    file = export(tmp_path / "a.onnx", model(), (3, 8, 8), input_names=["x"], dynamic_axes={"x": dynamic})
    with pytest.raises(CheckpointError, match="of fixed size, not .*: export the model for images of one size"):
        load(file)


def test_hidden_features_that_are_no_multiple(tmp_path):
    vit = model()
    for block in vit.blocks:
        block.mlp.fc1, block.mlp.fc2 = nn.Linear(12, 18), nn.Linear(18, 12)
    with pytest.raises(CheckpointError, match="hidden features must be a multiple of the width, 12, not 18"):
        load(export(tmp_path / "a.onnx", vit, (3, 8, 8)))


def test_a_graph_that_differs_where_nobody_looks(tmp_path):
    # The mean of a norm in its parts is of other features: found by computing alone.
    file = export(tmp_path / "a.onnx", model(), (3, 8, 8), opset_version=16)
    graph = onnx.load(file)
    means = [node for node in graph.graph.node if node.op_type == "ReduceMean"]
    for axes in (attribute for attribute in means[0].attribute if attribute.name == "axes"):
        axes.ints[:] = [1]
    onnx.save(graph, file)
    with pytest.raises(CheckpointError, match=r"must compute the same, and differs by .*% of the largest output"):
        read_onnx_vit(file)


def test_chains_of_operators_that_are_too_long(tmp_path):
    chain = " ".join(f"a{i + 1} = Transpose(a{i})" for i in range(1500))
    write(tmp_path / "a.onnx", f"a0 = Relu(x) {chain} y = Transpose(a1500)")
    with pytest.raises(CheckpointError, match="chains of operators must be short enough to be followed"):
        read_onnx_vit(tmp_path / "a.onnx")

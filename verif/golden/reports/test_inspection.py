"""Maps and histograms are of what the attention layers received, and the pictures show them."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from taylorvit.golden.attention.float_attention import softmax_map, taylor_attention, taylor_map
from taylorvit.golden.checkpoints.checkpoint import load
from taylorvit.golden.network.vit import HeadTensors, VisionTransformer, VitShape, head_tensors
from taylorvit.golden.reports.inspection import (
    Inspected,
    LayerLogits,
    draw_logits,
    draw_maps,
    inspect_checkpoint,
    logit_distribution,
    logit_table,
)
from taylorvit.golden.training.loading import load_images, model_of, normalize

SHAPE = VitShape(image_size=6, patch_size=2, channels=3, classes=3, depth=2, width=8, heads=2)


def operands(shape, scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return HeadTensors(*(scale * torch.randn(3, *shape, generator=generator, dtype=torch.float64)))


# Maps


@pytest.mark.parametrize("shape", [(2, 3, 10, 4), (1, 1, 5, 5), (2, 7, 16), (3, 1), (4, 3)])
@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_taylor_map_is_the_map_that_attention_never_forms(shape, scale):
    """Tokens that are a multiple of the features, not one, fewer, and one feature."""
    q, k, v = operands(shape, scale)
    weights = taylor_map(q, k)
    assert weights.shape == (*shape[:-1], shape[-2])
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(shape[:-1], dtype=torch.float64))
    torch.testing.assert_close(weights @ v, taylor_attention(q, k, v).z)


def test_taylor_map_is_the_expansion_of_softmax():
    """1 + x for exp(x): near to softmax for small logits, and its exact formula for large ones."""
    q, k, _v = operands((9, 4), 0.1)
    torch.testing.assert_close(taylor_map(q, k), softmax_map(q, k), rtol=0, atol=1e-4)
    q, k, _v = operands((9, 4), 2.0)
    logits = q @ (k - k.mean(dim=0)).T / 2
    torch.testing.assert_close(taylor_map(q, k), (1 + logits) / 9)
    assert (taylor_map(q, k) - softmax_map(q, k)).abs().max() > 0.1


# Logits


def test_captured_tensors_are_those_of_the_layers():
    torch.manual_seed(0)
    model = VisionTransformer(SHAPE, "softmax").train()
    inputs = torch.randn(2, 3, 6, 6)
    captured = head_tensors(model, inputs)
    with torch.no_grad():
        first = model.blocks[0].attn.project(model.blocks[0].norm1(model.embed(inputs)))
        second = model.blocks[1].attn.project(model.blocks[1].norm1(model.blocks[0](model.embed(inputs))))
    for of_layer, expected in zip(captured, (first, second), strict=True):
        torch.testing.assert_close(of_layer, expected)


def test_shares_of_made_logits():
    """One feature and queries of 1: the logits of a token are the keys, -1, 0, 0.5, 4.5; their mean is 1."""
    k = torch.tensor([[[[-1.0], [0.0], [0.5], [4.5]]]])
    [layer] = logit_distribution([HeadTensors(torch.ones_like(k), k, k)])
    assert layer.plain_inside == 0.75  # of [-1, 1): -1 is inside
    assert layer.centred_inside == 0.5  # of -2, -1, -0.5, 3.5
    bins = np.linspace(-6, 6, 121)
    places = {round(float(bins[index]), 1): share for index, share in enumerate(layer.centred) if share}
    assert places == {-2.0: 0.25, -1.0: 0.25, -0.5: 0.25, 3.5: 0.25}
    assert layer.plain.sum() == pytest.approx(1)


@pytest.mark.parametrize("shape, scale", [((2, 2, 7, 4), 1.0), ((1, 3, 5, 9), 4.0)])
def test_shares_are_those_of_numpy(shape, scale):
    captured = [operands(shape, scale, seed) for seed in range(3)]
    for layer, (q, k, _v) in zip(logit_distribution(captured), captured, strict=True):
        q, k = q.numpy(), k.numpy()
        plain = np.einsum("ihtd,ihsd->ihts", q, k) / math.sqrt(shape[-1])
        centred = np.einsum("ihtd,ihsd->ihts", q, k - k.mean(axis=2, keepdims=True)) / math.sqrt(shape[-1])
        for logits, shares, inside in (
            (plain, layer.plain, layer.plain_inside),
            (centred, layer.centred, layer.centred_inside),
        ):
            assert inside == pytest.approx(np.mean((logits >= -1) & (logits < 1)))
            index = np.clip(np.floor((logits + 6) * 10 + 1e-9), 0, 119).astype(int)  # what is beyond is at the edge
            np.testing.assert_allclose(shares, np.bincount(index.ravel(), minlength=120) / logits.size)
    assert scale == 1.0 or layer.centred[0] + layer.centred[-1] > 0


def test_logits_that_are_no_numbers_are_refused():
    """Of finite q and k: their products are beyond what 32 bits hold."""
    q, k, v = operands((1, 1, 6, 4))
    with pytest.raises(ValueError, match="^logits of layer 1 must be finite, and are not: weights are too large$"):
        logit_distribution([HeadTensors(q.float(), k.float(), v), HeadTensors(q.float() * 1e30, k.float() * 1e30, v)])


def test_centring_changes_no_softmax_but_the_share_inside():
    q, k, _v = operands((1, 1, 20, 4), 0.5)
    k = k + 3
    torch.testing.assert_close(softmax_map(q, k), softmax_map(q, k - k.mean(dim=-2, keepdim=True)))
    [layer] = logit_distribution([HeadTensors(q, k, k)])
    assert layer.centred_inside > 0.95 > layer.plain_inside + 0.2


# Pictures


def drawn_colours(path) -> int:
    """Different colours of a picture, which must be a whole PNG."""
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return len(np.unique(np.array(picture).reshape(-1, 4), axis=0))


@pytest.mark.parametrize("layers", [1, 4, 5])
def test_histograms_are_drawn(layers, tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    drawn, step = [], Axes.step
    monkeypatch.setattr(Axes, "step", lambda axes, x, y, **k: drawn.append(y) or step(axes, x, y, **k))
    distribution = logit_distribution([operands((1, 1, 6, 2), seed=seed) for seed in range(layers)])
    draw_logits(tmp_path / "logits.png", distribution, title="noise")
    assert [share.tolist() for share in drawn] == [
        shares.tolist() for layer in distribution for shares in (layer.plain, layer.centred)
    ]
    assert drawn_colours(tmp_path / "logits.png") > 10


def test_maps_of_the_class_token_are_drawn(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    shown, imshow = [], Axes.imshow
    monkeypatch.setattr(Axes, "imshow", lambda axes, x, **k: shown.append(x) or imshow(axes, x, **k))
    images = torch.rand(2, 3, 6, 6)
    captured = [operands((2, 2, 11, 4), seed=seed) for seed in range(2)]  # nine patches, two tokens before them
    draw_maps(tmp_path / "attention.png", images, captured, extra_tokens=2)
    q, k, _v = captured[-1]
    for index in range(2):
        image, softmax, taylor = shown[3 * index : 3 * index + 3]
        np.testing.assert_array_equal(image, images[index].permute(1, 2, 0).numpy())
        for weights, of_all in ((softmax, softmax_map(q, k)), (taylor, taylor_map(q, k))):
            expected = [[of_all[index, :, 0, 2 + 3 * row + column].mean() for column in range(3)] for row in range(3)]
            np.testing.assert_allclose(weights, expected)
    assert drawn_colours(tmp_path / "attention.png") > 10


def test_a_trained_model_is_inspected(trained_on_digits, tmp_path):
    path, recipe = trained_on_digits
    model, dataset = model_of(load(path)), load_images(recipe.data, 8)
    images, _labels = dataset.testing[list(range(3))]
    captured = head_tensors(model, normalize(images, dataset.mean, dataset.std))
    inspected = inspect_checkpoint(path, images=3)
    assert (inspected.data, inspected.attention, inspected.extra_tokens) == ("digits", "vitality", 1)
    assert torch.equal(inspected.images, images) and len(inspected.layers) == 2
    for of_layer, expected in zip(inspected.captured, captured, strict=True):
        assert all(torch.equal(*pair) for pair in zip(of_layer, expected, strict=True))
    assert all(0 < layer.plain_inside <= 1 for layer in inspected.layers)
    draw_maps(tmp_path / "attention.png", images, inspected.captured, extra_tokens=inspected.extra_tokens)
    assert drawn_colours(tmp_path / "attention.png") > 10


def test_no_more_images_are_inspected_than_there_are(trained_on_digits):
    assert len(inspect_checkpoint(trained_on_digits[0], images=1000).images) == 360


def test_shares_are_tabulated_by_layer():
    layers = [LayerLogits(np.zeros(1), np.zeros(1), 0.5, 0.754), LayerLogits(np.zeros(1), np.zeros(1), 1.0, 0.0)]
    table = logit_table(Inspected("noise", "taylor", torch.zeros(4, 1, 6, 6), [], layers, 1))
    assert table.title == "4 held-out images of noise; trained attention: taylor"
    assert [list(column.cells) for column in table.columns] == [["0", "1"], ["50.0%", "100.0%"], ["75.4%", "0.0%"]]

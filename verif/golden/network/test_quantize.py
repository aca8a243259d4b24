"""Exponents are the best of their candidates, what is folded is exact, and little is lost; odd models are survived."""

import math
import re

import numpy as np
import pytest
import torch
from torch.nn import functional

from taylorvit.golden.arithmetic.number_format import NetworkFormat, NumberFormat
from taylorvit.golden.arithmetic.quantizer import quantize_tensor
from taylorvit.golden.attention.float_attention import softmax_attention, taylor_attention
from taylorvit.golden.checkpoints.checkpoint import load
from taylorvit.golden.network.float_steps import float_steps
from taylorvit.golden.network.integer_layers import NORMALIZED_FRACTION
from taylorvit.golden.network.integer_vit import to_pixels
from taylorvit.golden.network.operations import Add
from taylorvit.golden.network.quantize import quantize_vit
from taylorvit.golden.network.vit import VisionTransformer, VitShape
from taylorvit.golden.reports.layer_sqnr import layer_sqnr
from taylorvit.golden.reports.sqnr import sqnr_db
from taylorvit.golden.training.loading import load_images, model_of

SHAPE = VitShape(image_size=6, patch_size=2, channels=2, classes=5, depth=2, width=12, heads=3, mlp_ratio=2)
MEAN, STD = (0.45, 0.55), (0.3, 0.2)
IMAGES = torch.rand(6, 2, 6, 6, generator=torch.Generator().manual_seed(0))


def float_model(attention="taylor", seed=0, **changes) -> VisionTransformer:
    """Random weights, float64, larger than those that a training begins from; other sizes by name."""
    torch.manual_seed(seed)
    model = VisionTransformer(VitShape(**SHAPE.__dict__ | changes), attention).double().eval()
    for parameter in model.requires_grad_(False).parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def quantized(model, images=IMAGES, **options):
    return quantize_vit(model, images, mean=MEAN, std=STD, **options)


def normalized(images) -> torch.Tensor:
    """What a float model gets for these images, through pixels of 8 bits."""
    return (torch.from_numpy(to_pixels(images)).double() / 255 - channels(MEAN)) / channels(STD)


def channels(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)


def activations(model, images=IMAGES) -> dict[str, torch.Tensor]:
    return float_steps(model, normalized(images))


def logits_sqnr(model, images=IMAGES, **options) -> float:
    vit = quantized(model, images, **options)
    return layer_sqnr(model, vit, images, mean=MEAN, std=STD)["logits"]


# Exponents


def rounded(x: torch.Tensor, exponent: int, width: int = 8) -> torch.Tensor:
    return torch.from_numpy(quantize_tensor(x, exponent, width)).double() * 2.0**exponent


def rounded_rows(x: torch.Tensor, exponents) -> torch.Tensor:
    return torch.stack([rounded(row, int(exponent)) for row, exponent in zip(x, exponents, strict=True)])


def candidates(x: torch.Tensor, width: int = 8) -> list[int]:
    lowest = math.floor(math.log2(float(x.abs().max()) / (2 ** (width - 1) - 0.5))) - 1
    return [lowest, lowest + 1, lowest + 2, lowest + 3]


def best(x: torch.Tensor, output) -> int:
    """The candidate with which the output differs least from that of x as it is."""
    wanted = output(x)
    return min(candidates(x), key=lambda exponent: float(((output(rounded(x, exponent)) - wanted) ** 2).sum()))


def best_of_rows(weight: torch.Tensor, x: torch.Tensor) -> list[int]:
    """The best candidate of each output channel of a weight, by its output for x, (..., inputs)."""
    return [best(row, lambda row: x @ row) for row in weight]


def exponents_of(vit, name: str) -> list[int]:
    """Those of the output channels of the weight of a linear layer."""
    return (vit.exponents[f"{name}.weight"] + vit.tensors[f"{name}.weight_shift"]).tolist()


def integers_of(weight: torch.Tensor, exponents) -> np.ndarray:
    return np.stack([quantize_tensor(row, int(each), 8) for row, each in zip(weight, exponents, strict=True)])


@pytest.mark.parametrize("seed", range(3))
def test_exponents_are_the_best_of_their_candidates(seed):
    model = float_model(seed=seed)
    vit = quantized(model)
    steps = activations(model)
    embedding = (model.patch_embed.proj.weight / (255 * channels(STD))).flatten(1)
    wanted = best_of_rows(embedding, torch.eye(len(embedding[0]), dtype=torch.float64))  # error of the weights
    assert exponents_of(vit, "patch_embed") == wanted
    for layer, block in enumerate(model.blocks):
        name = f"blocks.{layer}"
        q, k, v = (steps[f"{name}.{each}"] for each in "qkv")
        merged = steps[f"{name}.z"].transpose(1, 2).flatten(2)
        gelu, weight = steps[f"{name}.gelu"], block.mlp.fc2.weight
        expected = {
            "q": best(q, lambda x, k=k, v=v: taylor_attention(x, k, v).z),
            "k": best(k, lambda x, q=q, v=v: taylor_attention(q, x, v).z),
            "v": best(v, lambda x, q=q, k=k: taylor_attention(q, k, x).z),
        }
        for step, exponent in expected.items():
            assert vit.exponents[f"{name}.{step}"] == exponent, (name, step)
        assert exponents_of(vit, f"{name}.proj") == best_of_rows(block.attn.proj.weight, merged)
        assert exponents_of(vit, f"{name}.fc2") == best_of_rows(weight, gelu)


@pytest.mark.parametrize("seed", range(3))
def test_exponents_and_offsets_around_gelu_are_the_best_together(seed):
    model = float_model(seed=seed)
    vit, steps = quantized(model), activations(model)
    for layer, block in enumerate(model.blocks):
        name = f"blocks.{layer}"
        x, weight = steps[f"{name}.hidden"], block.mlp.fc2.weight
        results = {}
        for exponent in candidates(x):
            for offset in (min(max(128 - round(3 / 2.0**exponent), 0), 127), 0):  # the first of equals
                real = offset * 2.0**exponent
                in_grid = rounded(x - real, exponent) + real
                error = ((functional.gelu(in_grid) - functional.gelu(x)) @ weight.T).square().sum()
                results.setdefault(float(error), (exponent, offset))
        exponent, offset = results[min(results)]
        assert (vit.exponents[f"{name}.hidden"], vit.offsets[f"{name}.hidden"]) == (exponent, offset)
        x = steps[f"{name}.gelu"]
        values = functional.gelu((torch.arange(-128, 128).double() + offset) * 2.0**exponent)
        results = {}
        for exponent in [candidates(x)[0] - 1, *candidates(x)]:
            least = math.floor(float(values.min()) / 2.0**exponent + 0.5)
            offset = max(range(128), key=lambda offset, least=least: (least - offset >= -128, offset))
            real = offset * 2.0**exponent
            error = (((rounded(x - real, exponent) + real) - x) @ weight.T).square().sum()
            results.setdefault(float(error), (exponent, offset))
        assert (vit.exponents[f"{name}.gelu"], vit.offsets[f"{name}.gelu"]) == results[min(results)]
        assert vit.offsets[f"{name}.gelu"] > 90 and vit.tensors[f"{name}.gelu.table"].min() <= -127


@pytest.mark.parametrize(("image_size", "largest", "some_fit"), [(24, 15, True), (24, 60, False)])
def test_no_token_loses_its_largest_feature_for_a_finer_step_of_all_others(image_size, largest, some_fit):
    """As in pretrained models: one feature of the class token is far beyond all others, in each image."""
    model = float_model(image_size=image_size)
    block = model.blocks[0]
    for parameter in (model.pos_embed[0].T, model.cls_token[0].T, *model.patch_embed.proj.parameters()):
        parameter[0] = 0
    model.cls_token[..., 0] = 30
    block.attn.proj.weight[0] = block.attn.proj.bias[0] = 0
    block.mlp.fc1.weight[3], block.mlp.fc1.bias[3] = 0, -1
    block.mlp.fc1.weight[3, 0] = largest / 3 / block.norm2.weight[0]  # of a norm of 3.3
    weight = block.mlp.fc2.weight
    weight[:, 3] /= 10
    images = torch.rand(2, 2, image_size, image_size, generator=torch.Generator().manual_seed(0))
    vit, x = quantized(model, images), activations(model, images)["blocks.0.gelu"]
    errors, parts = {}, {}
    for exponent in [candidates(x)[0] - 1, *candidates(x)]:
        offset = min(128 + round(-0.17 / 2.0**exponent), 127)
        wrong = (rounded(x - offset * 2.0**exponent, exponent) + offset * 2.0**exponent - x) @ weight.T
        errors[exponent] = float(wrong.square().sum())
        parts[exponent] = float((wrong.square().sum(dim=(0, 2)) / (x @ weight.T).square().sum(dim=(0, 2))).max())
    assert parts[min(errors, key=errors.__getitem__)] > 1 / 32  # the choice by the sum over all tokens
    fitting = [exponent for exponent in errors if parts[exponent] <= 1 / 32]
    assert bool(fitting) == some_fit
    best = min(fitting, key=errors.__getitem__) if fitting else min(parts, key=parts.__getitem__)
    assert vit.exponents["blocks.0.gelu"] == best


def test_it_is_the_error_at_the_output_that_decides():
    """Large weights that only meet zeros may saturate: the finest candidates, though the weights' errors are large."""
    model = float_model()
    model.blocks[0].attn.qkv.weight[2 * SHAPE.width] = model.blocks[0].attn.qkv.bias[2 * SHAPE.width] = 0  # of V
    weight = model.blocks[0].attn.proj.weight
    weight[:, 0] = 8 * weight.abs().max()
    for exponent, row in zip(exponents_of(quantized(model), "blocks.0.proj"), weight, strict=True):
        assert exponent < best(row, lambda w: w)


def test_channels_of_a_weight_are_at_most_a_factor_of_128_apart():
    """Finer ones have the finest exponent that is left; channels of zeros are no reason for any."""
    model = float_model()
    weight = model.blocks[0].attn.proj.weight
    weight[0] /= 2**12
    weight[1] = 0
    wanted = exponents_of(quantized(float_model()), "blocks.0.proj")
    exponents = exponents_of(quantized(model), "blocks.0.proj")
    assert exponents[0] == max(wanted[2:]) - 7 and exponents[1] == max(wanted[2:]) and exponents[2:] == wanted[2:]


def test_heads_have_one_exponent_together():
    model = float_model(distilled=True)
    model.head.weight *= 20
    vit = quantized(model)
    assert vit.exponents["head.weight"] == vit.exponents["head_dist.weight"]
    assert vit.exponents["head"] == vit.exponents["head_dist"] == vit.exponents["logits"] + 1
    assert np.abs(vit.tensors["head.weight"]).max() > 60 > 16 > np.abs(vit.tensors["head_dist.weight"]).max()


@pytest.mark.parametrize("stream", range(5))
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("width", [8, 12])
def test_stream_is_the_best_for_itself_and_the_normalized_tokens(stream, seed, width):
    model = float_model(seed=seed)
    vit = quantized(model, number_format=NetworkFormat(residual_width=width))
    x = activations(model)[f"residual.{stream}"].reshape(-1, SHAPE.width)
    norm = torch.nn.LayerNorm(SHAPE.width, eps=1e-6, elementwise_affine=False)
    results = {}
    most = 3 if width < 12 else 0
    for base in candidates(x, width) if width < 12 else candidates(x, width)[2:]:
        errors = [((rounded(x, base - most + shift, width) - x) ** 2).sum(dim=0) for shift in range(most + 1)]
        shifts = torch.stack(errors).argmin(dim=0).tolist()
        columns = [rounded(x[:, [channel]], base - most + shift, width) for channel, shift in enumerate(shifts)]
        in_grid = torch.cat(columns, dim=1)
        pairs = ((in_grid, x), (norm(in_grid), norm(x)))
        error = sum(float(((value - wanted) ** 2).sum() / (wanted**2).sum()) for value, wanted in pairs)
        results.setdefault(error, (base - most, shifts))
    exponent, shifts = results[min(results)]
    assert vit.exponents[f"residual.{stream}"] == exponent
    assert vit.tensors[f"residual.{stream}.left_shift"].tolist() == shifts


@pytest.mark.parametrize("width", [8, 12])
def test_streams_are_no_finer_than_their_operands(width):
    """A branch that takes away what the stream has: what is left would have a finer exponent than both."""
    model = float_model()
    block = model.blocks[0].mlp
    block.fc2.weight.zero_()
    model.patch_embed.proj.weight.zero_()
    model.patch_embed.proj.bias.zero_()
    model.blocks[0].attn.proj.weight.zero_()
    model.blocks[0].attn.proj.bias.zero_()
    model.cls_token.zero_()
    model.pos_embed[:] = 1e6
    block.fc2.bias[:] = 1e-3 - 1e6
    vit = quantized(model, number_format=NetworkFormat(residual_width=width))
    for operation in vit.program:
        if isinstance(operation, Add):
            assert all(shifts.min() >= 0 for shifts in vit.add_shifts(operation))


def test_channels_of_different_sizes_have_different_shifts():
    model = float_model()
    for parameter, channel in (
        (model.patch_embed.proj.weight, 0),
        (model.patch_embed.proj.bias, 0),
        (model.pos_embed, 2),
        (model.cls_token, 2),
    ):
        parameter.select(channel, 4).mul_(4)
        parameter.select(channel, 5).div_(16)
    shifts = quantized(model, number_format=NetworkFormat(residual_width=8)).tensors["residual.0.left_shift"]
    assert shifts[4] == 3 and shifts[5] == 0
    assert not quantized(model).tensors["residual.0.left_shift"].any()  # 12 bits are enough without them


# What is folded


def test_patch_embedding_of_pixels_is_that_of_normalized_images():
    model = float_model()
    proj = model.patch_embed.proj
    weight = proj.weight / (255 * channels(STD))
    offset = (128 / 255 - channels(MEAN)) / channels(STD)
    bias = proj.bias + (proj.weight * offset).sum(dim=(1, 2, 3))  # (width,)
    # In floats the folded layer is the same function ...
    pixels = torch.from_numpy(to_pixels(IMAGES)).double()
    folded = functional.conv2d(pixels - 128, weight, stride=2).flatten(2).transpose(1, 2) + bias
    torch.testing.assert_close(folded, model.patch_embed(normalized(IMAGES)), rtol=0, atol=1e-12)
    # ... of which the integers are the rounding.
    vit = quantized(model)
    exponents = exponents_of(vit, "patch_embed")
    assert vit.scale("patch_embed").tolist() == exponents
    np.testing.assert_array_equal(vit.tensors["patch_embed.weight"], integers_of(weight.flatten(1), exponents))
    patches = functional.unfold(pixels - 128, 2, stride=2)  # (images, channels 4, patches)
    bias = bias + mean_error(weight.flatten(1), exponents, patches.transpose(1, 2))
    scaled = np.ldexp(bias.numpy(), -np.array(exponents))
    np.testing.assert_allclose(vit.tensors["patch_embed.bias"], scaled, rtol=0, atol=0.5001)


@pytest.mark.parametrize("seed", range(2))
def test_biases_make_up_for_the_mean_error_of_their_weights_and_for_offsets(seed):
    model = float_model(seed=seed)
    for block in model.blocks:
        block.mlp.fc1.bias += 3  # so that what GELU reads has an offset
    vit, steps = quantized(model), activations(model)
    for layer, block in enumerate(model.blocks):
        name = f"blocks.{layer}"
        assert vit.offsets[f"{name}.hidden"] > 0
        of_hidden = vit.offsets[f"{name}.hidden"] * 2.0 ** vit.exponents[f"{name}.hidden"]
        for linear, step, x, offset, taken in (
            (block.attn.proj, "proj", steps[f"{name}.z"].transpose(1, 2).flatten(2), 0, 0),
            (block.mlp.fc2, "fc2", steps[f"{name}.gelu"], vit.offsets[f"{name}.gelu"], 0),
            (block.mlp.fc1, "fc1", None, 0, of_hidden),
        ):
            if x is None:  # smoothed
                factors = 2.0 ** torch.tensor(vit.quantization["smoothing"][f"{name}.norm2"]).double()
                x = steps[f"{name}.norm2"] / factors
                linear.weight *= factors
            bias = linear.bias + mean_error(linear.weight, exponents_of(vit, f"{name}.{step}"), x) - taken
            in_integers = np.ldexp(bias.numpy(), -vit.scale(f"{name}.{step}"))
            in_integers += offset * vit.tensors[f"{name}.{step}.weight"].sum(axis=1)
            np.testing.assert_allclose(vit.tensors[f"{name}.{step}.bias"], in_integers, rtol=0, atol=0.5001)


def mean_error(weight: torch.Tensor, exponents, x: torch.Tensor) -> torch.Tensor:
    """Of the outputs of a layer for inputs x, (..., inputs), if its weights are rounded."""
    return (x @ (weight - rounded_rows(weight, exponents)).T).flatten(0, -2).mean(dim=0)


def test_the_embedding_is_prefix_tokens_and_positions():
    """The bias of the patch embedding, which is added to prefix tokens too, makes them whole."""
    model = float_model(distilled=True)
    vit = quantized(model)
    wanted = model.pos_embed[0].clone()
    wanted[:2] += torch.cat([model.cls_token, model.dist_token], dim=1)[0]
    real = vit.real("embedding", vit.tensors["embedding"])
    real[:2] += vit.real("patch_embed", vit.tensors["patch_embed.bias"])
    assert np.all(np.abs(real - wanted.numpy()) <= 2.0 ** (vit.scale("embedding") - 1))


NORMS = {
    "blocks.0.norm1": ["blocks.0.qkv"],
    "blocks.0.norm2": ["blocks.0.fc1"],
    "blocks.1.norm1": ["blocks.1.qkv"],
    "blocks.1.norm2": ["blocks.1.fc1"],
    "norm": ["head", "head_dist"],
}


def parts_of(model, name, linears):
    of_timm = {"qkv": "attn.qkv", "fc1": "mlp.fc1"}
    modules = []
    for linear in linears:
        block, _, part = linear.rpartition(".")
        modules.append(model.get_submodule(f"{block}.{of_timm[part]}" if block else part))
    return model.get_submodule(name), modules


def smoothings(y: torch.Tensor, weight: torch.Tensor) -> list[torch.Tensor]:
    """The factors to choose from, by the formula of the docstring."""
    factors = [torch.ones(len(y[0]), dtype=torch.float64)]
    for a in (0.35, 0.5):
        ratio = [max(y[:, c].abs()) ** a / max(weight[:, c].abs()) ** (1 - a) for c in range(len(y[0]))]
        factors.append(2.0 ** torch.stack(ratio).log2().round())
    return factors


@pytest.mark.parametrize("seed", range(2))
def test_smoothing_moves_factors_from_the_norm_into_the_weights(seed):
    model = float_model(distilled=True, seed=seed)
    model.blocks[0].norm2.weight[3] *= 20  # channels that smoothing is for
    model.blocks[1].norm1.weight[::2] *= 10
    vit = quantized(model)
    steps = activations(model)
    smoothed = 0
    for name, linears in NORMS.items():
        norm, modules = parts_of(model, name, linears)
        y = steps[name].reshape(-1, SHAPE.width)
        weight = torch.cat([module.weight for module in modules])
        results = {}
        for factors in smoothings(y, weight):
            # Powers of two change nothing, not even the last bit.
            assert torch.equal((y / factors) * (weight[0] * factors), y * weight[0])
            for exponent in candidates(y / factors):
                error = ((rounded(y / factors, exponent) @ (weight * factors).T - y @ weight.T) ** 2).sum()
                results.setdefault(float(error), (exponent, factors))
        exponent, factors = results[min(results)]
        smoothed += int((factors != 1).any())
        assert vit.exponents[name] == exponent
        of_gamma = vit.exponents[f"{name}.gamma"]
        gamma, beta = norm.weight / factors, norm.bias / factors
        np.testing.assert_array_equal(vit.tensors[f"{name}.gamma"], quantize_tensor(gamma, of_gamma, 16))
        assert 2**14 <= np.abs(vit.tensors[f"{name}.gamma"]).max() < 2**15  # of its 16 bits none is lost
        in_beta = np.ldexp(beta.numpy(), NORMALIZED_FRACTION - of_gamma)
        assert np.all(np.abs(vit.tensors[f"{name}.beta"] - in_beta) <= 0.5)
        for linear, module in zip(linears, modules, strict=True):
            scaled = module.weight * factors
            if name == "norm":  # heads have one exponent together
                of_weight = [best(weight * factors, lambda w, x=y / factors: x @ w.T)] * len(scaled)
                assert vit.exponents[f"{linear}.weight"] == of_weight[0]
            else:
                of_weight = best_of_rows(scaled, y / factors)
                assert exponents_of(vit, linear) == of_weight
            np.testing.assert_array_equal(vit.tensors[f"{linear}.weight"], integers_of(scaled, of_weight))
            assert vit.exponents[linear] == vit.exponents[f"{linear}.weight"] + exponent
    assert smoothed >= 2


def test_gelu_is_a_table_of_its_256_values():
    vit = quantized(float_model())
    for layer in range(SHAPE.depth):
        before, after = (vit.exponents[f"blocks.{layer}.{name}"] for name in ("hidden", "gelu"))
        for entry, x in zip(vit.tensors[f"blocks.{layer}.gelu.table"], range(-128, 128), strict=True):
            real = (x + vit.offsets[f"blocks.{layer}.hidden"]) * 2.0**before
            wanted = real * (1 + math.erf(real / math.sqrt(2))) / 2 / 2.0**after - vit.offsets[f"blocks.{layer}.gelu"]
            assert abs(entry - min(max(wanted, -128), 127)) <= 0.5 + 1e-9


# What is lost


@pytest.mark.parametrize(
    ("changes", "decibels"),
    [({}, 29.6), ({"distilled": True}, 25.5), ({"depth": 1, "heads": 1}, 30.4), ({"heads": 12}, 30.8)],
)
def test_logits_keep_their_signal(changes, decibels):
    """Half of a decibel below what was measured, in the mean of five models."""
    assert np.mean([logits_sqnr(float_model(seed=seed, **changes)) for seed in range(5)]) > decibels


def test_a_trained_model_keeps_its_signal(trained_on_digits):
    path, recipe = trained_on_digits
    model, dataset = model_of(load(path)), load_images(recipe.data, 8)
    training, testing = dataset.training[list(range(64))][0], dataset.testing[list(range(64))][0]
    vit = quantize_vit(model, training, mean=dataset.mean, std=dataset.std)
    # Constants are of training images, and hold for others: 30.5 and 29.0 dB were measured. On another processor the
    # same training ends with other weights; those of other seeds had 25.3 dB at the least.
    for images in (training, testing):
        assert layer_sqnr(model, vit, images, mean=dataset.mean, std=dataset.std)["logits"] > 20


# What is left as it is


def test_the_model_stays_as_it_was():
    model = float_model().float().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    quantized(model)
    assert model.training
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor, before[name])


def test_only_the_images_that_are_given_decide():
    model = float_model()
    one, other, brighter = quantized(model), quantized(model), quantized(model, 3 * IMAGES - 1)
    assert one.exponents == other.exponents and one.registers == other.registers
    assert all(np.array_equal(one.tensors[name], other.tensors[name]) for name in one.tensors)
    assert one.exponents != brighter.exponents or one.registers != brighter.registers


@pytest.mark.parametrize("attention", ["softmax", "vitality"])
def test_attention_becomes_taylor_attention(attention):
    one, other = quantized(float_model("taylor")), quantized(float_model(attention), attention="taylor")
    assert np.array_equal(one(to_pixels(IMAGES)), other(to_pixels(IMAGES)))


def test_attention_is_that_of_the_training():
    for trained, kernels in (
        ("softmax", ("softmax", "softmax")),
        ("vitality", ("taylor", "taylor")),
        (["vitality", "softmax"], ("taylor", "softmax")),
    ):
        vit = quantized(float_model(trained))
        assert vit.kernels == kernels
        chosen = quantized(float_model("taylor"), attention=kernels)
        assert np.array_equal(vit(to_pixels(IMAGES)), chosen(to_pixels(IMAGES)))
    with pytest.raises(ValueError, match="^kernel must be one of taylor, softmax, not 'vitality'$"):
        quantized(float_model(), attention="vitality")
    with pytest.raises(ValueError, match="^kernels must be one for each of 2 layers, not 1$"):
        quantized(float_model(), attention=["taylor"])


# Softmax attention


def test_softmax_is_close_to_floating_point():
    model = float_model("softmax")
    wanted = float_steps(model, normalized(IMAGES), kernels="softmax")
    torch.testing.assert_close(wanted["logits"], model(normalized(IMAGES)))
    assert logits_sqnr(model) > 25


@pytest.mark.parametrize("seed", range(3))
def test_exponents_before_softmax_are_the_best_of_their_candidates(seed):
    model = float_model(["taylor", "softmax"], seed=seed)
    vit, name = quantized(model), "blocks.1"
    steps = float_steps(model, normalized(IMAGES), kernels=("taylor", "softmax"))
    q, k, v = (steps[f"{name}.{each}"] for each in "qkv")
    k = k - torch.from_numpy(vit.key_mean(f"{name}.k"))
    expected = {
        "q": best(q, lambda x: softmax_attention(x, k, v)),
        "k": best(k, lambda x: softmax_attention(q, x, v)),
        "v": best(v, lambda x: softmax_attention(q, k, x)),
    }
    for step, exponent in expected.items():
        assert vit.exponents[f"{name}.{step}"] == exponent, step


def test_mean_key_comes_off_the_bias():
    """Far from 0 all keys would be alike; what is told is what is missing, and no noise of the keys."""
    model = float_model("softmax")
    features = slice(SHAPE.width, 2 * SHAPE.width)
    for block in model.blocks:
        block.attn.qkv.bias[features] += 50
    vit = quantized(model)
    sqnr = layer_sqnr(model, vit, IMAGES, mean=MEAN, std=STD)
    steps = float_steps(model, normalized(IMAGES), kernels="softmax")
    assert sorted(vit.quantization["key_means"]) == ["blocks.0.k", "blocks.1.k"]
    for layer in range(2):
        name = f"blocks.{layer}.k"
        mean = steps[name].mean(dim=(0, 2)).numpy()[:, np.newaxis]
        np.testing.assert_allclose(vit.key_mean(name), mean, rtol=1e-5)
        bias = vit.real(f"blocks.{layer}.qkv", vit.tensors[f"blocks.{layer}.qkv.bias"])[features]
        assert np.abs(bias).max() < 10 and sqnr[name] > 65  # against keys of 50
    assert vit.key_mean("blocks.0.q").shape == () and not vit.key_mean("blocks.0.q")
    moved = logits_sqnr(model)
    assert abs(moved - logits_sqnr(float_model("softmax"))) < 3
    assert "key_means" not in quantized(model, attention="taylor").quantization


def test_descriptions_and_progress():
    told = []
    vit = quantized(float_model(), data={"name": "noise"}, quantization={"images": 6}, progress=told.append,
                    number_format=NumberFormat(data_width=7))  # fmt: skip
    assert told == ["layer 1 of 2", "layer 2 of 2"]
    assert vit.data == {"name": "noise"} and vit.quantization["images"] == 6
    assert vit.number_format == NetworkFormat(data_width=7)
    assert sorted(vit.quantization) == ["images", "smoothing"]


def test_smoothing_is_told():
    """Gammas of a model times the factors that are told are those of the model it was made from."""
    model = float_model(distilled=True)
    model.blocks[0].norm2.weight[3] *= 20
    vit = quantized(model)
    smoothing = vit.quantization["smoothing"]
    assert sorted(smoothing) == sorted(NORMS) and any(any(factors) for factors in smoothing.values())
    for name, factors in smoothing.items():
        exponent = vit.exponents[f"{name}.gamma"]
        gamma = np.ldexp(vit.tensors[f"{name}.gamma"].astype(float), exponent + np.array(factors))
        wanted = model.get_submodule(name).weight.numpy()
        assert np.all(np.abs(gamma - wanted) <= 2.0 ** (exponent + np.array(factors) - 1))


# Models at the edge


@pytest.mark.parametrize("attention", ["relu", "linear_angular"])
def test_other_attentions_are_refused(attention):
    with pytest.raises(ValueError, match=f"^attention must be one of softmax, taylor, vitality, .* not '{attention}'$"):
        quantized(float_model(attention))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["pos_embed", "blocks.1.attn.qkv.bias"])
def test_weights_that_are_not_finite_are_named(name, value):
    model = float_model()
    model.get_parameter(name).view(-1)[1] = value
    with pytest.raises(ValueError, match=f"^weights must be finite, and {re.escape(name)} is not$"):
        quantized(model)


@pytest.mark.parametrize(
    ("images", "size"), [(IMAGES[0], "(2, 6, 6)"), (IMAGES[:0], "(0, 2, 6, 6)"), (IMAGES[:, :1], "(6, 1, 6, 6)")]
)
def test_wrong_images_are_named(images, size):
    with pytest.raises(ValueError, match=re.escape(f"images must be of shape (images, 2, 6, 6), not {size}")):
        quantized(float_model(), images)


def test_logits_that_no_register_holds_are_refused():
    model = float_model()
    model.blocks[0].attn.qkv.weight *= 1e6
    with pytest.raises(ValueError, match="^q and k must be small enough for the constant n sqrt"):
        quantized(model)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_images_of_one_colour(value):
    images = torch.full_like(IMAGES, value)
    assert logits_sqnr(float_model(), images) > 25


ZEROS = {
    "norm": ["blocks.0.norm1.weight", "blocks.0.norm1.bias"],
    "gamma": ["blocks.1.norm2.weight"],
    "beta": ["norm.bias"],
    "qkv": ["blocks.0.attn.qkv.weight", "blocks.0.attn.qkv.bias"],
    "proj": ["blocks.1.attn.proj.weight", "blocks.1.attn.proj.bias"],
    "fc1": ["blocks.0.mlp.fc1.weight", "blocks.0.mlp.fc1.bias"],
    "fc2": ["blocks.1.mlp.fc2.weight"],
    "patches": ["patch_embed.proj.weight", "patch_embed.proj.bias"],
    "stream": ["patch_embed.proj.weight", "patch_embed.proj.bias", "pos_embed", "cls_token"],
}


@pytest.mark.parametrize("names", ZEROS.values(), ids=ZEROS.keys())
def test_parts_of_zeros(names):
    model = float_model()
    for name in names:
        model.get_parameter(name).zero_()
    assert logits_sqnr(model) > 25


def test_a_model_of_zeros():
    model = float_model()
    for parameter in model.parameters():
        parameter.zero_()
    assert not quantized(model)(to_pixels(IMAGES)).any()


def test_a_channel_of_zeros():
    model = float_model()
    model.patch_embed.proj.weight[4] = model.patch_embed.proj.bias[4] = 0
    model.pos_embed[..., 4] = model.cls_token[..., 4] = 0
    model.blocks[0].norm1.weight[5] = model.blocks[0].norm1.bias[5] = 0
    model.blocks[0].attn.qkv.weight[:, 6] = 0
    assert logits_sqnr(model) > 25


@pytest.mark.parametrize("scale", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize(
    "name", ["patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "blocks.1.mlp.fc1.weight", "blocks.0.norm1.weight",
             "norm.weight", "head.weight"],
)  # fmt: skip
def test_biases_keep_their_value_beside_tiny_weights(name, scale):
    """Of weights so small that 32 bits don't hold a bias in the scale of the products, it is the bias that counts."""
    model = float_model()
    model.get_parameter(name).mul_(scale)
    assert logits_sqnr(model) > 25


@pytest.mark.parametrize("scale", [1e-3, 1e-6, 1e-12])
def test_tiny_queries_and_keys_have_registers_that_fit(scale):
    model = float_model()
    for parameter in (model.blocks[0].attn.qkv.weight, model.blocks[0].attn.qkv.bias):
        parameter[: 2 * SHAPE.width] *= scale
    vit = quantized(model)
    steps = activations(model)
    integers = vit.steps(to_pixels(IMAGES))
    assert sqnr_db(steps["blocks.0.z"].numpy(), vit.real("blocks.0.z", integers["blocks.0.z"])) > 25

"""Forward, weights and activations are on the grids of integers; backward, gradients are those of the float model."""

import math

import numpy as np
import pytest
import torch

from taylorvit.golden.checkpoints.checkpoint import CheckpointError, load
from taylorvit.golden.network.float_steps import float_steps
from taylorvit.golden.network.integer_vit import to_pixels
from taylorvit.golden.network.quantize import quantize_vit
from taylorvit.golden.network.vit import VisionTransformer, VitShape
from taylorvit.golden.reports.sqnr import sqnr_db
from taylorvit.golden.training.loading import load_images, model_of, normalize
from taylorvit.golden.training.recipe import RecipeError, check_recipe, rounded_recipe
from taylorvit.golden.training.straight_through import StraightThrough
from taylorvit.golden.training.trainer import train

SHAPE = VitShape(image_size=6, patch_size=2, channels=2, classes=5, depth=2, width=12, heads=3, mlp_ratio=2)
MEAN, STD = (0.45, 0.55), (0.3, 0.2)
IMAGES = torch.rand(6, 2, 6, 6, generator=torch.Generator().manual_seed(0))
PIXELS = to_pixels(IMAGES)
INPUTS = normalize(torch.from_numpy(PIXELS).float() / 255, MEAN, STD)


def float_model(seed=0, **changes) -> VisionTransformer:
    """Random weights, larger than those that a training begins from, channels of a norm that smoothing is for."""
    torch.manual_seed(seed)
    model = VisionTransformer(VitShape(**SHAPE.__dict__ | changes), "taylor").eval()  # quantized with any attention
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        model.blocks[0].norm2.weight[::3] *= 10
    return model


def quantized(model, **options):
    return quantize_vit(model, IMAGES, mean=MEAN, std=STD, **options)


def real_steps(vit) -> dict[str, np.ndarray]:
    """What the integers of each step stand for, the factors of smoothing undone."""
    factors = {name: 2.0 ** np.array(each) for name, each in vit.quantization["smoothing"].items()}
    return {
        name: vit.real(name, value) * factors.get(name, 1.0)
        for name, value in vit.steps(PIXELS).items()
        if name in vit.exponents
    }


@pytest.mark.parametrize("kernels", ["taylor", ("softmax", "taylor"), "softmax"])
@pytest.mark.parametrize("distilled", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_steps_are_those_of_the_integers(kernels, distilled, seed):
    """Up to attention, but for a few elements that fall on the next point of their grids; near to them behind it."""
    model = float_model(seed, distilled=distilled)
    with torch.no_grad():
        model.blocks[0].attn.qkv.bias[SHAPE.width : 2 * SHAPE.width] += 20  # a mean key, that softmax is without
    vit = quantized(model, attention=kernels)
    assert any(any(factors) for factors in vit.quantization["smoothing"].values())
    rounding = StraightThrough(model, vit, STD)
    rounding.round_weights()
    vit = quantized(model, attention=kernels)  # weights on their grids have no error that biases would make up for
    rounding = StraightThrough(model, vit, STD)
    wanted = real_steps(vit)
    with torch.no_grad():
        scores, of_heads = rounding(INPUTS), rounding.scores_of_heads(INPUTS)
        steps = rounding._steps(INPUTS)
        unrounded = float_steps(model, INPUTS, kernels=kernels)
    assert len(of_heads) == 1 + distilled and torch.equal(scores, torch.stack(of_heads).mean(dim=0))
    apart = steps["residual.0"].numpy() - wanted["residual.0"]
    assert np.mean(apart != 0) < 0.05 and np.abs(apart).max() <= 2.0 ** vit.exponents["residual.0"]
    for name in ("residual.0", "blocks.0.norm1", "blocks.0.q", "blocks.0.k", "blocks.0.v"):
        nearer = sqnr_db(wanted[name], steps[name].numpy()) - sqnr_db(wanted[name], unrounded[name].numpy())
        assert nearer > 3, name
    assert sqnr_db(wanted["logits"], steps["logits"].numpy()) > 20


def test_gradients_pass_within_the_range_and_not_beyond():
    model = float_model()
    rounding = StraightThrough(model, quantized(model), STD)
    with torch.no_grad():
        model.cls_token[0, 0, 3] = 1e3  # saturates: the grid is made for smaller ones
        model.blocks[1].mlp.fc2.weight[2, 5] = -1e3
    rounding(INPUTS).square().sum().backward()
    of_token, of_weight = model.cls_token.grad[0, 0], model.blocks[1].mlp.fc2.weight.grad
    assert of_token[3] == 0 and of_weight[2, 5] == 0
    assert torch.count_nonzero(of_token) > 8 and torch.count_nonzero(of_weight) > of_weight.numel() // 2
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all() and parameter.grad.any(), name


def test_gradients_are_those_of_the_float_model_where_grids_are_fine():
    """With steps of 2^-20 of their own nothing is rounded that counts, nor does anything saturate."""
    model = float_model()
    rounding = StraightThrough(model, quantized(model), STD)
    for grids in (rounding._of_steps, rounding._of_weights):
        grids.update({name: grid._replace(step=grid.step * 2**-16, bits=40) for name, grid in grids.items()})
    gradients = []
    for scores in (rounding(INPUTS), model(INPUTS)):
        model.zero_grad()
        scores.square().sum().backward()
        gradients.append(model.blocks[0].attn.qkv.weight.grad.clone())
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)


def test_weights_on_their_grids_lose_nothing():
    model = float_model(distilled=True)
    rounding = StraightThrough(model, quantized(model), STD)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    rounding.round_weights()
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    linears = {name for name in before if name.endswith(".weight") and "norm" not in name}
    assert changed == linears
    # Quantizing finds them where they are.
    vit = quantized(model)
    for layer, block in enumerate(model.blocks):
        for name, linear in ((f"blocks.{layer}.proj", block.attn.proj), (f"blocks.{layer}.fc2", block.mlp.fc2)):
            integers = vit.tensors[f"{name}.weight"].astype(float)
            exponents = vit.exponents[f"{name}.weight"] + vit.tensors[f"{name}.weight_shift"][:, np.newaxis]
            np.testing.assert_array_equal(np.ldexp(integers, exponents), linear.weight.detach().numpy())
    again = {name: parameter.clone() for name, parameter in model.named_parameters()}
    rounding.round_weights()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), again[name], rtol=1e-6, atol=0)


def test_models_that_do_not_fit():
    model = float_model()
    vit = quantized(model)
    with pytest.raises(ValueError, match=r"integer model must be of the shape of the model, VitShape\(.*depth=1.*, n"):
        StraightThrough(float_model(depth=1), vit, STD)
    smoothing = vit.quantization["smoothing"]
    for said in ({}, {"smoothing": None}, {"smoothing": {}}, {"smoothing": smoothing | {"norm": [0]}},
                 {"smoothing": smoothing | {"norm": ["one"] * 12}}):  # fmt: skip
        vit.quantization = said
        with pytest.raises(
            ValueError, match="^integer model must say how it was smoothed, as those of `taylorvit quant"
        ):
            StraightThrough(model, vit, STD)
    vit = quantized(model, attention=("taylor", "softmax"))
    for means in (None, 3, {}, {"blocks.1.k": [0.5]}, {"blocks.1.k": ["one"] * 12}):
        vit.quantization["key_means"] = means
        with pytest.raises(ValueError, match="^integer model must say its mean keys, as those of `taylorvit"):
            StraightThrough(model, vit, STD)


# In a training


@pytest.fixture(scope="module")
def integer_file(trained_on_digits, tmp_path_factory):
    """The trained model in integers."""
    path, recipe = trained_on_digits
    dataset = load_images(recipe.data, 8)
    images, _labels = dataset.training[list(range(0, 1400, 20))]
    output = tmp_path_factory.mktemp("integer") / "integer.safetensors"
    quantize_vit(model_of(load(path)), images, mean=dataset.mean, std=dataset.std).save(output)
    return output


def recipe_from(trained, integer_file, **training):
    path, recipe = trained
    tables = rounded_recipe(recipe, path, integer_file, 3).model_dump(mode="json")
    tables["training"] |= training
    return check_recipe(tables, "recipe")


def test_the_recipe_goes_on_at_a_tenth_of_the_rate(trained_on_digits, integer_file):
    path, recipe = trained_on_digits
    rounded = rounded_recipe(recipe, path, integer_file, 5)
    assert (rounded.model.weights, rounded.model.rounding) == (path, integer_file)
    assert rounded.training.epochs == 5 and rounded.training.warm_up_epochs == 0
    assert rounded.training.learning_rate == recipe.training.learning_rate / 10
    assert rounded.model.attention == "vitality" and rounded.data == recipe.data
    softmax = recipe.model_copy(update={"model": recipe.model.model_copy(update={"attention": "softmax"})})
    assert rounded_recipe(softmax, path, integer_file, 5).model.attention == "softmax"
    for kernels, attention in (
        (("taylor", "taylor"), "vitality"),
        (("softmax", "softmax"), "softmax"),
        (("taylor", "softmax"), ["vitality", "softmax"]),
    ):
        assert rounded_recipe(recipe, path, integer_file, 5, kernels).model.attention == attention


def test_training_lowers_the_loss_of_the_rounded_model(trained_on_digits, integer_file, tmp_path):
    trained = train(recipe_from(trained_on_digits, integer_file), tmp_path / "a")
    losses = [each["training_loss"] for each in trained.metrics]
    assert losses[-1] < losses[0]
    # The weights that are written are on their grids, those to go on with are not.
    weights, state = load(trained.path).tensors, load(tmp_path / "a" / "last.safetensors").tensors
    weight = weights["blocks.0.mlp.fc2.weight"]
    scaled = weight / 2.0 ** math.floor(math.log2(float(weight.abs().max()) / 127.5) - 1)
    assert torch.equal(scaled, scaled.round())
    assert not torch.equal(weight, state["model.blocks.0.mlp.fc2.weight"])
    assert torch.equal(weight, trained.model.blocks[0].mlp.fc2.weight)


@pytest.mark.slow
def test_it_goes_on_as_if_it_had_not_stopped(trained_on_digits, integer_file, tmp_path):
    recipe = recipe_from(trained_on_digits, integer_file)
    whole = train(recipe, tmp_path / "whole")
    train(recipe, tmp_path / "parts", epochs=1)
    parts = train(recipe, tmp_path / "parts", resume=True)
    again = train(recipe, tmp_path / "parts", resume=True)  # with nothing left to do
    for other in (parts, again):
        for name, tensor in load(whole.path).tensors.items():
            assert torch.equal(tensor, load(other.path).tensors[name]), name


def test_what_cannot_be_trained_with_rounding(trained_on_digits, integer_file, tmp_path):
    path, recipe = trained_on_digits
    tables = recipe.model_dump(mode="json")
    for changes, text in (
        ({"attention": "relu"}, "model.attention must be one of softmax, taylor, vitality with rounding, not 'relu'"),
        ({"attention": ["taylor"] * 3}, "model.attention must be of 2 blocks, not 3"),
        ({"drop_path": 0.1}, "model.drop_path must be 0 with rounding, not 0.1"),
    ):
        with pytest.raises(RecipeError, match=text):
            check_recipe(tables | {"model": tables["model"] | {"rounding": str(integer_file)} | changes}, "recipe")
    tables["model"]["rounding"] = str(path)
    with pytest.raises(CheckpointError, match="must be an integer ViT, as `taylorvit quantize` writes it"):
        train(check_recipe(tables, "recipe"), tmp_path / "a")

"""Attentions by name: each against its formula, written another way."""

import math

import pytest
import torch
from torch.nn import functional

from taylorvit.golden.attention.float_attention import softmax_attention, softmax_map, taylor_attention
from taylorvit.golden.attention.trained_attention import ATTENTIONS, AttentionChoice, make_attention
from taylorvit.golden.attention.variants import (
    linear_angular_attention,
    predicted_mask,
    relu_attention,
    vitality_attention,
)


def operands(tokens=7, head_dim=5, scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(2, 3, tokens, head_dim, generator=generator, dtype=torch.float64) for _ in "qkv"]


@pytest.mark.parametrize(("tokens", "head_dim"), [(7, 5), (1, 1), (2, 9), (50, 32)])
def test_softmax_is_that_of_torch(tokens, head_dim):
    q, k, v = operands(tokens, head_dim)
    torch.testing.assert_close(softmax_attention(q, k, v), functional.scaled_dot_product_attention(q, k, v))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("tokens", "head_dim", "scale"), [(7, 5, 1), (1, 1, 1), (50, 32, 1), (197, 64, 1), (50, 32, 6)]
)
def test_softmax_trains_fused_as_the_formula_does(tokens, head_dim, scale, dtype, monkeypatch):
    calls = []
    fused = functional.scaled_dot_product_attention

    def counted(*arguments):
        calls.append(arguments)
        return fused(*arguments)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", counted)
    module = make_attention(AttentionChoice("softmax"), heads=3)
    results = []
    for attention in (module, softmax_attention):
        # As the model gives them: views of one tensor, the heads of a token side by side.
        qkv = torch.stack([x.transpose(1, 2) for x in operands(tokens, head_dim, scale)]).to(dtype).requires_grad_()
        z = attention(*qkv.transpose(2, 3))
        weights = torch.linspace(-1, 1, z.numel(), dtype=dtype).reshape(z.shape)
        (z * weights).sum().backward()
        results.append((z, qkv.grad))
    assert len(calls) == 1
    share = {torch.float32: 2e-5, torch.float64: 1e-13}[dtype]  # of the largest; logits reach 100 in the last case
    for of_module, of_formula in zip(*results, strict=True):
        assert of_module.dtype == dtype
        error = float((of_module - of_formula).detach().abs().max() / of_formula.detach().abs().max().clamp(min=1e-3))
        assert error < share


def test_operands_of_softmax_are_checked():
    q, k, v = operands()
    with pytest.raises(ValueError, match="^v must be of the shape of q, "):
        make_attention(AttentionChoice("softmax"), heads=3)(q, k, v[..., :1, :])


def test_vitality_is_softmax_with_threshold_0_and_taylor_with_1():
    q, k, v = operands()
    torch.testing.assert_close(vitality_attention(q, k, v, threshold=0), softmax_attention(q, k, v))
    torch.testing.assert_close(vitality_attention(q, k, v, threshold=1), taylor_attention(q, k, v).z)


def test_vitality_has_the_residual_where_the_mask_is():
    q, k, v = operands(scale=2)
    mask = predicted_mask(q, k, threshold=0.2)
    assert 0 < int(mask.sum()) < mask.numel() / 2
    root = math.sqrt(q.shape[-1])
    k_hat = k - k.mean(dim=-2, keepdim=True)
    numerator = 1 + torch.einsum("bhid,bhjd->bhij", q, k_hat) / root
    weights = numerator / numerator.sum(dim=-1, keepdim=True)  # the Taylor map
    weights = torch.where(mask, softmax_map(q, k), weights)
    torch.testing.assert_close(vitality_attention(q, k, v, threshold=0.2), weights @ v)


def test_mask_is_of_quantized_operands_and_has_no_gradient():
    q, k, _v = (x.requires_grad_() for x in operands(scale=2))
    coarse, fine = predicted_mask(q, k, threshold=0.3, bits=3), predicted_mask(q, k, threshold=0.3, bits=16)
    assert not coarse.requires_grad
    assert torch.equal(fine, softmax_map(q, k) > 0.3)
    assert not torch.equal(coarse, fine)
    alone = predicted_mask(q[:1], k[:1], threshold=0.3, bits=3)  # whatever else is in its batch
    assert torch.equal(coarse[:1], alone)


def test_linear_angular_is_that_of_its_map():
    q, k, v = operands()
    cosine = functional.cosine_similarity(q.unsqueeze(-2), k.unsqueeze(-3), dim=-1)  # (..., tokens, tokens)
    weights = 0.5 + cosine / math.pi
    expected = weights / weights.sum(dim=-1, keepdim=True) @ v
    torch.testing.assert_close(linear_angular_attention(q, k, v), expected)


def test_relu_is_that_of_its_map():
    q, k, v = operands()
    weights = q.relu() @ k.relu().transpose(-2, -1)
    expected = weights / (weights.sum(dim=-1, keepdim=True) + 1e-15) @ v
    torch.testing.assert_close(relu_attention(q, k, v), expected)
    assert torch.equal(relu_attention(-q.abs(), k, v), torch.zeros_like(v))  # nothing similar: 0, not 0 / 0


@pytest.mark.parametrize("name", ATTENTIONS)
def test_every_attention_trains(name):
    torch.manual_seed(0)
    module = make_attention(AttentionChoice(name, threshold=0.1), heads=3)
    q, k, v = (x.float().requires_grad_() for x in operands())
    z = module(q, k, v)
    assert z.shape == v.shape
    z.square().sum().backward()
    for gradient in [x.grad for x in (q, k, v)] + [parameter.grad for parameter in module.parameters()]:
        assert bool(torch.isfinite(gradient).all()) and bool((gradient != 0).any())


def test_helpers_of_training_are_dropped_at_inference():
    q, k, v = (x.float() for x in operands(scale=2))
    vitality = make_attention(AttentionChoice("vitality", threshold=0.1), heads=3)
    assert not torch.equal(vitality.train()(q, k, v), taylor_attention(q, k, v).z)
    assert torch.equal(vitality.eval()(q, k, v), taylor_attention(q, k, v).z)
    angular = make_attention(AttentionChoice("linear_angular", threshold=0.1), heads=3)
    expected = linear_angular_attention(q, k, v) + angular.convolution(v)
    assert not torch.allclose(angular.train()(q, k, v), expected, atol=1e-2)
    torch.testing.assert_close(angular.eval()(q, k, v), expected)
    angular.threshold = vitality.threshold = 1.0  # which nothing is above
    torch.testing.assert_close(angular.train()(q, k, v), expected)
    assert torch.equal(vitality.train()(q, k, v), taylor_attention(q, k, v).z)


def test_weights_are_the_same_but_for_the_convolution():
    names = {name: set(make_attention(AttentionChoice(name), heads=2).state_dict()) for name in ATTENTIONS}
    assert names.pop("linear_angular") == {"convolution.weight"}
    assert not any(names.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cosine",), "^attention must be one of softmax, taylor, .*, not 'cosine'$"),
        (("vitality", 1.5), "^threshold must be 0 to 1, not 1.5$"),
        (("vitality", 0.1, 1), "^bits must be 2 to 16, not 1$"),
    ],
)
def test_wrong_choices(arguments, message):
    with pytest.raises(ValueError, match=message):
        AttentionChoice(*arguments)


def test_wrong_threshold():
    q, k, v = operands()
    with pytest.raises(ValueError, match="^threshold must be 0 to 1, not -1$"):
        vitality_attention(q, k, v, threshold=-1)

"""Taylor attention is the first-order expansion of softmax attention with row-centred logits."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from taylorvit.golden.attention.float_attention import (
    softmax_attention,
    softmax_map,
    taylor_attention,
    taylor_map,
)

shapes = st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 24))


def normal_operands(shape, seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(3)]


def expanded_attention(q, k, v):
    """1 + x instead of exp(x), x the logits with the mean of each row taken away; quadratic in tokens."""
    logits = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    weights = 1 + logits - logits.mean(dim=-1, keepdim=True)
    return weights @ v / weights.sum(dim=-1, keepdim=True)


@given(shape=shapes, seed=st.integers(0, 2**32), scale=st.sampled_from([0.1, 1.0, 5.0]))
def test_taylor_is_the_expansion_of_the_centred_logits(shape, seed, scale):
    q, k, v = normal_operands(shape, seed, scale)
    torch.testing.assert_close(
        taylor_attention(q, k, v).z, expanded_attention(q, k, v), rtol=1e-9, atol=1e-9 * scale**3
    )


@given(shape=shapes, seed=st.integers(0, 2**32))
def test_centred_keys_sum_to_zero_and_the_denominator_is_constant(shape, seed):
    steps = taylor_attention(*normal_operands(shape, seed))
    tokens, head_dim = shape[1:]
    assert steps.k_hat_sum.abs().max() < 1e-12 * tokens
    torch.testing.assert_close(steps.t_d, torch.full_like(steps.t_d, tokens * head_dim**0.5))


@given(shape=shapes, seed=st.integers(0, 2**32))
def test_centring_can_be_folded_in_after_one_pass(shape, seed):
    q, k, v = normal_operands(shape, seed)
    steps = taylor_attention(q, k, v)
    folded = k.transpose(-2, -1) @ v - steps.k_sum.transpose(-2, -1) @ steps.v_sum / shape[1]
    torch.testing.assert_close(steps.g, folded, rtol=1e-10, atol=1e-10)


@given(shape=shapes, seed=st.integers(0, 2**32), scale=st.sampled_from([0.1, 1.0, 50.0]))
def test_arrays_give_what_tensors_give(shape, seed, scale):
    tensors = normal_operands(shape, seed, scale)
    arrays = [x.numpy() for x in tensors]
    for array, tensor in zip(taylor_attention(*arrays), taylor_attention(*tensors), strict=True):
        np.testing.assert_allclose(array, tensor.numpy(), rtol=1e-9, atol=1e-9 * scale**3)
    for function in (softmax_map, taylor_map):
        array, tensor = function(*arrays[:2]), function(*tensors[:2])
        np.testing.assert_allclose(array, tensor.numpy(), rtol=1e-9, atol=1e-9 * scale**2)
        np.testing.assert_allclose(array.sum(axis=-1), 1, rtol=1e-9)
    np.testing.assert_allclose(softmax_attention(*arrays), softmax_attention(*tensors).numpy(), atol=1e-9 * scale)


def test_wrong_arrays_are_named():
    q = np.ones((2, 3))
    for k, text in (
        (torch.ones(2, 3), "k must be a numpy.ndarray like q, not Tensor"),
        (q.astype(int), "k must be floating point, not int64"),
    ):
        with pytest.raises(TypeError, match=text):
            taylor_attention(q, k, q)


def test_small_logits_approach_softmax():
    q, k, v = normal_operands((2, 50, 32), seed=1)
    errors = [
        (taylor_attention(scale * q, k, v).z - softmax_attention(scale * q, k, v)).abs().max() for scale in (0.1, 0.01)
    ]
    assert errors[1] < errors[0] / 50  # second order


def test_softmax_is_that_of_torch():
    q, k, v = normal_operands((2, 3, 17, 8), seed=2)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(softmax_attention(q, k, v), expected)


def test_leading_dimensions_are_free():
    q, k, v = normal_operands((2, 3, 17, 8), seed=3)
    z = taylor_attention(q, k, v).z
    torch.testing.assert_close(z[1, 2], taylor_attention(q[1, 2], k[1, 2], v[1, 2]).z)


def test_one_token_returns_its_value():
    q, k, v = normal_operands((1, 1, 8), seed=4)
    torch.testing.assert_close(taylor_attention(q, k, v).z, v)


@pytest.mark.parametrize("attention", [softmax_attention, taylor_attention])
@pytest.mark.parametrize(
    "change, error, text",
    [
        (lambda x: x.numpy(), TypeError, "k must be a torch.Tensor like q, not ndarray"),
        (lambda x: x.tolist(), TypeError, "k must be a numpy.ndarray or a torch.Tensor, not list"),
        (lambda x: x.long(), TypeError, "k must be floating point, not torch.int64"),
        (lambda x: x[0, 0], ValueError, "k must be of shape (..., tokens, head_dim), not (8,)"),
        (lambda x: x[:, :0], ValueError, "k must be of shape (..., tokens, head_dim), not (2, 0, 8)"),
        (lambda x: x[:, 1:], ValueError, "k must be of the shape of q, (2, 5, 8), not (2, 4, 8)"),
    ],
)
def test_a_wrong_operand_is_named(attention, change, error, text):
    q, k, v = normal_operands((2, 5, 8), seed=5)
    with pytest.raises(error, match=re.escape(text)):
        attention(q, change(k), v)

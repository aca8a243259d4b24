"""Constants of Taylor attention are exact and fit their registers; nonsense is refused by name."""

import math
import re
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taylorvit.golden.arithmetic.number_format import NumberFormat
from taylorvit.golden.arithmetic.quantizer import dequantize
from taylorvit.golden.attention.float_attention import taylor_attention
from taylorvit.golden.attention.integer_attention import integer_taylor_attention
from taylorvit.golden.attention.job import quantize_job
from taylorvit.golden.attention.kernels.taylor import constants_for
from taylorvit.golden.reports.sqnr import sqnr_db


def normal_operands(shape, seed=0, scales=(1.0, 1.0, 1.0)):
    random = np.random.default_rng(seed)
    return [scale * random.normal(size=shape) for scale in scales]


def rounded_root(square: int, exponent: int) -> int:
    """round_half_up(sqrt(square) 2^exponent) in decimals of 400 digits."""
    with localcontext(prec=400):
        return math.floor(Decimal(square).sqrt() * Decimal(2) ** exponent + Decimal("0.5"))


@given(
    tokens=st.integers(1, 60),
    head_dim=st.integers(1, 64),
    q_exp=st.integers(-10, 1),
    k_exp=st.integers(-10, 2),
    seed=st.integers(0, 1000),
)
def test_constants_are_the_rounded_square_roots(tokens, head_dim, q_exp, k_exp, seed):
    random = np.random.default_rng(seed)
    q, k, v = random.integers(-128, 128, (3, 1, tokens, head_dim))
    constants = constants_for(q, k, v, q_exp, k_exp).constants
    assert constants.c_v == rounded_root(head_dim, 8 + 3 - q_exp - k_exp - constants.shift_g)
    assert constants.c_d == rounded_root(tokens**2 * head_dim, 8 + 3 - q_exp - k_exp)


def test_the_result_exponent_follows_from_the_shifts():
    q, k, v = np.random.default_rng(0).integers(-128, 128, (3, 2, 30, 16))
    at_zero = constants_for(q, k, v, -5, -5, 0)
    at_seven = constants_for(q, k, v, -5, -5, 7)
    assert at_seven.constants == at_zero.constants
    assert at_seven.z_exp == at_zero.z_exp + 7
    steps = integer_taylor_attention(q, k, v, at_seven.constants)
    operands = [torch.from_numpy(dequantize(x, exponent)) for x, exponent in ((q, -5), (k, -5), (v, 7))]
    assert sqnr_db(taylor_attention(*operands).z.numpy(), dequantize(steps.z, at_seven.z_exp)) > 30


@settings(max_examples=150)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 40), st.integers(1, 16)),
    seed=st.integers(0, 2**32),
    q_scale=st.floats(-30, 1).map(lambda power: 10.0**power),
    k_scale=st.floats(-30, 1).map(lambda power: 10.0**power),
    v_scale=st.floats(-300, 300).map(lambda power: 10.0**power),
    number_format=st.one_of(
        st.builds(NumberFormat, data_width=st.sampled_from([4, 6, 8, 12])),
        st.just(
            NumberFormat(
                data_width=16, mean_fraction=8, constant_fraction=16, c_v_width=48, c_d_width=83, shift_g_max=56
            )
        ),
    ),
)
def test_constants_of_floats_always_fit_their_registers(shape, seed, q_scale, k_scale, v_scale, number_format):
    q, k, v = normal_operands(shape, seed, (q_scale, k_scale, v_scale))
    job = quantize_job(q, k, v, number_format)
    job.constants.check(number_format)
    integer_taylor_attention(job.q, job.k, job.v, job.constants, number_format)


@pytest.mark.parametrize(
    "q_scale, k_scale", [(1e-3, 1), (1e-6, 1e-6), (1, 1e-12), (1e-30, 1e-30), (1e-200, 1e200), (1e-300, 1)]
)
def test_tiny_logits_cost_no_fidelity(q_scale, k_scale):
    q, k, v = normal_operands((2, 50, 32), 1, (q_scale, k_scale, 1.0))
    job = quantize_job(q, k, v)
    steps = integer_taylor_attention(job.q, job.k, job.v, job.constants)
    reference = taylor_attention(*map(torch.from_numpy, (q, k, v))).z.numpy()
    assert sqnr_db(reference, dequantize(steps.z, job.z_exp)) > 25


@pytest.mark.parametrize("zero", ["q", "k", "qk", "v", "qkv"])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_operands_of_zeros(zero, scale):
    q, k, v = (
        0 * x if name in zero else x
        for name, x in zip("qkv", normal_operands((2, 20, 8), 2, (scale,) * 3), strict=True)
    )
    if zero == "v" and scale == 1e6:
        with pytest.raises(ValueError, match="q and k must be small enough"):
            quantize_job(q, k, v)
        return
    job = quantize_job(q, k, v)
    z = dequantize(integer_taylor_attention(job.q, job.k, job.v, job.constants).z, job.z_exp)
    if "v" in zero:
        assert not z.any()
    else:  # without logits, attention is the mean of V
        expected = np.broadcast_to(v.mean(axis=1, keepdims=True), v.shape)
        assert sqnr_db(expected, z) > 25


@pytest.mark.parametrize("tokens, head_dim", [(1, 1), (1, 64), (197, 64), (7, 3)])
@pytest.mark.parametrize("value", [1.0, -3.7, 1e-4])
def test_constant_operands(tokens, head_dim, value):
    operands = [np.full((2, tokens, head_dim), value)] * 3
    job = quantize_job(*operands)
    z = dequantize(integer_taylor_attention(job.q, job.k, job.v, job.constants).z, job.z_exp)
    np.testing.assert_allclose(z, value, rtol=0.01)


def test_one_token_returns_its_value():
    q, k, v = normal_operands((3, 1, 16), 3)
    job = quantize_job(q, k, v)
    steps = integer_taylor_attention(job.q, job.k, job.v, job.constants)
    # Z may be quantized finer than V, never coarser than its best.
    assert sqnr_db(dequantize(job.v, job.v_exp), dequantize(steps.z, job.z_exp)) > 40


def test_all_at_the_minimum():
    operands = [np.full((1, 50, 32), -128)] * 3
    scales = constants_for(*operands, -7, -7, -7)
    steps = integer_taylor_attention(*operands, scales.constants)
    np.testing.assert_allclose(dequantize(steps.z, scales.z_exp), -1.0, rtol=0.01)


@pytest.mark.parametrize(
    "exponents, error, text",
    [
        ((0.5, 0, 0), TypeError, "q_exp must be an integer, not 0.5"),
        ((0, 5000, 0), ValueError, "k_exp must be -1100 to 1100, not 5000"),
        (
            (-20, -20, 0),
            ValueError,
            "q_exp + k_exp must be such that the constant c_d is 1 to 8796093022207, not -40",
        ),
        (
            (20, 20, 0),
            ValueError,
            "q_exp + k_exp must be such that the constant c_d is 1 to 8796093022207, not 40",
        ),
    ],
)
def test_wrong_exponents_of_integers_are_named(exponents, error, text):
    operands = np.ones((3, 1, 5, 3), dtype=int)
    with pytest.raises(error, match=re.escape(text)):
        constants_for(*operands, *exponents)


def test_integers_whose_constants_fit_no_register_are_refused():
    number_format = NumberFormat(c_v_width=4, shift_g_max=2)
    operands = np.ones((3, 1, 5, 3), dtype=int)
    with pytest.raises(ValueError, match="q_exp \\+ k_exp must be such that the constants fit, not -8: c_v must be"):
        constants_for(*operands, -4, -4, 0, number_format)


def test_integers_out_of_range_are_refused():
    q, k, v = np.ones((3, 1, 5, 3), dtype=int)
    with pytest.raises(ValueError, match=re.escape("k must be -128 to 127 (8 bits), not 300")):
        constants_for(q, 300 * k, v)

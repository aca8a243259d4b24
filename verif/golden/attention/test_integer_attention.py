"""The integer model agrees with a slow one in fractions, step by step, at every extreme."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taylorvit.golden.arithmetic.number_format import NumberFormat
from taylorvit.golden.attention.integer_attention import (
    JobConstants,
    exact_g_sum,
    folded_g_sum,
    integer_taylor_attention,
)


def fraction_steps(q, k, v, constants, number_format):
    """The steps of one head by name, from the formulas of the contract, in fractions and lists."""

    def rounded(x):
        return math.floor(Fraction(x) + Fraction(1, 2))

    def saturated(x):
        return max(number_format.data_min, min(number_format.data_max, x))

    tokens, features = range(len(q)), range(len(q[0]))
    mean_unit, unit = 2**number_format.mean_fraction, 2**number_format.constant_fraction
    k_sum = [sum(k[t][i] for t in tokens) for i in features]
    k_mean = [rounded(Fraction(k_sum[i] * mean_unit, len(q))) for i in features]
    k_hat = [[k[t][i] * mean_unit - k_mean[i] for i in features] for t in tokens]
    g_sum = [[sum(k_hat[t][i] * v[t][j] for t in tokens) for j in features] for i in features]
    g = [[saturated(rounded(Fraction(x, 2**constants.shift_g))) for x in row] for row in g_sum]
    k_hat_sum = [sum(k_hat[t][i] for t in tokens) for i in features]
    v_sum = [sum(v[t][i] for t in tokens) for i in features]
    qg = [[sum(q[t][i] * g[i][j] for i in features) for j in features] for t in tokens]
    q_k_hat_sum = [sum(q[t][i] * k_hat_sum[i] for i in features) for t in tokens]
    t_n = [[qg[t][j] * unit + constants.c_v * v_sum[j] for j in features] for t in tokens]
    t_d = [constants.c_d + q_k_hat_sum[t] * unit for t in tokens]

    def quotient(numerator, denominator):
        if denominator <= 0:
            return number_format.data_min if numerator < 0 else number_format.data_max
        return saturated(rounded(numerator * Fraction(2) ** constants.shift_z / denominator))

    return {
        "k_sum": k_sum,
        "k_mean": k_mean,
        "k_hat": k_hat,
        "g_sum": g_sum,
        "g": g,
        "k_hat_sum": k_hat_sum,
        "v_sum": v_sum,
        "qg": qg,
        "q_k_hat_sum": q_k_hat_sum,
        "t_n": t_n,
        "t_d": t_d,
        "z": [[quotient(t_n[t][j], t_d[t]) for j in features] for t in tokens],
    }


def random_operands(shape, seed, number_format):
    random = np.random.default_rng(seed)
    return [random.integers(number_format.data_min, number_format.data_max, shape, endpoint=True) for _ in range(3)]


number_formats = st.builds(
    NumberFormat,
    data_width=st.sampled_from([4, 6, 8, 12]),
    mean_fraction=st.integers(0, 4),
    constant_fraction=st.integers(0, 10),
)
# Beyond 64 bits in one step or in most of them.
wide_formats = st.builds(
    NumberFormat,
    data_width=st.sampled_from([2, 16, 24]),
    mean_fraction=st.sampled_from([0, 8, 16, 60]),
    constant_fraction=st.sampled_from([0, 16, 40, 63]),
    c_v_width=st.sampled_from([48, 64, 100]),
    c_d_width=st.sampled_from([62, 63, 64, 83, 128]),
    shift_g_max=st.sampled_from([27, 63]),
)


@st.composite
def job_constants(draw, number_format=None):
    number_format = number_format or NumberFormat()
    # Small constants too: they make denominators near and below zero, and quotients that don't just saturate.
    c_v_bits = draw(st.integers(0, number_format.c_v_width))
    c_d_bits = draw(st.integers(0, number_format.c_d_width))
    return JobConstants(
        shift_g=draw(st.integers(0, number_format.shift_g_max)),
        shift_z=draw(st.integers(number_format.shift_z_min, number_format.shift_z_max)),
        c_v=draw(st.integers(0, 2**c_v_bits - 1)),
        c_d=draw(st.integers(0, 2**c_d_bits - 1)),
    )


@settings(max_examples=250)
@given(
    job=st.one_of(number_formats, wide_formats).flatmap(lambda wide: st.tuples(st.just(wide), job_constants(wide))),
    shape=st.tuples(st.integers(1, 2), st.integers(1, 7), st.integers(1, 5)),
    seed=st.integers(0, 2**32),
)
def test_every_step_is_that_of_fractions(job, shape, seed):
    number_format, constants = job
    q, k, v = random_operands(shape, seed, number_format)
    steps = integer_taylor_attention(q, k, v, constants, number_format)
    errors = 0
    for head in range(shape[0]):
        expected = fraction_steps(q[head].tolist(), k[head].tolist(), v[head].tolist(), constants, number_format)
        for name, value in expected.items():
            assert getattr(steps, name)[head].tolist() == value, name
        errors += sum(t_d <= 0 for t_d in expected["t_d"])
    assert steps.denominator_errors == errors


@pytest.mark.parametrize("value", [-128, 127, 0])
@pytest.mark.parametrize("tokens, head_dim", [(1, 1), (1, 8), (7, 3), (5, 1)])
def test_equal_values_everywhere(value, tokens, head_dim):
    operands = [np.full((2, tokens, head_dim), value)] * 3
    constants = JobConstants(shift_g=3, shift_z=4, c_v=724, c_d=tokens * 11585)
    steps = integer_taylor_attention(*operands, constants)
    expected = fraction_steps(*(x[0].tolist() for x in operands), constants, NumberFormat())
    for name, step in expected.items():
        assert getattr(steps, name)[1].tolist() == step, name
    assert not steps.k_hat.any()  # equal keys are their own mean
    assert steps.denominator_errors == 0


def test_largest_sums_of_the_largest_job():
    """Extremes of opposite sign, 256 tokens of 64 features: every sum at its largest."""
    k = np.full((1, 256, 64), -128)
    k[:, :128] = 127
    v = np.where(k > 0, 127, -128)
    q = np.full_like(k, -128)
    constants = JobConstants(shift_g=0, shift_z=31, c_v=2**24 - 1, c_d=1)
    steps = integer_taylor_attention(q, k, v, constants)
    assert np.all(steps.g_sum == 128 * (1020 * 127 + 1020 * 128))
    assert np.all(steps.g == 127)
    assert np.all(steps.qg == -128 * 127 * 64)
    assert np.all(steps.z == -128)
    assert steps.denominator_errors == 0  # 128 x 127 - 128 x 128 has an exact mean, so that t_d = c_d


def test_a_denominator_that_is_not_positive_saturates_by_the_sign_of_the_numerator():
    # The mean of 0, 0, 1 in eighths is 3 (2 2/3): centred keys sum to -1, and a query of 100 takes 100 << 8
    # away.
    k = np.array([[[0], [0], [1]]])
    q = np.array([[[100], [0], [-100]]])
    constants = JobConstants(shift_g=0, shift_z=0, c_v=1, c_d=100 << 8)
    for v_sign, saturated in ((1, 127), (-1, -128)):
        v = np.full((1, 3, 1), 100 * v_sign)
        steps = integer_taylor_attention(q, k, v, constants)
        assert steps.t_d.tolist() == [[0, 100 << 8, 200 << 8]]
        assert steps.denominator_errors == 1
        numerator_sign = np.sign(steps.t_n[0, 0, 0])
        assert steps.z[0, 0, 0] == (saturated if numerator_sign == v_sign else -1 - saturated)
    zeros = integer_taylor_attention(q, k, np.zeros_like(k), constants)
    assert zeros.t_n[0, 0, 0] == 0 and zeros.z[0, 0, 0] == 127


@pytest.mark.parametrize("shift_z", [-8, 0, 26, 27, 28, 31])
def test_quotients_on_both_sides_of_64_bits(shift_z):
    """T_N of 35 bits: shifted by 26 it fits int64 in the division, by 28 it does not."""
    number_format = NumberFormat(data_width=12)
    q, k, v = random_operands((1, 5, 3), 7, number_format)
    constants = JobConstants(shift_g=6, shift_z=shift_z, c_v=2**22, c_d=2**43 - 1)
    steps = integer_taylor_attention(q, k, v, constants, number_format)
    assert int(np.abs(steps.t_n).max()).bit_length() == 35
    expected = fraction_steps(q[0].tolist(), k[0].tolist(), v[0].tolist(), constants, number_format)
    assert steps.z.dtype == np.int64 and steps.z[0].tolist() == expected["z"]


def test_heads_are_independent():
    q, k, v = random_operands((3, 10, 6), 1, NumberFormat())
    constants = JobConstants(shift_g=8, shift_z=8, c_v=20, c_d=20000)
    together = integer_taylor_attention(q, k, v, constants)
    for head in range(3):
        alone = integer_taylor_attention(q[[head]], k[[head]], v[[head]], constants)
        assert np.array_equal(alone.z[0], together.z[head])


def test_tensors_and_narrow_integers_are_taken():
    q, k, v = (x.astype(np.int8) for x in random_operands((1, 9, 4), 2, NumberFormat()))
    constants = JobConstants(shift_g=8, shift_z=8, c_v=20, c_d=20000)
    expected = integer_taylor_attention(q, k, v, constants).z
    assert np.array_equal(integer_taylor_attention(*map(torch.from_numpy, (q, k, v)), constants).z, expected)


@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 30), st.integers(1, 6)),
    seed=st.integers(0, 2**32),
    mean_fraction=st.one_of(st.integers(0, 4), st.just(50)),
    data_width=st.sampled_from([8, 24]),
)
def test_folded_centring_is_the_exact_g(shape, seed, mean_fraction, data_width):
    """Folding is exact; centring first differs by the rounding of the mean, at most 1/2, times v_sum."""
    _, k, v = random_operands(shape, seed, NumberFormat(data_width=data_width))
    folded = folded_g_sum(k, v, mean_fraction)
    tokens = shape[1]
    for head, i, j in np.ndindex(folded.shape):
        mean = Fraction(int(k[head, :, i].sum()), tokens)
        exact = sum((int(k[head, t, i]) - mean) * int(v[head, t, j]) for t in range(tokens)) * 2**mean_fraction
        assert folded[head, i, j] == math.floor(exact + Fraction(1, 2))
    difference = np.abs(exact_g_sum(k, v, mean_fraction) - folded)
    assert np.all(difference <= (np.abs(v.sum(axis=1))[:, np.newaxis, :] + 1) / 2)


CONSTANTS = JobConstants(shift_g=8, shift_z=8, c_v=20, c_d=20000)


@pytest.mark.parametrize(
    "change, error, text",
    [
        (lambda x: x.astype(float), TypeError, "v must be integers, not float64"),
        (lambda x: x > 0, TypeError, "v must be integers, not bool"),
        (lambda x: x[0], ValueError, "v must be of shape (heads, tokens, head_dim), not (4, 3)"),
        (lambda x: x[:0], ValueError, "v must be without an empty dimension, not (0, 4, 3)"),
        (lambda x: x[:, 1:], ValueError, "v must be of the shape of q, (2, 4, 3), not (2, 3, 3)"),
        (lambda x: x * 0 + 128, ValueError, "v must be -128 to 127 (8 bits), not 128"),
        (lambda x: x * 0 - 129, ValueError, "v must be -128 to 127 (8 bits), not -129"),
    ],
)
def test_a_wrong_operand_is_named(change, error, text):
    q, k, v = random_operands((2, 4, 3), 3, NumberFormat())
    with pytest.raises(error, match=re.escape(text)):
        integer_taylor_attention(q, k, change(v), CONSTANTS)


@pytest.mark.parametrize(
    "change, text",
    [
        ({"shift_g": -1}, "shift_g must be 0 to 27, not -1"),
        ({"shift_g": 28}, "shift_g must be 0 to 27, not 28"),
        ({"shift_z": -9}, "shift_z must be -8 to 31, not -9"),
        ({"shift_z": 32}, "shift_z must be -8 to 31, not 32"),
        ({"c_v": -1}, "c_v must be 0 to 16777215, not -1"),
        ({"c_v": 2**24}, "c_v must be 0 to 16777215, not 16777216"),
        ({"c_d": -1}, "c_d must be 0 to 8796093022207, not -1"),
        ({"c_d": 2**43}, "c_d must be 0 to 8796093022207, not 8796093022208"),
    ],
)
def test_a_constant_beyond_its_register_is_named(change, text):
    operands = random_operands((1, 4, 3), 4, NumberFormat())
    constants = JobConstants(**{"shift_g": 8, "shift_z": 8, "c_v": 20, "c_d": 20000} | change)
    with pytest.raises(ValueError, match=re.escape(text)):
        integer_taylor_attention(*operands, constants)


def test_constants_are_integers():
    with pytest.raises(TypeError, match=re.escape("c_v must be an integer, not 2.5")):
        JobConstants(shift_g=0, shift_z=0, c_v=2.5, c_d=1)
    operands = random_operands((1, 4, 3), 5, NumberFormat())
    with pytest.raises(TypeError, match=re.escape("constants must be a JobConstants, not (8, 8, 20, 20000)")):
        integer_taylor_attention(*operands, (8, 8, 20, 20000))
    with pytest.raises(TypeError, match="number_format must be a NumberFormat, not 8"):
        integer_taylor_attention(*operands, CONSTANTS, 8)


def test_steps_are_int64_as_long_as_that_fits():
    number_format = NumberFormat(data_width=16, constant_fraction=16, mean_fraction=8, c_v_width=48, c_d_width=83)
    operands = random_operands((1, 4, 3), 6, number_format)
    wide = integer_taylor_attention(*operands, JobConstants(8, 8, 2**48 - 1, 2**83 - 1), number_format)
    python = {name for name, step in wide._asdict().items() if name != "denominator_errors" and step.dtype == object}
    assert python == {"t_n", "t_d"}
    narrow = integer_taylor_attention(*operands, JobConstants(8, 8, 2**20, 2**50), number_format)
    assert narrow.t_n.dtype == narrow.t_d.dtype == wide.z.dtype == np.int64

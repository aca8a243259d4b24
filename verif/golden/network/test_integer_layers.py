"""The parts of an integer ViT are exactly those of Python ints, at every extreme too, and near to those in floats."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taylorvit.golden.network.integer_layers import (
    NORMALIZED_FRACTION,
    RECIPROCAL_FRACTION,
    bits_of,
    integer_sqrt,
    layer_norm,
    look_up,
    matmul,
    requantize,
)


def round_half_up(x: Fraction) -> int:
    return math.floor(x + Fraction(1, 2))


def saturated(x: int, width: int) -> int:
    return max(-(2 ** (width - 1)), min(2 ** (width - 1) - 1, x))


# Widths


@given(low=st.integers(-(2**70), 0), high=st.integers(0, 2**70))
def test_bits_hold_a_range_and_one_less_does_not(low, high):
    bits = bits_of(low, high)
    assert -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1)
    assert bits == 1 or low < -(2 ** (bits - 2)) or high >= 2 ** (bits - 2)


# Products


@settings(max_examples=50)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6), st.integers(1, 4)),
    bits=st.integers(1, 24),
    seed=st.integers(0, 2**32),
)
def test_products_are_those_of_python_ints(shape, bits, seed):
    images, tokens, inputs, outputs = shape
    random = np.random.default_rng(seed)
    x = random.integers(-(2**bits), 2**bits, (images, tokens, inputs), endpoint=True)
    weight = random.integers(-(2**bits), 2**bits, (outputs, inputs), endpoint=True)
    expected = x.astype(object) @ weight.astype(object).T
    product = matmul(x, weight)
    assert product.dtype == np.int64 and product.tolist() == expected.tolist()


def test_largest_sum_of_products_is_exact():
    # 2^53 - 1 is odd: what float64 rounded could not be odd above it.
    product = matmul(np.array([[1, 1]]), np.array([[2**52, 2**52 - 1], [2**52 - 1, -(2**52)]]))
    assert product.tolist() == [[2**53 - 1, -1]]


@pytest.mark.parametrize(
    ("x", "weight", "reached"),
    [
        ([[1, 1]], [[2**52, 2**52]], 2**53),
        ([[2**26, 0]], [[0, 1], [-(2**26), 2**26]], 2**53),
        ([[-(2**53)]], [[1]], 2**53),
        ([[2**62]], [[3]], 3 * 2**62),
        ([[1]], [[2**62], [1]], 2**62),
        ([[1]] * 2, [[-(2**63)]], 2**63),
        ([[1, 1, 1, 1]], [[2**62, 2**62, 2**62, 2**62]], 2**64),  # int64 would wrap to 0
    ],
)
def test_sums_that_float64_could_round_are_refused(x, weight, reached):
    with pytest.raises(OverflowError, match=f"^sums of products must stay below 2\\^53, not reach {reached}$"):
        matmul(np.array(x), np.array(weight))


# Other exponents


@given(
    values=st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=4),
    shift=st.integers(-20, 62),
    width=st.integers(2, 24),
)
def test_requantized_is_the_rounded_fraction(values, shift, width):
    expected = [saturated(round_half_up(Fraction(value) / Fraction(2) ** shift), width) for value in values]
    assert requantize(np.array(values), shift, width).tolist() == expected
    assert requantize(np.array([values]), np.int64(shift), width).tolist() == [expected]


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 5)),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_each_channel_has_its_shift(shape, seed, data):
    x = np.random.default_rng(seed).integers(-(2**30), 2**30, shape)
    shifts = data.draw(st.lists(st.integers(-8, 40), min_size=shape[-1], max_size=shape[-1]))
    result = requantize(x, np.array(shifts), 8)
    assert result.dtype == np.int64
    for index, value in np.ndenumerate(x):
        assert result[index] == saturated(round_half_up(Fraction(int(value)) / Fraction(2) ** shifts[index[-1]]), 8)


def test_narrow_integers_become_wide_ones():
    x = np.array([[100, -100]], dtype=np.int8)
    assert requantize(x, np.array([-2, -1]), 16).tolist() == [[400, -200]]


def test_a_shift_never_wraps():
    with pytest.raises(OverflowError, match="x must stay within 64 bits when shifted by -40"):
        requantize(np.array([[2**30, 0]]), np.array([-40, 0]), 8)


@pytest.mark.parametrize("shift", [1.5, np.array([1.5, 1])])
def test_a_shift_is_an_integer(shift):
    with pytest.raises(TypeError, match="shift must be an integer, not 1"):
        requantize(np.array([[2, 4]]), shift, 8)


# Roots

EDGES = sorted({
    square + offset for root in (0, 1, 2, 3, 255, 2**15, 2**16 - 1, 2**30 - 1, 2**30, 2**31 - 1)
    for square in (root * root,) for offset in (-1, 0, 1) if 0 <= square + offset < 2**62
} | {2**58, 2**62 - 1})  # fmt: skip


def test_root_at_squares_and_their_neighbours():
    assert integer_sqrt(np.array(EDGES)).tolist() == [math.isqrt(x) for x in EDGES]


def test_roots_of_random_integers_of_all_sizes():
    random = np.random.default_rng(1)
    x = random.integers(0, 2**62, 5000) >> random.integers(0, 62, 5000)
    assert integer_sqrt(x.reshape(50, 100)).ravel().tolist() == [math.isqrt(each) for each in x.tolist()]


# LayerNorm


def norm_of_ints(x, left_shifts, epsilon, gamma, beta, shift, width):
    """Every step for one row, from the docstring's equations, in Python ints."""
    features = len(x)
    aligned = [value * 2**left for value, left in zip(x, left_shifts, strict=True)]
    total = sum(aligned)
    centred = [features * value - total for value in aligned]
    variance = features * sum(value**2 for value in aligned) - total**2 + epsilon
    half_shift = math.ceil(Fraction(variance.bit_length() - 30, 2))
    scaled = math.floor(Fraction(variance) / Fraction(4) ** half_shift)
    assert scaled.bit_length() in (29, 30)
    reciprocal = math.isqrt(2**58 // scaled)
    normalized = [round_half_up(Fraction(value * reciprocal) / Fraction(2) ** (17 + half_shift)) for value in centred]
    affine = [value * g + b for value, g, b in zip(normalized, gamma, beta, strict=True)]
    return {
        "aligned": aligned,
        "total": [total],
        "centred": centred,
        "variance": [variance],
        "reciprocal": [reciprocal],
        "normalized": normalized,
        "output": [saturated(round_half_up(Fraction(value) / Fraction(2) ** shift), width) for value in affine],
    }


def check_norm(x, left_shifts, epsilon, gamma, beta, shift, width):
    """Compares every step, and each with the bounds that `IntegerVit.widths` is made of."""
    steps = layer_norm(x, left_shifts, epsilon, gamma, beta, shift, width)
    features = x.shape[-1]
    for index in np.ndindex(x.shape[:-1]):
        row = x[index].tolist(), left_shifts.tolist()
        expected = norm_of_ints(*row, epsilon, gamma.tolist(), beta.tolist(), shift, width)
        for name, value in expected.items():
            assert getattr(steps, name)[index].tolist() == value, name
    assert steps.reciprocal.min() >= 2**14 and steps.reciprocal.max() <= 2**15
    assert np.abs(steps.normalized).max() <= math.sqrt(features) * 2**NORMALIZED_FRACTION + 1
    return steps


def affine_of(features, seed):
    random = np.random.default_rng(seed)
    return random.integers(-(2**15), 2**15, features), random.integers(-(2**31), 2**31, features)


@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 3), st.sampled_from([1, 2, 3, 7, 12, 33, 64])),
    size=st.integers(0, 7),
    epsilon=st.integers(0, 40).map(lambda bits: 2**bits) | st.integers(1, 1000),
    shift=st.integers(0, 40),
    width=st.sampled_from([4, 8, 16]),
    seed=st.integers(0, 2**32),
)
def test_every_step_of_the_norm_is_that_of_ints(shape, size, epsilon, shift, width, seed):
    random = np.random.default_rng(seed)
    x = random.integers(-(2**size), 2**size, shape)
    left_shifts = random.integers(0, 4, shape[-1])
    check_norm(x, left_shifts, epsilon, *affine_of(shape[-1], seed), shift, width)


def one_hot(features, value):
    x = np.zeros((1, features), dtype=np.int64)
    x[0, features // 2] = value
    return x


@pytest.mark.parametrize("features", [1, 2, 5, 64, 193])
@pytest.mark.parametrize(
    "make",
    [
        lambda features: np.zeros((1, features), dtype=np.int64),
        lambda features: np.full((1, features), 127),
        lambda features: np.full((1, features), -128),
        lambda features: one_hot(features, 1),
        lambda features: one_hot(features, -128),
        lambda features: np.where(np.arange(features) % 2, 127, -127)[np.newaxis],
        lambda features: np.where(np.arange(features) == 0, 127, -128)[np.newaxis],
    ],
)
@pytest.mark.parametrize("epsilon", [1, 2**40])
def test_extremes_of_the_norm(features, make, epsilon):
    gamma, beta = np.full(features, 2**15 - 1), np.full(features, -(2**31))
    check_norm(make(features), np.full(features, 3), epsilon, gamma, beta, 20, 8)


def test_equal_features_have_the_beta():
    steps = layer_norm(np.full((1, 6), 77), np.zeros(6, dtype=int), 1, np.full(6, 999), np.arange(6) << 20, 20, 8)
    assert not steps.normalized.any()
    assert steps.output.tolist() == [[0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize("features", [1, 2, 3, 12, 63, 192])
@pytest.mark.parametrize("size", [2, 20, 128])
def test_norm_is_near_to_that_of_torch(features, size):
    """The reciprocal errs by less than 2^-13, its product is rounded to 2^-12, and the output to an integer."""
    random = np.random.default_rng(features)
    x = random.integers(-size, size, (20, features))
    left_shifts = random.integers(0, 4, features)
    gamma, beta = random.integers(-(2**15), 2**15, features), random.integers(-(2**24), 2**24, features)
    epsilon, shift = 17, 22
    wanted = torch.nn.functional.layer_norm(
        torch.from_numpy((x << left_shifts).astype(float)),
        (features,),
        torch.from_numpy(gamma.astype(float)),
        torch.from_numpy(beta / 2.0**NORMALIZED_FRACTION),
        epsilon / features**2,
    ).numpy() * 2.0 ** (NORMALIZED_FRACTION - shift)
    steps = layer_norm(x, left_shifts, epsilon, gamma, beta, shift, 24)
    plain = np.abs(wanted - beta * 2.0**-shift)  # |normalized gamma|, in units of the output
    bound = plain * 2.0**-13 + np.abs(gamma) * 2.0 ** (-1 - shift) + 0.5
    assert np.all(np.abs(steps.output - wanted) <= bound)
    assert RECIPROCAL_FRACTION == 29  # what the bound is made for


# Tables


def test_every_entry_of_a_table():
    table = np.random.default_rng(2).integers(-128, 128, 256)
    x = np.arange(-128, 128).reshape(2, 128)
    assert look_up(x, table).tolist() == table.reshape(2, 128).tolist()
    assert look_up(np.array(-128), table) == table[0] and look_up(np.array(127), table) == table[255]

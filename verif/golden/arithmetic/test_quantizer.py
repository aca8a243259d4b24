"""Quantizing rounds exactly, and exponents are the best."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taylorvit.golden.arithmetic.quantizer import choose_exponent, dequantize, quantize_tensor
from taylorvit.golden.reports.sqnr import sqnr_db


@given(
    values=st.lists(st.floats(-1000, 1000), min_size=1, max_size=20),
    exponent=st.integers(-8, 4),
    width=st.integers(2, 12),
)
def test_quantizing_is_the_rounded_fraction(values, exponent, width):
    limit = 2 ** (width - 1)
    expected = [
        max(-limit, min(limit - 1, math.floor(Fraction(value) / Fraction(2) ** exponent + Fraction(1, 2))))
        for value in values
    ]
    assert quantize_tensor(np.array(values), exponent, width).tolist() == expected


def test_quantizing_does_not_round_below_a_half_up():
    assert quantize_tensor(np.array([0.49999999999999994, 0.5, -0.5, -0.5000000000000001]), 0, 8).tolist() == [
        0,
        1,
        0,
        -1,
    ]
    assert quantize_tensor(np.array([1e300, -1e300]), -1000, 8).tolist() == [127, -128]


@given(seed=st.integers(0, 2**32), scale=st.floats(1e-200, 1e200), width=st.integers(3, 12))
def test_no_exponent_is_better_than_the_chosen(seed, scale, width):
    x = np.random.default_rng(seed).normal(size=100)
    chosen = choose_exponent(x * scale, width)

    def squared_error(exponent):
        return -sqnr_db(x, np.ldexp(quantize_tensor(x * scale, exponent, width).astype(float), exponent) / scale)

    for exponent in range(chosen - 4, chosen + 5):
        assert squared_error(chosen) <= squared_error(exponent) + 1e-6


def test_dequantize():
    assert dequantize(np.array([-3, 4]), -1).tolist() == [-1.5, 2.0]
    with pytest.raises(TypeError, match="x must be integers, not float64"):
        dequantize(np.array([0.5]), 0)

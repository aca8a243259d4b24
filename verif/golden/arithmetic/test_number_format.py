"""The integer operations agree with exact fractions, and every wrong argument is refused by name."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taylorvit.golden.arithmetic.number_format import (
    NumberFormat,
    check_integer,
    divide_round_half_up,
    exact,
    magnitude,
    saturate,
    shift_right_round_half_up,
)


def round_half_up(x: Fraction) -> int:
    return math.floor(x + Fraction(1, 2))


@given(x=st.integers(-(2**80), 2**80), shift=st.integers(-20, 90))
def test_shift_of_an_int_is_the_rounded_fraction(x, shift):
    assert shift_right_round_half_up(x, shift) == round_half_up(Fraction(x) / Fraction(2) ** shift)


@given(values=st.lists(st.integers(-(2**40), 2**40), min_size=1), shift=st.integers(-20, 60))
def test_shift_of_an_array_is_that_of_its_elements(values, shift):
    shifted = shift_right_round_half_up(np.array(values), shift)
    assert shifted.dtype == np.int64
    assert shifted.tolist() == [shift_right_round_half_up(value, shift) for value in values]


@pytest.mark.parametrize("x, shift, expected", [(3, 1, 2), (-3, 1, -1), (5, 0, 5), (-5, 0, -5), (5, -2, 20), (2, 2, 1)])
def test_halves_go_up_and_shifts_of_zero_and_below_are_defined(x, shift, expected):
    assert shift_right_round_half_up(x, shift) == expected
    assert shift_right_round_half_up(np.array([x]), shift).tolist() == [expected]


def test_a_shift_never_wraps():
    with pytest.raises(OverflowError, match=re.escape("x must stay within 64 bits when shifted by -4, not reach")):
        shift_right_round_half_up(np.array([2**60]), -4)
    with pytest.raises(OverflowError, match="x must stay within 64 bits"):
        shift_right_round_half_up(np.array([-(2**62)]), 64)


@given(values=st.lists(st.integers(-(2**90), 2**90), min_size=1), shift=st.integers(-20, 95))
def test_python_integers_are_shifted_as_far_as_asked(values, shift):
    shifted = shift_right_round_half_up(np.array(values, dtype=object), shift)
    assert shifted.dtype == object
    assert shifted.tolist() == [shift_right_round_half_up(value, shift) for value in values]


def test_exact_is_int64_as_long_as_that_fits():
    x = np.array([3, -4])
    assert exact(x, 2**63 - 1) is x
    wide = exact(x, 2**63)
    assert wide.dtype == object and (wide * 2**80).tolist() == [3 * 2**80, -4 * 2**80]
    assert (magnitude(x), magnitude(wide * 2**80), magnitude(-7), magnitude(np.array([]))) == (4, 2**82, 7, 0)


@given(x=st.integers(-(2**70), 2**70), width=st.integers(1, 40))
def test_saturate_limits_to_the_signed_range(x, width):
    low, high = -(2 ** (width - 1)), 2 ** (width - 1) - 1
    assert saturate(x, width) == (low if x < low else min(x, high))


def test_saturate_arrays():
    assert saturate(np.array([-129, -128, 0, 127, 128]), 8).tolist() == [-128, -128, 0, 127, 127]
    wide = np.array([-(2**90), 5, 2**90], dtype=object)
    for width, dtype in ((8, np.int64), (64, np.int64), (65, object)):
        limited = saturate(wide, width)
        assert limited.dtype == dtype
        assert limited.tolist() == [-(2 ** (width - 1)), 5, 2 ** (width - 1) - 1]
    assert saturate(np.array([-(2**63), 2**63 - 1]), 64).tolist() == [-(2**63), 2**63 - 1]


@given(numerator=st.integers(-(2**90), 2**90), denominator=st.integers(1, 2**60))
def test_division_is_the_rounded_fraction(numerator, denominator):
    expected = round_half_up(Fraction(numerator, denominator))
    assert divide_round_half_up(numerator, denominator) == expected
    assert divide_round_half_up(np.array([numerator], dtype=object), denominator).tolist() == [expected]


def test_division_broadcasts_and_goes_beyond_64_bits():
    quotient = divide_round_half_up(np.array([[2**62], [-(2**62)]]), np.array([1, 2, 3]))
    assert quotient.tolist() == [
        [2**62, 2**61, round_half_up(Fraction(2**62, 3))],
        [-(2**62), -(2**61), round_half_up(Fraction(-(2**62), 3))],
    ]
    assert divide_round_half_up(np.array([2**90], dtype=object), 2**20).tolist() == [2**70]


# What is computed stays below 2 (numerator + denominator): the largest that int64 is used for, and the next.
BOUND = 2**62


@pytest.mark.parametrize("beyond", [-2, -1, 0, 1, BOUND // 2])
@pytest.mark.parametrize("denominator", [1, 2, 3, 7, 2**31 + 1, BOUND // 3, BOUND - 1, BOUND])
@pytest.mark.parametrize("sign", [1, -1])
def test_division_is_exact_on_both_sides_of_64_bits(beyond, denominator, sign):
    numerator = sign * (BOUND - denominator + beyond)
    expected = round_half_up(Fraction(numerator, denominator))
    for of_array in (denominator, np.array([denominator]), np.array([denominator], dtype=object)):
        quotient = divide_round_half_up(np.array([numerator]), of_array)
        assert quotient.dtype == np.int64 and quotient.tolist() == [expected]


@given(
    numerators=st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=3),
    denominator=st.integers(1, 70).flatmap(lambda bits: st.integers(1, 2**bits)),
)
def test_quotients_of_int64_are_int64(numerators, denominator):
    quotient = divide_round_half_up(np.array(numerators), denominator)
    assert quotient.dtype == np.int64
    assert quotient.tolist() == [round_half_up(Fraction(numerator, denominator)) for numerator in numerators]


def test_kinds_of_quotients():
    assert type(divide_round_half_up(7, 2)) is int
    assert divide_round_half_up(7, np.array([2])).dtype == object
    assert divide_round_half_up(np.array([7], dtype=object), np.array([2])).dtype == object
    assert divide_round_half_up(np.array([7], dtype=np.int8), 2).dtype == np.int64
    assert divide_round_half_up(np.zeros((0, 3), dtype=np.int64), 2).shape == (0, 3)


@pytest.mark.parametrize("denominator", [0, -3, np.array([1, 0])])
def test_division_refuses_a_denominator_that_is_not_positive(denominator):
    with pytest.raises(ValueError, match=r"denominator must be positive, not (0|-3)"):
        divide_round_half_up(1, denominator)


def test_floats_are_refused():
    with pytest.raises(TypeError, match="x must be integers, not float64"):
        shift_right_round_half_up(np.array([1.0]), 1)
    with pytest.raises(TypeError, match="x must be integers, not float64"):
        saturate(1.0, 8)
    with pytest.raises(TypeError, match="numerator must be integers, not float64"):
        divide_round_half_up(1.0, 2)
    with pytest.raises(TypeError, match=re.escape("shift must be an integer, not 1.0")):
        shift_right_round_half_up(1, 1.0)


def test_check_integer():
    assert check_integer("tokens", np.int16(3), 1, 4) == 3
    with pytest.raises(TypeError, match="tokens must be an integer, not True"):
        check_integer("tokens", True)
    with pytest.raises(ValueError, match="tokens must be 1 to 4, not 5"):
        check_integer("tokens", 5, 1, 4)
    with pytest.raises(ValueError, match="tokens must be at least 1, not 0"):
        check_integer("tokens", 0, 1)


def test_limits_follow_from_the_widths():
    number_format = NumberFormat(data_width=6, c_v_width=10, c_d_width=20)
    assert (number_format.data_min, number_format.data_max) == (-32, 31)
    assert (number_format.c_v_max, number_format.c_d_max) == (1023, 2**20 - 1)


@pytest.mark.parametrize(
    "field, value, error, text",
    [
        ("data_width", 1, ValueError, "data_width must be 2 to 24, not 1"),
        ("data_width", 32, ValueError, "data_width must be 2 to 24, not 32"),
        ("data_width", 8.0, TypeError, "data_width must be an integer, not 8.0"),
        ("mean_fraction", -1, ValueError, "mean_fraction must be 0 to 63, not -1"),
        ("constant_fraction", "8", TypeError, "constant_fraction must be an integer, not '8'"),
        ("c_v_width", 0, ValueError, "c_v_width must be 1 to 128, not 0"),
        ("c_d_width", 129, ValueError, "c_d_width must be 1 to 128, not 129"),
        ("shift_g_max", -1, ValueError, "shift_g_max must be 0 to 63, not -1"),
        ("shift_z_max", -9, ValueError, "shift_z_max must be 0 to 63, not -9"),
        ("shift_z_min", 32, ValueError, "shift_z_min must be at most shift_z_max (31), not 32"),
    ],
)
def test_a_wrong_field_is_named(field, value, error, text):
    with pytest.raises(error, match=re.escape(text)):
        NumberFormat(**{field: value})

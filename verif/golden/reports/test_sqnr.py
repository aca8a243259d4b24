"""Decibels of signal and noise, at any size that double precision has."""

import math

import numpy as np
import pytest

from taylorvit.golden.reports.sqnr import Power, decibels, power_of, sqnr_db, sqnr_text, total_power


def test_definition():
    assert sqnr_db([1.0, 1.0], [1.1, 0.9]) == pytest.approx(20.0)
    assert sqnr_db([1.0], [1.0]) == math.inf
    assert sqnr_db([0.0], [0.0]) == math.inf
    assert sqnr_db([0.0], [1.0]) == -math.inf


@pytest.mark.parametrize("exponent", [-1070, -997, -600, 0, 600, 664, 1020])
def test_scale_does_not_matter(exponent):
    reference = np.random.default_rng(1).integers(-8, 8, (5, 7)).astype(float)
    value = reference + np.random.default_rng(2).integers(-1, 2, (5, 7))
    scaled = np.ldexp(reference, exponent), np.ldexp(value, exponent)
    assert sqnr_db(*scaled) == pytest.approx(sqnr_db(reference, value), abs=1e-9)


def test_extremes_in_one():
    assert sqnr_db([1e200], [1e200 + 1e190]) == pytest.approx(200, abs=0.1)
    assert sqnr_db([1e300, 1e-300], [1e300, 2e-300]) == pytest.approx(12000)
    assert sqnr_db([1.7e308], [-1.7e308]) == pytest.approx(-20 * math.log10(2))


def test_powers_of_parts_add_up():
    x = np.random.default_rng(1).normal(size=100)
    whole = total_power([power_of(1e-200 * x), power_of(1e200 * x), power_of(np.zeros(3))])
    assert decibels(whole, power_of(1e200 * x)) == pytest.approx(0)
    assert decibels(total_power([power_of(x[:30]), power_of(x[30:])]), power_of(x)) == pytest.approx(0)
    assert total_power([power_of([0.0])]) == Power(0.0, 0)


def test_wrong_values():
    with pytest.raises(ValueError, match="shape of reference"):
        sqnr_db([1.0, 2.0], [1.0])
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match=f"^signal and noise must be finite, not {value}$"):
            sqnr_db([1.0, value], [1.0, 1.0])


def test_text():
    assert [sqnr_text(each) for each in (27.46, math.inf, -math.inf)] == ["27.5 dB", "no error", "no signal"]

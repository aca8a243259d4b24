"""Comparison finds each kind of difference, names it, and counts what it looked at."""

import numpy as np
import pytest

from taylorvit.simulation import Scoreboard, compared, expect_equal


@pytest.mark.parametrize(
    "got, expected, count",
    [
        (3, 3, 1),
        (np.int64(-3), -3, 1),
        ([1, 2, 3], (1, 2, 3), 3),
        (np.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]], 6),
        ([np.arange(3), np.arange(3)], [[0, 1, 2], [0, 1, 2]], 6),
        ([], [], 0),
    ],
)
def test_equal_values_are_counted(got, expected, count):
    before = compared()
    expect_equal("values", got, expected)
    assert compared() - before == count


@pytest.mark.parametrize(
    "got, expected, width, message",
    [
        (3, 4, None, r"^z: got 3 \(0x3\), expected 4 \(0x4\); 1 of 1 compared differ$"),
        (-3, 5, 8, r"^z: got -3 \(0xfd\), expected 5 \(0x5\)"),
        (-3, 5, None, r"^z: got -3 \(-0x3\), expected 5 \(0x5\)"),
        ([[1, 2], [3, 9]], [[1, 2], [0, 0]], None, r"^z at index \[1, 0\]: got 3 .* expected 0 .*; 2 of 4 compared"),
        ([1, 2], [1, 2, 3], None, r"^z: got 2 elements, expected 3$"),
        ([[1, 2], [3]], [[1, 2], [3, 4]], None, r"^z at index \[1\]: got 1 elements, expected 2$"),
        ([1, 2], 1, None, r"^z: got \[1, 2\], expected 1$"),
        (1, [], None, r"^z: got 1, expected \[\]$"),
    ],
)
def test_difference_is_named(got, expected, width, message):
    with pytest.raises(AssertionError, match=message):
        expect_equal("z", got, expected, width=width)


def test_fractions_are_no_integers():
    with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
        expect_equal("z", 1.5, 1)


def test_scoreboard_compares_in_order():
    scoreboard = Scoreboard("z", [1, [2, 3]])
    scoreboard.check(1)
    with pytest.raises(AssertionError, match=r"^z: 1 came, 2 were expected$"):
        scoreboard.finish()
    with pytest.raises(AssertionError, match=r"^z\[1\] at index \[0\]: got 7 .* expected 2"):
        scoreboard.check([7, 3])
    scoreboard.check([2, 3])
    scoreboard.finish()
    with pytest.raises(AssertionError, match=r"^z: got 9 after all 2 that were expected$"):
        scoreboard.check(9)

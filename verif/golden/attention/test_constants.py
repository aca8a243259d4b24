"""Constants of any kernel: integers, named like registers, within the ranges of a number format."""

from dataclasses import dataclass

import numpy as np
import pytest

from taylorvit.golden.attention.constants import Constants, table


@dataclass(frozen=True)
class Two(Constants):
    shift_z: int
    scale: int = 1

    @staticmethod
    def ranges(number_format):
        return {"shift_z": (-2, 3), "scale": (0, number_format)}


def test_registers_in_their_order():
    constants = Two(shift_z=np.int32(-1), scale=5)
    assert constants.registers == {"SHIFT_Z": -1, "SCALE": 5} and type(constants.shift_z) is int
    assert list(constants.registers) == ["SHIFT_Z", "SCALE"]


@dataclass(frozen=True)
class WithTable(Constants):
    shift_z: int
    steps: tuple[int, ...] = table()

    @staticmethod
    def ranges(number_format):
        return {"shift_z": (-2, 3)}

    @staticmethod
    def table_ranges(number_format):
        return {"steps": (3, number_format)}


def test_tables_are_apart_from_the_registers():
    constants = WithTable(0, steps=np.array([1, 2, 7]))
    assert constants.tables == {"steps": (1, 2, 7)} and constants.registers == {"SHIFT_Z": 0}
    assert all(type(entry) is int for entry in constants.steps) and "steps" not in repr(constants)
    constants.check(7)
    with pytest.raises(ValueError, match=r"^steps\[2\] must be 0 to 6, not 7$"):
        constants.check(6)
    with pytest.raises(ValueError, match="^steps must be 3 numbers, not 2$"):
        WithTable(0, steps=[1, 2]).check(7)
    for value in (5, "123", None):
        with pytest.raises(TypeError, match=f"^steps must be a sequence of integers, not {value!r}$"):
            WithTable(0, steps=value)
    with pytest.raises(TypeError, match=r"^steps\[1\] must be an integer, not 2.0$"):
        WithTable(0, steps=[1, 2.0])


@pytest.mark.parametrize("value", [1.0, True, "1", None])
def test_kinds(value):
    with pytest.raises(TypeError, match=f"^scale must be an integer, not {value!r}$"):
        Two(shift_z=0, scale=value)


@pytest.mark.parametrize(
    ("constants", "text"),
    [
        (Two(4), "shift_z must be -2 to 3, not 4"),
        (Two(0, 8), "scale must be 0 to 7, not 8"),
    ],
)
def test_ranges(constants, text):
    Two(3, 7).check(7)
    with pytest.raises(ValueError, match=f"^{text}$"):
        constants.check(7)

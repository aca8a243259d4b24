"""Constants of any kernel: integers, named like registers, within the ranges of a number format."""

from dataclasses import dataclass

import numpy as np
import pytest

from taylorvit.golden.attention.constants import Constants


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

"""Widths, register ranges and the three integer operations that the accelerator is made of.

A tensor is signed two's complement integers with one power-of-two exponent, real = integer * 2^exponent.
Everything the hardware does to such a tensor besides adding and multiplying is one of three operations:
a rounding shift, a saturation, and an exactly rounded division. They are defined here once, on integers
only; a rounding in floating point would differ from the hardware near halves.

Arrays are int64 as long as whatever is computed from them fits, and Python ints (dtype object) from there on:
slower, and the same numbers.

``OperandFormat`` says how wide the operands are, and the format of a kernel, derived from it, what its run-time
registers can hold: ``NumberFormat`` is that of Taylor attention, ``SoftmaxFormat`` that of softmax attention,
``NetworkFormat`` that of a whole network. The golden model does not know the hardware: whoever compares the two passes
the numbers of the built hardware in.
"""

from dataclasses import dataclass, fields

import numpy as np

__all__ = [
    "NetworkFormat",
    "NumberFormat",
    "OperandFormat",
    "SoftmaxFormat",
    "check_integer",
    "divide_round_half_up",
    "exact",
    "exact_product",
    "magnitude",
    "saturate",
    "shift_right_round_half_up",
]


def check_integer(name: str, value: int, low: int | None = None, high: int | None = None) -> int:
    """``value`` as a Python int within low..high, or an error that names it.

    Raises:
        TypeError: ``value`` is not an integer (a bool is not one either).
        ValueError: it lies outside of the limits.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    if low is not None and high is not None and not low <= value <= high:
        raise ValueError(f"{name} must be {low} to {high}, not {int(value)!r}")
    if low is not None and value < low:
        raise ValueError(f"{name} must be at least {low}, not {int(value)!r}")
    return int(value)


@dataclass(frozen=True, kw_only=True)
class OperandFormat:
    """Width of the operands: what the arithmetic of every kernel depends on.

    Attributes:
        data_width (int): bits of Q, K, V and Z, signed, 2 to 24.

    Raises:
        TypeError: it is not an integer.
        ValueError: it is outside of its limits.
    """

    data_width: int = 8

    def __post_init__(self) -> None:
        check_integer("data_width", self.data_width, 2, 24)

    @property
    def data_min(self) -> int:
        """The most negative value of an operand."""
        return -(1 << (self.data_width - 1))

    @property
    def data_max(self) -> int:
        """The most positive value of an operand."""
        return (1 << (self.data_width - 1)) - 1


@dataclass(frozen=True, kw_only=True)
class NumberFormat(OperandFormat):
    """Widths of the operands and ranges of the run-time registers of Taylor attention; G has `data_width` bits too.

    Attributes:
        mean_fraction (int): fractional bits f that centring keeps of the mean of K.
        constant_fraction (int): fractional bits F of the constants c_v and c_d.
        c_v_width (int): bits of the constant register c_v, unsigned.
        c_d_width (int): bits of the constant register c_d, unsigned.
        shift_g_max (int): the largest right shift that requantizes G; the smallest is 0.
        shift_z_min (int): the smallest left shift of the numerator; negative means a right shift.
        shift_z_max (int): the largest left shift of the numerator.

    Raises:
        TypeError: a field is not an integer.
        ValueError: a field is outside of its limits, or the range of shift_z is empty.
    """

    mean_fraction: int = 3
    constant_fraction: int = 8
    c_v_width: int = 24
    c_d_width: int = 43
    shift_g_max: int = 27
    shift_z_min: int = -8
    shift_z_max: int = 31

    def __post_init__(self) -> None:
        super().__post_init__()
        limits = {"data_width": (2, 24), "c_v_width": (1, 128), "c_d_width": (1, 128), "shift_z_min": (-63, 63)}
        for field in fields(NumberFormat):  # and not those of a format that is more than this one
            check_integer(field.name, getattr(self, field.name), *limits.get(field.name, (0, 63)))
        _check_shift_z(self.shift_z_min, self.shift_z_max)

    @property
    def c_v_max(self) -> int:
        """The largest value of the register c_v."""
        return (1 << self.c_v_width) - 1

    @property
    def c_d_max(self) -> int:
        """The largest value of the register c_d."""
        return (1 << self.c_d_width) - 1


@dataclass(frozen=True, kw_only=True)
class SoftmaxFormat(OperandFormat):
    """Widths of the operands and ranges of the run-time registers of softmax attention.

    Attributes:
        score_width (int): bits of the scores, signed, 2 to 24.
        exponential_width (int): bits of the exponentials, unsigned, 2 to 24.
        exponential_entries (int): entries of the table of exponentials, a power of two from 2 to 65536. Differences
            from the maximum of a row that are larger have the exponential 0.
        shift_s_max (int): the largest right shift that requantizes the scores, 0 to 63; the smallest is 0.
        shift_z_min (int): the smallest left shift of the numerator; negative means a right shift.
        shift_z_max (int): the largest left shift of the numerator.

    Raises:
        TypeError: a field is not an integer.
        ValueError: a field is outside of its limits, or the range of shift_z is empty.
    """

    score_width: int = 12
    exponential_width: int = 11
    exponential_entries: int = 1024
    shift_s_max: int = 22
    shift_z_min: int = -8
    shift_z_max: int = 31

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("score_width", self.score_width, 2, 24)
        check_integer("exponential_width", self.exponential_width, 2, 24)
        entries = check_integer("exponential_entries", self.exponential_entries)
        if not 2 <= entries <= 1 << 16 or entries & (entries - 1):
            raise ValueError(f"exponential_entries must be a power of two from 2 to 65536, not {entries!r}")
        check_integer("shift_s_max", self.shift_s_max, 0, 63)
        _check_shift_z(self.shift_z_min, self.shift_z_max)

    @property
    def exponential_max(self) -> int:
        """The largest exponential, that of the maximum of a row."""
        return (1 << self.exponential_width) - 1


@dataclass(frozen=True, kw_only=True)
class NetworkFormat(NumberFormat, SoftmaxFormat):
    """The number format of a network: those of its attention, and the width of the residual stream.

    Attributes:
        residual_width (int): bits of the residual stream, signed, 8 to 16.

    Raises:
        TypeError: a field is not an integer.
        ValueError: a field is outside of its limits, or the range of shift_z is empty.
    """

    residual_width: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("residual_width", self.residual_width, 8, 16)

    @classmethod
    def around(cls, attention: OperandFormat | None) -> "NetworkFormat":
        """The number format of a network.

        Args:
            attention (OperandFormat | None): number format of its attention, of one kernel; defaults if left out. That
                of a network is returned as it is.
        """
        if attention is None or isinstance(attention, cls):
            return attention or cls()
        return cls(**{field.name: getattr(attention, field.name) for field in fields(attention)})


def magnitude(x) -> int:
    """The largest magnitude in a Python int or an array; 0 for an empty one."""
    return max(-int(np.min(x)), int(np.max(x))) if np.size(x) else 0


def exact(x: np.ndarray, largest: int) -> np.ndarray:
    """The integers ``x`` for arithmetic up to the magnitude ``largest``: int64 where that fits, else Python ints."""
    return x if largest < 1 << 63 else x.astype(object)


def exact_product(x: np.ndarray, y: np.ndarray, largest: int) -> np.ndarray:
    """The matrix product x @ y of int64 arrays, exactly.

    Args:
        x (np.ndarray): integers, (..., rows, inputs).
        y (np.ndarray): integers, (..., inputs, columns).
        largest (int): what the sum of the magnitudes of the products of an element can be at most.
    """
    if largest < 1 << 53:  # then float64 holds every partial sum exactly, and is ten times as fast
        return (x.astype(np.float64) @ y.astype(np.float64)).astype(np.int64)
    return exact(x, largest) @ y


def shift_right_round_half_up(x, shift: int):
    """Gives x / 2^shift, rounded to the nearest integer, halves towards plus infinity.

    Args:
        x (int | np.ndarray): a Python int, or integers of any shape.
        shift (int): bits; 0 returns x, a negative shift multiplies by 2^-shift.

    Raises:
        TypeError: ``shift`` or ``x`` is not of integers.
        OverflowError: an int64 result would not fit; nothing ever wraps.
    """
    shift = check_integer("shift", shift)
    if isinstance(x, int):
        return x << -shift if shift <= 0 else (x + (1 << (shift - 1))) >> shift
    x = _integer_array("x", x)
    largest = magnitude(x)
    grown = largest << -shift if shift <= 0 else largest + (1 << (shift - 1))
    if grown >= 1 << 63 and x.dtype == np.int64:
        raise OverflowError(f"x must stay within 64 bits when shifted by {shift}, not reach {grown!r}")
    return x << -shift if shift <= 0 else (x + (1 << (shift - 1))) >> shift


def saturate(x, width: int):
    """``x`` limited to the range of a signed integer of ``width`` bits.

    Args:
        x (int | np.ndarray): a Python int, or integers of any shape.
        width (int): bits, at least 1.

    Returns:
        A Python int for one; otherwise int64, or Python ints (dtype object) if ``width`` is above 64.
    """
    width = check_integer("width", width, low=1)
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    if isinstance(x, int):
        return min(max(x, low), high)
    x = _integer_array("x", x)
    if x.dtype == object:
        return np.clip(x, low, high).astype(np.int64 if width <= 64 else object)
    return np.clip(x, low, high) if width < 64 else x


def divide_round_half_up(numerator, denominator):
    """Gives numerator / denominator, rounded to the nearest integer, halves towards plus infinity.

    Exact for integers of any size: where 2 (numerator + denominator), which nothing in the division exceeds, is
    certain to fit 64 bits, arrays are divided as int64, otherwise as Python ints.

    Args:
        numerator (int | np.ndarray): a Python int, or integers of any shape.
        denominator (int | np.ndarray): a positive Python int, or an array of them that broadcasts against the
            numerator.

    Returns:
        A Python int for two Python ints; int64 for a numerator of int64, which its quotients always fit; otherwise
        an array of Python ints (dtype object).

    Raises:
        ValueError: a denominator is not positive.
    """
    if not isinstance(numerator, int):
        numerator = _integer_array("numerator", numerator)
    if not isinstance(denominator, int):
        denominator = _integer_array("denominator", denominator)
    if np.size(denominator) and np.min(denominator) <= 0:
        raise ValueError(f"denominator must be positive, not {int(np.min(denominator))!r}")
    if isinstance(numerator, int) and isinstance(denominator, int):
        return _rounded_quotient(numerator, denominator)
    as_int64 = not isinstance(numerator, int) and numerator.dtype == np.int64
    if as_int64 and 2 * (magnitude(numerator) + magnitude(denominator)) < 1 << 63:
        return _rounded_quotient(numerator, np.asarray(denominator, dtype=np.int64))
    quotient = _rounded_quotient(np.asarray(numerator, dtype=object), np.asarray(denominator, dtype=object))
    return np.asarray(quotient, dtype=np.int64 if as_int64 else object)


def _check_shift_z(shift_z_min: int, shift_z_max: int) -> None:
    check_integer("shift_z_min", shift_z_min, -63, 63)
    check_integer("shift_z_max", shift_z_max, 0, 63)
    if shift_z_min > shift_z_max:
        raise ValueError(f"shift_z_min must be at most shift_z_max ({shift_z_max}), not {shift_z_min!r}")


def _rounded_quotient(numerator, denominator):
    return (2 * numerator + denominator) // (2 * denominator)


def _integer_array(name: str, x) -> np.ndarray:
    x = np.asarray(x)
    if x.dtype == object and all(isinstance(value, int) for value in x.flat):
        return x
    if not np.issubdtype(x.dtype, np.integer):
        raise TypeError(f"{name} must be integers, not {x.dtype}")
    return x.astype(np.int64)

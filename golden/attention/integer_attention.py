"""Taylor attention in integers: what the hardware must compute, bit for bit.

The steps of Algorithm 1 of ViTALiTy (arXiv 2211.05109) for one head of n tokens and d features, with
W = data_width, f = mean_fraction, F = constant_fraction:

    k_sum       = sum over tokens of K
    k_mean      = round_half_up(k_sum 2^f / n)                      exact integer division
    k_hat       = (K << f) - k_mean                                 W + 1 + f bits, never saturates
    g_sum       = k_hat^T V                                         exact
    g           = saturate(round_half_up(g_sum / 2^shift_g))        W bits
    k_hat_sum   = sum over tokens of k_hat                          the rounding of k_mean, at most n/2
    v_sum       = sum over tokens of V
    qg          = Q g
    q_k_hat_sum = Q k_hat_sum^T
    t_n         = (qg << F) + c_v v_sum                             numerator
    t_d         = c_d + (q_k_hat_sum << F)                          denominator, one a row
    z           = saturate(round_half_up(t_n 2^shift_z / t_d))      W bits

A row whose t_d is not positive has no quotient: it saturates by the sign of the numerator, element by
element, and is counted. Integer additions commute, so this file says nothing of an order: every array size
and every dataflow must give these bits.

Every step is returned by name, so that a mismatch names its stage. A step is int64 where its largest magnitude
is certain to fit, and Python ints (dtype object) where not: T_N and t_D of wide formats, the last division of most.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from taylorvit.golden.arithmetic.number_format import (
    NumberFormat,
    OperandFormat,
    divide_round_half_up,
    exact,
    magnitude,
    saturate,
    shift_right_round_half_up,
)

from .constants import Constants

__all__ = [
    "IntegerSteps",
    "JobConstants",
    "check_operands",
    "check_shapes",
    "exact_g_sum",
    "folded_g_sum",
    "integer_taylor_attention",
    "quotient",
]


@dataclass(frozen=True)
class JobConstants(Constants):
    """The run-time register values of one job of Taylor attention: one set for all of its heads.

    Attributes:
        shift_g (int): right shift that requantizes g_sum to g.
        shift_z (int): left shift of the numerator before the division; negative shifts right.
        c_v (int): sqrt(d), unsigned, in the scale of the numerator.
        c_d (int): n sqrt(d), unsigned, in the scale of the denominator.

    Raises:
        TypeError: a value is not an integer.
    """

    shift_g: int
    shift_z: int
    c_v: int
    c_d: int

    @staticmethod
    def ranges(number_format: NumberFormat) -> dict[str, tuple[int, int]]:
        """Least and largest value of each register."""
        return {
            "shift_g": (0, number_format.shift_g_max),
            "shift_z": (number_format.shift_z_min, number_format.shift_z_max),
            "c_v": (0, number_format.c_v_max),
            "c_d": (0, number_format.c_d_max),
        }


class IntegerSteps(NamedTuple):
    """Every step of one job, arrays of int64 or of Python ints; the module docstring has the formulas."""

    k_sum: np.ndarray  # (heads, head_dim)
    k_mean: np.ndarray  # (heads, head_dim)
    k_hat: np.ndarray  # (heads, tokens, head_dim)
    g_sum: np.ndarray  # (heads, head_dim of K, head_dim of V)
    g: np.ndarray  # (heads, head_dim of K, head_dim of V)
    k_hat_sum: np.ndarray  # (heads, head_dim)
    v_sum: np.ndarray  # (heads, head_dim)
    qg: np.ndarray  # (heads, tokens, head_dim)
    q_k_hat_sum: np.ndarray  # (heads, tokens)
    t_n: np.ndarray  # (heads, tokens, head_dim)
    t_d: np.ndarray  # (heads, tokens)
    z: np.ndarray  # (heads, tokens, head_dim)
    denominator_errors: int  # rows with t_d <= 0, of all heads


def integer_taylor_attention(
    q, k, v, constants: JobConstants, number_format: NumberFormat | None = None
) -> IntegerSteps:
    """Taylor attention of all heads of one job, in integers.

    Args:
        q (np.ndarray): queries, integers of ``data_width`` bits, (heads, tokens, head_dim).
        k (np.ndarray): keys, of the same shape.
        v (np.ndarray): values, of the same shape.
        constants (JobConstants): the register values of the job.
        number_format (NumberFormat): widths and register ranges; the default is ``NumberFormat()``.

    Raises:
        TypeError: operands that are not integers, constants or a format of another kind.
        ValueError: unequal or wrong shapes, operands or constants out of range.
    """
    number_format = NumberFormat() if number_format is None else number_format
    if not isinstance(number_format, NumberFormat):
        raise TypeError(f"number_format must be a NumberFormat, not {number_format!r}")
    if not isinstance(constants, JobConstants):
        raise TypeError(f"constants must be a JobConstants, not {constants!r}")
    constants.check(number_format)
    q, k, v = check_operands(q, k, v, number_format)
    _heads, tokens, head_dim = q.shape
    width, largest = number_format.data_width, 1 << (number_format.data_width - 1)
    mean_fraction, constant_fraction = number_format.mean_fraction, number_format.constant_fraction

    # Step 1: centre K over the tokens.
    k_sum, k_mean, k_hat = _centre(k, mean_fraction)

    # Step 2: G, exact and then requantized.
    g_sum = exact_g_sum(k, v, mean_fraction)  # (heads, head_dim, head_dim)
    largest_g_sum = tokens * (largest << (mean_fraction + 1)) * largest
    g = exact(g_sum, largest_g_sum + (1 << constants.shift_g))
    g = saturate(shift_right_round_half_up(g, constants.shift_g), width)

    # Step 3: column sums.
    k_hat_sum = k_hat.sum(axis=1)  # (heads, head_dim)
    v_sum = v.sum(axis=1)  # (heads, head_dim)

    # Step 4: denominator, one a row.
    q_k_hat_sum = (q @ k_hat_sum[:, :, np.newaxis])[:, :, 0]  # (heads, tokens)
    largest_product = head_dim * largest * tokens << constant_fraction
    t_d = constants.c_d + (exact(q_k_hat_sum, constants.c_d + largest_product) << constant_fraction)

    # Step 5: numerator.
    qg = q @ g  # (heads, tokens, head_dim)
    largest_numerator = (head_dim * largest * largest << constant_fraction) + constants.c_v * tokens * largest
    wide_v_sum = exact(v_sum, largest_numerator)[:, np.newaxis, :]  # (heads, 1, head_dim)
    t_n = (exact(qg, largest_numerator) << constant_fraction) + constants.c_v * wide_v_sum

    # Step 6: quotient.
    valid = t_d > 0  # (heads, tokens)
    z = quotient(t_n, np.where(valid, t_d, 1), constants.shift_z, width)
    by_sign = np.where(t_n < 0, number_format.data_min, number_format.data_max)
    z = np.where(valid[:, :, np.newaxis], z, by_sign)
    denominator_errors = int(valid.size - np.count_nonzero(valid))

    return IntegerSteps(
        k_sum, k_mean, k_hat, g_sum, g, k_hat_sum, v_sum, qg, q_k_hat_sum, t_n, t_d, z, denominator_errors
    )


def exact_g_sum(k, v, mean_fraction: int) -> np.ndarray:
    """G before it is requantized, k_hat^T V, with k_hat of ``mean_fraction`` fractional bits.

    Args:
        k (np.ndarray): keys, integers (heads, tokens, head_dim).
        v (np.ndarray): values, of the same shape.
        mean_fraction (int): fractional bits of k_hat.

    Returns:
        (heads, head_dim of K, head_dim of V), int64 if that is certain to hold them, else Python ints.
    """
    k, v = np.asarray(k, dtype=np.int64), np.asarray(v, dtype=np.int64)
    largest_product = (magnitude(k) << (mean_fraction + 1)) * magnitude(v)
    k_hat = exact(_centre(k, mean_fraction)[2], k.shape[1] * largest_product)
    return k_hat.transpose(0, 2, 1) @ v


def folded_g_sum(k, v, mean_fraction: int) -> np.ndarray:
    """G from one pass over K and V, with the centring folded in afterwards.

    Since sum over tokens of (K - k_mean)^T V = K^T V - k_mean^T v_sum, the uncentred product can be corrected
    by an outer product of two short vectors, and with an exact mean G = K^T V - k_sum^T v_sum / n. This
    returns round_half_up((K^T V 2^f n - k_sum^T v_sum 2^f) / n), the exact G with f fractional bits: what a
    folded centring computes without ever rounding the mean. It is not a mode of the hardware yet.

    Args:
        k (np.ndarray): keys, integers (heads, tokens, head_dim).
        v (np.ndarray): values, of the same shape.
        mean_fraction (int): fractional bits f of the result.

    Returns:
        (heads, head_dim of K, head_dim of V), int64 if that is certain to hold them, else Python ints.
    """
    k, v = np.asarray(k, dtype=np.int64), np.asarray(v, dtype=np.int64)
    tokens = k.shape[1]
    largest_product = magnitude(k) * magnitude(v) << mean_fraction
    k = exact(k, 2 * tokens * tokens * largest_product)
    product = k.transpose(0, 2, 1) @ v  # (heads, head_dim, head_dim)
    k_sum, v_sum = k.sum(axis=1), v.sum(axis=1)  # (heads, head_dim)
    outer = k_sum[:, :, np.newaxis] * v_sum[:, np.newaxis, :]  # (heads, head_dim, head_dim)
    folded = divide_round_half_up((product * tokens - outer) << mean_fraction, tokens)
    return folded.astype(np.int64) if 2 * tokens * largest_product < 1 << 63 else folded


def check_operands(q, k, v, number_format: OperandFormat) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """q, k and v as int64 arrays of one shape (heads, tokens, head_dim), every value of ``data_width`` bits.

    Raises:
        TypeError: an operand is not of integers.
        ValueError: its rank is not 3, a dimension is 0, the shapes differ, or a value is out of range.
    """
    arrays = []
    for name, value in (("q", q), ("k", k), ("v", v)):
        array = np.asarray(value)
        if not np.issubdtype(array.dtype, np.integer):
            raise TypeError(f"{name} must be integers, not {array.dtype}")
        arrays.append(array)
    check_shapes(*arrays)
    for name, array in zip("qkv", arrays, strict=True):
        low, high = int(array.min()), int(array.max())
        if low < number_format.data_min or high > number_format.data_max:
            outside = low if low < number_format.data_min else high
            rule = f"{number_format.data_min} to {number_format.data_max} ({number_format.data_width} bits)"
            raise ValueError(f"{name} must be {rule}, not {outside!r}")
    q, k, v = (array.astype(np.int64) for array in arrays)
    return q, k, v


def check_shapes(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> None:
    """Raise ValueError unless the three have one shape (heads, tokens, head_dim), no dimension empty."""
    for name, array in (("q", q), ("k", k), ("v", v)):
        if array.ndim != 3:
            raise ValueError(f"{name} must be of shape (heads, tokens, head_dim), not {array.shape!r}")
        if 0 in array.shape:
            raise ValueError(f"{name} must be without an empty dimension, not {array.shape!r}")
        if array.shape != q.shape:
            raise ValueError(f"{name} must be of the shape of q, {q.shape!r}, not {array.shape!r}")


def _centre(k: np.ndarray, mean_fraction: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    tokens = k.shape[1]
    k = exact(k, tokens * magnitude(k) << (mean_fraction + 1))
    k_sum = k.sum(axis=1)  # (heads, head_dim)
    k_mean = divide_round_half_up(k_sum << mean_fraction, tokens)  # (heads, head_dim)
    k_hat = (k << mean_fraction) - k_mean[:, np.newaxis, :]  # (heads, tokens, head_dim)
    return k_sum, k_mean, k_hat


def quotient(t_n: np.ndarray, t_d: np.ndarray, shift_z: int, width: int) -> np.ndarray:
    """saturate(round_half_up(t_n 2^shift_z / t_d)), exactly, as int64.

    Args:
        t_n (np.ndarray): numerators, integers (heads, tokens, head_dim).
        t_d (np.ndarray): positive divisors, integers (heads, tokens).
        shift_z (int): left shift of the numerators; a negative one shifts the divisors left instead.
        width (int): bits of the result.
    """
    numerator = _shifted_left(t_n, max(shift_z, 0))  # (heads, tokens, head_dim)
    denominator = _shifted_left(t_d, max(-shift_z, 0))[:, :, np.newaxis]  # (heads, tokens, 1)
    return saturate(divide_round_half_up(numerator, denominator), width).astype(np.int64)


def _shifted_left(x: np.ndarray, bits: int) -> np.ndarray:
    """Gives x << bits: int64 if every value fits, otherwise Python ints."""
    return exact(x, magnitude(x) << bits) << bits

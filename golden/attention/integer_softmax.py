"""Softmax attention in integers: what the hardware must compute, bit for bit.

For one head of n tokens and d features, with W = data_width:

    sums         = Q K^T                                                    exact
    scores       = saturate(round_half_up(sums / 2^shift_s))                score_width bits
    maxima       = the largest score of each row
    exponentials = table[maximum - score], 0 beyond the last entry          exponential_width bits, unsigned
    t_n          = exponentials V                                           numerator
    t_d          = sum of the exponentials of each row                      denominator, at least table[0]
    z            = saturate(round_half_up(t_n 2^shift_z / t_d))             W bits

The attention map is never normalized before it is multiplied with V: where attention is diffuse, each of its elements
is near 1/n, of which few bits would be left. The table is a constant of the job (`golden.attention.kernels.softmax`
makes it), and its first entry is at least 1, so that every row has a quotient.

Every step is returned by name, so that a mismatch names its stage. The order of additions does not matter, nor does
that of the keys: every array size and every dataflow must give these bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from taylorvit.golden.arithmetic.number_format import (
    SoftmaxFormat,
    exact_product,
    saturate,
    shift_right_round_half_up,
)

from .constants import Constants, table
from .integer_attention import quotient

__all__ = ["SoftmaxConstants", "SoftmaxSteps", "integer_softmax_attention"]


@dataclass(frozen=True)
class SoftmaxConstants(Constants):
    """The run-time constants of one job of softmax attention: one set for all of its heads.

    Attributes:
        shift_s (int): right shift that requantizes the sums to scores.
        shift_z (int): left shift of the numerator before the division; negative shifts right.
        exponentials (tuple[int, ...]): exponentials by the difference of a score from the maximum of its row.

    Raises:
        TypeError: a value is not an integer.
    """

    shift_s: int
    shift_z: int
    exponentials: tuple[int, ...] = table()

    @staticmethod
    def ranges(number_format: SoftmaxFormat) -> dict[str, tuple[int, int]]:
        """Least and largest value of each register."""
        return {
            "shift_s": (0, number_format.shift_s_max),
            "shift_z": (number_format.shift_z_min, number_format.shift_z_max),
        }

    @staticmethod
    def table_ranges(number_format: SoftmaxFormat) -> dict[str, tuple[int, int]]:
        """Entries of the table and the largest exponential."""
        return {"exponentials": (number_format.exponential_entries, number_format.exponential_max)}

    def check(self, number_format: SoftmaxFormat) -> None:
        """Raise ValueError unless every value fits, and the first exponential is one to divide by."""
        super().check(number_format)
        if self.exponentials[0] == 0:
            raise ValueError("exponentials[0] must be at least 1, not 0")


class SoftmaxSteps(NamedTuple):
    """Every step of one job, arrays of int64; the module docstring has the formulas."""

    sums: np.ndarray  # (heads, tokens of Q, tokens of K)
    scores: np.ndarray  # (heads, tokens of Q, tokens of K)
    maxima: np.ndarray  # (heads, tokens of Q)
    exponentials: np.ndarray  # (heads, tokens of Q, tokens of K)
    t_n: np.ndarray  # (heads, tokens, head_dim), of Python ints where they may exceed 64 bits
    t_d: np.ndarray  # (heads, tokens)
    z: np.ndarray  # (heads, tokens, head_dim)
    denominator_errors: int = 0  # rows with t_d <= 0: there are none


def integer_softmax_attention(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, constants: SoftmaxConstants, number_format: SoftmaxFormat
) -> SoftmaxSteps:
    """Softmax attention of all heads of one job, in integers, from arguments that the kernel has checked.

    Args:
        q (np.ndarray): queries, int64 of `data_width` bits, (heads, tokens, head_dim).
        k (np.ndarray): keys, of the same shape.
        v (np.ndarray): values, of the same shape.
        constants (SoftmaxConstants): shifts and table of the job.
        number_format (SoftmaxFormat): widths of the steps.
    """
    _heads, tokens, head_dim = q.shape
    largest = 1 << (number_format.data_width - 1)

    # Step 1: scores.
    largest_sum = head_dim * largest * largest
    sums = exact_product(q, k.swapaxes(1, 2), largest_sum)  # (heads, tokens, tokens)
    scores = shift_right_round_half_up(sums, constants.shift_s)
    scores = saturate(scores, number_format.score_width)  # (heads, tokens, tokens)

    # Step 2: exponentials below the largest score of each row. A 0 follows the table, for all that lies beyond it.
    maxima = scores.max(axis=2)  # (heads, tokens)
    differences = maxima[:, :, np.newaxis] - scores  # (heads, tokens, tokens)
    exponentials = np.array([*constants.exponentials, 0], dtype=np.int64)
    exponentials = exponentials[np.minimum(differences, number_format.exponential_entries)]

    # Step 3: numerator and denominator.
    t_n = exact_product(exponentials, v, tokens * number_format.exponential_max * largest)  # (heads, tokens, head_dim)
    t_d = exponentials.sum(axis=2)  # (heads, tokens)

    # Step 4: quotient.
    z = quotient(t_n, t_d, constants.shift_z, number_format.data_width)
    return SoftmaxSteps(sums, scores, maxima, exponentials, t_n, t_d, z)

"""Softmax attention: the table of exponentials, the constants of a job, and the kernel that brings them together.

What follows from the exponents e_q, e_k, e_v and the two choices left, shift_s and e_z:

    table[i] = round((2^exponential_width - 1) exp(-i 2^(e_q + e_k + shift_s) / sqrt(d)))
    shift_z  = e_v - e_z                                         so that the quotient comes out in 2^e_z

The 1/sqrt(d) of the logits is in the table, so that no score is ever scaled. Each entry is rounded once, from as many
decimals as its rounding needs, so that it never depends on the luck of floating point.

shift_s is a compromise. A finer score rounds less; but scores saturate sooner, and the table ends sooner. Where the
least error lies depends on the operands: it is measured on them.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

import numpy as np

from taylorvit.golden.arithmetic.number_format import SoftmaxFormat
from taylorvit.golden.arithmetic.quantizer import choose_exponent
from taylorvit.golden.attention.float_attention import softmax_attention
from taylorvit.golden.attention.integer_softmax import SoftmaxConstants, SoftmaxSteps, integer_softmax_attention

from .kernel import IntegerKernel, JobScales

__all__ = ["SoftmaxConstants", "SoftmaxFormat", "SoftmaxKernel", "exponential_table"]

_MOST_SCORES = 1 << 24  # scores on which shift_s is chosen; of larger jobs, some of the heads


class SoftmaxKernel(IntegerKernel):
    """softmax(Q K^T / sqrt(d)) V."""

    number_format = SoftmaxFormat
    constants = SoftmaxConstants
    reference_name = "softmax attention"

    def steps(self, q, k, v, constants: SoftmaxConstants, number_format: SoftmaxFormat) -> SoftmaxSteps:
        """Every step of `integer_softmax_attention`."""
        return integer_softmax_attention(q, k, v, constants, number_format)

    def reference(self, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Softmax attention in float64."""
        return softmax_attention(q, k, v)

    def choose_scales(self, q, k, v, q_exp: int, k_exp: int, v_exp: int, number_format: SoftmaxFormat) -> JobScales:
        """The shift_s of the least error of Z, and the exponent of Z that suits it."""
        head_dim, logit_exp = q.shape[2], q_exp + k_exp
        q_real, k_real, v_real = (x.astype(np.float64) for x in (q, k, v))
        heads = [_Head(q_real[head], k_real[head], v_real[head], logit_exp) for head in _some_heads(q)]
        shifts = _candidates(heads, head_dim, logit_exp, number_format)
        errors = dict.fromkeys(shifts, 0.0)
        signal = 0.0
        for head in heads:
            reference = head.reference()
            signal += float(np.sum(reference**2))
            for shift in shifts:
                exponentials = exponential_table(head_dim, logit_exp + shift, number_format)
                errors[shift] += float(np.sum((head.attention(shift, exponentials, number_format) - reference) ** 2))
        # The finest one of equals, where equal means up to the rounding of float64, as with exponents.
        least = min(errors.values()) * (1 + 1e-9) + 1e-24 * signal
        shift_s = min(shift for shift in shifts if errors[shift] <= least)

        # Z is linear in V, so its exponent can be found with V as integers.
        z_over_v_exp = choose_exponent(
            np.stack([head.reference() for head in heads]), number_format.data_width, if_zero=0
        )
        shift_z = min(max(-z_over_v_exp, number_format.shift_z_min), number_format.shift_z_max)
        exponentials = exponential_table(head_dim, logit_exp + shift_s, number_format)
        return JobScales(SoftmaxConstants(shift_s, shift_z, exponentials), v_exp - shift_z)

    def terms(self, steps: Any, place: tuple[int, int, int]) -> str:
        """Numerator, denominator, and the maximum of the row."""
        return f"t_n {steps.t_n[place]}, t_d {steps.t_d[place[:2]]}, maximum {steps.maxima[place[:2]]}"


class _Head:
    """One head in float64, for the choice of shift_s: sums of integers, exact up to 53 bits."""

    def __init__(self, q: np.ndarray, k: np.ndarray, v: np.ndarray, logit_exp: int) -> None:
        self.sums = q @ k.T  # (tokens, tokens)
        self.v, self.head_dim, self.logit_exp = v, q.shape[1], logit_exp

    def reference(self) -> np.ndarray:
        """Softmax attention of this head, in units of V."""
        below = (self.sums - self.sums.max(axis=1, keepdims=True)) / math.sqrt(self.head_dim)
        with np.errstate(over="ignore"):  # an infinity has the exponential 0, which is right
            return self._weighted(np.exp(np.ldexp(below, self.logit_exp)))

    def attention(self, shift: int, exponentials: tuple[int, ...], number_format: SoftmaxFormat) -> np.ndarray:
        """What integers make of it with this shift_s, before Z is rounded."""
        limit = 1 << (number_format.score_width - 1)
        scores = np.clip(np.floor(np.ldexp(self.sums, -shift) + 0.5), -limit, limit - 1)
        below = np.minimum(scores.max(axis=1, keepdims=True) - scores, len(exponentials)).astype(np.int64)
        return self._weighted(np.array([*exponentials, 0], dtype=np.float64)[below])

    def _weighted(self, exponentials: np.ndarray) -> np.ndarray:
        return exponentials @ self.v / exponentials.sum(axis=1, keepdims=True)


def _some_heads(q: np.ndarray) -> list[int]:
    """Of the heads of all images: spread in steps that share no factor with their number, so that none is left out."""
    heads, tokens = q.shape[:2]
    count = min(heads, max(1, _MOST_SCORES // tokens**2))
    step = next(step for step in range(heads * 5 // 8 + 1, 2 * heads + 2) if math.gcd(step, heads) == 1)
    return sorted(index * step % heads for index in range(count))


def _candidates(heads: list[_Head], head_dim: int, logit_exp: int, number_format: SoftmaxFormat) -> range:
    """Shifts that can have the least error.

    At the one end no score saturates and the table reaches as far as exponentials do: any coarser shift is worse. Four
    times finer than the first of these two, the table ends at an eighth of the maximum or above, or most scores
    saturate.
    """
    largest = int(max(np.max(np.abs(head.sums)) for head in heads))
    unsaturated = max(largest.bit_length() - (number_format.score_width - 1), 0)
    # The table needs to reach to where exponentials are 0, or to the largest difference if that is nearer.
    end = math.log(2 * number_format.exponential_max) * math.sqrt(head_dim) / number_format.exponential_entries
    reaching = math.ceil(math.log2(end)) - logit_exp
    reaching = max(min(reaching, (2 * largest // number_format.exponential_entries).bit_length()), 0)
    most = min(max(unsaturated, reaching), number_format.shift_s_max)
    return range(max(min(unsaturated, reaching, most) - 2, 0), most + 1)


@lru_cache(maxsize=256)
def exponential_table(head_dim: int, score_exp: int, number_format: SoftmaxFormat) -> tuple[int, ...]:
    """The table of exponentials: round((2^exponential_width - 1) exp(-i 2^score_exp / sqrt(head_dim))) for each i.

    Args:
        head_dim (int): features of a head, at least 1.
        score_exp (int): exponent of the scores, e_q + e_k + shift_s.
        number_format (SoftmaxFormat): exponential_width and exponential_entries.
    """
    entries = []
    for index in range(number_format.exponential_entries):
        entries.append(_exponential(index, head_dim, score_exp, number_format))
        if entries[-1] == 0:  # and all that follow
            break
    return tuple(entries) + (0,) * (number_format.exponential_entries - len(entries))


def _exponential(index: int, head_dim: int, score_exp: int, number_format: SoftmaxFormat) -> int:
    if index == 0:
        return number_format.exponential_max
    digits = 40
    while True:
        with localcontext(prec=digits):
            power = Decimal(index) * Decimal(2) ** score_exp / Decimal(head_dim).sqrt()
            if power > number_format.exponential_width + 1:  # then below 2^width e^-(width + 1), which is below 0.4
                return 0
            value = number_format.exponential_max * (-power).exp() + Decimal("0.5")
            # Six operations, each right to one unit in the last digit, with a power up to 25 and a value up to 2^24.
            error = Decimal(10) ** (12 - digits)
            low, high = math.floor(value - error), math.floor(value + error)
        if low == high:  # e to the power of an algebraic number is no fraction, so that some number of digits suffices
            return low
        digits *= 2

"""Taylor attention: constants of a job, quantization, and the kernel that brings them together.

What follows from the exponents e_q, e_k, e_v and the two choices left, shift_g and e_z:

    c_v     = round(  sqrt(d) 2^(F - e_q - e_k + f - shift_g))      sqrt(d) in the scale of the numerator
    c_d     = round(n sqrt(d) 2^(F - e_q - e_k + f))                n sqrt(d) in the scale of the denominator
    shift_z = e_v + shift_g - e_z                                   so that the quotient comes out in 2^e_z

One exponent serves a whole tensor of a job, all heads together, because the registers are set once a job. The
constants are rounded once, from the exact integer square root, so that they never depend on the luck of floating point.

Registers are finite. Tiny tensors make large constants (their logits are near 0, and sqrt(d) is large in
their scale): c_v and shift_z are brought into range by a larger shift_g, which costs bits of G where G hardly
matters; c_d by coarser e_q and e_k, in equal shares. Huge tensors make c_d vanish; nothing repairs that but
smaller logits, and it is an error.
"""

import math
from typing import Any

import numpy as np

from taylorvit.golden.arithmetic.number_format import (
    NumberFormat,
    check_integer,
    exact,
    magnitude,
    saturate,
    shift_right_round_half_up,
)
from taylorvit.golden.arithmetic.quantizer import (
    EXPONENT_LIMIT,
    SATURATING_EXPONENTS,
    choose_exponent,
    exponent_of_doubles,
)
from taylorvit.golden.attention.float_attention import taylor_attention
from taylorvit.golden.attention.integer_attention import (
    IntegerSteps,
    JobConstants,
    check_operands,
    exact_g_sum,
    integer_taylor_attention,
)

from .kernel import IntegerKernel, JobScales

__all__ = ["TaylorKernel", "constants_for", "fitting_exponents"]


class TaylorKernel(IntegerKernel):
    """Algorithm 1 of ViTALiTy."""

    number_format = NumberFormat
    constants = JobConstants
    reference_name = "Algorithm 1"

    def steps(self, q, k, v, constants: JobConstants, number_format: NumberFormat) -> IntegerSteps:
        """Every step of `integer_taylor_attention`."""
        return integer_taylor_attention(q, k, v, constants, number_format)

    def reference(self, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Algorithm 1 in float64."""
        return taylor_attention(q, k, v).z

    def exponents(self, q, k, v, number_format: NumberFormat) -> tuple[int, int, int]:
        """Exponents of the least error; those of Q and K coarser where c_d asks for it."""
        tokens, head_dim = q.shape[1:]
        q_exp, k_exp = _fit_query_key_exponents(q, k, tokens, head_dim, number_format)
        return q_exp, k_exp, choose_exponent(v, number_format.data_width)

    def fitting_exponents(
        self, q_exp: int, k_exp: int, tokens: int, head_dim: int, number_format: NumberFormat
    ) -> tuple[int, int]:
        """Exponents that c_v and c_d fit."""
        return fitting_exponents(q_exp, k_exp, tokens, head_dim, number_format)

    def choose_scales(self, q, k, v, q_exp: int, k_exp: int, v_exp: int, number_format: NumberFormat) -> JobScales:
        """What `constants_for` finds."""
        return constants_for(q, k, v, q_exp, k_exp, v_exp, number_format)

    def terms(self, steps: Any, place: tuple[int, int, int]) -> str:
        """T_N and t_D."""
        return f"t_n {steps.t_n[place]}, t_d {steps.t_d[place[:2]]}"


def constants_for(
    q, k, v, q_exp: int = 0, k_exp: int = 0, v_exp: int = 0, number_format: NumberFormat | None = None
) -> JobScales:
    """Register values and result exponent for integers that are taken as they are.

    Args:
        q (np.ndarray): queries, integers of ``data_width`` bits, (heads, tokens, head_dim).
        k (np.ndarray): keys, of the same shape.
        v (np.ndarray): values, of the same shape.
        q_exp (int): exponent of q.
        k_exp (int): exponent of k.
        v_exp (int): exponent of v.
        number_format (NumberFormat): widths and register ranges; the default is ``NumberFormat()``.

    Raises:
        TypeError: operands or exponents that are not integers.
        ValueError: operands or exponents out of range, wrong shapes, exponents whose constants fit no register, or a Z
            beyond double precision.
    """
    number_format = NumberFormat() if number_format is None else number_format
    q, k, v = check_operands(q, k, v, number_format)
    for name, exponent in (("q_exp", q_exp), ("k_exp", k_exp), ("v_exp", v_exp)):
        check_integer(name, exponent, -EXPONENT_LIMIT, EXPONENT_LIMIT)
    width = number_format.data_width
    tokens, head_dim = q.shape[1:]

    logit_exp = q_exp + k_exp
    c_d = _denominator_constant(tokens, head_dim, logit_exp, number_format)
    if not 1 <= c_d <= number_format.c_d_max:
        raise ValueError(
            f"q_exp + k_exp must be such that the constant c_d is 1 to {number_format.c_d_max}, "
            f"not {logit_exp!r}, which makes it {c_d!r}"
        )

    # Z is linear in V, so its exponent can be found with V as integers; float64 then neither overflows nor
    # underflows.
    q_real, k_real, v_real = (
        np.ldexp(x.astype(np.float64), exponent) for x, exponent in ((q, logit_exp), (k, 0), (v, 0))
    )
    z_over_v_exp = choose_exponent(taylor_attention(q_real, k_real, v_real).z, width, if_zero=0)

    smallest_shift_g = max(
        _least_error_shift(exact_g_sum(k, v, number_format.mean_fraction), width),
        _shift_that_fits(head_dim, logit_exp, number_format),
        number_format.shift_z_min + z_over_v_exp,
    )
    shift_g = min(smallest_shift_g, number_format.shift_g_max)
    # Only where Z nearly vanishes against V is the largest shift_z too small: a coarser Z then.
    z_over_v_exp = max(z_over_v_exp, shift_g - number_format.shift_z_max)
    constants = JobConstants(
        shift_g=shift_g,
        shift_z=shift_g - z_over_v_exp,
        c_v=_numerator_constant(head_dim, logit_exp, shift_g, number_format),
        c_d=c_d,
    )
    try:
        constants.check(number_format)
    except ValueError as error:
        raise ValueError(f"q_exp + k_exp must be such that the constants fit, not {logit_exp!r}: {error}") from None
    return JobScales(constants, exponent_of_doubles(v_exp + z_over_v_exp, width))


def fitting_exponents(
    q_exp: int, k_exp: int, tokens: int, head_dim: int, number_format: NumberFormat
) -> tuple[int, int]:
    """Exponents of Q and K as wanted, made coarser in equal shares where the constants don't fit their registers.

    Raises:
        ValueError: the exponents are so large that c_d would be 0.
    """

    def constants_fit(logit_exp: int) -> bool:
        return (
            _denominator_constant(tokens, head_dim, logit_exp, number_format) <= number_format.c_d_max
            and _shift_that_fits(head_dim, logit_exp, number_format) <= number_format.shift_g_max
        )

    if _denominator_constant(tokens, head_dim, q_exp + k_exp, number_format) == 0:
        raise ValueError(
            "q and k must be small enough for the constant n sqrt(d) to be at least 1 in the scale of their "
            f"products, not of the exponents {q_exp!r} and {k_exp!r}"
        )
    coarser = 0
    while not constants_fit(q_exp + k_exp + coarser):
        coarser += 1
    return q_exp + (coarser + 1) // 2, k_exp + coarser // 2


def _fit_query_key_exponents(
    q: np.ndarray, k: np.ndarray, tokens: int, head_dim: int, number_format: NumberFormat
) -> tuple[int, int]:
    """Exponents of Q and K of the least error, made coarser where c_d asks for it."""
    width = number_format.data_width
    q_exp, k_exp = choose_exponent(q, width), choose_exponent(k, width)
    # A tensor of zeros fits any exponent: the product gets that of unit normal tensors.
    usual_product = 2 * (3 - width)
    if not q.any():
        q_exp = usual_product - k_exp
    elif not k.any():
        k_exp = usual_product - q_exp
    return fitting_exponents(q_exp, k_exp, tokens, head_dim, number_format)


def _shift_that_fits(head_dim: int, logit_exp: int, number_format: NumberFormat) -> int:
    """The smallest shift_g for which c_v fits its register, or one more than the largest shift_g."""
    for shift_g in range(number_format.shift_g_max + 1):
        if _numerator_constant(head_dim, logit_exp, shift_g, number_format) <= number_format.c_v_max:
            return shift_g
    return number_format.shift_g_max + 1


def _least_error_shift(g_sum: np.ndarray, width: int) -> int:
    """The right shift that requantizes ``g_sum`` to ``width`` bits with the least squared error."""
    largest = magnitude(g_sum)
    highest = max(largest.bit_length() - (width - 1), 0)
    g_sum = exact(g_sum, largest << 3)  # beyond the candidates' rounding, and what they make of it

    def squared_error(shift: int) -> float:
        g = saturate(shift_right_round_half_up(g_sum, shift), width)
        return float(np.sum((g_sum - (exact(g, largest << 3) << shift)).astype(np.float64) ** 2))

    candidates = range(max(highest - SATURATING_EXPONENTS, 0), highest + 2)
    return min(candidates, key=squared_error)


def _numerator_constant(head_dim: int, logit_exp: int, shift_g: int, number_format: NumberFormat) -> int:
    fraction = number_format.constant_fraction + number_format.mean_fraction
    return _round_root(head_dim, fraction - logit_exp - shift_g)


def _denominator_constant(tokens: int, head_dim: int, logit_exp: int, number_format: NumberFormat) -> int:
    fraction = number_format.constant_fraction + number_format.mean_fraction
    return _round_root(tokens * tokens * head_dim, fraction - logit_exp)


def _round_root(square: int, exponent: int) -> int:
    """round_half_up(sqrt(square) 2^exponent), exactly."""
    # floor((2 root + divisor) / (2 divisor)), and a floor inside of a floor division changes nothing.
    root_doubled = math.isqrt(4 * square << 2 * max(exponent, 0))
    divisor = 1 << max(-exponent, 0)
    return (root_doubled + divisor) // (2 * divisor)

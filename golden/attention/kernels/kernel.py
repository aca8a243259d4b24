"""The seam of the golden model: what each attention kernel gives to jobs, simulation and drivers.

    q, k, v (float) --> exponents --> integers --> scales: constants of the job, exponent of z
                                         |            |
                                         '--> attention: every step by name, z among them

A kernel knows nothing of hardware. Its constants are named like the registers of the hardware, and fit them in the
number format that the hardware was built for; a test compares the two.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from taylorvit.golden.arithmetic.number_format import OperandFormat, check_integer
from taylorvit.golden.arithmetic.quantizer import EXPONENT_LIMIT, choose_exponent, exponent_of_doubles
from taylorvit.golden.attention.constants import Constants
from taylorvit.golden.attention.integer_attention import check_operands

__all__ = ["IntegerKernel", "JobScales", "Steps"]


class Steps(Protocol):
    """Every step of a job by name. These two have to be among them.

    Attributes:
        z (np.ndarray): the result, integers (heads, tokens, head_dim).
        denominator_errors (int): rows of all heads whose divisor is not positive.
    """

    @property
    def z(self) -> np.ndarray:
        """The result."""

    @property
    def denominator_errors(self) -> int:
        """Rows without a divisor."""


class JobScales(NamedTuple):
    """What the integers of a job need besides themselves.

    Attributes:
        constants (Constants): the values of the job's registers.
        z_exp (int): exponent of the result.
    """

    constants: Any
    z_exp: int


class IntegerKernel:
    """Base of the kernels.

    `attention` and `scales` are what others call. They check their arguments, the same way for every kernel, and leave
    the rest to `steps` and `choose_scales`, which a kernel overrides.

    Attributes:
        number_format (type[OperandFormat]): widths and ranges that the arithmetic depends on. Its fields are named like
            the attributes of a configuration, from which it is filled.
        constants (type[Constants]): the constants of a job.
        reference_name (str): what `reference` computes, for the table of a result.
    """

    number_format: type[OperandFormat] = OperandFormat
    constants: type[Constants]
    reference_name: str

    def attention(self, q, k, v, constants: Any, number_format: Any) -> Steps:
        """All heads of one job, in integers.

        Args:
            q (np.ndarray): queries, integers of `data_width` bits, (heads, tokens, head_dim).
            k (np.ndarray): keys, of the same shape.
            v (np.ndarray): values, of the same shape.
            constants (Constants): the constants of the job.
            number_format (OperandFormat): the kernel's number format.

        Raises:
            TypeError: operands that are not integers, constants of another kernel.
            ValueError: shapes, operands or constants out of range.
        """
        self.check_constants(constants)
        constants.check(number_format)
        return self.steps(*check_operands(q, k, v, number_format), constants, number_format)

    def check_constants(self, constants: Any) -> None:
        """Raise TypeError unless the constants are of this kernel."""
        if not isinstance(constants, self.constants):
            raise TypeError(f"constants must be a {self.constants.__name__}, not {constants!r}")

    def steps(self, q: np.ndarray, k: np.ndarray, v: np.ndarray, constants: Any, number_format: Any) -> Any:
        """All heads of one job, from arguments that `attention` has checked.

        Args:
            q (np.ndarray): queries, int64 of `data_width` bits, (heads, tokens, head_dim).
            k (np.ndarray): keys, of the same shape.
            v (np.ndarray): values, of the same shape.
            constants (Constants): the constants of the job, of the class `constants`, within their ranges.
            number_format (OperandFormat): the kernel's number format.

        Returns:
            Steps: every step by name, z and denominator_errors among them.
        """
        raise NotImplementedError

    def reference(self, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Z in float64, for operands in float64, each (heads, tokens, head_dim)."""
        raise NotImplementedError

    def exponents(self, q: np.ndarray, k: np.ndarray, v: np.ndarray, number_format: Any) -> tuple[int, int, int]:
        """Exponents by which floats are quantized: those of the least error, unless a kernel needs others."""
        q_exp, k_exp, v_exp = (choose_exponent(x, number_format.data_width) for x in (q, k, v))
        return q_exp, k_exp, v_exp

    def fitting_exponents(
        self, q_exp: int, k_exp: int, tokens: int, head_dim: int, number_format: Any
    ) -> tuple[int, int]:
        """Exponents of Q and K, made coarser where the constants would not fit their registers.

        Args:
            q_exp (int): exponent of Q that is wanted.
            k_exp (int): exponent of K that is wanted.
            tokens (int): tokens of a head.
            head_dim (int): features of a head.
            number_format (OperandFormat): the kernel's number format.

        Raises:
            ValueError: no constants fit.
        """
        return q_exp, k_exp

    def scales(self, q, k, v, q_exp: int, k_exp: int, v_exp: int, number_format: Any) -> JobScales:
        """Constants and the exponent of the result, for integers with these exponents.

        Args:
            q (np.ndarray): queries, integers of `data_width` bits, (heads, tokens, head_dim).
            k (np.ndarray): keys, of the same shape.
            v (np.ndarray): values, of the same shape.
            q_exp (int): exponent of q.
            k_exp (int): exponent of k.
            v_exp (int): exponent of v.
            number_format (OperandFormat): the kernel's number format.

        Raises:
            TypeError: operands or exponents that are not integers.
            ValueError: operands or exponents out of range, exponents whose constants fit no register, or a Z beyond
                double precision.
        """
        operands = check_operands(q, k, v, number_format)
        exponents = ("q_exp", q_exp), ("k_exp", k_exp), ("v_exp", v_exp)
        q_exp, k_exp, v_exp = (check_integer(*exponent, -EXPONENT_LIMIT, EXPONENT_LIMIT) for exponent in exponents)
        scales = self.choose_scales(*operands, q_exp, k_exp, v_exp, number_format)
        scales.constants.check(number_format)
        return JobScales(scales.constants, exponent_of_doubles(scales.z_exp, number_format.data_width))

    def choose_scales(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray, q_exp: int, k_exp: int, v_exp: int, number_format: Any
    ) -> JobScales:
        """Constants and the exponent of the result, from arguments that `scales` has checked.

        Args:
            q (np.ndarray): queries, int64 of `data_width` bits, (heads, tokens, head_dim).
            k (np.ndarray): keys, of the same shape.
            v (np.ndarray): values, of the same shape.
            q_exp (int): exponent of q.
            k_exp (int): exponent of k.
            v_exp (int): exponent of v.
            number_format (OperandFormat): the kernel's number format.

        Returns:
            JobScales: `scales` checks them: the constants' ranges, and that z_exp is one of double precision.

        Raises:
            ValueError: exponents whose constants fit no register.
        """
        raise NotImplementedError

    def terms(self, steps: Any, place: tuple[int, int, int]) -> str:
        """What an element of Z was divided from, for the message that it differs; empty if there is nothing to say."""
        return ""

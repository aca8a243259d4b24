"""A second kernel, as small as a kernel can be, so that the seam stays one: Z = v_mean for every token.

    z = saturate(round_half_up(v_sum 2^shift_z / n))

It is made of Taylor attention: the columns add up c_v v_sum with c_v = 2^F and leave Q G out, and what a row is divided
by is n 2^F. Its one register is SHIFT_Z. `registered` makes it one of the kernels, in hardware and in the golden model,
for as long as a test takes.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from amaranth.hdl import Const

from taylorvit.golden.arithmetic.number_format import (
    OperandFormat,
    divide_round_half_up,
    exact,
    magnitude,
    saturate,
)
from taylorvit.golden.arithmetic.quantizer import choose_exponent
from taylorvit.golden.attention import kernels as golden
from taylorvit.golden.attention.constants import Constants
from taylorvit.golden.attention.kernels.kernel import IntegerKernel, JobScales
from taylorvit.rtl.attention import KERNELS
from taylorvit.rtl.attention.spec import JobRegister
from taylorvit.rtl.attention.taylor.adder_array import DenominatorAdder, NumeratorAdder
from taylorvit.rtl.attention.taylor.kernel import TaylorKernel
from taylorvit.rtl.attention.taylor.spec import TaylorSpec

__all__ = ["MEAN", "IntegerMean", "MeanKernel", "MeanSpec", "registered"]

MEAN = "mean_of_tests"  # a name that no kernel of the product has


# Golden model.


@dataclass(frozen=True, kw_only=True)
class MeanFormat(OperandFormat):
    """The width of the operands, and the range of SHIFT_Z."""

    shift_z_min: int = -8
    shift_z_max: int = 31


@dataclass(frozen=True)
class MeanConstants(Constants):
    """The one register."""

    shift_z: int

    @staticmethod
    def ranges(number_format):
        return {"shift_z": (number_format.shift_z_min, number_format.shift_z_max)}


class MeanSteps(NamedTuple):
    """The steps of a job."""

    v_sum: np.ndarray  # (heads, head_dim)
    z: np.ndarray  # (heads, tokens, head_dim)
    denominator_errors: int = 0


class IntegerMean(IntegerKernel):
    """Z = v_mean for every token, in integers."""

    number_format = MeanFormat
    constants = MeanConstants
    reference_name = "the mean of V"

    def steps(self, q, k, v, constants, number_format):
        tokens = v.shape[1]
        v_sum = v.sum(axis=1)  # (heads, head_dim)
        up, down = max(constants.shift_z, 0), max(-constants.shift_z, 0)
        mean = divide_round_half_up(exact(v_sum, magnitude(v_sum) << up) << up, tokens << down)
        z = saturate(mean, number_format.data_width).astype(np.int64)  # (heads, head_dim)
        return MeanSteps(v_sum, np.repeat(z[:, np.newaxis, :], tokens, axis=1))

    def reference(self, q, k, v):
        return np.broadcast_to(v.mean(axis=1, keepdims=True), v.shape)

    def choose_scales(self, q, k, v, q_exp, k_exp, v_exp, number_format):
        z_over_v_exp = choose_exponent(v.mean(axis=1), number_format.data_width, if_zero=0)
        shift_z = min(max(-z_over_v_exp, number_format.shift_z_min), number_format.shift_z_max)
        return JobScales(MeanConstants(shift_z), v_exp - shift_z)


# Hardware.


class MeanSpec(TaylorSpec):
    """Widths and registers: those of Taylor attention, but for the registers."""

    hardware = f"{__name__}:MeanKernel"
    network_hardware = ""
    told = ()

    @staticmethod
    def job_registers(view):
        return (
            JobRegister(
                name="shift_z",
                minimum=view.shift_z_min,
                maximum=view.shift_z_max,
                description="left shift of v_sum before the division",
            ),
        )


class MeanNumerator(NumeratorAdder):
    """numerator = single ? k_sum : bias, `latency` cycles later."""

    module_name = "mean_numerator_adder"
    waivers = {("UNUSEDSIGNAL", "product"): "The mean has no Q G."}

    def first_term(self):
        return Const(0)


class MeanDenominator(DenominatorAdder):
    """divisor = single ? tokens << (W - 1) : (tokens << fraction) << shift, 3 cycles later."""

    module_name = "mean_denominator_adder"
    waivers = {("UNUSEDSIGNAL", "product"): "The mean has no Q k^_sum.", ("UNUSEDSIGNAL", "c_d"): "Nor has it c_d."}

    def denominator(self):
        return self.tokens << self.fraction


class MeanKernel(TaylorKernel):
    """Z = v_mean for every token."""

    numerator_adder = MeanNumerator
    denominator_adder = MeanDenominator

    def constants(self, registers):
        return SimpleNamespace(
            shift_g=Const(0), shift_z=registers.shift_z, c_v=Const(1 << self.config.constant_fraction), c_d=Const(0)
        )


@contextmanager
def registered():
    """A configuration can name the kernel in here."""
    KERNELS[MEAN], golden.KERNELS[MEAN] = f"{__name__}:MeanSpec", IntegerMean()
    try:
        yield
    finally:
        del KERNELS[MEAN], golden.KERNELS[MEAN]

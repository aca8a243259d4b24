"""A second kernel, as small as a kernel can be, so that the seam stays one: Z = v_mean for every token.

    z = saturate(round_half_up(v_sum 2^shift_z / n))

It is made of Taylor attention: the columns add up c_v v_sum with c_v = 2^F and leave Q G out, and what a row is divided
by is n 2^F. Its one register is SHIFT_Z. `registered` makes it one of the kernels, in hardware and in the golden model,
for as long as a test takes.
"""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

from amaranth.hdl import Const

from taylorvit.rtl.attention import KERNELS
from taylorvit.rtl.attention.spec import JobRegister
from taylorvit.rtl.attention.taylor.adder_array import DenominatorAdder, NumeratorAdder
from taylorvit.rtl.attention.taylor.kernel import TaylorKernel
from taylorvit.rtl.attention.taylor.spec import TaylorSpec

__all__ = ["MeanKernel", "MeanSpec", "registered"]


class MeanSpec(TaylorSpec):
    """Widths and registers: those of Taylor attention, but for the registers."""

    hardware = f"{__name__}:MeanKernel"
    told = ()

    @staticmethod
    def job_registers(view):
        return (
            JobRegister(name="shift_z", minimum=view.shift_z_min, maximum=view.shift_z_max,
                        description="left shift of v_sum before the division"),
        )  # fmt: skip


class MeanNumerator(NumeratorAdder):
    """numerator = single ? k_sum : bias, `latency` cycles later."""

    module_name = "mean_numerator_adder"
    waivers = {("UNUSEDSIGNAL", "product"): "The mean has no Q G.", ("UNUSEDSIGNAL", "shift"): "Nothing is shifted."}

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
        return SimpleNamespace(shift_g=Const(0), c_v=Const(1 << self.config.constant_fraction), c_d=Const(0))


@contextmanager
def registered():
    """`kernel = "mean"` can be built in here."""
    KERNELS["mean"] = f"{__name__}:MeanSpec"
    try:
        yield
    finally:
        del KERNELS["mean"]

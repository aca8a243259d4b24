"""A kernel needs no register, not even SHIFT_Z: the accelerator asks it by how much numerators are shifted.

z = saturate(round_half_up(v_sum 2^2 / n))
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import cocotb
import numpy as np
from amaranth.hdl import Const

from taylorvit.fpga.driver import JobReport
from taylorvit.gen.generate import generate
from taylorvit.golden.attention import kernels as golden
from taylorvit.golden.attention.constants import Constants
from taylorvit.golden.attention.kernels.kernel import JobScales
from taylorvit.jobs import Outcome, golden_steps, judge, read_operands
from taylorvit.rtl.attention import KERNELS
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.registers import register_map
from taylorvit.simulation import build, run
from taylorvit.simulation.host import AcceleratorHost
from verif.tools.lint import verilator_warnings

from .checks import run_and_check
from .jobs import EXTREMES, extreme_job, limits_of_constants, random_job
from .mean_kernel import IntegerMean, MeanConstants, MeanKernel, MeanSpec

FIXED, SHIFT = "fixed_of_tests", 2
CONFIG = {"name": "fixed-3x2", "kernel": FIXED, "rows": 3, "columns": 2, "max_tokens": 9, "max_head_dim": 5,
          "stream_width": 8}  # fmt: skip


@dataclass(frozen=True)
class NoConstants(Constants):
    """None."""

    @staticmethod
    def ranges(number_format):
        return {}


class IntegerFixed(IntegerMean):
    """The mean, shifted by `SHIFT`, in integers."""

    constants = NoConstants

    def steps(self, q, k, v, constants, number_format):
        return super().steps(q, k, v, MeanConstants(SHIFT), number_format)

    def choose_scales(self, q, k, v, q_exp, k_exp, v_exp, number_format):
        return JobScales(NoConstants(), v_exp - SHIFT)


class FixedSpec(MeanSpec):
    """No registers."""

    hardware = f"{__name__}:FixedKernel"

    @staticmethod
    def job_registers(view):
        return ()


class FixedKernel(MeanKernel):
    """The mean, shifted by `SHIFT`."""

    def constants(self, registers):
        return super().constants(SimpleNamespace(shift_z=Const(SHIFT)))


@contextmanager
def registered():
    KERNELS[FIXED], golden.KERNELS[FIXED] = f"{__name__}:FixedSpec", IntegerFixed()
    try:
        yield AcceleratorConfig(**CONFIG)
    finally:
        del KERNELS[FIXED], golden.KERNELS[FIXED]


@cocotb.test()
async def jobs_equal_golden(dut):
    """Random and extreme jobs equal the golden model."""
    with registered() as config:
        host = await AcceleratorHost.start(dut, config)
        generator = np.random.default_rng(cocotb.RANDOM_SEED)
        for shape in ((3, 9, 5), (2, 1, 1), (4, 7, 5)):
            await run_and_check(host, random_job(generator, config, *shape))
        for kind in EXTREMES:
            await run_and_check(host, extreme_job(kind, config, 1, 9, 5, limits_of_constants(config)[0]))


def test_verdict(tmp_path):
    np.savez(tmp_path / "qkv.npz", **dict(zip("qkv", np.random.default_rng(0).standard_normal((3, 1, 5, 3)))))
    with registered() as config:
        operands = read_operands(tmp_path / "qkv.npz", config)
        z = golden_steps(operands.job, config).z
        report = JobReport(1, dict.fromkeys(register_map(config).counters, 99), frozenset({"DONE"}))
        assert judge(Outcome(z, [report]), operands, config).mismatches == []
        expected, z[0, 2, 1] = z[0, 2, 1], 127
        (_count, difference) = judge(Outcome(z, [report]), operands, config).mismatches
    assert difference == f"  head 0, token 2, feature 1: got 127, expected {expected}"


def test_kernel_without_registers(tmp_path):
    with registered() as config:
        generate(config, tmp_path)
    assert verilator_warnings(tmp_path, "taylorvit") == []
    assert "TAYLORVIT_SHIFT_Z_OFFSET" not in (tmp_path / "registers" / "taylorvit_registers.h").read_text()
    assert run(build((tmp_path / "taylorvit.v").read_text(), "taylorvit"), __name__).tests == 1

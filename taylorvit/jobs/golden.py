"""The golden model of a built accelerator: its numbers, its quantizer, its steps."""

from __future__ import annotations

from taylorvit.golden.arithmetic.number_format import NumberFormat
from taylorvit.golden.arithmetic.quantizer import quantize_job
from taylorvit.golden.attention.integer_attention import IntegerSteps, integer_taylor_attention
from taylorvit.golden.attention.job import Job
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.host_view import HostView

__all__ = ["format_of", "golden_steps", "quantize"]


def format_of(config: AcceleratorConfig | HostView) -> NumberFormat:
    """The number format of the golden model that an accelerator has.

    Args:
        config (AcceleratorConfig | HostView): what it is built from, or what its registers tell of it.
    """
    return NumberFormat(
        data_width=config.data_width,
        mean_fraction=config.mean_fraction,
        constant_fraction=config.constant_fraction,
        c_v_width=config.c_v_width,
        c_d_width=config.c_d_width,
        shift_g_max=config.shift_g_max,
        shift_z_min=config.shift_z_min,
        shift_z_max=config.shift_z_max,
    )


def quantize(q, k, v, config: AcceleratorConfig | HostView) -> Job:
    """The job of float operands, for an accelerator.

    Args:
        q (np.ndarray): queries, floats (heads, tokens, head_dim), not scaled by 1/sqrt(d).
        k (np.ndarray): keys, of the same shape.
        v (np.ndarray): values, of the same shape.
        config (AcceleratorConfig | HostView): the accelerator.

    Raises:
        TypeError: operands that are not floating point.
        ValueError: operands that no job of this accelerator can have.
    """
    return quantize_job(q, k, v, format_of(config))


def golden_steps(job: Job, config: AcceleratorConfig | HostView) -> IntegerSteps:
    """What an accelerator must compute of a job, every step by name.

    Args:
        job (Job): operands and constants.
        config (AcceleratorConfig | HostView): the accelerator.
    """
    return integer_taylor_attention(job.q, job.k, job.v, job.constants, format_of(config))

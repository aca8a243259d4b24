"""The golden model of a built accelerator: its numbers, its quantizer, its steps."""

from __future__ import annotations

from dataclasses import fields

from taylorvit.golden.arithmetic.number_format import OperandFormat
from taylorvit.golden.attention.job import Job, quantize_job
from taylorvit.golden.attention.kernels import KERNELS, IntegerKernel
from taylorvit.golden.attention.kernels.kernel import Steps
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.host_view import HostView

__all__ = ["format_of", "golden_kernel", "golden_steps", "quantize"]


def golden_kernel(config: AcceleratorConfig | HostView) -> IntegerKernel:
    """The integer golden of the kernel that an accelerator has.

    Args:
        config (AcceleratorConfig | HostView): what it is built from, or what its registers tell of it.

    Raises:
        ValueError: the golden model does not have this kernel.
    """
    if config.kernel not in KERNELS:
        raise ValueError(f"kernel must be one of {', '.join(KERNELS)} in the golden model, not {config.kernel!r}")
    return KERNELS[config.kernel]


def format_of(config: AcceleratorConfig | HostView) -> OperandFormat:
    """The number format of the golden model that an accelerator has.

    Args:
        config (AcceleratorConfig | HostView): what it is built from, or what its registers tell of it.
    """
    number_format = golden_kernel(config).number_format
    return number_format(**{field.name: getattr(config, field.name) for field in fields(number_format)})


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
    return quantize_job(q, k, v, format_of(config), config.kernel)


def golden_steps(job: Job, config: AcceleratorConfig | HostView) -> Steps:
    """What an accelerator must compute of a job, every step by name.

    Args:
        job (Job): operands and constants.
        config (AcceleratorConfig | HostView): the accelerator.
    """
    return golden_kernel(config).attention(*job.operands, job.constants, format_of(config))

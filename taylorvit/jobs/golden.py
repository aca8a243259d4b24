"""The golden model of a built accelerator: its numbers, its quantizer, its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from taylorvit.fpga.driver.tensors import check_operands
from taylorvit.golden.arithmetic.number_format import OperandFormat
from taylorvit.golden.attention.job import Job, quantize_job
from taylorvit.golden.attention.kernels import KERNELS, IntegerKernel
from taylorvit.golden.attention.kernels.kernel import Steps
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.host_view import HostView

__all__ = ["check_job", "check_sizes", "format_of", "golden_kernel", "golden_steps", "quantize"]


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


def check_sizes(shape: Sequence[int], config: AcceleratorConfig | HostView) -> None:
    """Checks that an accelerator can take heads of some size.

    Args:
        shape (Sequence[int]): (heads, tokens, head_dim).
        config (AcceleratorConfig | HostView): the accelerator.

    Raises:
        ValueError: heads have too many tokens or features.
    """
    _heads, tokens, head_dim = shape
    for name, value, limit in (("tokens", tokens, config.max_tokens), ("head_dim", head_dim, config.max_head_dim)):
        if value > limit:
            raise ValueError(f"{name} must be at most {limit} on {config.name}, not {value!r}")


def check_job(job: Job, config: AcceleratorConfig | HostView) -> None:
    """Checks that an accelerator can take a job.

    Args:
        job (Job): operands and constants.
        config (AcceleratorConfig | HostView): the accelerator.

    Raises:
        TypeError: operands or constants are not integers.
        ValueError: the job is one of another kernel, or its operands or constants are out of range.
    """
    if job.kernel != config.kernel:
        raise ValueError(f"kernel of the job must be {config.kernel!r}, that of {config.name}, not {job.kernel!r}")
    check_operands(dict(zip("qkv", job.operands)), config)
    job.constants.check(format_of(config))


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
    if len(np.shape(q)) == 3:  # any other is refused below
        check_sizes(np.shape(q), config)
    return quantize_job(q, k, v, format_of(config), config.kernel)


def golden_steps(job: Job, config: AcceleratorConfig | HostView) -> Steps:
    """What an accelerator must compute of a job, every step by name.

    Args:
        job (Job): operands and constants.
        config (AcceleratorConfig | HostView): the accelerator.
    """
    return golden_kernel(config).attention(*job.operands, job.constants, format_of(config))

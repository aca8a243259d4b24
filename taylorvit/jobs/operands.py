"""A user's tensors, from an .npz file to the integers and registers of a job.

Float q, k, v are quantized by `golden.attention.job`; integers are taken as they are, with the exponents q_exp,
k_exp and v_exp (0 where they are missing). All heads share one set of registers. Whatever is wrong with the file is
said in one line that names it.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from taylorvit.boundary.errors import FileError
from taylorvit.boundary.reading import read_npz
from taylorvit.golden.attention.integer_attention import check_shapes
from taylorvit.golden.attention.job import Job
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.host_view import HostView

from .golden import check_sizes, format_of, golden_kernel, quantize

__all__ = ["Operands", "check_operands", "read_operands"]

EXPONENTS = ("q_exp", "k_exp", "v_exp")


class Operands(NamedTuple):
    """One job, and the real values that it stands for: those of the file, before they were quantized.

    Attributes:
        job (Job): the integers and registers.
        real (tuple): q, k, v before they were quantized, each float64 (heads, tokens, head_dim), but for their scales:
            q and k are of about one size, with their product as it is, and v is 2^-real_exp of what it is. Nothing made
            of them can overflow.
        real_exp (int): exponent of v, and so of a result made of `real`.
        quantized_here (bool): whether the file had floats.
    """

    job: Job
    real: tuple[np.ndarray, np.ndarray, np.ndarray]
    real_exp: int
    quantized_here: bool


def read_operands(path: str | Path, config: AcceleratorConfig | HostView) -> Operands:
    """The job in an .npz file, quantized and checked against the accelerator's limits.

    Args:
        path (Path): the file, with q, k, v and perhaps q_exp, k_exp, v_exp.
        config (AcceleratorConfig | HostView): the accelerator.

    Raises:
        ValueError: in one line that names the file, what is wrong in it, and the rule.
    """
    with _naming(path):
        return _operands(_tensors(path), config)


def check_operands(path: str | Path) -> None:
    """Refuses a file that is a job for no accelerator.

    Args:
        path (Path): the file.

    Raises:
        ValueError: as `read_operands` raises it.
    """
    with _naming(path):
        _tensors(path)


@contextmanager
def _naming(path):
    try:
        yield
    except FileError:  # which names the file
        raise
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from None


def _tensors(path) -> dict[str, np.ndarray]:
    """The arrays of the file, checked as far as they can be without an accelerator."""
    arrays = read_npz(path, required=("q", "k", "v"), optional=EXPONENTS)
    q, k, v = (arrays[name] for name in ("q", "k", "v"))
    for name, array in (("q", q), ("k", k), ("v", v)):
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{name} must be of floats or integers, not of {array.dtype}")
    floating = [array.dtype.kind == "f" for array in (q, k, v)]
    if any(floating) != all(floating):
        raise ValueError(f"q, k and v must be all floats or all integers, not {q.dtype}, {k.dtype} and {v.dtype}")
    check_shapes(q, k, v)
    for name in EXPONENTS:
        if name in arrays:
            _exponent(name, arrays[name])
            if all(floating):
                raise ValueError(f"{name} must come with integers, not with {q.dtype}")
    return arrays


def _operands(arrays: dict[str, np.ndarray], config: AcceleratorConfig | HostView) -> Operands:
    q, k, v = (arrays[name] for name in ("q", "k", "v"))
    check_sizes(q.shape, config)
    if q.dtype.kind == "f":
        job = quantize(q, k, v, config)
        q, k, v = (array.astype(np.float64) for array in (q, k, v))
        return _with_real(job, (q, k, v), (0, 0, 0), True)
    exponents = {name: _exponent(name, arrays[name]) for name in EXPONENTS if name in arrays}
    job = _taken_as_they_are(q, k, v, exponents, config)
    return _with_real(job, (job.q, job.k, job.v), (job.q_exp, job.k_exp, job.v_exp), False)


def _with_real(job: Job, arrays, exponents, quantized_here: bool) -> Operands:
    """The job with the real values of arrays that have these exponents."""
    q_size, k_size, v_size = (
        math.frexp(float(np.abs(array).max()))[1] + exponent for array, exponent in zip(arrays, exponents)
    )
    moved = (q_size - k_size) // 2
    q, k, v = (
        np.ldexp(array.astype(np.float64), exponent - shift)
        for array, exponent, shift in zip(arrays, exponents, (moved, -moved, v_size))
    )
    return Operands(job, (q, k, v), v_size, quantized_here)


def _taken_as_they_are(q, k, v, exponents: dict[str, int], config: AcceleratorConfig | HostView) -> Job:
    q_exp, k_exp, v_exp = (exponents.get(name, 0) for name in EXPONENTS)
    scales = golden_kernel(config).scales(q, k, v, q_exp, k_exp, v_exp, format_of(config))
    q, k, v = (array.astype(np.int64) for array in (q, k, v))
    return Job(q, k, v, scales.constants, q_exp, k_exp, v_exp, scales.z_exp, kernel=config.kernel)


def _exponent(name: str, array: np.ndarray) -> int:
    if array.size != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be one integer, not {array.dtype} of shape {array.shape!r}")
    return int(array.item())

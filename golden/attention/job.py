"""A job in integers, ready for the hardware, and how floats become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from taylorvit.golden.arithmetic.number_format import OperandFormat
from taylorvit.golden.arithmetic.quantizer import float_array, quantize_tensor

from .integer_attention import check_shapes
from .kernels import KERNELS

__all__ = ["Job", "quantize_job"]


@dataclass(frozen=True)
class Job:
    """One job: real = integer * 2^exponent.

    Attributes:
        q (np.ndarray): queries, integers (heads, tokens, head_dim).
        k (np.ndarray): keys, integers of the same shape.
        v (np.ndarray): values, integers of the same shape.
        constants (golden.attention.constants.Constants): run-time register values, of the class that the kernel has.
        q_exp (int): exponent of q.
        k_exp (int): exponent of k.
        v_exp (int): exponent of v.
        z_exp (int): exponent of the result.
        kernel (str): attention kernel, a key of `golden.attention.kernels.KERNELS`.

    Raises:
        TypeError: constants of another kernel.
        ValueError: an unknown kernel.
    """

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    constants: Any
    q_exp: int = 0
    k_exp: int = 0
    v_exp: int = 0
    z_exp: int = 0
    kernel: str = field(kw_only=True)

    def __post_init__(self) -> None:
        if self.kernel not in KERNELS:
            raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, not {self.kernel!r}")
        KERNELS[self.kernel].check_constants(self.constants)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(heads, tokens, head_dim)."""
        heads, tokens, head_dim = self.q.shape
        return heads, tokens, head_dim

    @property
    def operands(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(q, k, v)."""
        return self.q, self.k, self.v

    @property
    def registers(self) -> dict[str, int]:
        """The constants by the names of their registers."""
        return self.constants.registers

    @property
    def settings(self) -> dict[str, int | tuple[int, ...]]:
        """All constants by the names of their registers: numbers, and tables whose entries go through one register."""
        return self.registers | {name.upper(): entries for name, entries in self.constants.tables.items()}

    def to_mapping(self) -> dict:
        """The job as a plain dictionary of arrays and numbers."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, mapping: Mapping) -> Job:
        """Inverse of `to_mapping`, after its way through JSON."""
        operands = {name: np.array(mapping[name], dtype=np.int64) for name in ("q", "k", "v")}
        constants = KERNELS[mapping["kernel"]].constants(**mapping["constants"])
        return cls(**{**mapping, **operands, "constants": constants})


def quantize_job(q, k, v, number_format: OperandFormat | None = None, kernel: str = "taylor") -> Job:
    """Quantizes float operands and sets the registers of their job.

    Args:
        q (np.ndarray | torch.Tensor): queries, floats (heads, tokens, head_dim), not scaled by 1/sqrt(d).
        k (np.ndarray | torch.Tensor): keys, of the same shape.
        v (np.ndarray | torch.Tensor): values, of the same shape.
        number_format (OperandFormat): the kernel's widths and register ranges; by default those of its class.
        kernel (str): attention kernel, a key of `golden.attention.kernels.KERNELS`.

    Raises:
        TypeError: operands that are not floating point.
        ValueError: NaN or infinite values, unequal or wrong shapes, or operands that the kernel has no constants for.
    """
    model = KERNELS[kernel]
    number_format = model.number_format() if number_format is None else number_format
    q, k, v = (float_array(name, x) for name, x in (("q", q), ("k", k), ("v", v)))
    check_shapes(q, k, v)
    q_exp, k_exp, v_exp = model.exponents(q, k, v, number_format)
    width = number_format.data_width
    q, k, v = (quantize_tensor(x, exponent, width) for x, exponent in ((q, q_exp), (k, k_exp), (v, v_exp)))
    scales = model.scales(q, k, v, q_exp, k_exp, v_exp, number_format)
    return Job(q, k, v, scales.constants, q_exp, k_exp, v_exp, scales.z_exp, kernel=kernel)

"""A job in integers, ready for the hardware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from .integer_attention import JobConstants

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """One job: real = integer * 2^exponent.

    Attributes:
        q (np.ndarray): queries, integers (heads, tokens, head_dim).
        k (np.ndarray): keys, integers of the same shape.
        v (np.ndarray): values, integers of the same shape.
        constants (JobConstants): run-time register values.
        q_exp (int): exponent of q.
        k_exp (int): exponent of k.
        v_exp (int): exponent of v.
        z_exp (int): exponent of the result.
    """

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    constants: JobConstants
    q_exp: int = 0
    k_exp: int = 0
    v_exp: int = 0
    z_exp: int = 0

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

    def to_mapping(self) -> dict:
        """The job as a plain dictionary of arrays and numbers."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, mapping: Mapping) -> Job:
        """Inverse of `to_mapping`, after its way through JSON."""
        operands = {name: np.array(mapping[name], dtype=np.int64) for name in ("q", "k", "v")}
        return cls(**{**mapping, **operands, "constants": JobConstants(**mapping["constants"])})

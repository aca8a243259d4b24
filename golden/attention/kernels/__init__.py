"""Attention kernels in integers: what hardware with the kernel of the same name (`rtl.attention`) must compute.

`KERNELS` says which there are. What each of them gives is `golden.attention.kernels.kernel.IntegerKernel`.
"""

from typing import Any

from .kernel import IntegerKernel
from .softmax import SoftmaxKernel
from .taylor import TaylorKernel

__all__ = ["KERNELS", "IntegerKernel", "kernel_of"]

KERNELS: dict[str, IntegerKernel] = {
    "taylor": TaylorKernel(),
    "softmax": SoftmaxKernel(),
}
"""Kernels by name, which is the value of the field `kernel` of a configuration."""


def kernel_of(constants: Any) -> str:
    """The name of the kernel that constants are of; `TypeError` if there is none."""
    for name, kernel in KERNELS.items():
        if isinstance(constants, kernel.constants):
            return name
    raise TypeError(f"constants must be those of {', '.join(KERNELS)}, not {constants!r}")

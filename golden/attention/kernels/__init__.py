"""Attention kernels in integers: what hardware with the kernel of the same name (`rtl.attention`) must compute.

`KERNELS` says which there are. What each of them gives is `golden.attention.kernels.kernel.IntegerKernel`.
"""

from .kernel import IntegerKernel
from .softmax import SoftmaxKernel
from .taylor import TaylorKernel

__all__ = ["KERNELS", "IntegerKernel"]

KERNELS: dict[str, IntegerKernel] = {
    "taylor": TaylorKernel(),
    "softmax": SoftmaxKernel(),
}
"""Kernels by name, which is the value of the field `kernel` of a configuration."""

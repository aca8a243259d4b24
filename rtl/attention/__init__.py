"""Attention kernels: what is computed from Q, K and V with the systolic array, and the seam that each kernel keeps.

`KERNELS` says which there are; a configuration chooses one by its field `kernel`. A kernel has two parts: a
specification (`rtl.attention.spec.KernelSpec`: widths, buffers, registers), which a configuration imports, and the
hardware (`rtl.attention.kernel.AttentionKernel`), which is imported to be built. A specification in a module without
hardware keeps Amaranth out of configurations. `golden.attention.kernels` has the kernels of the same names in integers.
"""

from taylorvit.rtl.common.loading import load

__all__ = ["KERNELS", "NETWORK_KERNELS", "kernel_number", "kernel_spec"]

KERNELS = {
    "taylor": "taylorvit.rtl.attention.taylor.spec:TaylorSpec",
    "softmax": "taylorvit.rtl.attention.softmax.spec:SoftmaxSpec",
}
"""Specifications by name, as "module:Class". The place of a kernel is its number in register CONSTANT_WIDTHS."""

NETWORK_KERNELS = {
    "taylor+softmax": "taylorvit.rtl.network.mixed.spec:MixedSpec",
}
"""Kernels that only the network accelerator has."""


def kernel_spec(kernel):
    """The specification, a subclass of `rtl.attention.spec.KernelSpec`, of a kernel of either dictionary."""
    return load((KERNELS | NETWORK_KERNELS)[kernel])


def kernel_number(kernel):
    """The number by which hardware tells its kernel."""
    return list(KERNELS | NETWORK_KERNELS).index(kernel)

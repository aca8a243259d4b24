"""Tensors of torch, where it is installed: the golden model of a job needs numpy alone."""

import sys

__all__ = ["is_tensor"]


def is_tensor(x: object) -> bool:
    """Whether `x` is a tensor of torch, which need not be installed."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)

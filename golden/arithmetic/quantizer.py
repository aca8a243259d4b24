"""Tensors from floats to integers with a power-of-two exponent, and back.

Every scale is a power of two, so that requantization is a shift. An exponent is chosen for the least squared error over
the tensor: a few saturated outliers against a finer step. What follows from the exponents for the registers of a job is
the kernel's (`golden.attention.kernels`).
"""

import math

import numpy as np

from .number_format import check_integer
from .tensors import is_tensor

__all__ = [
    "EXPONENT_LIMIT",
    "SATURATING_EXPONENTS",
    "choose_exponent",
    "dequantize",
    "exponent_of_doubles",
    "float_array",
    "quantize_tensor",
]

EXPONENT_LIMIT = 1100
"""Exponents beyond those of float64 (2^-1074 to 2^1023) by the widest operand are typing mistakes."""

SATURATING_EXPONENTS = 3
"""Below the exponent that saturates nothing, the least squared error was never seen further down than this."""


def quantize_tensor(x, exponent: int, width: int) -> np.ndarray:
    """round_half_up(x / 2^exponent), saturated to ``width`` bits, as int64."""
    limit = 1 << (check_integer("width", width, 2, 24) - 1)
    with np.errstate(over="ignore"):  # an infinity saturates like any other large value
        scaled = np.ldexp(float_array("x", x), -check_integer("exponent", exponent))
    scaled = np.clip(scaled, -limit, limit)
    whole = np.floor(scaled)
    # scaled - whole is exact, whereas scaled + 0.5 would round 0.49999999999999994 up.
    rounded = whole + (scaled - whole >= 0.5)
    return np.minimum(rounded, limit - 1).astype(np.int64)


def dequantize(x, exponent: int) -> np.ndarray:
    """The real values of integers, as float64: x 2^exponent."""
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.integer):
        raise TypeError(f"x must be integers, not {x.dtype}")
    return np.ldexp(x.astype(np.float64), check_integer("exponent", exponent))


def choose_exponent(x, width: int, if_zero: int | None = None) -> int:
    """The exponent that quantizes ``x`` to ``width`` bits with the least squared error.

    Args:
        x (np.ndarray): floats of any shape.
        width (int): bits of the signed integers, 2 to 24.
        if_zero (int): exponent of a tensor of zeros, which any exponent fits; the default is that of values up to 4.
    """
    x = float_array("x", x)
    width = check_integer("width", width, 2, 24)
    largest = float(np.max(np.abs(x), initial=0.0))
    if largest == 0.0:
        return 3 - width if if_zero is None else if_zero
    # frexp: largest = fraction * 2^exponent with 1/2 <= fraction < 1, hence nothing saturates at this
    # exponent save a value that rounds up to 2^(width - 1).
    highest = math.frexp(largest)[1] - (width - 1)
    candidates = range(highest - SATURATING_EXPONENTS, highest + 2)
    # In units of the highest exponent, so that the squares of tiny tensors don't underflow.
    scaled = np.ldexp(x, -highest)
    errors = {}
    for exponent in candidates:
        step = exponent - highest
        errors[exponent] = float(np.sum((scaled - dequantize(quantize_tensor(scaled, step, width), step)) ** 2))
    # The finest one of equals, where equal means up to the rounding of float64: the choice is then that of
    # every machine.
    least = min(errors.values()) * (1 + 1e-9) + 1e-24 * float(np.sum(scaled**2))
    return min(exponent for exponent in candidates if errors[exponent] <= least)


def exponent_of_doubles(z_exp: int, width: int) -> int:
    """The exponent of Z, with which every integer of this width is a number of double precision."""
    low, high = -1074, 1024 - width
    if not low <= z_exp <= high:
        raise ValueError(
            f"v must be of such a size that z_exp is {low} to {high}, where z fits double precision, not {z_exp!r}"
        )
    return z_exp


def float_array(name: str, x) -> np.ndarray:
    """Floats as an array of float64.

    Args:
        name (str): name of the operand, for the error.
        x (np.ndarray | torch.Tensor): floats of any width and shape.

    Raises:
        TypeError: they are not floating point.
        ValueError: one is not finite.
    """
    if is_tensor(x):
        if not x.is_floating_point():
            raise TypeError(f"{name} must be floating point, not {x.dtype}")
        x = x.detach().cpu().double().numpy()  # bfloat16 has no numpy type
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(f"{name} must be floating point, not {x.dtype}")
    with np.errstate(over="ignore"):  # of long doubles: an infinity is told below
        x = x.astype(np.float64)
    finite = np.isfinite(x)
    if not finite.all():
        raise ValueError(f"{name} must be finite, not {float(x[~finite].flat[0])!r}")
    return x

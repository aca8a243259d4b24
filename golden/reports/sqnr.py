"""Signal to quantization noise in decibels, for numbers of any size in double precision.

The square of 1e200 is beyond double precision, and that of 1e-200 is 0 in it: so a sum of squares is a fraction with an
exponent of its own.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

__all__ = ["Power", "decibels", "power_of", "sqnr_db", "sqnr_text", "total_power"]


class Power(NamedTuple):
    """A sum of squares, fraction * 2^exponent.

    Attributes:
        fraction (float): at least 0.
        exponent (int): of two.
    """

    fraction: float
    exponent: int


def power_of(x) -> Power:
    """Sums the squares of an array.

    Args:
        x (np.ndarray): numbers of any shape.

    Raises:
        ValueError: a value is not finite.
    """
    x = np.asarray(x, dtype=np.float64)
    largest = float(np.max(np.abs(x), initial=0.0))
    if not math.isfinite(largest):
        raise ValueError(f"signal and noise must be finite, not {largest!r}")
    exponent = math.frexp(largest)[1]
    return Power(float(np.sum(np.ldexp(x, -exponent) ** 2)), 2 * exponent)


def total_power(powers: Iterable[Power]) -> Power:
    """Sums powers, at least one."""
    powers = list(powers)
    exponent = max(each.exponent for each in powers)
    return Power(math.fsum(math.ldexp(each.fraction, each.exponent - exponent) for each in powers), exponent)


def decibels(signal: Power, noise: Power) -> float:
    """Computes 10 log10(signal / noise); infinite without noise, minus infinite without a signal."""
    if noise.fraction == 0.0:
        return math.inf
    if signal.fraction == 0.0:
        return -math.inf
    return 10.0 * (math.log10(signal.fraction / noise.fraction) + (signal.exponent - noise.exponent) * math.log10(2.0))


def sqnr_db(reference, value) -> float:
    """Computes the signal to quantization noise: 10 log10(sum reference^2 / sum (reference - value)^2).

    Args:
        reference (np.ndarray): the signal.
        value (np.ndarray): the signal with noise, of the same shape.

    Returns:
        Decibels; infinite where the two are equal, minus infinite where only the reference is zero.

    Raises:
        ValueError: the shapes differ, or a value is not finite.
    """
    reference, value = (np.asarray(x, dtype=np.float64) for x in (reference, value))
    if reference.shape != value.shape:
        raise ValueError(f"value must be of the shape of reference, {reference.shape!r}, not {value.shape!r}")
    noise = power_of(reference / 2 - value / 2)  # halves: their difference is finite if they are
    return decibels(power_of(reference), noise._replace(exponent=noise.exponent + 2))


def sqnr_text(decibels: float) -> str:
    """Decibels as a text; without noise "no error", without a signal "no signal"."""
    if math.isinf(decibels):
        return "no error" if decibels > 0 else "no signal"
    return f"{decibels:.1f} dB"

"""Signal to quantization noise in decibels, of numbers of any size that double precision has.

The square of 1e200 is beyond double precision, and that of 1e-200 is 0 there: a sum of squares is kept as a fraction
with an exponent of its own.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

__all__ = ["Power", "decibels", "power_of", "sqnr_db", "sqnr_text", "total_power"]


class Power(NamedTuple):
    """A sum of squares: fraction 2^exponent."""

    fraction: float
    exponent: int


def power_of(x) -> Power:
    """The sum of the squares of an array; `ValueError` if a value is not finite."""
    x = np.asarray(x, dtype=np.float64)
    largest = float(np.max(np.abs(x), initial=0.0))
    if not math.isfinite(largest):
        raise ValueError(f"signal and noise must be finite, not {largest!r}")
    exponent = math.frexp(largest)[1]
    return Power(float(np.sum(np.ldexp(x, -exponent) ** 2)), 2 * exponent)


def total_power(powers: Iterable[Power]) -> Power:
    """The sum of some."""
    powers = list(powers)
    exponent = max(each.exponent for each in powers)
    return Power(math.fsum(math.ldexp(each.fraction, each.exponent - exponent) for each in powers), exponent)


def decibels(signal: Power, noise: Power) -> float:
    """10 log10(signal / noise); infinite without noise, minus infinite without a signal."""
    if noise.fraction == 0.0:
        return math.inf
    if signal.fraction == 0.0:
        return -math.inf
    return 10.0 * (math.log10(signal.fraction / noise.fraction) + (signal.exponent - noise.exponent) * math.log10(2.0))


def sqnr_db(reference, value) -> float:
    """Signal to quantization noise in decibels: 10 log10(sum reference^2 / sum (reference - value)^2).

    Infinite where the two are equal; minus infinite where only the reference is zero.

    Raises:
        ValueError: the shapes differ, or a value is not finite.
    """
    reference, value = (np.asarray(x, dtype=np.float64) for x in (reference, value))
    if reference.shape != value.shape:
        raise ValueError(f"value must be of the shape of reference, {reference.shape!r}, not {value.shape!r}")
    noise = power_of(reference / 2 - value / 2)  # halves: their difference is finite if they are
    return decibels(power_of(reference), noise._replace(exponent=noise.exponent + 2))


def sqnr_text(decibels: float) -> str:
    """Decibels for people; a result without any error has none, and one of no signal either."""
    if math.isinf(decibels):
        return "no error" if decibels > 0 else "no signal"
    return f"{decibels:.1f} dB"

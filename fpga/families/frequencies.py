"""Limits of frequencies, as data sheets give them."""

__all__ = ["MHZ", "within"]

MHZ = 1_000_000


def within(frequency, limits):
    """Whether a frequency is within limits.

    Args:
        frequency (Fraction | int): in hertz.
        limits (tuple[float, float]): the lowest and the highest, both allowed, in MHz.

    Returns:
        bool: whether it is.
    """
    low, high = limits
    return low * MHZ <= frequency <= high * MHZ

"""Cycles of a reciprocal root in series (`rtl.network.serial_root`), for configurations, which need no Amaranth."""

__all__ = ["QUOTIENT_BITS", "serial_root_cycles"]

QUOTIENT_BITS = 31
"""Bits of the quotient, which are found one a cycle."""


def serial_root_cycles(variance_width):
    """Cycles that a root takes in series, all bits of the variance looked at.

    Args:
        variance_width (int): bits of V.
    """
    return (variance_width + 1) // 2 + QUOTIENT_BITS

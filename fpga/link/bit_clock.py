"""Bit clock: the phase accumulator that times the bits of the UART's receiver and transmitter.

A bit lasts clock_hz / baud cycles, which need not be a whole number. A phase of `width` bits advances by `step` every
cycle, and a bit ends when it wraps around:

    bits a cycle = step / 2^width = baud / clock_hz (1 + error)
"""

__all__ = ["BIT_ERROR_MAX", "CYCLES_PER_BIT_MIN", "bit_clock"]

#: How much longer or shorter a bit may be than it should; a receiver bears 2 % and more between the two ends.
BIT_ERROR_MAX = 0.001
#: Fewer do not leave room for where in a cycle an edge lies.
CYCLES_PER_BIT_MIN = 3

_WIDTH_MAX = 28


def bit_clock(clock_hz, baud):
    """The phase accumulator with as few bits as keep the error of a bit below `BIT_ERROR_MAX`.

    Args:
        clock_hz (int): frequency of the clock.
        baud (int): bits a second, at most clock_hz / `CYCLES_PER_BIT_MIN`.

    Returns:
        tuple[int, int]: step in a cycle, and bits of the phase.

    Raises:
        TypeError: a number is not an integer.
        ValueError: the baud rate cannot be made of the clock: it is more than a third of it, or too slow for an
            accumulator of 28 bits.
    """
    for name, value in (("clock_hz", clock_hz), ("baud", baud)):
        if not isinstance(value, int):
            raise TypeError(f"{name} must be an integer, not {value!r}")
        if value <= 0:
            raise ValueError(f"{name} must be positive, not {value!r}")
    if CYCLES_PER_BIT_MIN * baud > clock_hz:
        raise ValueError(f"baud must be at most clock_hz / {CYCLES_PER_BIT_MIN} = {clock_hz // 3}, not {baud!r}")
    for width in range(1, _WIDTH_MAX + 1):
        step = round(baud * (1 << width) / clock_hz)
        if abs(step * clock_hz / (baud * (1 << width)) - 1) <= BIT_ERROR_MAX:
            return step, width
    raise ValueError(f"baud must be nearer to clock_hz = {clock_hz}, not {baud!r}")

"""Core clocks of Lattice iCE40: the SB_PLL40_PAD, by FPGA-DS-02008 (iCE40 UltraPlus) and FPGA-TN-02052.

f = f_in (F + 1) / ((R + 1) 2^Q),    R = DIVR, F = DIVF, Q = DIVQ
"""

from fractions import Fraction

from amaranth.hdl import Const

from taylorvit.fpga.families.family import CoreClock
from taylorvit.fpga.families.frequencies import MHZ, within

__all__ = ["core_clocks"]

#: MHz.
_PHASE_DETECTOR, _OSCILLATOR, _OUTPUT = (10, 133), (533, 1066), (16, 275)
#: Frequencies of the phase detector, in MHz, from each of which on FILTER_RANGE is one more; below the first it is 1.
_FILTER_STEPS = (17, 26, 44, 66, 101)


def core_clocks(board):
    """The clocks that the PLL makes, the nearest to `board.core_hz` for each input and output divider.

    Args:
        board (Board): board with its oscillator and the core clock wanted.

    Yields:
        CoreClock: a clock within the limits of the data sheet.
    """
    for divide in range(1, 17):
        compared = Fraction(board.clock_hz, divide)
        if not within(compared, _PHASE_DETECTOR):
            continue
        for exponent in range(1, 7):
            multiply = max(1, min(128, round(board.core_hz * (1 << exponent) / compared)))
            oscillator = compared * multiply
            if within(oscillator, _OSCILLATOR) and within(oscillator / (1 << exponent), _OUTPUT):
                filter_range = 1 + sum(compared >= step * MHZ for step in _FILTER_STEPS)
                yield CoreClock(
                    oscillator / (1 << exponent),
                    "SB_PLL40_PAD",
                    (
                        ("FEEDBACK_PATH", "SIMPLE"),
                        ("DIVR", divide - 1),
                        ("DIVF", multiply - 1),
                        ("DIVQ", exponent),
                        ("FILTER_RANGE", filter_range),
                    ),
                    _connections,
                )


def _connections(clock_in, clock_out):
    return {"i_PACKAGEPIN": clock_in, "o_PLLOUTGLOBAL": clock_out, "i_BYPASS": Const(0, 1), "i_RESETB": Const(1, 1)}

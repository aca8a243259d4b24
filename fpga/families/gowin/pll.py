"""Core clocks of Gowin: the rPLL, by SUG286 and the data sheets of GW1NR and GW2AR.

f = f_in (F + 1) / (I + 1),    I = IDIV_SEL, F = FBDIV_SEL
"""

from fractions import Fraction

from amaranth.hdl import Const

from taylorvit.fpga.families.family import CoreClock
from taylorvit.fpga.families.frequencies import MHZ, within

__all__ = ["core_clocks"]

#: Beginning of a device's name -> limits of phase detector, oscillator and output in MHz, of speed grade C6 and better.
_LIMITS = {
    "GW1N": ((3, 400), (400, 900), (3.125, 450)),
    "GW2A": ((3, 400), (500, 1250), (3.90625, 625)),
}
_OUTPUT_DIVIDERS = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)


def core_clocks(board):
    """The clocks that the PLL makes, the nearest to `board.core_hz` for each input divider.

    Args:
        board (Board): board with its oscillator and the core clock wanted.

    Yields:
        CoreClock: a clock within the limits of the data sheet.

    Raises:
        ValueError: the device is of another series.
    """
    device = board.part["device"]
    limits = [limits for prefix, limits in _LIMITS.items() if device.startswith(prefix)]
    if not limits:
        raise ValueError(f"device must begin with {' or '.join(_LIMITS)}, not {device!r}")
    ((detector, oscillator, output),) = limits
    for divide in range(1, 65):
        compared = Fraction(board.clock_hz, divide)
        if not within(compared, detector):
            continue
        multiply = max(1, min(64, round(board.core_hz / compared)))
        result = compared * multiply
        for factor in _OUTPUT_DIVIDERS:
            if within(result * factor, oscillator) and within(result, output):
                yield CoreClock(
                    result,
                    "rPLL",
                    (
                        ("FCLKIN", f"{board.clock_hz / MHZ:g}"),
                        ("IDIV_SEL", divide - 1),
                        ("FBDIV_SEL", multiply - 1),
                        ("ODIV_SEL", factor),
                    ),
                    _connections,
                )


def _connections(clock_in, clock_out):
    return {
        "i_CLKIN": clock_in,
        "i_CLKFB": Const(0, 1),
        "o_CLKOUT": clock_out,
        **{f"i_{name}": Const(0, 1) for name in ("RESET", "RESET_P")},
        **{f"i_{name}": Const(0, 6) for name in ("FBDSEL", "IDSEL", "ODSEL")},
        **{f"i_{name}": Const(0, 4) for name in ("PSDA", "DUTYDA", "FDLY")},
    }

"""Core clocks of Lattice ECP5: the EHXPLLL, by FPGA-DS-02012.

f = f_in / i k / d,    i = CLKI_DIV, k = CLKOP_DIV (the feedback), d = CLKOS_DIV (the output)
"""

from fractions import Fraction
from functools import partial

from amaranth.hdl import Const, Signal

from taylorvit.fpga.families.family import CoreClock
from taylorvit.fpga.families.frequencies import within

__all__ = ["core_clocks"]

#: MHz.
_INPUT, _PHASE_DETECTOR, _OSCILLATOR, _OUTPUT = (8, 400), (10, 400), (400, 800), (3.125, 400)


def core_clocks(board):
    """The clocks that the PLL makes, the nearest to `board.core_hz` for each input divider and feedback.

    Args:
        board (Board): board with its oscillator and the core clock wanted.

    Yields:
        CoreClock: a clock within the limits of the data sheet.
    """
    if not within(board.clock_hz, _INPUT):
        return
    for divide in range(1, 129):
        compared = Fraction(board.clock_hz, divide)
        if not within(compared, _PHASE_DETECTOR):
            continue
        for multiply in range(1, 129):
            oscillator = compared * multiply
            if not within(oscillator, _OSCILLATOR):
                continue
            output = max(1, min(128, round(oscillator / board.core_hz)))
            if within(oscillator / output, _OUTPUT):
                parameters = _parameters(divide, multiply, output)
                yield CoreClock(oscillator / output, "EHXPLLL", parameters, _connections, partial(_shifted, output))


def _parameters(divide, multiply, output):
    return (
        ("CLKI_DIV", divide),
        ("CLKFB_DIV", 1),
        ("CLKOP_ENABLE", "ENABLED"),
        ("CLKOP_DIV", multiply),
        ("CLKOP_CPHASE", multiply - 1),
        ("CLKOP_FPHASE", 0),
        ("CLKOS_ENABLE", "ENABLED"),
        ("CLKOS_DIV", output),
        ("CLKOS_CPHASE", output - 1),
        ("CLKOS_FPHASE", 0),
        ("FEEDBK_PATH", "CLKOP"),
        ("OUTDIVIDER_MUXA", "DIVA"),
        ("OUTDIVIDER_MUXB", "DIVB"),
        ("DPHASE_SOURCE", "DISABLED"),
        ("PLLRST_ENA", "DISABLED"),
        ("INTFB_WAKE", "DISABLED"),
        ("STDBY_ENABLE", "DISABLED"),
    )


def _connections(clock_in, clock_out):
    feedback = Signal()
    low = ("i_RST", "i_STDBY", "i_PHASESEL0", "i_PHASESEL1", "i_PLLWAKESYNC", "i_ENCLKOP", "i_ENCLKOS")
    high = ("i_PHASEDIR", "i_PHASESTEP", "i_PHASELOADREG")
    return {
        # Charge pump and loop filter as Lattice's own generator sets them. nextpnr would leave them at 0, and the PLL
        # would not lock.
        "a_ICP_CURRENT": "12",
        "a_LPF_RESISTOR": "8",
        "a_MFG_ENABLE_FILTEROPAMP": "1",
        "a_MFG_GMCREF_SEL": "2",
        "i_CLKI": clock_in,
        "o_CLKOP": feedback,
        "i_CLKFB": feedback,
        "o_CLKOS": clock_out,
        **dict.fromkeys(low, Const(0, 1)),
        **dict.fromkeys(high, Const(1, 1)),
    }


def _shifted(output, phase, clock):
    """A third output like the second, later by a part of its cycle, which is set in eighths of the oscillator's."""
    eighths = round(8 * output * phase)
    return {
        "p_CLKOS2_ENABLE": "ENABLED",
        "p_CLKOS2_DIV": output,
        "p_CLKOS2_CPHASE": output - 1 + eighths // 8,
        "p_CLKOS2_FPHASE": eighths % 8,
        "p_OUTDIVIDER_MUXC": "DIVC",
        "i_ENCLKOS2": Const(0, 1),
        "o_CLKOS2": clock,
    }

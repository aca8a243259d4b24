"""What every PLL has to keep to: it makes the frequency that it claims, within the limits of its data sheet."""

from __future__ import annotations

from taylorvit.fpga.board import load_board
from taylorvit.fpga.clock_generator import core_clock

__all__ = ["expect_clocks_within_limits"]

MEGAHERTZ = range(20, 160, 3)


def expect_clocks_within_limits(board_name, frequencies, detector_limits, oscillator_limits):
    """Checks the core clocks of a board from 20 to 160 MHz; most of them have to be there.

    `frequencies` is a function of a clock's parameters and the oscillator's frequency that returns the frequencies of
    phase detector, oscillator and output, in hertz. Limits are in MHz.
    """
    board = load_board(board_name)
    found = 0
    for megahertz in MEGAHERTZ:
        try:
            clock = core_clock(board.with_core_hz(megahertz * 1_000_000))
        except ValueError:
            continue
        if clock.cell is None:
            continue
        found += 1
        detector, oscillator, output = frequencies(dict(clock.parameters), board.clock_hz)
        if output != clock.hz or abs(output - megahertz * 1_000_000) > megahertz * 10_000:
            raise AssertionError(f"output must be {clock.hz} Hz, within 1 % of {megahertz} MHz, not {output}")
        for frequency, (low, high) in ((detector, detector_limits), (oscillator, oscillator_limits)):
            if not low * 1_000_000 <= frequency <= high * 1_000_000:
                raise AssertionError(f"frequency must be in {low}..{high} MHz for {megahertz} MHz, not {frequency}")
    if found <= len(MEGAHERTZ) // 2:
        raise AssertionError(f"most of {len(MEGAHERTZ)} clocks must be made, not {found}")

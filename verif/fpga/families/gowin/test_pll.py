"""rPLL: frequencies by the data sheets of two series, and a device of another."""

from dataclasses import replace
from fractions import Fraction

import pytest

from taylorvit.fpga.board import load_board
from taylorvit.fpga.clock_generator import core_clock
from verif.fpga.families.pll import expect_clocks_within_limits


def frequencies(parameters, source):
    detector = Fraction(source, parameters["IDIV_SEL"] + 1)
    output = detector * (parameters["FBDIV_SEL"] + 1)
    return detector, output * parameters["ODIV_SEL"], output


@pytest.mark.parametrize(
    "board, detector, oscillator",
    [("tang-nano-9k", (3, 400), (400, 1200)), ("tang-nano-20k", (3, 500), (500, 1250))],
)
def test_clocks_are_within_the_limits(board, detector, oscillator):
    expect_clocks_within_limits(board, frequencies, detector, oscillator)


def test_device_without_known_limits():
    board = load_board("tang-nano-9k")
    board = replace(board, part={**board.part, "device": "GW5A-LV25"}, core_hz=50_000_000)
    with pytest.raises(ValueError, match=r"^device must begin with GW1N or GW2A, not 'GW5A-LV25'$"):
        core_clock(board)

"""SB_PLL40_PAD: frequencies by the data sheet."""

from fractions import Fraction

from verif.fpga.families.pll import expect_clocks_within_limits


def frequencies(parameters, source):
    detector = Fraction(source, parameters["DIVR"] + 1)
    oscillator = detector * (parameters["DIVF"] + 1)
    return detector, oscillator, oscillator / 2 ** parameters["DIVQ"]


def test_clocks_are_within_the_limits():
    expect_clocks_within_limits("icebreaker", frequencies, (10, 133), (533, 1066))

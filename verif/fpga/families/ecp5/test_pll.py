"""EHXPLLL: frequencies by the data sheet, and attributes without which it would not lock."""

from fractions import Fraction

import pytest

from taylorvit.fpga.board import load_board
from taylorvit.fpga.clock_generator import ClockGenerator, core_clock
from taylorvit.gen.verilog import emit
from verif.fpga.families.pll import expect_clocks_within_limits


def frequencies(parameters, source):
    detector = Fraction(source, parameters["CLKI_DIV"])
    oscillator = detector * parameters["CLKFB_DIV"] * parameters["CLKOP_DIV"]
    return detector, oscillator, oscillator / parameters["CLKOS_DIV"]


def test_clocks_are_within_the_limits():
    expect_clocks_within_limits("ulx3s-85f", frequencies, (10, 400), (400, 800))


def test_loop_filter_is_set():
    # Without these attributes, nextpnr leaves charge pump and filter at 0, and no PLL would lock.
    verilog = emit(ClockGenerator(core_clock(load_board("ulx3s-85f"))))
    assert 'ICP_CURRENT = "12"' in verilog and 'LPF_RESISTOR = "8"' in verilog
    assert ".CLKFB(" in verilog


@pytest.mark.parametrize("megahertz", [20, 50, 60, 75, 100])
@pytest.mark.parametrize("phase", [Fraction(1, 4), Fraction(5, 16), Fraction(13, 16)])
def test_a_second_clock_comes_later_by_its_phase(megahertz, phase):
    clock = core_clock(load_board("ulx3s-85f").with_core_hz(megahertz * 1_000_000))
    first, second = dict(clock.parameters), clock.shifted(phase, None)
    assert second["p_CLKOS2_DIV"] == first["CLKOS_DIV"]
    later = Fraction(8 * second["p_CLKOS2_CPHASE"] + second["p_CLKOS2_FPHASE"], 8) - first["CLKOS_CPHASE"]
    assert abs(later / first["CLKOS_DIV"] - phase) <= Fraction(1, 16 * first["CLKOS_DIV"])
    assert second["p_CLKOS2_CPHASE"] < 128 and second["p_CLKOS2_FPHASE"] < 8
    assert ".CLKOS2(chip_clock)" in emit(ClockGenerator(clock, phase))

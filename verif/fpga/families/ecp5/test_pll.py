"""EHXPLLL: frequencies by the data sheet, and attributes without which it would not lock."""

from fractions import Fraction

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

"""Clocks: PLL parameters give the frequency they claim, within the vendors' limits; resets end when they should."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cocotb
import pytest
from cocotb.triggers import FallingEdge, RisingEdge

from taylorvit.fpga.board import board_names, load_board
from taylorvit.fpga.families.clocking import ClockGenerator, CoreClock, ResetGenerator, core_clock
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, run, start

MEGAHERTZ = range(20, 160, 3)


def made(clock, source):
    """(phase detector, oscillator, output) in hertz by what the vendors say of their parameters."""
    p = dict(clock.parameters)
    if clock.cell == "EHXPLLL":
        detector = Fraction(source, p["CLKI_DIV"])
        oscillator = detector * p["CLKFB_DIV"] * p["CLKOP_DIV"]
        return detector, oscillator, oscillator / p["CLKOS_DIV"]
    if clock.cell == "SB_PLL40_PAD":
        detector = Fraction(source, p["DIVR"] + 1)
        oscillator = detector * (p["DIVF"] + 1)
        return detector, oscillator, oscillator / 2 ** p["DIVQ"]
    detector = Fraction(source, p["IDIV_SEL"] + 1)
    output = detector * (p["FBDIV_SEL"] + 1)
    return detector, output * p["ODIV_SEL"], output


LIMITS = {  # MHz: phase detector, oscillator
    "ulx3s-85f": ((10, 400), (400, 800)),
    "icebreaker": ((10, 133), (533, 1066)),
    "tang-nano-9k": ((3, 400), (400, 1200)),
    "tang-nano-20k": ((3, 500), (500, 1250)),
}


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_pll_gives_what_it_claims_within_its_limits(name):
    board = load_board(name)
    found = 0
    for megahertz in MEGAHERTZ:
        try:
            clock = core_clock(board.with_core_hz(megahertz * 1_000_000))
        except ValueError:
            continue
        if clock.cell is None:
            continue
        found += 1
        detector, oscillator, output = made(clock, board.clock_hz)
        assert output == clock.hz
        assert abs(output - megahertz * 1_000_000) <= megahertz * 10_000
        for frequency, (low, high) in zip((detector, oscillator), LIMITS[name]):
            assert low * 1_000_000 <= frequency <= high * 1_000_000
    assert found > len(MEGAHERTZ) // 2


@pytest.mark.parametrize("name", board_names())
def test_every_preset_has_a_clock(name):
    board = load_board(name)
    for preset in board.presets.values():
        assert core_clock(board.with_core_hz(preset.core_hz)).rounded_hz == pytest.approx(preset.core_hz, rel=0.01)


def test_clock_of_the_board_itself_needs_no_pll():
    board = load_board("ulx3s-85f")
    assert core_clock(board.with_core_hz(board.clock_hz)) == CoreClock(Fraction(board.clock_hz), None)
    assert "assign clock_out = clock_in;" in emit(ClockGenerator(core_clock(board.with_core_hz(board.clock_hz))))


def test_frequency_that_no_pll_makes():
    with pytest.raises(
        ValueError,
        match=r"^core clock of ulx3s-85f must be one that its PLL makes of 25 MHz "
        r"\(400 MHz is the nearest\), not 900 MHz$",
    ):
        core_clock(load_board("ulx3s-85f").with_core_hz(900_000_000))
    with pytest.raises(ValueError, match=r"\(there is none near\), not 30 MHz$"):
        core_clock(replace(load_board("ulx3s-85f"), clock_hz=3_000_000, core_hz=30_000_000))


def test_gowin_device_without_known_limits():
    board = replace(load_board("tang-nano-9k"), device="GW5A-LV25", core_hz=50_000_000)
    with pytest.raises(ValueError, match=r"^device must begin with GW1N or GW2A, not 'GW5A-LV25'$"):
        core_clock(board)


def test_loop_filter_of_the_ecp5_is_set():
    # Without these attributes, nextpnr leaves charge pump and filter at 0, and no PLL would lock.
    verilog = emit(ClockGenerator(core_clock(load_board("ulx3s-85f"))))
    assert 'ICP_CURRENT = "12"' in verilog and 'LPF_RESISTOR = "8"' in verilog
    assert ".CLKFB(" in verilog


@cocotb.test()
async def resets_follow_their_causes(dut):
    """Reset lasts `reset_cycles` after the last cause; the accelerator's also follows the host's request."""
    generator = ResetGenerator()
    dut.locked.value = 0
    dut.button.value = 0
    dut.request.value = 0
    await start(dut)

    async def cycles_of_reset():
        count = 0
        while int(dut.reset.value):
            await FallingEdge(dut.clk)
            count += 1
            assert count < 2 * generator.reset_cycles, "reset must end"
        return count

    for _ in range(20):
        await FallingEdge(dut.clk)
        assert int(dut.reset.value) == int(dut.accelerator_reset.value) == 1
    dut.locked.value = 1
    lasted = await cycles_of_reset()
    expect_equal("reset lasts its cycles", lasted >= generator.reset_cycles, True)

    dut.request.value = 1
    await RisingEdge(dut.clk)
    await FallingEdge(dut.clk)
    expect_equal("only the accelerator is reset", (int(dut.reset.value), int(dut.accelerator_reset.value)), (0, 1))
    dut.request.value = 0
    await RisingEdge(dut.clk)
    await FallingEdge(dut.clk)
    expect_equal("for as long as it is asked", int(dut.accelerator_reset.value), 0)

    for cause, value in ((dut.button, 1), (dut.locked, 0)):
        cause.value = value
        for _ in range(4):
            await FallingEdge(dut.clk)
        expect_equal("a cause resets", int(dut.reset.value), 1)
        cause.value = 1 - value
        expect_equal("and reset lasts", await cycles_of_reset() >= generator.reset_cycles, True)


def test_reset_generator():
    run(build(emit(ResetGenerator()), "reset_generator"), __name__, testcase="resets_follow_their_causes")

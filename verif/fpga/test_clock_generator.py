"""Core clocks: every preset has one, near the frequency wanted; the oscillator's own needs no PLL."""

from dataclasses import replace
from fractions import Fraction

import pytest

from taylorvit.fpga.board import board_names, load_board
from taylorvit.fpga.clock_generator import ClockGenerator, core_clock
from taylorvit.fpga.families import CoreClock
from taylorvit.gen.verilog import emit


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


def test_a_second_clock_is_the_opposite_where_there_is_no_pll():
    board = load_board("ulx3s-85f")
    text = emit(ClockGenerator(core_clock(board.with_core_hz(board.clock_hz)), Fraction(1, 2)))
    assert "assign chip_clock = !clock_in;" in text

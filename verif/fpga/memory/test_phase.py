"""The phase of the chip's clock leaves time at every pin."""

from __future__ import annotations

from fractions import Fraction

import pytest

from taylorvit.fpga.families.ecp5.sdram_pads import Ecp5SdramPads
from taylorvit.fpga.memory.chips import CHIPS
from taylorvit.fpga.memory.phase import HALF, chip_clock

PINS = Ecp5SdramPads.pin_timing


@pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)
@pytest.mark.parametrize("megahertz", range(12, 101))
def test_there_is_time_at_every_pin(chip, megahertz):
    clock = chip_clock(chip, PINS, megahertz * 1_000_000)
    assert min(clock.margins(chip, PINS, megahertz * 1_000_000).values()) > 0.69


def test_what_boards_are_known_to_work_with():
    """A quarter of a cycle at 50 MHz, as others use it on the ULX3S."""
    clock = chip_clock(CHIPS["MT48LC16M16"], PINS, 50_000_000)
    assert (clock.phase, clock.late) == (Fraction(1, 4), 0)


def test_data_come_later_with_a_fast_clock():
    assert [chip_clock(CHIPS["MT48LC16M16"], PINS, hz).late for hz in (60_000_000, 70_000_000)] == [0, 1]


def test_margins_are_what_is_left():
    """Times of a cycle of 20 ns, added up by hand."""
    chip = CHIPS["MT48LC16M16"]  # access 6, hold 2.7, setup 1.5, input hold 0.8
    margins = HALF.margins(chip, PINS, 50_000_000)  # out 2.0 to 3.9, skew 0.5, setup 0.8, hold 0.9, wires 0.4
    assert margins == pytest.approx(
        {
            "setup at the chip": 10 - 0.5 - 1.5,
            "hold at the chip": 10 - 0.5 - 0.8,
            "setup at the FPGA": 10 - 3.9 - 6 - 0.4 - 0.8,
            "hold at the FPGA": 10 + 2.0 + 2.7 - 0.9,
        }
    )


def test_clocks_that_are_too_fast():
    chip = CHIPS["MT48LC16M16"]
    with pytest.raises(ValueError, match=r"^clock of MT48LC16M16 must be at most 100,000,000 Hz, not 100,000,001$"):
        chip_clock(chip, PINS, 100_000_001)
    text = r"^clock of MT48LC16M16 must leave time at its pins, not 50,000,000 Hz: setup at the FPGA lacks 1.1 ns$"
    with pytest.raises(ValueError, match=text):
        chip_clock(chip, PINS, 50_000_000, has_pll=False)

"""Chips and their times in cycles."""

from __future__ import annotations

import pytest

from taylorvit.fpga.memory.chips import CHIPS, SdramTiming


@pytest.mark.parametrize(("name", "megabytes"), [("MT48LC16M16", 32), ("AS4C32M16", 64)])
def test_sizes(name, megabytes):
    chip = CHIPS[name]
    assert chip.bytes == megabytes << 20
    assert chip.address_pins == 13


def test_times_are_at_least_those_of_the_chip():
    timing = SdramTiming(CHIPS["MT48LC16M16"], 100_000_000)
    assert [timing.cycles(ns) for ns in (10, 10.1, 20, 15, 66)] == [1, 2, 2, 2, 7]


def test_refreshes_are_often_enough():
    for hz in (25_000_000, 66_666_667, 99_999_999):
        timing = SdramTiming(CHIPS["AS4C32M16"], hz)
        assert 8192 * timing.refresh_cycles / hz <= 0.064 < 8192 * (timing.refresh_cycles + 1) / hz


def test_data_come_later_where_the_clock_is_late():
    chip = CHIPS["AS4C32M16"]
    assert SdramTiming(chip, 60_000_000).read_latency == 3
    assert SdramTiming(chip, 60_000_000, late=1).read_latency == 4

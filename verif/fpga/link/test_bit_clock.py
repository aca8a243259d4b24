"""Bit clock: any ratio of clock and baud, with a small error, or a clear refusal."""

from __future__ import annotations

import pytest

from taylorvit.fpga.link.bit_clock import BIT_ERROR_MAX, bit_clock


@pytest.mark.parametrize("clock_hz", [1_000_000, 12_000_000, 27_000_000, 48_123_457, 110_000_000])
def test_bits_are_as_long_as_they_should_be(clock_hz):
    for baud in (300, 9600, 115_200, 921_600, 1_000_000, 3_000_000, 12_000_000, clock_hz // 3, clock_hz // 4):
        if 3 * baud <= clock_hz:
            step, width = bit_clock(clock_hz, baud)
            assert 0 < step < 1 << width
            assert step * clock_hz / (1 << width) == pytest.approx(baud, rel=BIT_ERROR_MAX)


def test_a_power_of_two_takes_as_few_bits_as_it_can():
    assert bit_clock(64, 16) == (1, 2)
    assert bit_clock(12_000_000, 3_000_000) == (1, 2)


@pytest.mark.parametrize(
    ("clock_hz", "baud", "error", "text"),
    [
        (1.5e6, 9600, TypeError, "clock_hz must be an integer, not 1500000.0"),
        (1_000_000, "9600", TypeError, "baud must be an integer, not '9600'"),
        (0, 9600, ValueError, "clock_hz must be positive, not 0"),
        (1_000_000, -1, ValueError, "baud must be positive, not -1"),
        (1_000_000, 333_334, ValueError, "baud must be at most clock_hz / 3 = 333333, not 333334"),
        (400_000_000, 1, ValueError, "baud must be nearer to clock_hz = 400000000, not 1"),
    ],
)
def test_what_cannot_be_made_is_refused(clock_hz, baud, error, text):
    with pytest.raises(error) as raised:
        bit_clock(clock_hz, baud)
    assert str(raised.value) == text

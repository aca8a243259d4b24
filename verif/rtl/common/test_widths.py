"""Widths: every index fits, and one bit fewer would not do."""

from __future__ import annotations

import pytest
from amaranth.hdl import Const, Shape, Value, signed, unsigned

from taylorvit.rtl.common.widths import address_field, index_width, tile_width, up_to


@pytest.mark.parametrize("count", range(1, 70))
def test_an_index_fits(count):
    assert count <= 1 << tile_width(count)
    assert count > 1 << tile_width(count) - 1 if count > 1 else tile_width(count) == 0
    assert index_width(count) == max(1, tile_width(count))


@pytest.mark.parametrize(
    ("least", "most", "shape"),
    [(0, 0, unsigned(1)), (0, 1, unsigned(1)), (0, 4, unsigned(3)), (-1, 0, signed(1)), (-5, 3, signed(4)),
     (-4, 5, signed(4))],
)  # fmt: skip
def test_a_shape_has_room_for_its_limits(least, most, shape):
    assert Shape.cast(up_to(most, least=least)) == shape


@pytest.mark.parametrize(("width", "expected"), [(2, "01"), (4, "1101"), (6, "001101")])
def test_a_field_of_an_address_keeps_its_width(width, expected):
    field = Value.cast(address_field(Const(0b1101, 4), width))
    assert (len(field), Const.cast(field).value) == (width, int(expected, 2))

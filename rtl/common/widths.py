"""Widths of ports and fields of addresses, from the numbers that have to fit."""

from amaranth.hdl import Cat, Const, Shape, unsigned

__all__ = ["address_field", "index_width", "tile_width", "up_to"]


def index_width(count):
    """Bits of an index of `count` places, at least one: a port needs one."""
    return max(1, (count - 1).bit_length())


def tile_width(count):
    """Bits of a tile's number as a field of an address: none where there is but one tile."""
    return (count - 1).bit_length()


def up_to(most, *, least=0):
    """Shape of the integers from `least` to `most`, of at least one bit, even for a constant 0: a port needs one."""
    shape = Shape.cast(range(least, most + 1))
    return shape if shape.width else unsigned(1)


def address_field(value, width):
    """The low `width` bits of `value`, filled up with zeros, so that the next field of the address keeps its place."""
    return value[:width] if len(value) >= width else Cat(value, Const(0, width - len(value)))

"""An entry on its way to a table: a memory whose words are set at run time and then only looked up."""

from amaranth.lib.wiring import Out, Signature

from .validation import require_range
from .widths import index_width

__all__ = ["TableWrite"]


class TableWrite(Signature):
    """One entry for a table.

    Args:
        entries (int): of the table, at least 1.
        width (int): bits of an entry, at least 1.

    Ports:
        valid (1 bit): there is an entry.
        entry (index_width(entries) bits): its place in the table.
        data (width bits): the number, without a sign.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter is below 1.
    """

    def __init__(self, *, entries, width):
        require_range("entries", entries, 1)
        require_range("width", width, 1)
        super().__init__({"valid": Out(1), "entry": Out(index_width(entries)), "data": Out(width)})

"""A chain of memory banks, and the words that go along it.

A word goes from bank to bank, and each bank that it is meant for writes its share of it. So no bus runs to all banks.
"""

from amaranth.lib.wiring import Out, Signature

from .pipeline import delay
from .validation import require_range
from .widths import index_width

__all__ = ["BankWrite", "bank_write"]


class BankWrite(Signature):
    """A word that travels along a chain of banks.

    Args:
        banks (int): length of the chain.
        address_width (int): bits of an address in a bank.
        data_width (int): bits of the whole word.

    Ports:
        valid (1 bit): there is a word.
        offset (index_width(2 banks) bits): distance of this bank from the first destination bank, modulo a power of
            two; so it is large in the banks before that one.
        address (address_width bits): where the word goes, the same address in each bank.
        data (data_width bits): the word, with the share of this bank in the lowest bits.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter is below 1.
    """

    def __init__(self, *, banks, address_width, data_width):
        require_range("banks", banks, 1)
        require_range("address_width", address_width, 1)
        require_range("data_width", data_width, 1)
        super().__init__(
            {
                "valid": Out(1),
                "offset": Out(index_width(2 * banks)),
                "address": Out(address_width),
                "data": Out(data_width),
            }
        )


def bank_write(m, bank, source, target, *, shares, registers):
    """Writes the share of one bank, and hands the word on to the next bank of the chain.

    Args:
        m (amaranth.hdl.Module): the module that holds the bank.
        bank (object): an instance of `rtl.common.memory_bank.MemoryBank`.
        source (object): interface of a `BankWrite`, from the bank before.
        target (object): interface of a `BankWrite`, to the next bank.
        shares (int): number of neighbouring banks that take a share of a word; it is rotated by one share from bank
            to bank. A divisor of the bits of a word.
        registers (int): registers before the bank, and so between two banks, 0 or 1.

    Raises:
        TypeError: `shares` or `registers` is not an integer.
        ValueError: a word cannot be shared so, or `registers` is out of its range.
    """
    require_range("shares", shares, 1)
    require_range("registers", registers, 0, 1)
    if len(source.data) % shares:
        raise ValueError(f"shares must divide the {len(source.data)} bits of a word, not {shares!r}")
    name = source.valid.name.removesuffix("__valid")
    taken = delay(m, source.valid & (source.offset < shares), registers, f"{name}__taken")
    valid, offset, address, data = (
        delay(m, getattr(source, part), registers, f"{name}__{part}") for part in ("valid", "offset", "address", "data")
    )
    m.d.comb += [
        target.valid.eq(valid),
        target.offset.eq(offset + 1),
        target.address.eq(address),
        target.data.eq(data.rotate_right(len(data) // shares)),
        bank.write_enable.eq(taken),
        bank.write_address.eq(address),
        bank.write_data.eq(data),
    ]

"""CRC-32 of a whole word a cycle: that of zlib and Ethernet.

The CRC is linear: the state behind a word is the exclusive or of a function of the state before it and one of the word.
Each bit of either function is the parity of some bits, which are found here by the definition, a bit at a time.
"""

from amaranth.hdl import Cat

__all__ = ["FINAL", "INITIAL", "state_part", "word_part"]

INITIAL = 0xFFFFFFFF
FINAL = 0xFFFFFFFF
"""What the last state is combined with."""

_POLYNOMIAL = 0xEDB88320  # bits reversed: the lowest bit comes first


def _step(state, word, bits):
    """The state behind a word, by the definition."""
    for bit in range(bits):
        carry = (state ^ word >> bit) & 1
        state = state >> 1 ^ (_POLYNOMIAL if carry else 0)
    return state


def _parities(value, columns):
    """The function of `value` that is linear and whose value for bit i alone is `columns[i]`."""
    masks = [sum((column >> bit & 1) << place for place, column in enumerate(columns)) for bit in range(32)]
    return Cat((value & mask).xor() for mask in masks)


def state_part(state, bits):
    """What the state before a word gives to that behind it.

    Args:
        state (amaranth.hdl.Value): the state, 32 bits.
        bits (int): bits of a word.
    """
    return _parities(state, [_step(1 << bit, 0, bits) for bit in range(32)])


def word_part(word):
    """What a word gives to the state behind it.

    Args:
        word (amaranth.hdl.Value): the word, its first byte lowest.
    """
    return _parities(word, [_step(0, 1 << bit, len(word)) for bit in range(len(word))])

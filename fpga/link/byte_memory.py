"""Block RAM for bytes, and when what is read from it is there.

The buffers of the link pass on a byte in ten cycles or more. So none of them pipelines its reads: it puts an address,
waits until the byte has come, and keeps the address until the byte has been taken.
"""

from amaranth.hdl import Module, Signal

from taylorvit.rtl.common.memory_bank import MemoryBank

__all__ = ["byte_memory", "require_power_of_two", "settled"]


def byte_memory(depth):
    """A memory bank of `depth` bytes, with a register behind it."""
    bank = MemoryBank(depth=depth, width=8, pipeline=1)
    bank.module_name = f"memory_link_{depth}x8"
    return bank


def require_power_of_two(name, value):
    """Raises `ValueError` unless `value` is 2, 4, 8, ..."""
    if not isinstance(value, int) or value < 2 or value & (value - 1):
        raise ValueError(f"{name} must be a power of two, 2 or more, not {value!r}")


def settled(m: Module, moved, latency):
    """Signal: there is a byte, and its address has been the same for `latency` cycles, so that it can be read.

    `moved`: the address changes at the end of this cycle, or there is no byte.
    """
    waiting = Signal(range(latency), init=latency - 1)
    there = Signal()
    with m.If(moved):
        m.d.sync += [waiting.eq(latency - 1), there.eq(0)]
    with m.Elif(waiting != 0):
        m.d.sync += waiting.eq(waiting - 1)
    with m.Else():
        m.d.sync += there.eq(1)
    return there

"""Block RAM for bytes, and the reading side of the FIFOs that are made from it.

The buffers of the link have ten cycles or more for each byte. So none of them pipelines its reads: it sets an address,
waits for the byte, and keeps the address until the byte has been taken.
"""

from amaranth.hdl import Module, Signal

from taylorvit.rtl.common.memory_bank import MemoryBank

__all__ = ["byte_memory", "fifo_output"]


def byte_memory(depth):
    """A memory bank of `depth` bytes, with a register behind it."""
    bank = MemoryBank(depth=depth, width=8, pipeline=1)
    bank.module_name = f"memory_link_{depth}x8"
    return bank


def fifo_output(m: Module, bank, memory, written, read):
    """The reading side of a FIFO in block RAM.

    Args:
        m (amaranth.hdl.Module): the module that holds the memory.
        bank (MemoryBank): the memory.
        memory (object): its instance.
        written (amaranth.hdl.Value): bytes that have been written, of one bit more than an address, so that full and
            empty differ.
        read (amaranth.hdl.Value): the oldest byte is taken in this cycle.

    Returns:
        tuple[amaranth.hdl.Signal, amaranth.hdl.Signal]: bytes that have been taken, of the width of `written`; and
        whether the oldest byte can be read, which it can from 1 + bank.latency cycles after it was written or after
        the one before was taken.
    """
    taken = Signal(len(written), name="taken")
    empty = Signal(name="empty")
    m.d.comb += [empty.eq(written == taken), memory.read_address.eq(taken[:-1])]
    m.d.sync += taken.eq(taken + read)
    return taken, _settled(m, empty | read, bank.latency)


def _settled(m: Module, moved, latency):
    """Whether there is a byte whose address has been the same for `latency` cycles, so that it can be read.

    `moved`: the address changes at the end of this cycle, or there is no byte.
    """
    waiting = Signal(range(latency), init=latency - 1, name="waiting")
    there = Signal(name="there")
    with m.If(moved):
        m.d.sync += [waiting.eq(latency - 1), there.eq(0)]
    with m.Elif(waiting != 0):
        m.d.sync += waiting.eq(waiting - 1)
    with m.Else():
        m.d.sync += there.eq(1)
    return there

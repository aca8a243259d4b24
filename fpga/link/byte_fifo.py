"""Byte FIFO: what the host has sent and nobody has looked at yet."""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block, instantiate

from .byte_memory import byte_memory, require_power_of_two, settled

__all__ = ["ByteFifo"]


class ByteFifo(Block):
    """First in, first out, in block RAM.

    Parameters
    ----------
    depth: bytes, a power of two; `ValueError` otherwise.

    Ports
    -----
    write, write_data: a byte comes in. overflow: it does not, since the FIFO is full, and is lost.
    read_valid, read_data, read: the oldest byte is there; it is taken in this cycle.

    A byte can be read `latency` cycles after it is written, or after the one before it is taken.
    """

    module_name = "byte_fifo"

    def __init__(self, *, depth):
        require_power_of_two("depth", depth)
        self.depth = depth
        self.memory = byte_memory(depth)
        super().__init__(
            {
                "write": In(1),
                "write_data": In(8),
                "overflow": Out(1),
                "read_valid": Out(1),
                "read_data": Out(8),
                "read": In(1),
            }
        )

    @property
    def latency(self):
        """Cycles from `write` to `read_valid`, or from `read` to the next `read_valid`."""
        return 1 + self.memory.latency

    def elaborate(self, platform):
        m = Module()
        memory = instantiate(m, "memory", self.memory)
        # One bit more than an address, so that full and empty differ.
        written = Signal(range(2 * self.depth))
        taken = Signal.like(written)
        empty = Signal()
        full = Signal()
        accept = Signal()
        m.d.comb += [
            empty.eq(written == taken),
            full.eq(written == taken ^ self.depth),
            accept.eq(self.write & ~full),
            self.overflow.eq(self.write & full),
            self.read_valid.eq(settled(m, empty | self.read, self.memory.latency)),
            memory.write_enable.eq(accept),
            memory.write_address.eq(written[:-1]),
            memory.write_data.eq(self.write_data),
            memory.read_address.eq(taken[:-1]),
            self.read_data.eq(memory.read_data),
        ]
        m.d.sync += [written.eq(written + accept), taken.eq(taken + self.read)]
        return m

"""Byte FIFO: bytes from the host that have not been processed yet."""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.validation import require_power_of_two

from .byte_memory import byte_memory, fifo_output

__all__ = ["ByteFifo"]


class ByteFifo(Block):
    """First in, first out, in block RAM.

    A byte can be read `latency` cycles after it is written, or after the one before it is taken.

    Args:
        depth (int): bytes, a power of two, at least 2.

    Ports:
        write (1 bit, input): a byte comes in.
        write_data (8 bits, input): the byte.
        overflow (1 bit, output): the byte does not come in, since the FIFO is full, and is lost.
        read_valid (1 bit, output): the oldest byte can be read.
        read_data (8 bits, output): the oldest byte.
        read (1 bit, input): it is taken in this cycle; only with `read_valid`.

    Raises:
        ValueError: `depth` is no power of two.
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
        written = Signal(range(2 * self.depth))
        taken, readable = fifo_output(m, self.memory, memory, written, self.read)
        full = Signal()
        accept = Signal()
        m.d.comb += [
            full.eq(written == taken ^ self.depth),
            accept.eq(self.write & ~full),
            self.overflow.eq(self.write & full),
            self.read_valid.eq(readable),
            memory.write_enable.eq(accept),
            memory.write_address.eq(written[:-1]),
            memory.write_data.eq(self.write_data),
            self.read_data.eq(memory.read_data),
        ]
        m.d.sync += written.eq(written + accept)
        return m

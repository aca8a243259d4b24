"""Result buffer: bytes of results, kept until the host says that it has them.

offset      read              written
 |           |                 |
 v sent, not yet confirmed     v free
 +-----------+-----------------+----------
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block, instantiate

from .byte_memory import byte_memory, require_power_of_two

__all__ = ["ResultBuffer"]


class ResultBuffer(Block):
    """FIFO that is read again and again from an offset, in block RAM.

    Parameters
    ----------
    depth: bytes, a power of two; `ValueError` otherwise.

    Ports
    -----
    write_valid, write_ready, write_data: results come in while there is space; `write_ready` does not wait for
        `write_valid`, and learns of a `seek` two cycles later.
    offset: of the oldest byte, counted since reset, modulo 2^32; available: bytes from there on.
    seek, seek_offset: give up the bytes before this offset and read from it; at most `available` beyond `offset`.
    read_data: the byte to be read, `latency` cycles after `seek` or `read`; read: it is taken, the next one follows.
    """

    module_name = "result_buffer"

    def __init__(self, *, depth):
        require_power_of_two("depth", depth)
        self.depth = depth
        self.memory = byte_memory(depth)
        super().__init__(
            {
                "write_valid": In(1),
                "write_ready": Out(1),
                "write_data": In(8),
                "offset": Out(32),
                "available": Out(range(depth + 1)),
                "seek": In(1),
                "seek_offset": In(32),
                "read_data": Out(8),
                "read": In(1),
            }
        )

    @property
    def latency(self):
        """Cycles from `seek` or `read` to the byte."""
        return 2 + self.memory.latency

    def elaborate(self, platform):
        m = Module()
        memory = instantiate(m, "memory", self.memory)
        written = Signal(range(2 * self.depth))  # one bit more than an address, so that full and empty differ
        position = Signal(range(self.depth))
        advance = Signal()
        m.d.comb += [
            self.available.eq((written - self.offset)[: len(written)]),
            memory.write_enable.eq(self.write_valid & self.write_ready),
            memory.write_address.eq(written[:-1]),
            memory.write_data.eq(self.write_data),
            memory.read_address.eq(position),
            self.read_data.eq(memory.read_data),
        ]
        following = (written + memory.write_enable)[: len(written)]
        m.d.sync += [
            written.eq(following),
            # A register, since ready goes far. It notices space that `seek` makes a cycle later.
            self.write_ready.eq(following != self.offset[: len(written)] ^ self.depth),
            advance.eq(self.read),
            position.eq(position + advance),
        ]
        with m.If(self.seek):
            m.d.sync += [self.offset.eq(self.seek_offset), position.eq(self.seek_offset)]
        return m

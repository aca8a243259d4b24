"""Result buffer: keeps the bytes of results until the host confirms that it has them.

offset      read              written
 |           |                 |
 v sent, not yet confirmed     v free
 +-----------+-----------------+----------
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.validation import require_power_of_two

from .byte_memory import byte_memory
from .interfaces import ResultAccess

__all__ = ["ResultBuffer"]


class ResultBuffer(Block):
    """FIFO that can be read again from any offset that is still kept, in block RAM.

    Args:
        depth (int): bytes, a power of two, at least 2.

    Ports:
        write_valid (1 bit, input): a byte of results is offered.
        write_ready (1 bit, output): there is space for it. It does not wait for `write_valid`, and follows a `seek`
            two cycles later.
        write_data (8 bits, input): the byte.
        result (ResultAccess, input): the bytes that are kept; what is read can be read again until it is given up.

    Raises:
        ValueError: `depth` is no power of two.
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
                "result": In(ResultAccess(depth=depth)),
            }
        )

    @property
    def latency(self):
        """Cycles from `seek` or `read` to the byte."""
        return 2 + self.memory.latency

    def elaborate(self, platform):
        m = Module()
        result = self.result
        memory = instantiate(m, "memory", self.memory)
        written = Signal(range(2 * self.depth))  # one bit more than an address, so that full and empty differ
        position = Signal(range(self.depth))
        advance = Signal()
        m.d.comb += [
            result.available.eq((written - result.offset)[: len(written)]),
            memory.write_enable.eq(self.write_valid & self.write_ready),
            memory.write_address.eq(written[:-1]),
            memory.write_data.eq(self.write_data),
            memory.read_address.eq(position),
            result.read_data.eq(memory.read_data),
        ]
        following = (written + memory.write_enable)[: len(written)]
        m.d.sync += [
            written.eq(following),
            # A register, since ready goes far. It notices space that `seek` makes a cycle later.
            self.write_ready.eq(following != result.offset[: len(written)] ^ self.depth),
            advance.eq(result.read),
            position.eq(position + advance),
        ]
        with m.If(result.seek):
            m.d.sync += [result.offset.eq(result.seek_offset), position.eq(result.seek_offset)]
        return m

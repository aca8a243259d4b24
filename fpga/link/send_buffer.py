"""Send buffer: takes tensor bytes by whole frames.

The bytes of a frame are written behind those that the buffer holds, before it is known whether the frame is intact.
Then they are committed and belong to the stream of tensor bytes, or the next frame overwrites them.

    read        next              next + size
     |           |                 |
     v held      v of this frame   v free
     +-----------+-----------------+----------
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.validation import require_power_of_two, require_range
from taylorvit.rtl.common.widths import index_width

from .byte_memory import byte_memory, fifo_output
from .interfaces import SendAccess

__all__ = ["SendBuffer"]


class SendBuffer(Block):
    """FIFO with tentative writes, in block RAM.

    Args:
        depth (int): bytes, a power of two, at least 2.
        frame_max (int): most bytes of a frame, at least 1.

    Ports:
        frame (SendAccess, input): the bytes of a frame, to be committed or forgotten.
        read_valid (1 bit, output): the oldest byte can be read.
        read_data (8 bits, output): the oldest byte.
        read (1 bit, input): it is taken in this cycle; only with `read_valid`.

    Raises:
        ValueError: `depth` is no power of two, or `frame_max` is not positive.
    """

    module_name = "send_buffer"

    def __init__(self, *, depth, frame_max):
        require_power_of_two("depth", depth)
        require_range("frame_max", frame_max, 1)
        self.depth = depth
        self.frame_max = frame_max
        self.memory = byte_memory(depth)
        super().__init__(
            {
                "frame": In(SendAccess(depth=depth, frame_max=frame_max)),
                "read_valid": Out(1),
                "read_data": Out(8),
                "read": In(1),
            }
        )

    @property
    def latency(self):
        """Cycles from `commit` to `read_valid`, or from `read` to the next `read_valid`."""
        return 1 + self.memory.latency

    def elaborate(self, platform):
        m = Module()
        frame = self.frame
        memory = instantiate(m, "memory", self.memory)
        count_bits = index_width(2 * self.depth)
        taken, readable = fifo_output(m, self.memory, memory, frame.next_offset[:count_bits], self.read)
        end = Signal(32)  # of the frame so far
        full = Signal()
        m.d.comb += [
            end.eq(frame.next_offset + frame.size),
            frame.free.eq(((taken ^ self.depth) - frame.next_offset)[:count_bits]),
            self.read_valid.eq(readable),
            memory.write_enable.eq(frame.write & ~full & ~frame.no_space),
            memory.write_address.eq(end),
            memory.write_data.eq(frame.write_data),
            self.read_data.eq(memory.read_data),
        ]
        # A cycle old, hence the distance between two writes; bytes that were read just now are not missed for long.
        m.d.sync += full.eq(end[:count_bits] == taken ^ self.depth)
        with m.If(frame.write):
            m.d.sync += [frame.size.eq(frame.size + 1), frame.no_space.eq(frame.no_space | full)]
        with m.If(frame.commit):
            m.d.sync += frame.next_offset.eq(end)
        with m.If(frame.commit | frame.start):
            m.d.sync += [frame.size.eq(0), frame.no_space.eq(0)]
        return m

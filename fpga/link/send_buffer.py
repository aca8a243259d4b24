"""Send buffer: tensor bytes, taken frame by frame or not at all.

A frame's bytes are written behind those that the buffer holds before it is known whether the frame is intact. Then
they are committed, and belong to the stream of tensor bytes, or the next frame overwrites them.

    read        next              next + size
     |           |                 |
     v held      v of this frame   v free
     +-----------+-----------------+----------
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block, instantiate

from .byte_memory import byte_memory, require_power_of_two, settled

__all__ = ["SendBuffer"]


class SendBuffer(Block):
    """FIFO with tentative writes, in block RAM.

    Parameters
    ----------
    depth: bytes, a power of two; `ValueError` otherwise.
    frame_max: bytes of a frame, at most.

    Ports
    -----
    start: a frame begins; what was written and not committed is forgotten.
    write, write_data: a byte of it, two cycles or more after `start` and after the one before.
    size: bytes of the frame so far. no_space: not all of them found space.
    commit: the frame becomes part of the stream; not if `no_space`, and two cycles or more after its last byte.
    next_offset: bytes committed since reset, modulo 2^32; free: bytes that fit.
    read_valid, read_data, read: the oldest byte is there; it is taken in this cycle.
    """

    module_name = "send_buffer"

    def __init__(self, *, depth, frame_max):
        require_power_of_two("depth", depth)
        self.depth = depth
        self.frame_max = frame_max
        self.memory = byte_memory(depth)
        super().__init__(
            {
                "start": In(1),
                "write": In(1),
                "write_data": In(8),
                "size": Out(range(frame_max + 1)),
                "no_space": Out(1),
                "commit": In(1),
                "next_offset": Out(32),
                "free": Out(range(depth + 1)),
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
        memory = instantiate(m, "memory", self.memory)
        taken = Signal(range(2 * self.depth))  # one bit more than an address, so that full and empty differ
        end = Signal(32)  # of the frame so far
        empty = Signal()
        full = Signal()
        m.d.comb += [
            end.eq(self.next_offset + self.size),
            empty.eq(self.next_offset[: len(taken)] == taken),
            self.free.eq(((taken ^ self.depth) - self.next_offset)[: len(taken)]),
            self.read_valid.eq(settled(m, empty | self.read, self.memory.latency)),
            memory.write_enable.eq(self.write & ~full & ~self.no_space),
            memory.write_address.eq(end),
            memory.write_data.eq(self.write_data),
            memory.read_address.eq(taken[:-1]),
            self.read_data.eq(memory.read_data),
        ]
        # A cycle old, hence the distance between two writes; bytes that were read just now are not missed for long.
        m.d.sync += [full.eq(end[: len(taken)] == taken ^ self.depth), taken.eq(taken + self.read)]
        with m.If(self.write):
            m.d.sync += [self.size.eq(self.size + 1), self.no_space.eq(self.no_space | full)]
        with m.If(self.commit):
            m.d.sync += self.next_offset.eq(end)
        with m.If(self.commit | self.start):
            m.d.sync += [self.size.eq(0), self.no_space.eq(0)]
        return m

"""Accumulator array: column sums over tokens, k_sum = 1^T K and v_sum = 1^T V (ViTALiTy Algorithm 1, steps 1 and 3).

One accumulator a stream lane adds up the rows of a head while they are written into their operand buffer, so the sums
cost no pass of their own. The sums of two heads are kept, like the buffer's two halves.

    data (L lanes) --(+)--> [sums: 2 halves x beats, L lanes wide] --> one element a cycle
                      ^----------------'
"""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .block import Block
from .bundles import index_width

__all__ = ["AccumulatorArray"]


class AccumulatorArray(Block):
    """sum[half, beat, lane] = (first ? 0 : sum[half, beat, lane]) + data[lane], for each beat of a row.

    Parameters
    ----------
    lanes: elements a beat (L); beats: beats a row at most; data_width: bits of an element;
    sum_width: bits of a sum, enough for every head's total.

    Ports
    -----
    write: a beat arrives, for `half`, `beat`; first: it is of the head's first token; data: lane i in bits
        i * data_width and up.
    read_half, read_beat, read_lane, read_data: one sum, one cycle later.

    Throughput one beat a cycle; a sum can be read from the cycle after its last beat on.
    """

    reset_less = True

    def __init__(self, *, lanes, beats, data_width, sum_width, module_name="accumulator_array"):
        self.module_name = module_name
        self.lanes = lanes
        self.beats = beats
        self.data_width = data_width
        self.sum_width = sum_width
        beat_width = index_width(beats)
        super().__init__({
            "write": In(1),
            "first": In(1),
            "half": In(1),
            "beat": In(beat_width),
            "data": In(lanes * data_width),
            "read_half": In(1),
            "read_beat": In(beat_width),
            "read_lane": In(index_width(lanes)),
            "read_data": Out(signed(sum_width)),
        })

    def elaborate(self, platform):
        m = Module()
        depth = 1 << (len(self.beat) + 1)
        m.submodules.sums = sums = Memory(shape=self.lanes * self.sum_width, depth=depth, init=[])
        write, before, read = sums.write_port(), sums.read_port(domain="comb"), sums.read_port(domain="comb")
        m.d.comb += [
            before.addr.eq(Cat(self.beat, self.half)),
            write.addr.eq(Cat(self.beat, self.half)),
            write.en.eq(self.write),
            read.addr.eq(Cat(self.read_beat, self.read_half)),
        ]
        for lane in range(self.lanes):
            element = self.data.word_select(lane, self.data_width).as_signed()
            total = Signal(signed(self.sum_width), name=f"total_{lane}")
            with m.If(~self.first):
                m.d.comb += total.eq(before.data.word_select(lane, self.sum_width).as_signed())
            m.d.comb += write.data.word_select(lane, self.sum_width).eq(total + element)
        m.d.sync += self.read_data.eq(read.data.word_select(self.read_lane, self.sum_width).as_signed())
        return m

"""Accumulator array: column sums over tokens, k_sum = 1^T K and v_sum = 1^T V (ViTALiTy Algorithm 1, steps 1 and 3).

One accumulator a stream lane adds up the rows of a head while they are written into their operand buffer, so the sums
cost no pass of their own. The sums of two heads are kept, like the buffer's two halves.

    data (L lanes) --(+)--> [sums: 2 halves x beats, L lanes wide] --> lane --> one element a cycle
                      ^----------------'

The memory answers after some cycles, and a beat of the same place may come in each of them, so the totals of those
cycles are kept beside it. Each of the two readers has a copy of the memory.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.validation import require_range
from taylorvit.rtl.common.widths import index_width

__all__ = ["AccumulatorArray"]


class AccumulatorArray(Block):
    """sum[half, beat, lane] = (first ? 0 : sum[half, beat, lane]) + data[lane], for each beat of a row.

    It takes one beat a cycle. A sum can be read from `write_latency` cycles after its last beat on.

    Args:
        lanes (int): elements of a beat (L), at least 1.
        beats (int): most beats of a row, at least 1.
        data_width (int): bits of an element, at least 1.
        sum_width (int): bits of a sum, enough for the total of every head, at least `data_width`.
        memory_pipeline (int): registers behind the memories, 0 or more.
        module_name (str): name of the Verilog module.

    Ports:
        write (1 bit, input): a beat arrives.
        first (1 bit, input): it belongs to the first token of the head.
        half (1 bit, input): half of the buffer that it belongs to.
        beat (index_width(beats) bits, input): its number in the row.
        data (lanes data_width bits, input): the beat, lane i in bits i data_width and up.
        read_half (1 bit, input): half of the sum to read.
        read_beat (index_width(beats) bits, input): its beat.
        read_lane (index_width(lanes) bits, input): its lane.
        read_data (signed, sum_width bits, output): the sum, `read_latency` cycles later.

    Raises:
        TypeError: a number is not an integer.
        ValueError: a number is below its least value.
    """

    reset_less = True

    def __init__(self, *, lanes, beats, data_width, sum_width, memory_pipeline=0, module_name="accumulator_array"):
        require_range("lanes", lanes, 1)
        require_range("beats", beats, 1)
        require_range("data_width", data_width, 1)
        require_range("sum_width", sum_width, data_width)
        self.module_name = module_name
        self.lanes = lanes
        self.beats = beats
        self.data_width = data_width
        self.sum_width = sum_width
        beat_width = index_width(beats)
        self.sums = MemoryBank(depth=1 << (1 + beat_width), width=lanes * sum_width, pipeline=memory_pipeline)
        super().__init__(
            {
                "write": In(1),
                "first": In(1),
                "half": In(1),
                "beat": In(beat_width),
                "data": In(lanes * data_width),
                "read_half": In(1),
                "read_beat": In(beat_width),
                "read_lane": In(index_width(lanes)),
                "read_data": Out(signed(sum_width)),
            }
        )

    @property
    def read_latency(self):
        """Cycles from an address to its sum: the memory, then a register behind the choice of the lane."""
        return self.sums.latency + 1

    @property
    def write_latency(self):
        """Cycles from a beat to the first in which its sum can be addressed."""
        return self.sums.latency + 1

    def elaborate(self, platform):
        m = Module()
        so_far_bank, read_bank = instantiate(m, "so_far_bank", self.sums), instantiate(m, "read_bank", self.sums)
        latency = self.sums.latency
        m.d.comb += [
            so_far_bank.read_address.eq(Cat(self.beat, self.half)),
            read_bank.read_address.eq(Cat(self.read_beat, self.read_half)),
        ]
        # What has arrived so many cycles ago, as far back as a total can be younger than what the memory answers.
        writes, addresses = [self.write], [Cat(self.beat, self.half)]
        for cycle in range(2 * latency - 1):
            writes.append(delay(m, writes[-1], 1, f"write_{cycle}"))
            addresses.append(delay(m, addresses[-1], 1, f"address_{cycle}"))
        write, address = writes[latency], addresses[latency]
        first, data = delay(m, self.first, latency, "first"), delay(m, self.data, latency, "data")

        # Totals that were on their way into the memory when it was asked; the latest of them counts. Which of them are
        # of this place is found a cycle ahead.
        total = Signal(self.lanes * self.sum_width)
        word = so_far_bank.read_data
        for cycles in range(latency, 0, -1):
            earlier = latency - 1 + cycles
            is_same = Signal(name=f"is_same_{cycles}")
            m.d.sync += is_same.eq(writes[earlier] & (addresses[earlier] == addresses[latency - 1]))
            word = Mux(is_same, delay(m, total, cycles, f"total_{cycles}"), word)
        sums_so_far = Signal.like(total)
        m.d.comb += sums_so_far.eq(word)

        for lane in range(self.lanes):
            element = data.word_select(lane, self.data_width).as_signed()
            so_far = sums_so_far.word_select(lane, self.sum_width).as_signed()
            m.d.comb += total.word_select(lane, self.sum_width).eq(Mux(first, 0, so_far) + element)
        for bank in (so_far_bank, read_bank):
            m.d.comb += [
                bank.write_enable.eq(write),
                bank.write_address.eq(address),
                bank.write_data.eq(total),
            ]

        lane = delay(m, self.read_lane, latency, "read_lane")
        m.d.sync += self.read_data.eq(read_bank.read_data.word_select(lane, self.sum_width).as_signed())
        return m

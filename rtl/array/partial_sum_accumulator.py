r"""Accumulation of tiles below one column of the array.

A reduction longer than the array has rows is done tile by tile: each pass over a tile gives one partial sum for every
element of the pass. They are kept here and added to those of the next pass; the last pass gives the totals.

    partial_sum --(+)--> total (last pass)
                   ^ \
                   |  `--> [partial sums, one word an element]
                   '------------------'
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import index_width

__all__ = ["PartialSumAccumulator"]


class PartialSumAccumulator(Block):
    """total = sum over the passes from `first` to `last` of partial_sum, for each `index`.

    One element a cycle; an index may return `return_delay` cycles after it was last used.

    Args:
        sum_width (int): bits of a partial sum and of the total, signed.
        depth (int): most elements of a pass.
        memory_pipeline (int): registers behind the memory of partial sums.
        memory_kind (str): what that memory becomes, as in `rtl.common.memory_bank.MemoryBank`, with two ports.
        written_late (bool): a sum is written a cycle late, out of a register, so that the wires to the memory do not
            share a cycle with the adder.
        module_name (str): name of the Verilog module.

    Ports:
        valid, first, last, index: an element whose `partial_sum` comes `sum_delay` cycles later.
        partial_sum: signed, sum_width bits.
        total_valid, total: `latency` cycles after `valid` of a `last` pass.
    """

    waivers = {("PINCONNECTEMPTY", "total_valid"): "Of two accumulators in step, one tells."}

    def __init__(
        self,
        *,
        sum_width,
        depth,
        memory_pipeline=0,
        memory_kind="auto",
        written_late=False,
        module_name="partial_sum_accumulator",
    ):
        self.module_name = module_name
        self.written_late = written_late
        self.sums = MemoryBank(depth=depth, width=sum_width, pipeline=memory_pipeline, kind=memory_kind)
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "index": In(index_width(depth)),
                "partial_sum": In(signed(sum_width)),
                "total_valid": Out(1),
                "total": Out(signed(sum_width)),
            }
        )

    @property
    def sum_delay(self):
        """Cycles from an element's control to its `partial_sum`: what the memory takes to find those before."""
        return self.sums.latency

    @property
    def latency(self):
        """Cycles from an element's control to its total."""
        return self.sum_delay + 1

    @property
    def return_delay(self):
        """Least cycles from an element's control to the next one of its index."""
        return self.latency + self.written_late

    def elaborate(self, platform):
        m = Module()
        sums = instantiate(m, "sums", self.sums)

        valid, first, last, index = (
            delay(m, getattr(self, name), self.sum_delay, name) for name in ("valid", "first", "last", "index")
        )
        m.d.comb += sums.read_address.eq(self.index)

        total = Signal.like(self.total)
        wait = int(self.written_late)
        m.d.comb += [
            total.eq(self.partial_sum + Mux(first, 0, sums.read_data.as_signed())),
            sums.write_enable.eq(delay(m, valid & ~last, wait, "write")),
            sums.write_address.eq(delay(m, index, wait, "write_index")),
            sums.write_data.eq(self.total if self.written_late else total),
        ]
        m.d.sync += [self.total_valid.eq(valid & last), self.total.eq(total)]
        return m

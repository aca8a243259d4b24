"""Row scheduler: which row enters the divider array next, where there is nothing to divide but rows of the queue.

Kernels that divide means as well, and add biases, have `rtl.attention.division_scheduler`.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.bundles import DivideControl
from taylorvit.rtl.common.counters import credits, next_address
from taylorvit.rtl.common.pipeline import delay

__all__ = ["RowScheduler"]


class RowScheduler(Block):
    """Starts rows of the divider array in their order, at least `divider_row_interval` cycles apart.

    Args:
        config (AcceleratorConfig): the configuration of the kernel.
        write_back_delay (int): cycles from a row's `divide` to its `write_back`, at least 1.

    Ports:
        start (1 bit, input): the row queue begins at its first place.
        row_queued (1 bit, input): one more row is in the row queue.
        divide (DivideControl, output): a row enters.
        row_divided (1 bit, output): a row has left the row queue.
        write_back (1 bit, output): a row leaves the divider array.
    """

    module_name = "row_scheduler"

    def __init__(self, config, *, write_back_delay):
        self.interval = config.divider_row_interval
        self.row_queue_depth = config.row_queue_depth
        self.write_back_delay = write_back_delay
        super().__init__(
            {
                "start": In(1),
                "row_queued": In(1),
                "divide": Out(DivideControl(config)),
                "row_divided": Out(1),
                "write_back": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        starts = Signal()
        left = Signal(range(max(2, self.interval)), name="wait")
        free = Signal(init=1)
        place = Signal.like(self.divide.queue_address)
        rows = credits(m, self.row_queue_depth.bit_length(), self.row_queued, starts, "rows")
        m.d.comb += starts.eq(rows & free)
        with m.If(starts):
            m.d.sync += [left.eq(self.interval - 1), free.eq(self.interval == 1)]
            m.d.sync += place.eq(next_address(place, self.row_queue_depth))
        with m.Elif(left != 0):
            m.d.sync += [left.eq(left - 1), free.eq(left == 1)]
        with m.If(self.start):
            m.d.sync += place.eq(0)
        m.d.sync += [
            self.divide.start.eq(starts),
            self.divide.queue_address.eq(place),
            self.row_divided.eq(starts),
        ]
        m.d.comb += self.write_back.eq(delay(m, self.divide.start, self.write_back_delay, "write_back"))
        return m

"""Division scheduler: what enters the divider array, and where its quotients go.

Two kinds of rows enter, at least `divider_row_interval` cycles apart. A row of means takes k_sum of one column tile
and the single divisor n; it goes first, since a head's G cannot begin without its k_mean. A row of Q G, from the
row queue, takes T_N and its own divisor t_D and becomes a row of the Z buffer.

Since column c works c cycles after column 0, the k_sum and the k_mean of a row pass one element a cycle, in the
order of their features: one read port and one write port serve all columns. Rows of means are therefore at least C
cycles apart.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.bundles import DivideControl, WriteBackControl
from taylorvit.rtl.common.counters import credits, last_start, next_address
from taylorvit.rtl.common.pipeline import delay, delay_bundle, pass_on
from taylorvit.rtl.common.widths import address_field, index_width, tile_width

__all__ = ["DivisionScheduler"]


class DivisionScheduler(Block):
    """Starts rows of the divider array and addresses their results.

    Parameters
    ----------
    config: the accelerator's configuration.
    k_sum_delay: cycles from a row's `divide` to column 0's k_sum.
    k_sum_latency: cycles from the address of a k_sum to the sum, at most `k_sum_delay`.
    write_back_delay: cycles from a row's `divide` to column 0's `write_back`.

    Ports
    -----
    start: a job begins; tokens, head_dim: its sizes, constant while it runs.
    k_loaded: the k_sum of one more head is complete. bias_ready: so are its biases.
    row_queued: one more row of Q G is in the row queue. z_released: a half of the Z buffer is free again.
    divide: to the head of the column chain. row_divided: a row has left the row queue.
    write_back: to column 0.
    k_sum_half, k_sum_beat, k_sum_lane: element of the accumulator array, to be there `k_sum_latency` cycles later.
    mean_write, mean_address: {half, feature} of the k_mean that the columns delivered in the cycle before;
        mean_ready: it is the head's last.
    """

    module_name = "division_scheduler"

    def __init__(self, config, *, k_sum_delay, k_sum_latency, write_back_delay):
        self.columns = config.columns
        self.stream_lanes = config.stream_lanes
        self.interval = config.divider_row_interval
        self.row_queue_depth = config.row_queue_depth
        self.k_sum_delay = k_sum_delay
        self.k_sum_latency = k_sum_latency
        self.write_back_delay = write_back_delay
        self.token_bits = index_width(config.max_tokens)
        self.column_tile_bits = tile_width(config.column_tiles)
        super().__init__(
            {
                "start": In(1),
                "tokens": In(config.max_tokens.bit_length()),
                "head_dim": In(config.max_head_dim.bit_length()),
                "k_loaded": In(1),
                "bias_ready": In(1),
                "row_queued": In(1),
                "z_released": In(1),
                "divide": Out(DivideControl(config)),
                "row_divided": Out(1),
                "write_back": Out(WriteBackControl(config)),
                "k_sum_half": Out(1),
                "k_sum_beat": Out(index_width(config.max_beats_per_row)),
                "k_sum_lane": Out(index_width(config.stream_lanes)),
                "mean_write": Out(1),
                "mean_ready": Out(1),
                "mean_address": Out(1 + index_width(config.column_tiles * config.columns)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        result = self.write_back.signature.create(path=("result",))
        start_mean = Signal()
        start_row = Signal()

        last_column_base = last_start(m, self.head_dim, self.columns, "last_column_base")
        free = self._pause(m, start_mean | start_row, self.interval, "wait")

        # Rows of means: one a column tile, for every head in its turn.
        mean_base = Signal(len(self.head_dim) + 1)
        mean_end = Signal()
        m.d.comb += [
            start_mean.eq(
                credits(m, 2, self.k_loaded, start_mean & mean_end, "heads_to_mean")
                & free
                & self._pause(m, start_mean, self.columns, "mean_wait")
            ),
            mean_end.eq(mean_base >= last_column_base),
        ]
        with m.If(start_mean):
            m.d.sync += mean_base.eq(mean_base + self.columns)
            with m.If(mean_end):
                m.d.sync += mean_base.eq(0)

        # Rows of Q G: a head's column tiles, each with all of its tokens.
        z_used = Signal(2)
        z_full = Signal()
        token = Signal.like(self.tokens)
        column_tile = Signal(self.column_tile_bits)
        column_base = Signal(len(self.head_dim) + 1)
        half = Signal()
        queue_address = Signal.like(self.divide.queue_address)
        head_first = Signal(init=1)
        tile_end = Signal()
        one_token = Signal()
        head_end = Signal()
        last_but_one_token = last_start(m, self.tokens, 2, "last_but_one_token")
        m.d.comb += [
            head_end.eq(tile_end & (column_base >= last_column_base)),
            start_row.eq(
                credits(m, self.row_queue_depth.bit_length(), self.row_queued, start_row, "rows")
                & credits(m, 2, self.bias_ready, start_row & head_end, "biases")
                & free
                & ~start_mean
                & ~(head_first & z_full)
            ),
        ]
        with m.If(start_row):
            m.d.sync += [
                queue_address.eq(next_address(queue_address, self.row_queue_depth)), token.eq(token + 1),
                head_first.eq(head_end), tile_end.eq(token == last_but_one_token),
            ]  # fmt: skip
            with m.If(tile_end):
                m.d.sync += [
                    token.eq(0), column_tile.eq(column_tile + 1), column_base.eq(column_base + self.columns),
                    tile_end.eq(one_token),
                ]  # fmt: skip
            with m.If(head_end):
                m.d.sync += [column_tile.eq(0), column_base.eq(0), half.eq(~half)]
        z_taken = start_row & head_first
        m.d.sync += [
            z_used.eq(z_used + z_taken - self.z_released),
            z_full.eq(Mux(z_taken, z_used == 1, z_used == 2) & ~self.z_released),
        ]
        with m.If(self.start):
            m.d.sync += [
                half.eq(0), queue_address.eq(0), one_token.eq(self.tokens == 1), tile_end.eq(self.tokens == 1),
            ]  # fmt: skip

        # Into the array, and out of it.
        m.d.sync += [
            self.divide.start.eq(start_mean | start_row),
            self.divide.mean.eq(start_mean),
            self.divide.queue_address.eq(queue_address),
            self.divide.bias_address.eq(Cat(column_tile, half)),
            self.row_divided.eq(start_row),
            result.write.eq(start_row),
            result.address.eq(Cat(address_field(token, self.token_bits), column_tile, half)),
            result.head_end.eq(start_row & head_end),
            result.mean.eq(start_mean),
            result.mean_end.eq(start_mean & mean_end),
        ]
        pass_on(m, delay_bundle(m, result, self.write_back_delay - 1, "result"), self.write_back)

        # Windows of C cycles in which the elements of a row of means pass, first k_sum, then k_mean.
        wait_to_read = self.k_sum_delay - self.k_sum_latency
        k_sum_begin = delay(m, start_mean, wait_to_read, "k_sum_begin")
        k_sum_end = delay(m, start_mean & mean_end, wait_to_read, "k_sum_end")
        reading, reading_end = self._window(m, k_sum_begin, k_sum_end, "k_sum")
        with m.If(reading):
            m.d.sync += self.k_sum_lane.eq(self.k_sum_lane + 1)
            with m.If(self.k_sum_lane == self.stream_lanes - 1):
                m.d.sync += [self.k_sum_lane.eq(0), self.k_sum_beat.eq(self.k_sum_beat + 1)]
            with m.If(reading_end):
                m.d.sync += [self.k_sum_lane.eq(0), self.k_sum_beat.eq(0), self.k_sum_half.eq(~self.k_sum_half)]

        writing, writing_end = self._window(m, self.write_back.mean, self.write_back.mean_end, "mean")
        mean_half = Signal()
        mean_feature = Signal(len(self.mean_address) - 1)
        m.d.comb += [
            self.mean_write.eq(writing),
            self.mean_ready.eq(writing_end),
            self.mean_address.eq(Cat(mean_feature, mean_half)),
        ]
        with m.If(writing):
            m.d.sync += mean_feature.eq(mean_feature + 1)
            with m.If(writing_end):
                m.d.sync += [mean_feature.eq(0), mean_half.eq(~mean_half)]
        with m.If(self.start):
            m.d.sync += [self.k_sum_half.eq(0), mean_half.eq(0)]
        return m

    @staticmethod
    def _pause(m, begin, cycles, name):
        """Low for cycles - 1 cycles from the cycle after `begin`; a register."""
        left = Signal(range(max(2, cycles)), name=name)
        over = Signal(init=1, name=f"{name}_over")
        with m.If(begin):
            m.d.sync += [left.eq(cycles - 1), over.eq(cycles == 1)]
        with m.Elif(left != 0):
            m.d.sync += [left.eq(left - 1), over.eq(left == 1)]
        return over

    def _window(self, m, begin, end, name):
        """High for C cycles from the cycle after `begin`; and its last cycle, if `end` came with `begin`."""
        left = Signal(range(self.columns + 1), name=f"{name}_window")
        ends = Signal(name=f"{name}_window_ends")
        with m.If(begin):
            m.d.sync += [left.eq(self.columns), ends.eq(end)]
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        return left != 0, (left == 1) & ends

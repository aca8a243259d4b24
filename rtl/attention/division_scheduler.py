"""Division scheduler: what enters the divider array, and where its quotients go.

Two kinds of rows enter, at least `divider_row_interval` cycles apart. A row of means takes k_sum of one column tile
and the single divisor n; it goes first, since a head's G cannot begin without its k_mean. A row of Q G, from the
row queue, takes T_N and its own divisor t_D and becomes a row of the Z buffer.

Since column c works c cycles after column 0, the k_sum and the k_mean of a row pass one element a cycle, in the
order of their features: one read port and one write port serve all columns. Rows of means are therefore at least C
cycles apart.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out, Signature

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.bundles import DivideControl, WriteBackControl
from taylorvit.rtl.common.counters import credits, last_start, next_address
from taylorvit.rtl.common.pipeline import delay, delay_bundle, pass_on
from taylorvit.rtl.common.widths import address_field, index_width, tile_width

__all__ = ["DivisionScheduler", "paused", "z_buffer_full"]


class _NextRow(Signature):
    """The next row of Q G: its place in the row queue, and in the matrix Z."""

    def __init__(self, *, queue_width, token_width, column_tile_width):
        super().__init__(
            {
                "queue_address": Out(queue_width),
                "token": Out(token_width),
                "column_tile": Out(column_tile_width),
                "half": Out(1),
                "head_first": Out(1, init=1),
                "head_end": Out(1),
            }
        )


class DivisionScheduler(Block):
    """Starts rows of the divider array and addresses their results.

    Args:
        config (AcceleratorConfig): the accelerator's configuration.
        k_sum_delay (int): cycles from a row's `divide` to column 0's k_sum.
        k_sum_latency (int): cycles from the address of a k_sum to the sum, at most `k_sum_delay`.
        write_back_delay (int): cycles from a row's `divide` to column 0's `write_back`.

    Ports:
        start (1 bit, input): a job begins.
        tokens (bits of max_tokens, input): tokens of a head, constant while the job runs.
        head_dim (bits of max_head_dim, input): features of a head, likewise.
        k_loaded (1 bit, input): the k_sum of one more head is complete.
        bias_ready (1 bit, input): the biases of one more head are complete.
        row_queued (1 bit, input): one more row of Q G is in the row queue.
        z_released (1 bit, input): a half of the Z buffer is free again.
        divide (DivideControl, output): a row, to the head of the column chain.
        row_divided (1 bit, output): a row has left the row queue.
        write_back (WriteBackControl, output): its quotients, to column 0.
        k_sum_half (1 bit, output): half of the accumulator array that the k_sum is read from.
        k_sum_beat (bits of a beat, output): beat of the k_sum, which is there `k_sum_latency` cycles later.
        k_sum_lane (bits of a lane, output): its lane in the beat.
        mean_write (1 bit, output): the columns delivered a k_mean in the cycle before.
        mean_address (bits of {half, feature}, output): its address.
        mean_ready (1 bit, output): it is the last one of its head.
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
        start_mean = Signal()
        start_row = Signal()
        last_column_base = last_start(m, self.head_dim, self.columns, "last_column_base")
        free = paused(m, start_mean | start_row, self.interval, "wait")
        mean_end = self._means(m, start_mean, free, last_column_base)
        row = self._rows(m, start_row, free & ~start_mean, last_column_base)

        # Into the array, and out of it.
        result = self.write_back.signature.create(path=("result",))
        m.d.sync += [
            self.divide.start.eq(start_mean | start_row),
            self.divide.mean.eq(start_mean),
            self.divide.queue_address.eq(row.queue_address),
            self.divide.bias_address.eq(Cat(row.column_tile, row.half)),
            self.row_divided.eq(start_row),
            result.write.eq(start_row),
            result.address.eq(Cat(address_field(row.token, self.token_bits), row.column_tile, row.half)),
            result.head_end.eq(start_row & row.head_end),
            result.mean.eq(start_mean),
            result.mean_end.eq(start_mean & mean_end),
        ]
        pass_on(m, delay_bundle(m, result, self.write_back_delay - 1, "result"), self.write_back)

        wait_to_read = self.k_sum_delay - self.k_sum_latency
        self._read_k_sums(
            m,
            delay(m, start_mean, wait_to_read, "k_sum_begin"),
            delay(m, start_mean & mean_end, wait_to_read, "k_sum_end"),
        )
        self._write_means(m)
        return m

    def _means(self, m, start, free, last_column_base):
        """Decides when a row of means starts: one a column tile, for every head in its turn.

        Returns whether the next one is the last of its head.
        """
        base = Signal(len(self.head_dim) + 1, name="mean_base")
        end = Signal(name="mean_end")
        m.d.comb += [
            start.eq(
                credits(m, 2, self.k_loaded, start & end, "heads_to_mean")
                & free
                & paused(m, start, self.columns, "mean_wait")
            ),
            end.eq(base >= last_column_base),
        ]
        with m.If(start):
            m.d.sync += base.eq(base + self.columns)
            with m.If(end):
                m.d.sync += base.eq(0)
        return end

    def _rows(self, m, start, free, last_column_base):
        """Decides when a row of Q G starts: a head's column tiles, each with all of its tokens.

        Returns the next one, a `_NextRow`.
        """
        row = _NextRow(
            queue_width=len(self.divide.queue_address),
            token_width=len(self.tokens),
            column_tile_width=self.column_tile_bits,
        ).create(path=("row",))
        column_base = Signal(len(self.head_dim) + 1)
        tile_end = Signal()
        one_token = Signal()
        z_full = z_buffer_full(m, start & row.head_first, self.z_released)
        m.d.comb += [
            row.head_end.eq(tile_end & (column_base >= last_column_base)),
            start.eq(
                credits(m, self.row_queue_depth.bit_length(), self.row_queued, start, "rows")
                & credits(m, 2, self.bias_ready, start & row.head_end, "biases")
                & free
                & ~(row.head_first & z_full)
            ),
        ]
        # `tile_end` is known a row ahead: it must not wait for a comparison.
        last_but_one_token = last_start(m, self.tokens, 2, "last_but_one_token")
        with m.If(start):
            m.d.sync += [
                row.queue_address.eq(next_address(row.queue_address, self.row_queue_depth)),
                row.token.eq(row.token + 1),
                row.head_first.eq(row.head_end),
                tile_end.eq(row.token == last_but_one_token),
            ]
            with m.If(tile_end):
                m.d.sync += [
                    row.token.eq(0),
                    row.column_tile.eq(row.column_tile + 1),
                    column_base.eq(column_base + self.columns),
                    tile_end.eq(one_token),
                ]
            with m.If(row.head_end):
                m.d.sync += [row.column_tile.eq(0), column_base.eq(0), row.half.eq(~row.half)]
        with m.If(self.start):
            m.d.sync += [
                row.half.eq(0),
                row.queue_address.eq(0),
                one_token.eq(self.tokens == 1),
                tile_end.eq(self.tokens == 1),
            ]
        return row

    def _read_k_sums(self, m, begin, end):
        """Addresses the k_sum of a row of means, one feature after the other from the cycle after `begin`."""
        reading, last = self._window(m, begin, end, "k_sum")
        with m.If(reading):
            m.d.sync += self.k_sum_lane.eq(self.k_sum_lane + 1)
            with m.If(self.k_sum_lane == self.stream_lanes - 1):
                m.d.sync += [self.k_sum_lane.eq(0), self.k_sum_beat.eq(self.k_sum_beat + 1)]
            with m.If(last):
                m.d.sync += [self.k_sum_lane.eq(0), self.k_sum_beat.eq(0), self.k_sum_half.eq(~self.k_sum_half)]
        with m.If(self.start):
            m.d.sync += self.k_sum_half.eq(0)

    def _write_means(self, m):
        """Addresses the k_mean of a row of means, one feature after the other from the cycle after its write-back."""
        writing, last = self._window(m, self.write_back.mean, self.write_back.mean_end, "mean")
        half = Signal(name="mean_half")
        feature = Signal(len(self.mean_address) - 1, name="mean_feature")
        m.d.comb += [
            self.mean_write.eq(writing),
            self.mean_ready.eq(last),
            self.mean_address.eq(Cat(feature, half)),
        ]
        with m.If(writing):
            m.d.sync += feature.eq(feature + 1)
            with m.If(last):
                m.d.sync += [feature.eq(0), half.eq(~half)]
        with m.If(self.start):
            m.d.sync += half.eq(0)

    def _window(self, m, begin, end, name):
        """C cycles, from the cycle after `begin`, in which the elements of a row of means pass.

        Returns whether this is one of them, and whether it is the last of its head: `end` came with `begin`.
        """
        left = Signal(range(self.columns + 1), name=f"{name}_window")
        ends = Signal(name=f"{name}_window_ends")
        with m.If(begin):
            m.d.sync += [left.eq(self.columns), ends.eq(end)]
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        return left != 0, (left == 1) & ends


def paused(m, begin, cycles, name):
    """Whether something may begin again: low for cycles - 1 cycles from the cycle after `begin`.

    Args:
        m (Module): the module that gets the registers.
        begin (Value): it begins, 1 bit.
        cycles (int): least cycles between two of them, at least 1.
        name (str): name of the counter.

    Returns:
        Signal: a register.
    """
    left = Signal(range(max(2, cycles)), name=name)
    over = Signal(init=1, name=f"{name}_over")
    with m.If(begin):
        m.d.sync += [left.eq(cycles - 1), over.eq(cycles == 1)]
    with m.Elif(left != 0):
        m.d.sync += [left.eq(left - 1), over.eq(left == 1)]
    return over


def z_buffer_full(m, taken, released):
    """Whether both halves of the Z buffer are used.

    Args:
        m (Module): the module that gets the registers.
        taken (Value): the first row of a head is on its way to a half, 1 bit.
        released (Value): a half is free again, 1 bit.

    Returns:
        Signal: a register.
    """
    used = Signal(2, name="z_used")
    full = Signal(name="z_full")
    m.d.sync += [
        used.eq(used + taken - released),
        full.eq(Mux(taken, used == 1, used == 2) & ~released),
    ]
    return full

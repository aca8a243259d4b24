"""Division scheduler: which row of e V enters the divider array, and where its quotients go.

Rows come in the order in which they are queued: a head's blocks of queries, in each its column tiles, in each the
queries. Each takes its own divisor and becomes a row of the Z buffer.
"""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.attention.division_scheduler import paused, z_buffer_full
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.counters import credits, last_start, next_address
from taylorvit.rtl.common.pipeline import delay, delay_bundle, pass_on
from taylorvit.rtl.common.widths import address_field, index_width, tile_width

from .bundles import DivideControl, WriteBackControl
from .query_blocks import QueryBlocks

__all__ = ["DivisionScheduler"]


class DivisionScheduler(Block):
    """Starts rows of the divider array and addresses their results, `divider_row_interval` cycles apart at least.

    Before the first row of a block of queries there are `block_wait` cycles at least, from the row before or the start.

    Args:
        config (AcceleratorConfig): the accelerator's configuration.
        write_back_delay (int): cycles from a row's `divide` to column 0's `write_back`.

    Ports:
        start (1 bit, input): a job begins.
        tokens (bits of max_tokens, input): tokens of a head, constant while the job runs.
        head_dim (bits of max_head_dim, input): features of a head, likewise.
        row_queued (1 bit, input): one more row is in the row queue.
        z_released (1 bit, input): a half of the Z buffer is free again.
        divide (DivideControl, output): a row, to the head of the column chain.
        row_divided (1 bit, output): a row has left the row queue.
        write_back (WriteBackControl, output): its quotients, to column 0.
    """

    module_name = "division_scheduler"
    waivers = {("UNUSEDSIGNAL", "head_dim"): "There is but one feature."}

    def __init__(self, config, *, write_back_delay):
        self.columns = config.columns
        self.interval = config.divider_row_interval
        self.row_queue_depth = config.row_queue_depth
        self.write_back_delay = write_back_delay
        self.token_bits = index_width(config.max_tokens)
        self.column_tile_bits = tile_width(config.column_tiles)
        self.query_blocks = QueryBlocks(max_tokens=config.max_tokens, longest=config.longest_block)
        super().__init__(
            {
                "start": In(1),
                "tokens": In(config.max_tokens.bit_length()),
                "head_dim": In(config.max_head_dim.bit_length()),
                "row_queued": In(1),
                "z_released": In(1),
                "divide": Out(DivideControl(config)),
                "row_divided": Out(1),
                "write_back": Out(WriteBackControl(config)),
            }
        )

    @property
    def block_wait(self):
        """Cycles from the last row of a block, or the start, to the next row: a length is found, and compared."""
        return self.query_blocks.latency + 2

    def elaborate(self, platform):
        m = Module()
        start = Signal()
        block_end = Signal()
        head_end = Signal()
        queue_address = Signal.like(self.divide.queue_address)
        z_address = self._rows(m, start, block_end, head_end)
        head_first = Signal(init=1)
        m.d.comb += start.eq(
            credits(m, self.row_queue_depth.bit_length(), self.row_queued, start, "rows")
            & paused(m, start, self.interval, "wait")
            & paused(m, block_end | self.start, self.block_wait, "block_wait")
            & ~(head_first & z_buffer_full(m, start & head_first, self.z_released))
        )
        with m.If(start):
            m.d.sync += [queue_address.eq(next_address(queue_address, self.row_queue_depth)), head_first.eq(head_end)]
        with m.If(self.start):
            m.d.sync += queue_address.eq(0)

        result = self.write_back.signature.create(path=("result",))
        m.d.sync += [
            self.divide.start.eq(start),
            self.divide.queue_address.eq(queue_address),
            self.row_divided.eq(start),
            result.write.eq(start),
            result.address.eq(z_address),
            result.head_end.eq(start & head_end),
        ]
        pass_on(m, delay_bundle(m, result, self.write_back_delay - 1, "result"), self.write_back)
        return m

    def _rows(self, m, start, block_end, head_end):
        """The next row: whether it is the last one of its block, of its head, and its address in the Z buffer."""
        blocks = instantiate(m, "query_blocks", self.query_blocks)
        query = Signal.like(blocks.length)
        token = Signal(self.token_bits)
        column_tile = Signal(self.column_tile_bits)
        column_base = Signal(len(self.head_dim) + 1)
        half = Signal()
        # `tile_end` is known a row ahead: it must not wait for a comparison.
        tile_end = Signal()
        one_query = Signal()
        last_but_one_query = Signal(signed(len(blocks.length) + 1))
        m.d.sync += [one_query.eq(blocks.length == 1), last_but_one_query.eq(blocks.length - 2)]
        at_last_column = column_base >= last_start(m, self.head_dim, self.columns, "last_column_base")
        m.d.comb += [
            blocks.start.eq(self.start),
            blocks.tokens.eq(self.tokens),
            blocks.following.eq(block_end),
            block_end.eq(start & tile_end & at_last_column),
            head_end.eq(tile_end & at_last_column & blocks.last),
        ]
        with m.If(start):
            m.d.sync += [query.eq(query + 1), token.eq(token + 1), tile_end.eq(query == last_but_one_query)]
            with m.If(tile_end):
                m.d.sync += [
                    query.eq(0),
                    token.eq(blocks.base),
                    column_tile.eq(column_tile + 1),
                    column_base.eq(column_base + self.columns),
                    tile_end.eq(one_query),
                ]
        with m.If(block_end):
            m.d.sync += [column_tile.eq(0), column_base.eq(0), half.eq(half ^ blocks.last)]
        with m.If(self.start):
            m.d.sync += half.eq(0)
        # The first row of a block, when its length has been found and compared.
        found = delay(m, block_end | self.start, self.block_wait - 1, "found")
        with m.If(found):
            m.d.sync += [token.eq(blocks.base), tile_end.eq(one_query)]
        return Cat(address_field(token, self.token_bits), column_tile, half)

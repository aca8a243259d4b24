"""Center of softmax attention: constants, scores, maxima and divisions of a layer's heads.

    keys of columns --> key turner --> K banks of the columns          constants --> all
    scores of columns --> [score router] --> score banks of the rows
    chain of the last column --> [row maxima] --> row 0
    exponentials --> row 0

What is kept of a block of queries is kept twice, for blocks in turn.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, flipped

from taylorvit.rtl.attention.softmax.row_maximum import RowMaxima
from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.bus import connect, copied
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import address_field, up_to
from taylorvit.rtl.network.bundles import ExponentialWrite
from taylorvit.rtl.network.command import KERNEL_CONSTANTS, Destination
from taylorvit.rtl.network.division.center import DividingCenter
from taylorvit.rtl.network.division.row_scheduler import RowScheduler
from taylorvit.rtl.network.key_turner import KeyFeed, KeyTurner

from .bundles import ColumnReport, DiagonalSide, RowFeed, RowSide, chain_sizes
from .score_router import ScoreRouter

__all__ = ["ScoreCenter", "SoftmaxCenter"]


class ScoreCenter:
    """What softmax attention has in its center, whatever is there besides: a part of a block.

    Attributes:
        score_router (ScoreRouter): from columns to rows.
        row_maxima (RowMaxima): largest scores of the queries of two blocks.
    """

    def build_scores(self, config):
        """Makes the blocks.

        Args:
            config (NetworkConfig): the configuration.
        """
        self.longest_block = config.attention.longest_block
        self.score_router = ScoreRouter(config)
        self.row_maxima = RowMaxima(**chain_sizes(config), pipeline=config.memory_pipeline)

    def scores(self, m, start):
        """Scores go to the rows; the maxima are there for the stream.

        Args:
            m (Module): the center's module.
            start (Value): new constants: the first half is next.

        Returns:
            object: instance of the row maxima; `maximum` is that of the query that streams, L cycles later.
        """
        router = instantiate(m, "score_router", self.score_router)
        maxima = instantiate(m, "row_maxima", self.row_maxima)
        m.d.comb += [heard.eq(report.score) for report, heard in zip(self.reports, router.scores)]
        m.d.comb += [feed.score.eq(source) for source, feed in zip(router.feeds, self.feeds)]
        stream, half = self.stream, Signal(name="score_half")
        with m.If(self._ends_rows() & stream.result.finish):
            m.d.sync += half.eq(~half)
        with m.If(start):
            m.d.sync += half.eq(0)
        query = address_field(stream.position, len(maxima.read_address) - 1)
        largest = self.reports[-1].score.chain
        m.d.comb += [getattr(maxima.chain, name).eq(largest[name]) for name in maxima.chain.signature.members]
        m.d.comb += maxima.read_address.eq(Cat(query, half))
        return maxima

    def places_of_keys(self, m, key_stride):
        """Token t of a tile goes to column t mod C, and is t div C strides further.

        Args:
            m (Module): the center's module.
            key_stride (Value): words from a token to the next in a column.

        Returns:
            tuple: the column, and the address of the feature that column 0 has.
        """
        first = self.reports[0]
        column = Signal(range(max(2, self.columns)), name="key_column")
        offset = Signal.like(first.address, name="key_offset")
        with m.If(first.key_valid):
            m.d.sync += column.eq(column + 1)
            with m.If(column == self.columns - 1):
                m.d.sync += [column.eq(0), offset.eq(offset + key_stride)]
        with m.If(first.end):
            m.d.sync += [column.eq(0), offset.eq(0)]
        return column, first.address + offset

    def kept(self, m):
        """Pulses: all of K, all of V of a head is in the columns' banks.

        The last feature of K goes through the turner, and is written a cycle later.

        Args:
            m (Module): the center's module.
        """
        last = self.reports[-1]
        ends = last.end & last.finish
        written = self.key_turner.latency + 2
        return delay(m, ends & ~last.is_value, written, "key_written"), delay(m, ends & last.is_value, 1, "v_written")

    def rows_unused(self, m, batch):
        """Rows that were promised to the row queue, and that a shorter block has not.

        Args:
            m (Module): the center's module.
            batch (Value): rows that are promised with a pass, those of the longest block.

        Returns:
            Value: a register, 0 but when the last element of such a pass has streamed.
        """
        unused = Signal.like(batch, name="rows_unused")
        m.d.sync += unused.eq(Mux(self._ends_rows(), batch - 1 - self.stream.position, 0))
        return unused

    def longest(self, rows):
        """Most queries of a block of this layer: those of a head, or of the longest block.

        Args:
            rows (Value): queries of a head.
        """
        return Mux(rows > self.longest_block, self.longest_block, rows)

    def _ends_rows(self):
        """The last element streams of a pass that completes rows."""
        result = self.stream.result
        return result.valid & result.end & (result.destination == Destination.KERNEL_1)


class SoftmaxCenter(ScoreCenter, DividingCenter):
    """What all rows and columns share.

    Args:
        config (NetworkConfig): the configuration.
        write_back_delay (int): cycles from column 0's `divide` to its `write_back`.
        place_latency (int): cycles that the diagonal takes to find where a row of Z goes.

    Ports:
        stream, room, promised, constants, constants_valid, diagonal_report, denominator_error: as of every
            `DividingCenter`.
        exponential_write (ExponentialWrite, input): an entry of the table; no e V is unfinished meanwhile.
        row_side (RowSide): to row 0.
        feeds (RowFeed, one for each row): to the rows.
        column_feeds (KeyFeed, one for each column): to the columns.
        column_side (DiagonalSide): to the diagonal.
        reports (ColumnReport, one for each column): from the columns.
        key_done (1 bit, output): K of one more head is in the columns.
        value_done (1 bit, output): its V is.
        kernel_0_done (1 bit, output): the scores of one more block are in the rows, and their maxima are known.
        kernel_1_done (1 bit, output): its last element of Z leaves.
    """

    kernel_fields = KERNEL_CONSTANTS["softmax"]
    told = ("shift_s", *DividingCenter.told)

    def __init__(self, config, *, write_back_delay, place_latency):
        self.build_scores(config)
        # The diagonal's register lies between the scheduler and column 0; the diagonal looks up where Z goes.
        self.row_scheduler = RowScheduler(config.attention, write_back_delay=1 + write_back_delay - place_latency)
        super().__init__(
            config,
            key_turner=KeyTurner(config, lanes=config.columns, depth=config.key_column_depth),
            row_side=RowSide(config),
            feed=RowFeed(config),
            column_feed=KeyFeed(config, depth=config.key_column_depth),
            column_side=DiagonalSide(config),
            report=ColumnReport(config),
            exponential_write=In(ExponentialWrite(config)),
        )

    def elaborate(self, platform):
        m = Module()
        constants, start = self.constants_of_layer(m)
        maxima = self.scores(m, start)
        turner = self.turned_keys(m, *self.places_of_keys(m, constants.key_stride))
        for source, target in zip(turner.feeds, self.column_feeds):
            connect(m, source, flipped(target))

        rows = instantiate(m, "row_scheduler", self.row_scheduler)
        connect(m, rows.divide, flipped(self.column_side.divide))
        batch = self.longest(constants.rows)
        left = rows.row_divided + self.rows_unused(m, batch)
        key_written, value_written = self.kept(m)
        m.d.comb += [
            rows.start.eq(start),
            rows.row_queued.eq(self.diagonal_report.row_queued),
            self.column_side.z.eq(rows.write_back),
            self.row_side.maximum.eq(maxima.maximum),
            *copied(self.exponential_write, self.row_side.exponential),
        ]
        self.tell_engine(m, batch, left, {"key": key_written, "value": value_written, "kernel_0": maxima.finished})
        return m

    def shapes_of_constants(self):
        """Registers of a layer by the names of the command's fields: dict of shapes."""
        attention = self.attention
        return {
            "tokens": attention.max_tokens.bit_length(),
            "rows": attention.max_tokens.bit_length(),
            "shift_s": up_to(attention.shift_s_max),
            "shift_z": up_to(attention.shift_z_max, least=attention.shift_z_min),
            "key_stride": len(self.column_feeds[0].address),
        }

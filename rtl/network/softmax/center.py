"""Center of softmax attention: constants, scores, maxima and divisions of a layer's heads.

    keys of columns --> key turner --> K banks of the columns          constants --> all
    scores of columns --> [score router] --> score banks of the rows
    chain of the last column --> [row maxima] --> row 0
    exponentials --> row 0

What is kept of a block of queries is kept twice, for blocks in turn.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out, flipped

from taylorvit.rtl.attention.divider_lane import align
from taylorvit.rtl.attention.softmax.row_maximum import RowMaxima
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect, copied
from taylorvit.rtl.common.counters import room
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import address_field, up_to
from taylorvit.rtl.network.bundles import COMMAND_BITS, ExponentialWrite, StreamControl
from taylorvit.rtl.network.command import KERNEL_CONSTANTS, Destination
from taylorvit.rtl.network.division.bundles import DiagonalReport
from taylorvit.rtl.network.division.constants import constants_of
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


class SoftmaxCenter(ScoreCenter, Block):
    """What all rows and columns share.

    Args:
        config (NetworkConfig): the configuration.
        write_back_delay (int): cycles from column 0's `divide` to its `write_back`.
        place_latency (int): cycles that the diagonal takes to find where a row of Z goes.

    Ports:
        constants_valid (1 bit, input): `constants` take effect.
        constants (COMMAND_BITS, input): a command CONSTANTS.
        exponential_write (ExponentialWrite, input): an entry of the table; no e V is unfinished meanwhile.
        stream (StreamControl): what goes to row 0 in this cycle.
        room (1 bit, output): the row queue has room for the rows of a pass that completes e V.
        promised (1 bit, input): such a pass begins.
        row_side (RowSide): to row 0.
        feeds (RowFeed, one for each row): to the rows.
        column_feeds (KeyFeed, one for each column): to the columns.
        column_side (DiagonalSide): to the diagonal.
        reports (ColumnReport, one for each column): from the columns.
        diagonal_report (DiagonalReport): from the diagonal.
        key_done (1 bit, output): K of one more head is in the columns.
        value_done (1 bit, output): its V is.
        kernel_0_done (1 bit, output): the scores of one more block are in the rows, and their maxima are known.
        kernel_1_done (1 bit, output): its last element of Z leaves.
        denominator_error (1 bit, output): a row has no divisor.
    """

    module_name = "kernel_center"
    waivers = {
        ("UNUSEDSIGNAL", "constants"): "The command has other fields.",
        ("UNUSEDSIGNAL", "stream__*"): "Only the position counts, and when a product ends.",
        ("UNUSEDSIGNAL", "reports__*"): "Some things only the first column tells, or the last one.",
    }

    def __init__(self, config, *, write_back_delay, place_latency):
        attention = config.attention
        self.columns = config.columns
        self.data_width = config.data_width
        self.row_queue_depth = attention.row_queue_depth
        self._config = config
        self.build_scores(config)
        # The diagonal's register lies between the scheduler and column 0; the diagonal looks up where Z goes.
        self.row_scheduler = RowScheduler(attention, write_back_delay=1 + write_back_delay - place_latency)
        self.key_turner = KeyTurner(config, lanes=config.columns, depth=config.key_column_depth)
        super().__init__(
            {
                "constants_valid": In(1),
                "constants": In(COMMAND_BITS),
                "exponential_write": In(ExponentialWrite(config)),
                "stream": In(StreamControl(config)),
                "room": Out(1),
                "promised": In(1),
                "row_side": Out(RowSide(config)),
                "feeds": Out(RowFeed(config)).array(config.rows),
                "column_feeds": Out(KeyFeed(config, depth=config.key_column_depth)).array(config.columns),
                "column_side": Out(DiagonalSide(config)),
                "reports": In(ColumnReport(config)).array(config.columns),
                "diagonal_report": In(DiagonalReport()),
                "key_done": Out(1),
                "value_done": Out(1),
                "kernel_0_done": Out(1),
                "kernel_1_done": Out(1),
                "denominator_error": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        constants, start = self._constants(m)
        maxima = self.scores(m, start)
        turner = instantiate(m, "key_turner", self.key_turner)
        bank, address = self.places_of_keys(m, constants.key_stride)
        m.d.comb += [
            turner.keys.eq(Cat(report.key for report in self.reports)),
            turner.valid.eq(self.reports[0].key_valid),
            turner.bank.eq(bank),
            turner.address.eq(address),
        ]
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
            self.room.eq(room(m, self.row_queue_depth, batch, self.promised, left)),
            self.row_side.maximum.eq(maxima.maximum),
            *copied(self.exponential_write, self.row_side.exponential),
            self.key_done.eq(key_written),
            self.value_done.eq(value_written),
            self.kernel_0_done.eq(maxima.finished),
            self.kernel_1_done.eq(self.reports[-1].kernel_1_done),
            self.denominator_error.eq(self.diagonal_report.denominator_error),
        ]
        return m

    def _constants(self, m):
        """The constants of a layer, for all who need them, and a pulse in the first cycle in which they are there."""
        attention, side = self._config.attention, self.column_side
        shapes = {
            "tokens": attention.max_tokens.bit_length(),
            "rows": attention.max_tokens.bit_length(),
            "shift_s": up_to(attention.shift_s_max),
            "shift_z": up_to(attention.shift_z_max, least=attention.shift_z_min),
            "key_stride": len(self.column_feeds[0].address),
        }
        constants = constants_of(m, self, shapes, KERNEL_CONSTANTS["softmax"])
        start = delay(m, self.constants_valid, 1, "start")
        align(m, constants.shift_z, self.data_width, side.numerator_shift, side.divisor_shift)
        m.d.comb += [
            side.shift_s.eq(constants.shift_s),
            side.tokens.eq(constants.tokens),
            side.start.eq(start),
        ]
        return constants, start

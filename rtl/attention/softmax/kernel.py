"""Softmax attention on the array: scores, exponentials below the largest score, and their mean of V, head by head.

    q --> Q banks ------------------.
                                    +--> operand rows --> SA-Diag | SA-General
    [score banks] --> exponentials -'                                  |
          ^                ^                                           |
          |                '-- row maxima <--.                         |
          '------------- scores, requantized <-------------------------+
    k --> K banks --> stationary tiles --> SA-General                  | e V, and the sum of e
    v --> V banks --^                                                  v
    z <-- Z banks <-- divider lanes <-- aligners <------------- row queue

The array is that of Taylor attention, and so are the accumulators below it, the row queue, the divider lanes, and the
chains down the rows and along the columns. What is different is the way into a row, and that the totals of one product
come back as what the next one streams, not as what is stationary.

This file only joins blocks; every latency that it needs is asked of the blocks themselves.
"""

from math import ceil
from types import SimpleNamespace

from amaranth.hdl import Cat

from taylorvit.rtl.attention.column_kernel import ColumnKernel
from taylorvit.rtl.attention.kernel import Banking, carry, chain
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.pipeline import delay_bundle

from .array_column import ArrayColumn
from .bundles import Phase, maximum_sizes
from .diagonal_column import DiagonalColumn
from .division_scheduler import DivisionScheduler
from .operand_row import OperandRow
from .pass_scheduler import PassScheduler
from .row_maximum import RowMaxima
from .spec import query_blocks

__all__ = ["SoftmaxKernel"]


class SoftmaxKernel(ColumnKernel):
    """Z = e V / sum of e with e = table[max - s], s = Q K^T requantized.

    Sustained over heads that follow each other, a head takes `config.array_cycles(n, d)` cycles where `sustains(n, d)`.

    Args:
        config (AcceleratorConfig): the configuration.
    """

    def __init__(self, config):
        super().__init__(config)
        self.row = OperandRow(config)
        self.maxima = RowMaxima(**maximum_sizes(config), pipeline=config.memory_pipeline)
        self.column = column = ArrayColumn(config)
        self.diagonal = DiagonalColumn(
            config,
            load_latency=column.load_latency,
            score_latency=column.kept_latency,
            divisor_delay=column.divisor_delay,
        )
        self.pass_scheduler = PassScheduler(config, load_latency=self.load_delay + column.load_latency)
        # The diagonal column's register lies between the scheduler and column 0.
        self.division_scheduler = DivisionScheduler(config, write_back_delay=1 + column.write_back_delay)

    @property
    def banking(self):
        """Rows hold features of Q, columns tokens of K and features of V."""
        return {
            "q": Banking(banks=self.config.rows, by="feature"),
            "k": Banking(banks=self.config.columns, by="token"),
            "v": Banking(banks=self.config.columns, by="feature"),
        }

    @property
    def load_delay(self):
        """Cycles by which a tile is held back on its way to the columns.

        The tile of the next pass comes into the array while this one's elements do. It must not come to a row before
        the first of them, with which the row takes its own tile over.
        """
        return self.row.latency - self.column.load_latency

    @property
    def turnaround(self):
        """Cycles that go by beside the array's work before scores can be streamed as exponentials.

        From the last element of SCORES to the maxima behind the last column, and to the first element of VALUES.
        """
        rows, columns, column = self.config.rows, self.config.columns, self.column
        scores_out = 1 + rows + self.accumulate_delay + 1 + column.kept_latency + columns
        return scores_out + self.maxima.finish_latency + self.pass_scheduler.choice_latency + rows

    def sustains(self, tokens, head_dim):
        """Whether heads of this size are sure to follow each other in `config.array_cycles(tokens, head_dim)` cycles.

        Sufficient, not necessary: some other sizes do as well.

        Passes hide the loading of the next tile, the divider takes rows as fast as they leave the array, and the
        array works long enough for the operands of a head to come in, and on the shortest block for `turnaround`.
        """
        config = self.config
        shortest = min(query_blocks(tokens, config.longest_block))
        work = config.array_cycles(tokens, head_dim)
        beats = tokens * ceil(head_dim / config.stream_lanes)
        return (
            shortest >= config.rows
            and config.divider_row_interval <= ceil(tokens / config.rows)
            and work >= beats + self.turnaround
            and work // tokens * shortest >= self.turnaround
        )

    def place(self, place):
        """The instances of the blocks; several of one kind are a list."""
        config = self.config
        return SimpleNamespace(
            rows=[place(f"operand_row_{index}", self.row) for index in range(config.rows)],
            array=place("array", self.array),
            diagonal=place("diagonal_column", self.diagonal),
            columns=[place(f"column_{index}", self.column) for index in range(config.columns)],
            maxima=place("row_maxima", self.maxima),
            passes=place("pass_scheduler", self.pass_scheduler),
            divisions=place("division_scheduler", self.division_scheduler),
        )

    def shift_z(self, registers):
        """That of the job."""
        return registers.shift_z

    def connect_job(self, m, units, outside):
        """The sizes and constants of the job go to the blocks that use them, and the table to the rows."""
        registers, job = outside.registers, outside.job
        passes, divisions, diagonal = units.passes, units.divisions, units.diagonal
        for unit in (passes, divisions):
            m.d.comb += [
                unit.start.eq(registers.start),
                unit.tokens.eq(registers.tokens),
                unit.head_dim.eq(registers.head_dim),
            ]
        m.d.comb += [passes.heads.eq(registers.heads), diagonal.divisor_shift.eq(job.divisor_shift)]
        carry(m, units.columns, shift_s=registers.shift_s, numerator_shift=job.numerator_shift)
        chain(m, registers.exponentials, units.rows, "table_write")

    def connect_data(self, m, units, outside):
        """One method for each sentence of the drawing."""
        chain(m, outside.loaders["q"].write, units.rows, "q")
        chain(m, outside.loaders["k"].write, units.columns, "k")
        chain(m, outside.loaders["v"].write, units.columns, "v")
        self._row_chain(m, units)
        self._column_chain(m, units, outside)
        self._scores(m, units)
        m.d.comb += outside.sender.z_data.eq(Cat(column.z_data for column in units.columns))

    def _row_chain(self, m, units):
        """Down the rows go the control of the streamed elements and, behind it, the largest scores of their rows."""
        chain(m, units.passes.stream_control, units.rows, "control")
        m.d.comb += units.maxima.read_address.eq(units.passes.maximum_address)
        carry(m, units.rows, maximum=units.maxima.maximum)
        self.connect_rows(m, units)

    def _column_chain(self, m, units, outside):
        """Along the columns go tiles, sums, maxima, divisions and results, through SA-Diag's column first."""
        diagonal, columns = units.diagonal, units.columns
        control = units.rows[-1].control_out
        accumulate = delay_bundle(
            m, control.accumulate, self.accumulate_delay, "accumulate", reset=outside.resets.line("accumulate")
        )
        score_tile = delay_bundle(m, control.score_tile, self.accumulate_delay, "score_tile")
        load = delay_bundle(m, units.passes.load_control, self.load_delay, "load", reset=outside.resets.line("load"))
        chain(m, load, [diagonal, *columns], "load")
        chain(m, accumulate, [diagonal, *columns], "accumulate")
        connect(m, score_tile, diagonal.score_tile)
        chain(m, diagonal.maximum_out, columns, "maximum")
        connect(m, columns[-1].maximum_out, units.maxima.chain)
        chain(m, units.divisions.divide, [diagonal, *columns], "divide")
        chain(m, units.divisions.write_back, columns, "write_back")
        self.connect_columns(m, units, z_address=outside.sender.z_address)

    def _scores(self, m, units):
        """Scores go to the rows: each bank of a row gets those of one column, in one of the column's turns."""
        config = self.config
        for index, row in enumerate(units.rows):
            for bank in range(config.score_banks):
                token = index + bank * config.rows  # the first of the tokens that the bank holds
                turn, column = divmod(token, config.columns)
                connect(m, units.columns[column].score, row.scores[bank])
                m.d.comb += row.turn[bank].eq(turn)

    def connect_control(self, m, units, outside):
        """Pulses say which head is where. A half is released when the last row or column has read its last word."""
        loaders, sender = outside.loaders, outside.sender
        passes, divisions, last_row, last_column = units.passes, units.divisions, units.rows[-1], units.columns[-1]
        q_left, tiles_left = last_row.control_out, last_column.load_out
        head_divided = last_column.write_back_out.head_end
        m.d.comb += [
            loaders["q"].released.eq(q_left.release & (q_left.phase == Phase.SCORES)),
            loaders["k"].released.eq(tiles_left.release & (tiles_left.phase == Phase.SCORES)),
            loaders["v"].released.eq(tiles_left.release & (tiles_left.phase == Phase.VALUES)),
            passes.q_loaded.eq(loaders["q"].loaded),
            passes.k_loaded.eq(loaders["k"].loaded),
            passes.v_loaded.eq(loaders["v"].loaded),
            passes.scores_ready.eq(units.maxima.finished),
            passes.row_divided.eq(divisions.row_divided),
            divisions.row_queued.eq(units.diagonal.row_queued),
            divisions.z_released.eq(sender.sent),
            sender.head_ready.eq(head_divided),
        ]
        return self.status(units)

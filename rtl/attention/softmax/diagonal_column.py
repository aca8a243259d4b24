"""Diagonal column: everything above and below SA-Diag, the column to the left of column 0.

    ones --> stationary                    With ones, SA-Diag sums up what streams past it: of exponentials, the
                 |                         divisor of their row. What it sums up of Q means nothing.
             (SA-Diag)
                 |
    accumulate --> partial sum accumulator
                 |
    divide --> [row queue] --> aligner --> divisor, invalid

It is also the head of the column chain: control comes in from the schedulers and goes on to column 0, and with each
score of column 0 a chain for the largest one of its row begins.
"""

from amaranth.hdl import Module, Mux, signed, unsigned
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.attention.column import Column
from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.pipeline import delay, delay_bundle
from taylorvit.rtl.common.widths import up_to

from .aligner import Aligner
from .bundles import AccumulateControl, DivideControl, LoadControl, Phase, ScoreTile, maximum_chain
from .row_maximum import least_score

__all__ = ["DiagonalColumn"]


class DiagonalColumn(Column):
    """SA-Diag's buffers and the divisors.

    Args:
        config (AcceleratorConfig): the configuration.
        load_latency (int): cycles from `load_out` to the stationary operand of column 0, at least 2.
        score_latency (int): cycles from `accumulate_out` to the score of column 0.
        divisor_delay (int): cycles after `divide_out` at which column 0 wants the divisor.

    Ports:
        load_*, accumulate_*, divide_*: control from the schedulers and, one cycle later, for column 0.
        score_tile (ScoreTile, input): with `accumulate_in`.
        maximum_out (MaximumChain, output): for column 0, with its score.
        divisor_out, invalid_out: for column 0, `divisor_delay` cycles after `divide_out`.
        denominator_error: a row's exponentials are all 0 (one cycle a row).
        stationary: to the array, as many cycles after `load_in` as in an `ArrayColumn`.
        partial_sum: from the array, `accumulator.sum_delay` cycles after `accumulate_in`.
        row_queued: a row's totals were put into the row queue, here; each column follows one cycle after its left one.
        divisor_shift: constant during a job.
    """

    module_name = "diagonal_column"
    accumulator_name = "partial_sum_accumulator_diagonal"
    waivers = {
        ("UNUSEDSIGNAL", "accumulator__total"): "A sum of exponentials has no sign.",
        ("UNUSEDSIGNAL", "accumulate_address_*"): "Scores are not SA-Diag's business.",
    }

    def __init__(self, config, *, load_latency, score_latency, divisor_delay):
        self.load_latency = load_latency
        self.score_latency = score_latency
        self.divisor_delay = divisor_delay
        self.score_width = config.kept_score_width
        self.aligner = Aligner(
            name="divisor", shape=unsigned(config.exponential_sum_width), shift_max=config.divisor_shift_max
        )
        super().__init__(
            config,
            sum_width=config.diagonal_sum_width,
            longest_pass=config.longest_block,
            queued_width=config.exponential_sum_width,
            bundles={
                "load": LoadControl(config),
                "accumulate": AccumulateControl(config),
                "divide": DivideControl(config),
            },
            ports={
                "score_tile": In(ScoreTile(config)),
                "maximum_out": Out(maximum_chain(config)),
                "divisor_out": Out(config.divisor_width),
                "invalid_out": Out(1),
                "denominator_error": Out(1),
                "row_queued": Out(1),
                "stationary": Out(signed(config.diagonal_width)),
                "partial_sum": In(signed(config.diagonal_sum_width)),
                "divisor_shift": In(up_to(config.divisor_shift_max)),
            },
        )

    def elaborate(self, platform):
        m = Module()
        self.pass_on_control(m)
        blank = delay(m, self.load_out.blank, self.load_latency - 2, "blank")
        m.d.sync += self.stationary.eq(Mux(blank, 0, 1))

        # Sums, of exponentials to the row queue.
        accumulator, phase, address = self.totals(m)
        row_queue = instantiate(m, "row_queue", self.row_queue)
        m.d.comb += [
            self.row_queued.eq(accumulator.total_valid & (phase == Phase.VALUES)),
            row_queue.write_enable.eq(self.row_queued),
            row_queue.write_address.eq(address),
            row_queue.write_data.eq(accumulator.total),
        ]
        self._begin_maxima(m)
        self._divisors(m, row_queue)
        return m

    def _begin_maxima(self, m):
        """With the score of column 0, one cycle later than here, goes the chain that finds the largest of its row."""
        wait = 1 + self.score_latency
        control, tile = self.accumulate_in, delay_bundle(m, self.score_tile, wait, "tile")
        is_score = control.valid & control.last & (control.phase == Phase.SCORES)
        index = delay(m, control.index, wait, "maximum_index")
        m.d.comb += [
            self.maximum_out.valid.eq(delay(m, is_score, wait, "maximum_valid")),
            self.maximum_out.index.eq(index | (tile.half << len(control.index))),
            self.maximum_out.first.eq(tile.first),
            self.maximum_out.finish.eq(tile.finish),
            self.maximum_out.left.eq(tile.left),
            self.maximum_out.maximum.eq(least_score(self.score_width)),
        ]

    def _divisors(self, m, row_queue):
        """A row's divisor; there is none if all of its exponentials are 0, as no table makes them that has a 1."""
        aligner = instantiate(m, "aligner", self.aligner)
        m.d.comb += [
            row_queue.read_address.eq(self.divide_in.queue_address),
            aligner.value.eq(row_queue.read_data),
            aligner.shift.eq(self.divisor_shift),
        ]
        after = self.row_queue.latency - 1  # from `divide_out` to the queue's word
        invalid = delay(m, row_queue.read_data == 0, self.aligner.latency, "no_divisor")
        divided = delay(m, self.divide_out.start, after + self.aligner.latency, "divided")
        wait = self.divisor_delay - after - self.aligner.latency
        m.d.comb += [
            self.denominator_error.eq(divided & invalid),
            self.divisor_out.eq(delay(m, aligner.aligned, wait, "divisor")),
            self.invalid_out.eq(delay(m, invalid, wait, "invalid")),
        ]

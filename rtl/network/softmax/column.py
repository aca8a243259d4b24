r"""Column of softmax attention: K, V, the scores and the divisions of one column.

    feed ------> [K bank]   [V bank] <--- value
                       \     /
                        mux --> stationary              total (scores) --> requantizer --> score --> report
    value (K) --> report                                                                     '--> maximum, side
                                                        total (e V) --> [row queue] --> ... --> z

Column c keeps the tokens c, c + C, ... of K.
"""

from amaranth.hdl import Module, signed
from amaranth.lib.wiring import flipped

from taylorvit.rtl.array.requantizer import Requantizer
from taylorvit.rtl.attention.softmax.aligner import Aligner
from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.network.command import Destination
from taylorvit.rtl.network.division.column import DividingColumn
from taylorvit.rtl.network.key_turner import KeyFeed, received_features

from .bundles import ColumnReport, ColumnSide
from .score_step import ScoreStep

__all__ = ["SoftmaxColumn", "report_values", "scores"]


def scores(m, column, score):
    """A column's score goes to its row, and into the largest one of its row.

    Args:
        m (Module): the column's module.
        column (Block): the column; it has a `score_step`, and its sides a member `score`.
        score (Value): the score, in the cycle of `side_in.score`.
    """
    step = instantiate(m, "score_step", column.score_step)
    connect(m, flipped(column.side_in.score), step.control_in)
    connect(m, step.control_out, flipped(column.side_out.score))
    m.d.comb += [
        step.score.eq(score),
        column.report.score.eq(step.write),
    ]


def report_values(m, column):
    """K and V that go by are told to the center.

    Args:
        m (Module): the column's module.
        column (Block): the column.
    """
    value, report = column.value_control, column.report
    is_key = value.destination == Destination.KEY
    is_value = value.destination == Destination.VALUE
    arrives = value.valid & value.last & (is_key | is_value)
    m.d.comb += [
        report.key.eq(column.value),
        report.key_valid.eq(arrives & is_key),
        report.address.eq(value.address),
        report.end.eq(arrives & value.end),
        report.is_value.eq(is_value),
        report.finish.eq(value.finish),
    ]


class SoftmaxColumn(DividingColumn):
    """One column's K and V, scores, row queue, and its lane of the divider array.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        load, stationary, total, total_control, value, value_control, z: as of every `DividingColumn`.
        feed (KeyFeed, input): features of K, written a cycle later.
        side_in, side_out (ColumnSide): control of scores and divisions; passed on one cycle later.
        report (ColumnReport): to the center.
    """

    handed_on = ("shift_s", *DividingColumn.handed_on)
    adder_ports = ("value", "aligned")

    def __init__(self, config):
        attention = config.attention
        self.columns = config.columns
        self.k_bank = MemoryBank(
            depth=config.key_column_depth,
            width=config.data_width,
            pipeline=config.memory_pipeline,
            kind=config.kernel_memory,
        )
        self.requantizer = Requantizer(
            i_width=attention.score_sum_width,
            o_width=attention.kept_score_width,
            shift_max=attention.shift_s_max,
            pipelined=config.memory_pipeline > 0,
            module_name="requantizer_score",
        )
        self.score_step = ScoreStep(config)
        super().__init__(
            config,
            adder=Aligner(
                name="numerator", shape=signed(attention.value_sum_width), shift_max=attention.numerator_shift_max
            ),
            mean_width=config.data_width,
            feed=KeyFeed(config, depth=config.key_column_depth),
            side=ColumnSide(config),
            report=ColumnReport(config),
        )

    @property
    def score_latency(self):
        """Cycles from a total to its score."""
        return self.requantizer.latency

    def elaborate(self, platform):
        m = Module()
        self.pass_on_side(m)
        k_bank = instantiate(m, "k_bank", self.k_bank)
        requantizer = instantiate(m, "requantizer", self.requantizer)
        feature = received_features(m, self.feed, self.columns)
        m.d.comb += [
            k_bank.write_enable.eq(feature.valid),
            k_bank.write_address.eq(feature.address),
            k_bank.write_data.eq(feature.data),
            requantizer.i.eq(self.total),
            requantizer.shift.eq(self.side_out.shift_s),
        ]
        self.stationary_operand(m, k_bank)
        report_values(m, self)
        scores(m, self, requantizer.o)
        self.divisions(m)
        return m

"""Diagonal of softmax attention: everything above and below SA-Diag, the head of the columns.

Beside a tile of V, SA-Diag holds ones: its totals are the sums of the exponentials, by which the rows are divided.
Beside a tile of K its totals mean nothing. Here it is found where the scores of a product go.

    ones --> stationary --> (SA-Diag) --> accumulator --> [row queue] --> divisor
    result --> [score places] --> score           result --> [addresses of Z] --> write_back
"""

from amaranth.hdl import Module
from amaranth.lib.wiring import flipped

from taylorvit.rtl.attention.taylor.adder_array import DenominatorAdder
from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.bus import connect, copied
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.network.bundles import LoadKind
from taylorvit.rtl.network.division.bundles import DiagonalReport
from taylorvit.rtl.network.division.diagonal import DividingDiagonal

from .bundles import ColumnSide, DiagonalSide
from .score_places import ScorePlaces

__all__ = ["SoftmaxDiagonal", "place_scores"]


def place_scores(m, diagonal, active):
    """Column 0 is told where each score goes.

    Args:
        m (Module): the diagonal's module.
        diagonal (Block): the diagonal; it has `score_places`.
        active (Value): the layer has softmax attention, 1 bit.
    """
    places = instantiate(m, "score_places", diagonal.score_places)
    m.d.comb += [
        *copied(diagonal.result_in, places.result),
        places.active.eq(active),
        places.tokens.eq(diagonal.side_in.tokens),
        places.start.eq(diagonal.side_in.start),
    ]
    connect(m, places.score, flipped(diagonal.side_out.score))


class SoftmaxDiagonal(DividingDiagonal):
    """SA-Diag's ones, the divisors, and the places of scores and rows.

    Args:
        config (NetworkConfig): the configuration.
        divisor_delay (int): cycles from column 0's `divide` to the divisor.
        write_back_delay (int): cycles from column 0's `divide` to its `write_back`.
        score_latency (int): cycles from column 0's total to its score.

    Ports:
        load_in, load_out, result_in, result_out, stationary, partial_sum: as of every `DividingDiagonal`.
        side_in (DiagonalSide): from the center.
        side_out (ColumnSide): to column 0.
        report (DiagonalReport): to the center.
    """

    def __init__(self, config, *, divisor_delay, write_back_delay, score_latency):
        attention = config.attention
        super().__init__(
            config,
            adder=DenominatorAdder(
                product_width=attention.exponential_sum_width + 1,
                fraction=0,
                c_d_width=1,
                denominator_width=attention.exponential_sum_width + 1,
                shift_max=attention.divisor_shift_max,
                tokens_width=1,
                tokens_shift=0,
                divisor_width=attention.divisor_width,
            ),
            divisor_delay=divisor_delay,
            write_back_delay=write_back_delay,
            side=DiagonalSide(config),
            side_out=ColumnSide(config),
            report=DiagonalReport(),
        )
        self.score_places = ScorePlaces(config, latency=1 + self.accumulator.latency + score_latency)

    def elaborate(self, platform):
        m = Module()
        result = self.pass_on_chains(m)
        m.d.comb += [
            self.side_out.shift_s.eq(self.side_in.shift_s),
            self.side_out.write_back.mean.eq(0),
        ]
        is_one = (self.load_in.kind == LoadKind.KERNEL_0) & ~self.load_in.blank
        m.d.sync += self.stationary.eq(delay(m, is_one, self.memory_latency, "is_one"))
        place_scores(m, self, 1)
        _accumulator, row_queue, _address = self.totals(m, result)
        adder = self.divisors(m, row_queue)
        m.d.comb += [adder.c_d.eq(0), adder.tokens.eq(0)]
        return m

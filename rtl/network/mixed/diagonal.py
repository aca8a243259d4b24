"""Diagonal of both kernels: that of Taylor attention, which finds the places of scores as well.

What SA-Diag adds up beside scores means nothing, and is written where k^_sum of the next layer will be.
"""

from amaranth.hdl import Mux

from taylorvit.rtl.network.softmax.diagonal import place_scores
from taylorvit.rtl.network.softmax.score_places import ScorePlaces
from taylorvit.rtl.network.taylor.diagonal import TaylorDiagonal

from .bundles import ColumnSide, DiagonalSide

__all__ = ["MixedDiagonal"]


class MixedDiagonal(TaylorDiagonal):
    """SA-Diag's buffers, the divisors, and the places of scores and rows.

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
        super().__init__(
            config,
            divisor_delay=divisor_delay,
            write_back_delay=write_back_delay,
            side=DiagonalSide(config),
            side_out=ColumnSide(config),
        )
        self.score_places = ScorePlaces(config, latency=1 + self.accumulator.latency + score_latency)

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.side_out.softmax.eq(self.side_in.softmax)
        place_scores(m, self, self.side_in.softmax)
        return m

    def c_d_of_layer(self):
        """The constant that is added to each divisor: none of softmax attention."""
        return Mux(self.side_in.softmax, 0, self.side_in.c_d)

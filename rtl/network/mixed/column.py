r"""Column of both kernels: that of Taylor attention, whose bank of G has K and whose requantizer makes scores as well.

    value --> [V bank]   [G or K] <--- features of K, or G
                     \    /
                      mux --> stationary    total (G, scores) --> requantizer --> G, or score --> report, maximum
                                            total (Q G, e V) --> [row queue] --> + c_v v_sum, or nothing --> ... --> z

A member of the side says which kernel the layer has.
"""

from amaranth.hdl import Mux

from taylorvit.rtl.array.requantizer import Requantizer, saturated
from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.network.command import Destination
from taylorvit.rtl.network.key_turner import received_features
from taylorvit.rtl.network.softmax.column import scores
from taylorvit.rtl.network.softmax.score_step import ScoreStep
from taylorvit.rtl.network.taylor.column import TaylorColumn

from .bundles import ColumnReport, ColumnSide, key_feed

__all__ = ["MixedColumn"]


class MixedColumn(TaylorColumn):
    """One column's V, G or K, scores, row queue, biases, and its lane of the divider array.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        load, stationary, total, total_control, value, value_control, z: as of every `DividingColumn`.
        feed (KeyFeed, input): features of K of softmax attention, written a cycle later.
        side_in, side_out (ColumnSide): control of scores and divisions; passed on one cycle later, `k_sum` in the same
            cycle.
        report (ColumnReport): to the center.
    """

    handed_on = ("softmax", *TaylorColumn.handed_on)

    def __init__(self, config):
        self.columns = config.columns
        self.score_width = config.attention.kept_score_width
        self.score_step = ScoreStep(config)
        super().__init__(config, feed=key_feed(config), side=ColumnSide(config), report=ColumnReport(config))

    @staticmethod
    def requantizer_of(config):
        """What makes G or scores of totals; what is saturated twice is saturated to the narrower width.

        Args:
            config (NetworkConfig): the configuration.
        """
        attention = config.attention
        return Requantizer(
            i_width=max(attention.g_sum_width, attention.score_sum_width),
            o_width=max(config.data_width, attention.kept_score_width),
            shift_max=attention.shift_max,
            pipelined=config.memory_pipeline > 0,
            module_name="requantizer_g",
        )

    @property
    def score_latency(self):
        """Cycles from a total to its score."""
        return self.requantizer.latency

    def bias_of_layer(self, bias):
        """Softmax attention has none.

        Args:
            bias (Value): what stands in the bias bank.
        """
        return Mux(self.side_in.softmax, 0, bias)

    def operands(self, m):
        """Stationary operands: V comes as values, G as totals, K from the center.

        Args:
            m (Module): the column's module.
        """
        g_bank = instantiate(m, "g_bank", self.g_bank)
        requantizer = instantiate(m, "requantizer", self.requantizer)
        total, is_softmax = self.total_control, self.side_in.softmax
        g_total = self.is_total(Destination.KERNEL_0) & ~is_softmax
        later = self.requantizer.latency
        g_write = delay(m, g_total, later, "g_write")
        g_address = delay(m, total.address[: len(g_bank.write_address)], later, "g_address")
        feature = received_features(m, self.feed, self.columns)
        m.d.comb += [
            requantizer.i.eq(self.total),
            requantizer.shift.eq(self.side_out.shift_g),
            g_bank.write_enable.eq(Mux(is_softmax, feature.valid, g_write)),
            g_bank.write_address.eq(Mux(is_softmax, feature.address, g_address)),
            g_bank.write_data.eq(Mux(is_softmax, feature.data, saturated(requantizer.o, len(self.value)))),
            self.report.kernel_0_done.eq(delay(m, g_total & total.finish, later, "g_finish")),
        ]
        self.stationary_operand(m, g_bank)
        scores(m, self, saturated(requantizer.o, self.score_width))

"""Row of both kernels: one bank, of K for Taylor attention, or of scores for softmax attention.

    feed --> [K or scores] --> K << f --(-)--.
    reference (mean) --------------------^   +--> operand ---.
    operand ---------------------------------'               |
    score, a cycle later -----------------------------> [exponential] --> streamed
    reference (maximum) --------------------------------------'

A score waits for a cycle, since the centring adder is in front of the exponential. So its maximum comes a cycle later
than the mean of K would.
"""

from amaranth.hdl import Module, Mux

from taylorvit.rtl.attention.taylor.adder_array import CentringAdder
from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.bus import copied
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.network.kernel_row import KernelRow
from taylorvit.rtl.network.key_turner import received_features
from taylorvit.rtl.network.softmax.row import exponential_of

from .bundles import RowFeed, RowSide

__all__ = ["MixedRow"]


class MixedRow(KernelRow):
    """streamed = (K << f) - k_mean, or the exponential of a score, where the source is KERNEL, else the operand.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        control, operand, streamed: as of every `KernelRow`.
        side_in, side_out (RowSide): kernel, mean or maximum, and table; passed on one cycle later.
        feed (RowFeed, input): features of K, written a cycle later, and scores.
    """

    def __init__(self, config):
        self.columns = config.columns
        self.data_width = config.data_width
        self.score_width = config.attention.kept_score_width
        self.adder = CentringAdder(data_width=config.data_width, fraction=config.mean_fraction)
        self.exponential = exponential_of(config, operand_width=len(self.adder.streamed))
        super().__init__(
            config,
            depth=config.kernel_row_depth,
            width=max(self.data_width, self.score_width),
            side=RowSide(config),
            feed=RowFeed(config),
        )

    @property
    def latency(self):
        """Cycles from `control` to `streamed`: the bank, the centring adder, the exponential."""
        return self.memory_latency + self.adder.latency + self.exponential.latency

    def elaborate(self, platform):
        m = Module()
        bank = instantiate(m, "bank", self.bank)
        adder = instantiate(m, "adder", self.adder)
        exponential = instantiate(m, "exponential", self.exponential)
        pass_on(m, self.side_in, self.side_out)
        side, score = self.side_in, self.feed.score
        feature = received_features(m, self.feed.key, self.columns)
        m.d.comb += [
            bank.write_enable.eq(Mux(side.softmax, score.valid, feature.valid)),
            bank.write_address.eq(Mux(side.softmax, score.address, feature.address)),
            bank.write_data.eq(Mux(side.softmax, score.data, feature.data)),
            bank.read_address.eq(self.control.address),
        ]

        is_kernel = self.streams_word(m, "is_kernel")
        later = self.adder.latency
        m.d.comb += [
            adder.bypass.eq(~is_kernel),
            adder.q.eq(self.operand),
            adder.k.eq(bank.read_data[: self.data_width]),
            adder.mean.eq(side.reference),
            exponential.operand.eq(adder.streamed),
            exponential.score.eq(delay(m, bank.read_data[: self.score_width], later, "score")),
            exponential.maximum.eq(side.reference),
            exponential.bypass.eq(~delay(m, is_kernel & side.softmax, later, "is_score")),
            *copied(side.exponential, exponential.table_write),
            self.streamed.eq(exponential.streamed),
        ]
        return m

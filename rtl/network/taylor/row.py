"""Row of Taylor attention: the tokens of K that belong to it, centred on their way into the array.

Row r holds the tokens r, r + R, ... of K. They come from the columns, C features of a token one after the other.

    feed -----> [K bank] --> K << f --(-)--.
    mean ------------------------------^    +--> streamed
    operand -------------------------------'
"""

from amaranth.hdl import Module

from taylorvit.rtl.attention.taylor.adder_array import CentringAdder
from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.network.kernel_row import KernelRow
from taylorvit.rtl.network.key_turner import KeyFeed, received_features

from .bundles import RowSide

__all__ = ["TaylorRow"]


class TaylorRow(KernelRow):
    """streamed = (K << f) - k_mean where the source is KERNEL, else the operand.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        control, operand, streamed: as of every `KernelRow`.
        side_in, side_out (RowSide): k_mean; passed on one cycle later.
        feed (KeyFeed, input): features of K, written a cycle later.
    """

    def __init__(self, config):
        self.columns = config.columns
        self.adder = CentringAdder(data_width=config.data_width, fraction=config.mean_fraction)
        super().__init__(
            config,
            depth=config.key_depth,
            width=config.data_width,
            side=RowSide(config),
            feed=KeyFeed(config, depth=config.key_depth),
        )

    @property
    def latency(self):
        """Cycles from `control` to `streamed`: the bank, then the centring adder."""
        return self.memory_latency + self.adder.latency

    def elaborate(self, platform):
        m = Module()
        bank = instantiate(m, "k_bank", self.bank)
        adder = instantiate(m, "adder", self.adder)

        feature = received_features(m, self.feed, self.columns)
        m.d.comb += [
            bank.write_enable.eq(feature.valid),
            bank.write_address.eq(feature.address),
            bank.write_data.eq(feature.data),
        ]

        m.d.sync += self.side_out.mean.eq(self.side_in.mean)
        m.d.comb += [
            bank.read_address.eq(self.control.address),
            adder.bypass.eq(~self.streams_word(m, "is_key")),
            adder.q.eq(self.operand),
            adder.k.eq(bank.read_data),
            adder.mean.eq(self.side_in.mean),
            self.streamed.eq(adder.streamed),
        ]
        return m

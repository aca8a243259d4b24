"""Row of Taylor attention: the tokens of K that belong to it, centred on their way into the array.

Row r holds the tokens r, r + R, ... of K. They come from the columns, C features of a token one after the other.

    feed -----> [K bank] --> K << f --(-)--.
    mean ------------------------------^    +--> streamed
    operand -------------------------------'
"""

from amaranth.hdl import Module, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.attention.taylor.adder_array import CentringAdder
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.network.bundles import StreamControl
from taylorvit.rtl.network.command import Source
from taylorvit.rtl.network.key_turner import KeyFeed, received_features

from .bundles import RowSide

__all__ = ["TaylorRow"]


class TaylorRow(Block):
    """streamed = (K << f) - k_mean where the source is KERNEL, else the operand.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        control (StreamControl): what to stream.
        operand (8 bits signed, input): the activation or pixel, `memory_latency` cycles after `control`.
        streamed (streamed_width bits signed, output): for the array, `latency` cycles after `control`.
        side_in, side_out (RowSide): k_mean; passed on one cycle later.
        feed (KeyFeed, input): features of K, written a cycle later.
    """

    module_name = "kernel_row"
    waivers = {("UNUSEDSIGNAL", "control__*"): "A row needs to know source and address."}

    def __init__(self, config):
        self.columns = config.columns
        self.k_bank = MemoryBank(
            depth=config.key_depth,
            width=config.data_width,
            pipeline=config.memory_pipeline,
            kind=config.kernel_memory,
        )
        self.adder = CentringAdder(data_width=config.data_width, fraction=config.mean_fraction)
        super().__init__(
            {
                "control": In(StreamControl(config)),
                "operand": In(signed(config.data_width)),
                "streamed": Out(signed(config.streamed_width)),
                "side_in": In(RowSide(config)),
                "side_out": Out(RowSide(config)),
                "feed": In(KeyFeed(config, depth=config.key_depth)),
            }
        )

    @property
    def memory_latency(self):
        """Cycles from `control` to the word of the bank, to `operand` and to the mean."""
        return self.k_bank.latency

    @property
    def latency(self):
        """Cycles from `control` to `streamed`: the bank, then the centring adder."""
        return self.memory_latency + self.adder.latency

    def elaborate(self, platform):
        m = Module()
        bank = instantiate(m, "k_bank", self.k_bank)
        adder = instantiate(m, "adder", self.adder)

        feature = received_features(m, self.feed, self.columns)
        m.d.comb += [
            bank.write_enable.eq(feature.valid),
            bank.write_address.eq(feature.address),
            bank.write_data.eq(feature.data),
        ]

        is_key = (self.control.source == Source.KERNEL) & ~self.control.blank
        m.d.sync += self.side_out.mean.eq(self.side_in.mean)
        m.d.comb += [
            bank.read_address.eq(self.control.address),
            adder.bypass.eq(~delay(m, is_key, self.memory_latency, "is_key")),
            adder.q.eq(self.operand),
            adder.k.eq(bank.read_data),
            adder.mean.eq(self.side_in.mean),
            self.streamed.eq(adder.streamed),
        ]
        return m

"""Row of softmax attention: the scores of the tokens that belong to it, and their exponentials on their way in.

Row r holds the scores of the tokens r, r + R, ..., with the queries of two blocks.

    feed -----> [score bank] --> score --.
    maximum --------------------------- [exponential] --> streamed
    operand ----------------------------'
"""

from amaranth.hdl import Module, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.attention.softmax.exponential import Exponential
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import copied
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.network.bundles import StreamControl
from taylorvit.rtl.network.command import Source

from .bundles import RowFeed, RowSide

__all__ = ["SoftmaxRow", "exponential_of"]


def exponential_of(config, *, operand_width):
    """The block that makes exponentials in each row.

    Args:
        config (NetworkConfig): the configuration.
        operand_width (int): bits of what is streamed besides, signed.
    """
    return Exponential(
        score_width=config.attention.kept_score_width,
        entries=config.exponential_entries,
        width=config.exponential_width,
        operand_width=operand_width,
        pipeline=config.memory_pipeline,
    )


class SoftmaxRow(Block):
    """streamed = the exponential of a score where the source is KERNEL, else the operand.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        control (StreamControl): what to stream.
        operand (8 bits signed, input): the activation or pixel, `memory_latency` cycles after `control`.
        streamed (streamed_width bits signed, output): for the array, `latency` cycles after `control`.
        side_in, side_out (RowSide): maximum and table; passed on one cycle later.
        feed (RowFeed, input): a score.
    """

    module_name = "kernel_row"
    waivers = {("UNUSEDSIGNAL", "control__*"): "A row needs to know source and address."}

    def __init__(self, config):
        self.score_bank = MemoryBank(
            depth=config.score_depth,
            width=config.attention.kept_score_width,
            pipeline=config.memory_pipeline,
            kind=config.kernel_memory,
        )
        self.exponential = exponential_of(config, operand_width=config.data_width)
        super().__init__(
            {
                "control": In(StreamControl(config)),
                "operand": In(signed(config.data_width)),
                "streamed": Out(signed(config.streamed_width)),
                "side_in": In(RowSide(config)),
                "side_out": Out(RowSide(config)),
                "feed": In(RowFeed(config)),
            }
        )

    @property
    def memory_latency(self):
        """Cycles from `control` to the word of the bank, to `operand` and to the maximum."""
        return self.score_bank.latency

    @property
    def latency(self):
        """Cycles from `control` to `streamed`: the bank, then the exponential."""
        return self.memory_latency + self.exponential.latency

    def elaborate(self, platform):
        m = Module()
        bank = instantiate(m, "score_bank", self.score_bank)
        exponential = instantiate(m, "exponential", self.exponential)
        pass_on(m, self.side_in, self.side_out)
        is_score = (self.control.source == Source.KERNEL) & ~self.control.blank
        m.d.comb += [
            bank.write_enable.eq(self.feed.score.valid),
            bank.write_address.eq(self.feed.score.address),
            bank.write_data.eq(self.feed.score.data),
            bank.read_address.eq(self.control.address),
            exponential.score.eq(bank.read_data),
            exponential.maximum.eq(self.side_in.maximum),
            exponential.operand.eq(self.operand),
            exponential.bypass.eq(~delay(m, is_score, self.memory_latency, "is_score")),
            *copied(self.side_in.exponential, exponential.table_write),
            self.streamed.eq(exponential.streamed),
        ]
        return m

"""Row of softmax attention: the scores of the tokens that belong to it, and their exponentials on their way in.

Row r holds the scores of the tokens r, r + R, ..., with the queries of two blocks.

    feed -----> [score bank] --> score --.
    maximum --------------------------- [exponential] --> streamed
    operand ----------------------------'
"""

from amaranth.hdl import Module

from taylorvit.rtl.attention.softmax.exponential import Exponential
from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.bus import copied
from taylorvit.rtl.common.pipeline import pass_on
from taylorvit.rtl.network.kernel_row import KernelRow

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


class SoftmaxRow(KernelRow):
    """streamed = the exponential of a score where the source is KERNEL, else the operand.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        control, operand, streamed: as of every `KernelRow`.
        side_in, side_out (RowSide): maximum and table; passed on one cycle later.
        feed (RowFeed, input): a score.
    """

    def __init__(self, config):
        self.exponential = exponential_of(config, operand_width=config.data_width)
        super().__init__(
            config,
            depth=config.score_depth,
            width=config.attention.kept_score_width,
            side=RowSide(config),
            feed=RowFeed(config),
        )

    @property
    def latency(self):
        """Cycles from `control` to `streamed`: the bank, then the exponential."""
        return self.memory_latency + self.exponential.latency

    def elaborate(self, platform):
        m = Module()
        bank = instantiate(m, "score_bank", self.bank)
        exponential = instantiate(m, "exponential", self.exponential)
        pass_on(m, self.side_in, self.side_out)
        m.d.comb += [
            bank.write_enable.eq(self.feed.score.valid),
            bank.write_address.eq(self.feed.score.address),
            bank.write_data.eq(self.feed.score.data),
            bank.read_address.eq(self.control.address),
            exponential.score.eq(bank.read_data),
            exponential.maximum.eq(self.side_in.maximum),
            exponential.operand.eq(self.operand),
            exponential.bypass.eq(~self.streams_word(m, "is_score")),
            *copied(self.side_in.exponential, exponential.table_write),
            self.streamed.eq(exponential.streamed),
        ]
        return m

"""Score step: what becomes of a score in its column.

    score --+--> write: to the bank of the token's row
            '--> the largest score of the row so far --> the next column

A column beyond the last token writes nothing, and the largest score stays as it is.
"""

from amaranth.hdl import Module, Mux, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.attention.softmax.row_maximum import MaximumStep
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import copied
from taylorvit.rtl.common.pipeline import delay

from .bundles import ScoreControl, chain_sizes, score_write

__all__ = ["ScoreStep"]


class ScoreStep(Block):
    """Writes a score, and hands its control on to the next column with the next bank.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        score (kept_score_width bits signed, input): the score of this column.
        control_in (ScoreControl, input): in the same cycle, what becomes of it.
        control_out (ScoreControl, output): to the next column, one cycle later.
        write (`score_write`, output): the score, in the same cycle, if this column has a token; and the largest one, a
            cycle later.
    """

    module_name = "score_step"

    def __init__(self, config):
        self.rows = config.rows
        self.wraps = config.rows % config.columns != 0
        self.maximum = MaximumStep(**chain_sizes(config))
        super().__init__(
            {
                "score": In(signed(config.attention.kept_score_width)),
                "control_in": In(ScoreControl(config)),
                "control_out": Out(ScoreControl(config)),
                "write": Out(score_write(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        source, target = self.control_in, self.control_out
        maximum = instantiate(m, "maximum", self.maximum)
        m.d.comb += [
            *copied(source.chain, maximum.chain_in),
            maximum.score.eq(self.score),
            *copied(maximum.chain_out, target.chain),
        ]
        bank, address = source.bank + 1, source.address
        if self.wraps:
            last = source.bank == self.rows - 1
            bank, address = Mux(last, 0, bank), Mux(last, source.following, address)
        m.d.comb += [
            target.bank.eq(delay(m, bank[: len(target.bank)], 1, "bank")),
            target.address.eq(delay(m, address, 1, "address")),
            target.following.eq(delay(m, source.following, 1, "following")),
            self.write.valid.eq(source.chain.valid & (source.chain.left != 0)),
            self.write.bank.eq(source.bank),
            self.write.address.eq(source.address),
            self.write.data.eq(self.score),
            *(self.write.chain[name].eq(getattr(target.chain, name)) for name in target.chain.signature.members),
        ]
        return m

"""Score router: the scores of all columns go to the rows of their tokens."""

from functools import reduce
from math import gcd
from operator import or_

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.network.network_row import writing_columns

from .bundles import score_feed, score_write

__all__ = ["ScoreRouter"]


class ScoreRouter(Block):
    """feeds[r] is the one of the scores whose bank is r, `latency` cycles later.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        scores (`score_write`, input, one for each column): scores; at most one for each row.
        feeds (`score_feed`, output, one for each row): what the row writes.
    """

    module_name = "score_router"
    waivers = {
        ("UNUSEDSIGNAL", "scores__*"): "The largest score goes on elsewhere; as many columns as rows need no bank."
    }
    latency = 1

    def __init__(self, config):
        # Tiles begin at multiples of C, so a row hears some columns only.
        self._heard = [writing_columns(config, row) for row in range(config.rows)]
        self.one_row_each = gcd(config.rows, config.columns) == config.rows
        super().__init__(
            {
                "scores": In(score_write(config)).array(config.columns),
                "feeds": Out(score_feed(config)).array(config.rows),
            }
        )

    def elaborate(self, platform):
        m = Module()
        for row, (feed, heard) in enumerate(zip(self.feeds, self._heard)):
            writes = [self.scores[column] for column in heard]
            mine = [write.valid if self.one_row_each else write.valid & (write.bank == row) for write in writes]
            words = [Cat(write.address, write.data) for write in writes]
            word = reduce(or_, (Mux(is_mine, each, 0) for is_mine, each in zip(mine, words)))
            m.d.sync += [feed.valid.eq(Cat(mine).any()), Cat(feed.address, feed.data).eq(word)]
        return m

"""Blocks of queries: the parts of a head whose scores are on the chip together.

`rtl.attention.softmax.spec.query_blocks` has the rule; here it is a walk from block to block.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.validation import require_range
from taylorvit.rtl.common.widths import index_width

__all__ = ["QueryBlocks"]


class QueryBlocks(Block):
    """Gives the blocks of every head of a job, one after the other.

    `base`, `length` and `last` are those of the next block from `latency` cycles after `start` or `following` on.

    Args:
        max_tokens (int): largest `tokens`, at least 1.
        longest (int): most queries of a block, 1 to `max_tokens`.

    Ports:
        start (1 bit, input): a job begins.
        tokens (bits of max_tokens, input): queries of a head, constant while the job runs.
        following (1 bit, input): go on to the next block, no earlier than `latency` cycles after the last time.
        base (index_width(max_tokens) bits, output): first query of the block.
        length (bits of longest, output): queries of the block.
        last (1 bit, output): it is the last one of its head.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter is out of its range.
    """

    module_name = "query_blocks"
    latency = 2

    def __init__(self, *, max_tokens, longest):
        require_range("max_tokens", max_tokens, 1)
        require_range("longest", longest, 1, max_tokens)
        self.longest = longest
        super().__init__(
            {
                "start": In(1),
                "tokens": In(max_tokens.bit_length()),
                "following": In(1),
                "base": Out(index_width(max_tokens)),
                "length": Out(longest.bit_length()),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        left = Signal.like(self.tokens)  # queries of the head from this block on
        with m.If(self.following):
            m.d.sync += [
                left.eq(Mux(self.last, self.tokens, left - self.length)),
                self.base.eq(Mux(self.last, 0, self.base + self.length)),
            ]
        with m.If(self.start):
            m.d.sync += [left.eq(self.tokens), self.base.eq(0)]
        fits = left <= self.longest
        half = (left + 1) >> 1
        m.d.sync += [
            self.last.eq(fits),
            self.length.eq(Mux(fits, left, Mux(left < 2 * self.longest, half, self.longest))),
        ]
        return m

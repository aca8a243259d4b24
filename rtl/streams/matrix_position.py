"""Matrix position: the place of the next beat in a matrix of the job, token by token.

Whether a beat is the last of a row or of a matrix depends on comparisons with the sizes of the job. They are made one
step ahead, so that both answers are registers.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.counters import last_start
from taylorvit.rtl.common.validation import require_range
from taylorvit.rtl.common.widths import index_width

__all__ = ["MatrixPosition"]


class MatrixPosition(Block):
    """Counts the beats of one matrix after the other, tokens x head_dim, `lanes` features a beat.

    Args:
        lanes (int): features of a beat, at least 1.
        max_tokens (int): largest `tokens`, at least 1.
        max_head_dim (int): largest `head_dim`, at least 1.

    Ports:
        start (1 bit, input): a job begins.
        tokens (bits of max_tokens, input): rows of each matrix of the job, constant while it runs.
        head_dim (bits of max_head_dim, input): columns of each, likewise.
        step (1 bit, input): a beat is taken, no earlier than in the cycle after `start`.
        token (index_width(max_tokens) bits, output): token of the next beat.
        row_last (1 bit, output): the next beat is the last one of its token.
        head_last (1 bit, output): and the last one of its matrix.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter is below 1.
    """

    waivers = {("PINCONNECTEMPTY", "row_last"): "A token is a single beat."}

    def __init__(self, *, lanes, max_tokens, max_head_dim):
        for name, value in (("lanes", lanes), ("max_tokens", max_tokens), ("max_head_dim", max_head_dim)):
            require_range(name, value, 1)
        self.module_name = f"matrix_position_{max_tokens}x{max_head_dim}_{lanes}"
        self.lanes = lanes
        super().__init__(
            {
                "start": In(1),
                "tokens": In(max_tokens.bit_length()),
                "head_dim": In(max_head_dim.bit_length()),
                "step": In(1),
                "token": Out(index_width(max_tokens)),
                "row_last": Out(1),
                "head_last": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        feature = Signal(len(self.head_dim) + 1)  # the first one of the next beat
        token_last = Signal()
        one_beat = Signal()
        one_token = Signal()
        last_but_one_feature = last_start(m, self.head_dim, 2 * self.lanes, "last_but_one_feature")
        last_but_one_token = last_start(m, self.tokens, 2, "last_but_one_token")
        m.d.comb += self.head_last.eq(self.row_last & token_last)
        with m.If(self.step):
            m.d.sync += [feature.eq(feature + self.lanes), self.row_last.eq(feature >= last_but_one_feature)]
            with m.If(self.row_last):
                m.d.sync += [
                    feature.eq(0),
                    self.row_last.eq(one_beat),
                    self.token.eq(self.token + 1),
                    token_last.eq(self.token == last_but_one_token),
                ]
            with m.If(self.head_last):
                m.d.sync += [self.token.eq(0), token_last.eq(one_token)]
        with m.If(self.start):
            for one, last, size, most in (
                (one_beat, self.row_last, self.head_dim, self.lanes),
                (one_token, token_last, self.tokens, 1),
            ):
                m.d.sync += [one.eq(size <= most), last.eq(size <= most)]
        return m

"""Score places: where the scores of a product go, found once, for column 0.

The score of token p = j C + c and query t belongs to row p mod R, to the word

    destination_base + (p div R) destination_stride + t

of its bank. The engine gives the address of output tile j, destination_base + j destination_stride + t. The tiles
that lie beside each other in the rows have a stride too much, which is taken off here: once more for each tile behind
which no row begins anew.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.attention.softmax.row_maximum import least_score
from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.bus import copied
from taylorvit.rtl.common.pipeline import delay_bundle
from taylorvit.rtl.common.widths import address_field, index_width
from taylorvit.rtl.network.bundles import ResultControl
from taylorvit.rtl.network.command import Destination

from .bundles import ScoreControl

__all__ = ["ScorePlaces"]


class ScorePlaces(Block):
    """Tells column 0 of each score, `latency` cycles after its result.

    Args:
        config (NetworkConfig): the configuration.
        latency (int): cycles from `result` to `score`, at least 1.

    Ports:
        result (ResultControl, input): a result; totals for KERNEL_0 become scores.
        active (1 bit, input): the layer has softmax attention, a constant.
        tokens (bits of max_tokens, input): tokens of K, a constant.
        start (1 bit, input): new constants: the first half is next.
        score (ScoreControl, output): a score, for column 0.
    """

    module_name = "score_places"
    waivers = {("UNUSEDSIGNAL", "result__*"): "Scores need no more than their place."}

    def __init__(self, config, *, latency):
        self._config = config
        self.rows, self.columns = config.rows, config.columns
        self.latency = latency
        attention = config.attention
        self.query_bits = index_width(attention.longest_block)
        self.least = least_score(attention.kept_score_width)
        super().__init__(
            {
                "result": In(ResultControl(config)),
                "active": In(1),
                "tokens": In(attention.max_tokens.bit_length()),
                "start": In(1),
                "score": Out(ScoreControl(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        result, columns = self.result, self.columns
        score = ScoreControl(self._config).create(path=("placed",))
        width = len(score.address)

        # Of the output tile: tokens from it on, row of column 0, and what its address has too much.
        left, next_left = Signal.like(self.tokens, name="left"), Signal.like(self.tokens, name="next_left")
        bank, next_bank = Signal.like(score.bank, name="bank"), Signal.like(score.bank, name="next_bank")
        excess = Signal(width)
        next_excess = Signal(width)
        half = Signal()
        is_score = Signal()
        m.d.comb += [
            is_score.eq(self.active & result.valid & result.last & (result.destination == Destination.KERNEL_0)),
            left.eq(Mux(result.first_tile, self.tokens, next_left)),
            bank.eq(Mux(result.first_tile, result.bank, next_bank)),
            excess.eq(Mux(result.first_tile, 0, next_excess)),
        ]
        behind = Signal(range(2 * self.rows))
        wraps = Signal()
        stride = (result.following - result.address)[:width]
        m.d.comb += [behind.eq(bank + columns), wraps.eq(behind >= self.rows)]
        with m.If(is_score & result.end):
            m.d.sync += [
                next_left.eq(Mux(left > columns, left - columns, 0)),
                next_bank.eq(Mux(wraps, behind - self.rows, behind)),
                next_excess.eq(Mux(wraps, excess, excess + stride)),
            ]
        with m.If(is_score & result.finish):
            m.d.sync += half.eq(~half)
        with m.If(self.start):
            m.d.sync += half.eq(0)

        chain = score.chain
        m.d.sync += [
            chain.valid.eq(is_score),
            chain.index.eq(Cat(address_field(result.index, self.query_bits), half)),
            chain.first.eq(result.first_tile),
            chain.finish.eq(result.finish),
            chain.left.eq(Mux(left > columns, columns, left)),
            score.bank.eq(bank),
            score.address.eq(result.address - excess),
            score.following.eq(result.following - excess),
        ]
        later = delay_bundle(m, score, self.latency - 1, "score")
        m.d.comb += [*copied(later, self.score), self.score.chain.maximum.eq(self.least)]
        return m

"""Sequencer: chooses which pass the array works on next.

The passes of a product come in a fixed order, column tile by column tile, in each the tiles that are summed over. After
the last one a new product is chosen, as soon as its operands are there:

    SCORES(b+1)   Q and K of its head are in their buffers, and a half of the banks of scores is free
    VALUES(b)     the scores of block b, their maxima, and V of its head are there, and no SCORES could be chosen

Blocks of queries are numbered through all heads. A half of the banks of scores is free again when its VALUES is chosen:
the next scores come a pass later and in the same skew, so none is overtaken. So the two alternate while all operands
are there, and the scores of one block have all the time of two products to drain before they are needed: SCORES(b+1),
VALUES(b), SCORES(b+2), VALUES(b+1), ... While some operands are missing, what can run runs.
"""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.counters import credits, last_start
from taylorvit.rtl.common.widths import index_width
from taylorvit.rtl.schedule.passes import PassStream, position_width

from .bundles import Pass, Phase
from .query_blocks import QueryBlocks

__all__ = ["Sequencer"]


class Sequencer(Block):
    """Gives the passes of all products of a job, in the order in which the array works on them.

    A pass is final, its `last` and `product_end` included, in the cycle after the pass before it has gone over: passes
    must be taken two cycles apart at least.

    Args:
        config (AcceleratorConfig): the accelerator's configuration.

    Ports:
        start (1 bit, input): a job begins.
        tokens (bits of max_tokens, input): tokens of a head, constant while the job runs.
        head_dim (bits of max_head_dim, input): features of a head, constant while the job runs.
        heads (bits of max_heads, input): heads of the job, taken over at `start`.
        q_loaded (1 bit, input): Q of one more head is in its buffer.
        k_loaded (1 bit, input): K of one more head is in its buffer.
        v_loaded (1 bit, input): V of one more head is in its buffer.
        scores_ready (1 bit, input): the scores and maxima of one more block are in their banks.
        coming (PassStream, output): the next pass.
        coming_base (bits of a position, output): first feature or token of that pass's tile.
        coming_beat (index_width(max_beats_per_row) bits, output): of SCORES, the beat of that feature.
        lacks_input (1 bit, output): there is no next pass, and operands of a product are missing.
    """

    module_name = "sequencer"

    def __init__(self, config):
        self.rows = config.rows
        self.columns = config.columns
        self.stream_lanes = config.stream_lanes
        self.score_banks = config.score_banks
        self.score_turns = config.score_turns
        self.position_width = position_width(config)
        self.query_blocks = QueryBlocks(max_tokens=config.max_tokens, longest=config.longest_block)
        super().__init__(
            {
                "start": In(1),
                "tokens": In(config.max_tokens.bit_length()),
                "head_dim": In(config.max_head_dim.bit_length()),
                "heads": In(config.max_heads.bit_length()),
                "q_loaded": In(1),
                "k_loaded": In(1),
                "v_loaded": In(1),
                "scores_ready": In(1),
                "coming": Out(PassStream(Pass(config))),
                "coming_base": Out(self.position_width),
                "coming_beat": Out(index_width(config.max_beats_per_row)),
                "lacks_input": Out(1),
            }
        )

    @property
    def choice_latency(self):
        """Cycles from `scores_ready`, or the last operand, to `coming.valid` of the product that is chosen then."""
        return 2

    def elaborate(self, platform):
        m = Module()
        is_scores = self.coming.payload.phase == Phase.SCORES
        self._passes(m, is_scores)
        self._score_places(m, is_scores)
        self._products(m)
        return m

    def _passes(self, m, is_scores):
        """The next pass of the product: column tiles of K's tokens or V's features, in each all tiles of the sum."""
        coming, taken = self.coming.payload, self.coming.taken
        column_base = Signal(self.position_width)  # first column of the column tile
        at_last_token = Signal()
        at_last_feature = Signal()
        at_last_token_column = Signal()
        at_last_feature_column = Signal()
        tokens_left = Signal.like(coming.left)  # from the column tile on, if there are C or fewer
        # Passes are taken two cycles apart at least, and the first of a product a cycle after its choice: so what is
        # compared with a base is a register.
        m.d.sync += [
            at_last_token.eq(self.coming_base >= last_start(m, self.tokens, self.rows, "last_token_base")),
            at_last_feature.eq(self.coming_base >= last_start(m, self.head_dim, self.rows, "last_feature_base")),
            at_last_token_column.eq(column_base >= last_start(m, self.tokens, self.columns, "last_token_column")),
            at_last_feature_column.eq(column_base >= last_start(m, self.head_dim, self.columns, "last_feature_column")),
            tokens_left.eq(self.tokens - column_base),
        ]
        m.d.comb += [
            coming.first.eq(coming.tile == 0),
            coming.last.eq(Mux(is_scores, at_last_feature, at_last_token)),
            coming.product_end.eq(coming.last & Mux(is_scores, at_last_token_column, at_last_feature_column)),
            coming.left.eq(Mux(at_last_token_column, tokens_left, self.columns)),
        ]
        with m.If(taken):
            m.d.sync += [
                coming.tile.eq(coming.tile + 1),
                self.coming_base.eq(self.coming_base + self.rows),
                self.coming_beat.eq(self.coming_beat + self.rows // self.stream_lanes),
            ]
            with m.If(coming.last):
                m.d.sync += [
                    coming.tile.eq(0),
                    self.coming_base.eq(0),
                    self.coming_beat.eq(0),
                    coming.column_tile.eq(coming.column_tile + 1),
                    column_base.eq(column_base + self.columns),
                ]
            with m.If(coming.product_end):
                m.d.sync += [self.coming.valid.eq(0), coming.column_tile.eq(0), column_base.eq(0)]

    def _score_places(self, m, is_scores):
        """Where scores go to, column tile by column tile, and where they come from, tile by tile."""
        coming = self.coming.payload
        part_end = coming.part == Mux(is_scores, self.score_turns - 1, self.score_banks - 1)
        with m.If(self.coming.taken):
            with m.If(~is_scores | coming.last):
                m.d.sync += coming.part.eq(coming.part + 1)
                with m.If(part_end):
                    m.d.sync += [coming.part.eq(0), coming.score_tile.eq(coming.score_tile + 1)]
            with m.If(Mux(is_scores, coming.product_end, coming.last)):
                m.d.sync += [coming.part.eq(0), coming.score_tile.eq(0)]

    def _products(self, m):
        """A new product, when the passes of the one before have gone over."""
        coming, valid = self.coming.payload, self.coming.valid
        choose_scores = Signal()
        choose_values = Signal()
        blocks = instantiate(m, "query_blocks", self.query_blocks)
        m.d.comb += [
            blocks.start.eq(self.start),
            blocks.tokens.eq(self.tokens),
            blocks.following.eq(choose_scores),
        ]
        # Of the blocks whose scores are made or kept, by their half.
        lengths = Array(Signal.like(blocks.length, name=f"length_{half}") for half in range(2))
        head_ends = Array(Signal(name=f"head_end_{half}") for half in range(2))
        scores_half = Signal()  # of the next block whose SCORES is chosen
        values_half = Signal()
        scores_head_half = Signal()
        values_head_half = Signal()
        values_head_end = Signal()
        m.d.comb += values_head_end.eq(head_ends[values_half])

        # Heads whose operands are there and not yet chosen for their last product, and blocks whose scores are.
        q_there = credits(m, 2, self.q_loaded, choose_scores & blocks.last, "q_heads")
        k_there = credits(m, 2, self.k_loaded, choose_scores & blocks.last, "k_heads")
        v_there = credits(m, 2, self.v_loaded, choose_values & values_head_end, "v_heads")
        scores_there = credits(m, 2, self.scores_ready, choose_values, "score_blocks")
        scores_used = Signal(2)  # halves of the banks of scores
        heads_left = Signal.like(self.heads)  # heads that have a block whose scores are still to be chosen
        scores_inputs = Signal()
        m.d.comb += scores_inputs.eq(q_there & k_there)
        m.d.sync += scores_used.eq(scores_used + choose_scores - choose_values)

        with m.If(~valid):
            with m.If((heads_left != 0) & scores_inputs & (scores_used != 2)):
                m.d.comb += choose_scores.eq(1)
            with m.Elif(scores_there & v_there):
                m.d.comb += choose_values.eq(1)
        with m.If(choose_scores):
            m.d.sync += [
                valid.eq(1),
                coming.phase.eq(Phase.SCORES),
                coming.half.eq(scores_half),
                coming.head_half.eq(scores_head_half),
                coming.head_end.eq(blocks.last),
                coming.base.eq(blocks.base),
                coming.length.eq(blocks.length),
                lengths[scores_half].eq(blocks.length),
                head_ends[scores_half].eq(blocks.last),
                scores_half.eq(~scores_half),
                scores_head_half.eq(scores_head_half ^ blocks.last),
                heads_left.eq(heads_left - blocks.last),
            ]
        with m.If(choose_values):
            m.d.sync += [
                valid.eq(1),
                coming.phase.eq(Phase.VALUES),
                coming.half.eq(values_half),
                coming.head_half.eq(values_head_half),
                coming.head_end.eq(values_head_end),
                coming.length.eq(lengths[values_half]),
                values_half.eq(~values_half),
                values_head_half.eq(values_head_half ^ values_head_end),
            ]
        lacks_scores = (heads_left != 0) & ~scores_inputs & (scores_used != 2)
        m.d.comb += self.lacks_input.eq(~valid & (lacks_scores | (scores_there & ~v_there)))

        with m.If(self.start):
            m.d.sync += [
                heads_left.eq(self.heads),
                scores_half.eq(0),
                values_half.eq(0),
                scores_head_half.eq(0),
                values_head_half.eq(0),
            ]

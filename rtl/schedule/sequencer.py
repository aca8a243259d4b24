"""Sequencer: chooses which pass the array works on next.

The passes of a product come in a fixed order, column tile by column tile, in each the tiles that are summed over. After
the last one a new product is chosen, as soon as its operands are there:

    G(h+1)   K, V of head h+1 are in their buffers, and a half of the G buffer is free
    Q G(h)   Q and G of head h are in theirs, and no G could be chosen, or the last product was a G

While all operands are there, the two alternate: G(h+1), Q G(h), G(h+2), Q G(h+1), ... While some are missing, what can
run runs.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.bundles import Phase
from taylorvit.rtl.common.counters import credits, last_start

from .passes import Pass, PassStream, position_width

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
        g_written (1 bit, input): the last total of a head's G is in the G buffer.
        g_released (1 bit, input): the last tile of a head's G has been loaded.
        coming (PassStream, output): the next pass.
        coming_base (bits of a position, output): first token or feature of that pass's tile.
        lacks_input (1 bit, output): there is no next pass, and operands of a product are missing.
    """

    module_name = "sequencer"

    def __init__(self, config):
        self.rows = config.rows
        self.columns = config.columns
        self.position_width = position_width(config)
        super().__init__(
            {
                "start": In(1),
                "tokens": In(config.max_tokens.bit_length()),
                "head_dim": In(config.max_head_dim.bit_length()),
                "heads": In(config.max_heads.bit_length()),
                "q_loaded": In(1),
                "k_loaded": In(1),
                "v_loaded": In(1),
                "g_written": In(1),
                "g_released": In(1),
                "coming": Out(PassStream(Pass(config))),
                "coming_base": Out(self.position_width),
                "lacks_input": Out(1),
            }
        )

    @property
    def choice_latency(self):
        """Cycles from `g_written`, or the last operand, to `coming.valid` of the product that is chosen then."""
        return 2

    def elaborate(self, platform):
        m = Module()
        coming = self.coming.payload
        valid = self.coming.valid
        choose_g = Signal()
        choose_qg = Signal()

        # The next pass of the product.
        taken = self.coming.taken
        column_base = Signal(self.position_width)  # first column of the column tile
        at_last_token = Signal()
        at_last_feature = Signal()
        at_last_column = Signal()
        # Passes are taken two cycles apart at least, and the first of a product a cycle after its choice: so what is
        # compared with a base is a register. The reduction is over tokens for G, over features for Q G.
        m.d.sync += [
            at_last_token.eq(self.coming_base >= last_start(m, self.tokens, self.rows, "last_token_base")),
            at_last_feature.eq(self.coming_base >= last_start(m, self.head_dim, self.rows, "last_feature_base")),
            at_last_column.eq(column_base >= last_start(m, self.head_dim, self.columns, "last_column_base")),
        ]
        m.d.comb += [
            coming.first.eq(coming.tile == 0),
            coming.last.eq(Mux(coming.phase == Phase.G, at_last_token, at_last_feature)),
            coming.product_end.eq(coming.last & at_last_column),
        ]
        with m.If(taken):
            m.d.sync += [coming.tile.eq(coming.tile + 1), self.coming_base.eq(self.coming_base + self.rows)]
            with m.If(coming.last):
                m.d.sync += [
                    coming.tile.eq(0),
                    self.coming_base.eq(0),
                    coming.column_tile.eq(coming.column_tile + 1),
                    column_base.eq(column_base + self.columns),
                ]
            with m.If(coming.product_end):
                m.d.sync += [valid.eq(0), coming.column_tile.eq(0), column_base.eq(0)]

        # Heads whose operands are there and not yet chosen for a product.
        q_there = credits(m, 2, self.q_loaded, choose_qg, "q_heads")
        k_there = credits(m, 2, self.k_loaded, choose_g, "k_heads")
        v_there = credits(m, 2, self.v_loaded, choose_g, "v_heads")
        g_there = credits(m, 2, self.g_written, choose_qg, "g_heads")
        # A half of the G buffer is used from the choice of its G until the last tile of its Q G is loaded. The next
        # head's totals come a pass later and in the same skew, so no column can be overtaken.
        g_used = Signal(2)
        m.d.sync += g_used.eq(g_used + choose_g - self.g_released)
        g_heads_left = Signal.like(self.heads)  # heads whose G is still to be chosen

        # A new product. After a Q G comes a G if its operands are there: its half of the G buffer will be free in time.
        g_inputs = Signal()
        g_possible = Signal()
        chosen_last = Signal(Phase)
        m.d.comb += [g_inputs.eq(k_there & v_there), g_possible.eq((g_heads_left != 0) & g_inputs)]
        with m.If(~valid):
            with m.If(g_possible & (g_used != 2)):
                m.d.comb += choose_g.eq(1)
            with m.Elif(g_there & q_there & ~(g_possible & (chosen_last == Phase.QG))):
                m.d.comb += choose_qg.eq(1)
        g_half = Signal()  # of the next head whose G is chosen
        qg_half = Signal()
        with m.If(choose_g):
            m.d.sync += [
                valid.eq(1),
                coming.phase.eq(Phase.G),
                coming.half.eq(g_half),
                chosen_last.eq(Phase.G),
                g_half.eq(~g_half),
                g_heads_left.eq(g_heads_left - 1),
            ]
        with m.If(choose_qg):
            m.d.sync += [
                valid.eq(1),
                coming.phase.eq(Phase.QG),
                coming.half.eq(qg_half),
                chosen_last.eq(Phase.QG),
                qg_half.eq(~qg_half),
            ]
        m.d.comb += self.lacks_input.eq(~valid & (((g_heads_left != 0) & ~g_inputs) | (g_there & ~q_there)))

        with m.If(self.start):
            m.d.sync += [
                g_heads_left.eq(self.heads),
                g_half.eq(0),
                qg_half.eq(0),
                chosen_last.eq(Phase.G),
            ]
        return m

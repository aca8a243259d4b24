"""Norm scheduler: sends the tokens of the residual stream through the columns' LayerNorm lanes, tile by tile.

It begins when every product before its own is finished, so nothing else reads or writes the residual stream. In the
first tile a token waits until its sums are prepared (`rtl.network.norm_statistics`).

Which token goes is decided by a few registers that are close to each other. Its places are found a cycle later, while
its numbers are read.
"""

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import index_width, up_to

from .bundles import COMMAND_BITS, NormControl, product_fields, sequence_width

__all__ = ["NormScheduler"]


class NormScheduler(Block):
    """One LayerNorm at a time, one token of C features a cycle; every S cycles if S columns share a lane.

    Args:
        config (NetworkConfig): the configuration.
        read_latency (int): cycles from `token` to `factor`, `offset` and `right_shift`, at least 1.

    Ports:
        start (1 bit, input): the constants of the LayerNorm of `product` are loaded; only while `idle`.
        product (COMMAND_BITS, input): the product whose streamed operand it is, constant from `start` on while the
            LayerNorm runs.
        product_number (sequence_width bits, input): its number.
        finished (sequence_width bits, input): products that are finished.
        ready (bits of max_tokens, input): tokens that are prepared; one is sent from `ready_latency` cycles later on.
        token (index_width(max_tokens) bits, output): token whose numbers are wanted.
        factor, offset, right_shift (as in NormControl, input): its numbers, `read_latency` cycles later.
        norm (NormControl, output): a token, to column 0.
        tile_written (1 bit, input): the activations of the last token of a tile are written.
        written (bits of most_features, output): features that are written; all ones when no LayerNorm is under way.
        idle (1 bit, output): no LayerNorm is under way.
    """

    module_name = "norm_scheduler"
    waivers = {("UNUSEDSIGNAL", "product"): "Other blocks use the rest of its fields."}

    def __init__(self, config, *, read_latency):
        self._config = config
        self.rows = config.rows
        self.columns = config.columns
        self.interval = config.columns_per_lane
        self.read_latency = read_latency
        super().__init__(
            {
                "start": In(1),
                "product": In(COMMAND_BITS),
                "product_number": In(sequence_width),
                "finished": In(sequence_width),
                "ready": In(config.max_tokens.bit_length()),
                "token": Out(index_width(config.max_tokens)),
                "factor": In(config.norm_factor_width),
                "offset": In(signed(config.norm_offset_width)),
                "right_shift": In(up_to(config.norm_right_shift_max)),
                "norm": Out(NormControl(config)),
                "tile_written": In(1),
                "written": Out(config.most_features.bit_length()),
                "idle": Out(1, init=1),
            }
        )

    @property
    def ready_latency(self):
        """Cycles from a token's being prepared until it may be sent."""
        return 1

    def elaborate(self, platform):
        m = Module()
        fields = product_fields(self._config, self.product)
        rows, tiles = fields["norm_rows"], fields["norm_tiles"]
        waiting = Signal()
        running = Signal()
        tiles_left = Signal.like(tiles)  # tiles whose tokens are still to be sent
        unwritten = Signal.like(tiles)  # tiles that are still to be written
        features = Signal.like(self.written)
        token = Signal.like(rows)
        issue = Signal()
        # Registers, found out with the token before.
        first_token = Signal()
        last_token = Signal()
        last_tile = Signal()
        is_ready = Signal()  # the token is prepared; a cycle late
        only_token = Signal()
        only_tile = Signal()
        m.d.comb += [
            issue.eq(running & is_ready & self._apart(m, issue, first_token)),
            self.token.eq(token),
            self.written.eq(Mux(self.idle, (1 << len(features)) - 1, features)),
        ]
        m.d.sync += [
            only_token.eq(rows == 1),
            only_tile.eq(tiles == 1),
            is_ready.eq(Mux(issue, Mux(last_token, self.ready != 0, self.ready > token + 1), self.ready > token)),
        ]
        with m.If(issue):
            m.d.sync += [
                token.eq(token + 1),
                first_token.eq(last_token),
                last_token.eq(Mux(last_token, only_token, token + 2 == rows)),
            ]
        with m.If(issue & last_token):
            m.d.sync += [token.eq(0), tiles_left.eq(tiles_left - 1), last_tile.eq(tiles_left == 2)]
            with m.If(last_tile):
                m.d.sync += running.eq(0)
        with m.If(~running):
            m.d.sync += [
                token.eq(0),
                first_token.eq(1),
                last_token.eq(only_token),
                tiles_left.eq(tiles),
                last_tile.eq(only_tile),
            ]
        with m.If(waiting & (self.product_number == self.finished)):
            m.d.sync += [waiting.eq(0), running.eq(1)]
        with m.If(self.tile_written):
            m.d.sync += [features.eq(features + self.columns), unwritten.eq(unwritten - 1)]
            with m.If(unwritten == 1):
                m.d.sync += self.idle.eq(1)
        with m.If(self.idle):
            m.d.sync += [features.eq(0), unwritten.eq(tiles)]
        with m.If(self.start):
            m.d.sync += [waiting.eq(1), self.idle.eq(0)]
        self._send(m, fields, running, issue, token, last_token)
        return m

    def _send(self, m, fields, running, issue, token, last_token):
        """Tells the columns of the token that was issued in the cycle before, with its numbers."""
        rows = fields["norm_rows"]
        sent, finish = delay(m, issue, 1, "sent"), delay(m, issue & last_token, 1, "sent_last")
        sent_token = delay(m, token, 1, "sent_token")
        tile = Signal.like(self.norm.tile)
        residual = Signal(len(self.norm.address))  # address of token 0 of the tile
        base = Signal(len(self.norm.destination))
        bank = Signal(index_width(self.rows))
        next_bank = Signal(range(2 * self.rows))
        wraps = Signal()
        m.d.comb += [next_bank.eq(bank + self.columns), wraps.eq(next_bank >= self.rows)]
        with m.If(finish):
            m.d.sync += [
                tile.eq(tile + 1),
                residual.eq(residual + fields["norm_stride"]),
                bank.eq(Mux(wraps, next_bank - self.rows, next_bank)),
            ]
            with m.If(wraps):
                m.d.sync += base.eq(base + rows)
        with m.If(~running):
            m.d.sync += [tile.eq(0), residual.eq(0), bank.eq(0), base.eq(fields["source_base"])]
        step = self.norm.signature.create(path=("step",))
        m.d.comb += [
            step.valid.eq(sent),
            step.address.eq(residual + sent_token),
            step.tile.eq(tile),
            step.norm_shift.eq(fields["norm_shift"]),
            step.bank.eq(bank),
            step.destination.eq(base + sent_token),
            step.following.eq(base + rows + sent_token),
            step.finish.eq(finish),
        ]
        for name in ("valid", "address", "tile", "norm_shift", "bank", "destination", "following", "finish"):
            later = delay(m, getattr(step, name), self.read_latency - 1, f"step_{name}")
            m.d.sync += getattr(self.norm, name).eq(later)
        m.d.sync += [
            self.norm.factor.eq(self.factor),
            self.norm.offset.eq(self.offset),
            self.norm.right_shift.eq(self.right_shift),
        ]

    def _apart(self, m, issue, first_token):
        """Whether the next token may be sent.

        Tokens are as many cycles apart as columns share a lane.

        Tiles of few tokens begin C cycles apart where C does not divide R. Column c is c cycles behind column 0. Its
        places of one tile and those of a lower column of a later tile, in the same cycle, could be in one bank, which
        takes one activation a cycle. Where C divides R they never are.
        """
        apart = Const(1)
        if self.rows % self.columns:
            apart = ~first_token | _is_over(m, issue & first_token, self.columns - 1, "tile_left")
        if self.interval > 1:
            apart = apart & _is_over(m, issue, self.interval - 1, "token_left")
        return apart


def _is_over(m, begin, cycles, name):
    """Whether some cycles are over, the first one of which is that behind `begin`: a register."""
    left = Signal(range(cycles + 1), name=name)
    none_left = Signal(init=1, name=f"no_{name}")
    with m.If(begin):
        m.d.sync += [left.eq(cycles), none_left.eq(0)]
    with m.Elif(left != 0):
        m.d.sync += [left.eq(left - 1), none_left.eq(left == 1)]
    return none_left

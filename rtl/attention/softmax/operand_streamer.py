"""Operand streamer: sends the elements of a pass into the array, one a cycle, and knows why it does not.

A pass begins when its tile is complete and, if it makes the sums of e V totals, the row queue has room for a row for
each query of the block. The next pass begins in the cycle after the last element of this one, if it may.
`stream_control` says of each element also what becomes of its sums, which leave the array below.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.bus import copied
from taylorvit.rtl.common.counters import next_address
from taylorvit.rtl.common.widths import address_field, index_width, tile_width
from taylorvit.rtl.schedule.passes import PassStream

from .bundles import Pass, Phase, StreamControl

__all__ = ["OperandStreamer"]


class OperandStreamer(Block):
    """Streams Q of a block of queries past a tile of K, or their exponentials past a tile of V.

    Args:
        config (AcceleratorConfig): the accelerator's configuration.

    Ports:
        start (1 bit, input): a job begins.
        row_divided (1 bit, input): a row has left the row queue.
        loaded (PassStream, input): the pass whose tile is complete. Its first element is sent one cycle after it has
            been taken; passes are two cycles apart at least.
        tile_waits (1 bit, input): that tile has been complete since the cycle before, at least.
        lacks_input (1 bit, input): no tile can be loaded, because operands of a product are not there.
        stream_control (StreamControl, output): an element, to the operand rows.
        maximum_address (bits of {half, query}, output): where the largest score of the same element's row is.
        array_busy (1 bit, output): there is an element in `stream_control`.
        stall_input (1 bit, output): there is none, because operands are missing.
        stall_output (1 bit, output): there is none, because the row queue is full.
    """

    module_name = "operand_streamer"
    waivers = {
        ("UNUSEDSIGNAL", "*__tile"): "There is but one tile.",
        ("UNUSEDSIGNAL", "*__score_tile"): "There is but one tile.",
    }

    def __init__(self, config):
        self._pass = Pass(config)
        self.row_queue_depth = config.row_queue_depth
        self.longest_block = config.longest_block
        self.query_bits = index_width(config.longest_block)
        self.token_bits = index_width(config.max_tokens)
        self.row_tile_bits = tile_width(config.row_tiles)
        self.score_tile_bits = tile_width(config.score_tiles)
        super().__init__(
            {
                "start": In(1),
                "row_divided": In(1),
                "loaded": In(PassStream(Pass(config))),
                "tile_waits": In(1),
                "lacks_input": In(1),
                "stream_control": Out(StreamControl(config)),
                "maximum_address": Out(1 + self.query_bits),
                "array_busy": Out(1),
                "stall_input": Out(1),
                "stall_output": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        following = self.loaded.payload
        taken = self.loaded.taken
        streaming = self._pass.create(path=("streaming",))
        # active  free
        #   0      1      no element
        #   1      0      an element of `streaming` goes out
        #   1      1      its last element goes out
        active = Signal()
        free = Signal(init=1)
        position = Signal(self.longest_block.bit_length() + 1)  # of the element in its pass: the query in its block
        token = Signal(self.token_bits)  # and the query in its head

        # Whether the next pass may begin.
        waits_for_room = Signal()
        fills_queue = (following.phase == Phase.VALUES) & following.last
        m.d.comb += [
            waits_for_room.eq(fills_queue & ~self._room(m, taken & fills_queue)),
            taken.eq(self.loaded.valid & free & ~waits_for_room),
        ]

        # Its elements.
        next_to_last = Signal(signed(len(position)))  # position, negative in a pass of one element
        queue_address = Signal(range(self.row_queue_depth))  # of the element's row, of a pass that fills the queue
        with m.If(active):
            m.d.sync += [position.eq(position + 1), token.eq(token + 1)]
            with m.If(position.as_signed() == next_to_last):
                m.d.sync += free.eq(1)
        with m.If(active & (streaming.phase == Phase.VALUES) & streaming.last):
            m.d.sync += queue_address.eq(next_address(queue_address, self.row_queue_depth))
        with m.If(free):
            m.d.sync += active.eq(0)
        with m.If(taken):
            m.d.sync += [
                active.eq(1),
                position.eq(0),
                token.eq(following.base),
                next_to_last.eq(following.length - 2),
                free.eq(following.length == 1),
                *copied(following, streaming),
            ]
        with m.If(self.start):
            m.d.sync += queue_address.eq(0)

        self._send(m, streaming, active, free, position, token, queue_address)

        # What the array does, in the cycle of `stream_control`.
        m.d.sync += [
            self.array_busy.eq(active),
            self.stall_input.eq(~active & self.lacks_input),
            self.stall_output.eq(~active & self.tile_waits & waits_for_room),
        ]
        return m

    def _room(self, m, promise):
        """Whether the row queue has room for the rows of the next pass; a register.

        The rows of a pass are promised to the queue together and come one by one.
        """
        queued = Signal(range(self.row_queue_depth + 1))  # rows in the queue, or promised to it
        most_queued = Signal(signed(len(queued) + 1))  # with which the rows of the next pass have room
        has_room = Signal(name="queue_has_room")
        length = self.loaded.payload.length
        m.d.sync += [queued.eq(queued + Mux(promise, length, 0) - self.row_divided), has_room.eq(queued <= most_queued)]
        m.d.comb += most_queued.eq(self.row_queue_depth - length)
        return has_room

    def _send(self, m, streaming, active, free, position, token, queue_address):
        """The element that goes out in this cycle, to the rows in the next one."""
        is_scores = streaming.phase == Phase.SCORES
        product_end = active & free & streaming.product_end
        query = address_field(position, self.query_bits)
        score_tile = address_field(streaming.score_tile, self.score_tile_bits)
        q_address = Cat(token, address_field(streaming.tile, self.row_tile_bits), streaming.head_half)
        score_address = Cat(query, score_tile, streaming.half)
        control = self.stream_control
        m.d.sync += [
            control.phase.eq(streaming.phase),
            control.swap.eq(active & (position == 0)),
            control.address.eq(Mux(is_scores, q_address, score_address)),
            control.bank.eq(streaming.part),
            control.release.eq(product_end & streaming.head_end),
            control.accumulate.valid.eq(active),
            control.accumulate.first.eq(streaming.first),
            control.accumulate.last.eq(streaming.last),
            control.accumulate.phase.eq(streaming.phase),
            control.accumulate.index.eq(position),
            control.accumulate.address.eq(Mux(is_scores, score_address, queue_address)),
            control.accumulate.part.eq(streaming.part),
            control.score_tile.half.eq(streaming.half),
            control.score_tile.first.eq(streaming.column_tile == 0),
            control.score_tile.finish.eq(product_end),
            control.score_tile.left.eq(streaming.left),
            self.maximum_address.eq(Cat(query, streaming.half)),
        ]

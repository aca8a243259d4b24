"""Operand streamer: sends the elements of a pass into the array, one a cycle, and knows why it does not.

A pass begins when its tile is complete, and

    G     the head's k_mean is known, without which no element of K^ can be made
    Q G   the row queue has room for a row for each token, if this pass makes the sums of Q G totals

The next pass begins in the cycle after the last element of this one, if it may. `stream_control` says of each element
also what becomes of its sums, which leave the array below.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.bundles import Phase, StreamControl
from taylorvit.rtl.common.bus import copied
from taylorvit.rtl.common.counters import credits, next_address, room
from taylorvit.rtl.common.widths import address_field, index_width, tile_width

from .passes import Pass, PassStream, position_width

__all__ = ["OperandStreamer"]


class OperandStreamer(Block):
    """Streams the d features of K^ past a tile of V, or the n tokens of Q past a tile of G.

    Args:
        config (AcceleratorConfig): the accelerator's configuration.

    Ports:
        start (1 bit, input): a job begins.
        tokens (bits of max_tokens, input): tokens of a head, constant while the job runs.
        head_dim (bits of max_head_dim, input): features of a head, constant while the job runs.
        mean_ready (1 bit, input): k_mean of one more head is known.
        row_divided (1 bit, input): a row has left the row queue.
        loaded (PassStream, input): the pass whose tile is complete. Its first element is sent one cycle after it has
            been taken; passes are two cycles apart at least.
        tile_waits (1 bit, input): that tile has been complete since the cycle before, at least.
        lacks_input (1 bit, input): no tile can be loaded, because operands of a product are not there.
        stream_control (StreamControl, output): an element, to the operand rows.
        mean_address (bits of {half, feature}, output): address of the k_mean of the same element.
        array_busy (1 bit, output): there is an element in `stream_control`.
        stall_input (1 bit, output): there is none, because operands are missing.
        stall_output (1 bit, output): there is none, because the row queue is full.
    """

    module_name = "operand_streamer"
    waivers = {
        ("UNUSEDSIGNAL", "*__column_tile"): "There is but one column tile.",
        ("UNUSEDSIGNAL", "*__tile"): "There is but one tile.",
    }

    def __init__(self, config):
        self._pass = Pass(config)
        self.stream_lanes = config.stream_lanes
        self.row_queue_depth = config.row_queue_depth
        self.position_width = position_width(config)
        self.feature_bits = index_width(config.max_head_dim)
        self.token_bits = index_width(config.max_tokens)
        self.beat_bits = tile_width(config.max_beats_per_row)
        self.row_tile_bits = tile_width(config.row_tiles)
        self.token_tile_bits = tile_width(config.token_tiles)
        self.column_tile_bits = tile_width(config.column_tiles)
        super().__init__(
            {
                "start": In(1),
                "tokens": In(config.max_tokens.bit_length()),
                "head_dim": In(config.max_head_dim.bit_length()),
                "mean_ready": In(1),
                "row_divided": In(1),
                "loaded": In(PassStream(Pass(config))),
                "tile_waits": In(1),
                "lacks_input": In(1),
                "stream_control": Out(StreamControl(config)),
                "mean_address": Out(1 + index_width(config.column_tiles * config.columns)),
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
        position = Signal(self.position_width)  # of the element in its pass
        beat = Signal(self.beat_bits)  # and, of a feature, in its row of the K buffer
        lane = Signal(index_width(self.stream_lanes))

        # Whether the next pass may begin. A head's k_mean counts until the last pass of its G begins: the G that
        # follows needs the next one.
        waits_for_mean = Signal()
        waits_for_room = Signal()
        ends_g = (following.phase == Phase.G) & following.product_end
        fills_queue = (following.phase == Phase.QG) & following.last
        mean_known = credits(m, 2, self.mean_ready, taken & ends_g, "means")
        queue_has_room = room(m, self.row_queue_depth, self.tokens, taken & fills_queue, self.row_divided)
        m.d.comb += [
            waits_for_mean.eq((following.phase == Phase.G) & ~mean_known),
            waits_for_room.eq(fills_queue & ~queue_has_room),
            taken.eq(self.loaded.valid & free & ~(waits_for_mean | waits_for_room)),
        ]

        # Its elements.
        length = Mux(following.phase == Phase.G, self.head_dim, self.tokens)
        next_to_last = Signal(signed(self.position_width))  # position, negative in a pass of one element
        queue_address = Signal(range(self.row_queue_depth))  # of the element's row, of a pass that fills the queue
        with m.If(active):
            m.d.sync += [position.eq(position + 1), lane.eq(lane + 1)]
            with m.If(lane == self.stream_lanes - 1):
                m.d.sync += [lane.eq(0), beat.eq(beat + 1)]
            with m.If(position.as_signed() == next_to_last):
                m.d.sync += free.eq(1)
        with m.If(active & (streaming.phase == Phase.QG) & streaming.last):
            m.d.sync += queue_address.eq(next_address(queue_address, self.row_queue_depth))
        with m.If(free):
            m.d.sync += active.eq(0)
        with m.If(taken):
            m.d.sync += [
                active.eq(1),
                position.eq(0),
                beat.eq(0),
                lane.eq(0),
                next_to_last.eq(length - 2),
                free.eq(length == 1),
                *copied(following, streaming),
            ]
        with m.If(self.start):
            m.d.sync += queue_address.eq(0)

        is_g = streaming.phase == Phase.G
        half = streaming.half
        product_end = active & free & streaming.product_end
        feature = address_field(position, self.feature_bits)
        k_address = Cat(beat, address_field(streaming.tile, self.token_tile_bits), half)
        q_address = Cat(
            address_field(position, self.token_bits), address_field(streaming.tile, self.row_tile_bits), half
        )
        g_address = Cat(feature, address_field(streaming.column_tile, self.column_tile_bits), half)
        control = self.stream_control
        m.d.sync += [
            control.phase.eq(streaming.phase),
            control.swap.eq(active & (position == 0)),
            control.address.eq(Mux(is_g, k_address, q_address)),
            control.lane.eq(lane),
            control.release.eq(product_end),
            control.accumulate.valid.eq(active),
            control.accumulate.first.eq(streaming.first),
            control.accumulate.last.eq(streaming.last),
            control.accumulate.phase.eq(streaming.phase),
            control.accumulate.index.eq(position),
            control.accumulate.address.eq(Mux(is_g, g_address, queue_address)),
            control.accumulate.head_end.eq(product_end),
            self.mean_address.eq(Cat(address_field(position, len(self.mean_address) - 1), half)),
        ]

        # What the array does, in the cycle of `stream_control`.
        m.d.sync += [
            self.array_busy.eq(active),
            self.stall_input.eq(~active & (self.lacks_input | (self.tile_waits & waits_for_mean))),
            self.stall_output.eq(~active & self.tile_waits & waits_for_room),
        ]
        return m

"""Pass scheduler: keeps the array busy, pass after pass.

The work of a head is two products, in passes over stationary tiles:

    G    for every column tile, for every tile of R tokens:    stream the d features of K^ past a tile of V
    Q G  for every column tile, for every tile of R features:  stream the n tokens of Q past a tile of G

Products of neighbouring heads alternate, G(h+1), Q G(h), G(h+2), Q G(h+1), ..., so that the totals of one have all the
time of the other to drain, be requantized and become stationary in their turn. The order is not fixed: where the
operands of G(h+1) are not there yet but Q G(h) could run, it runs, so a source may wait for one head's result
before it sends the next head.

Three engines work one ahead of the other, each holding one pass:

    sequencer (which pass comes next?) --> loader (R cycles to move its tile in) --> streamer (its elements)

A tile moves in while the pass before it streams; the streamer goes from the last element of one pass to the first of
the next without a bubble. Every wait is for one of these: operands (K, V, Q not loaded, k_mean not divided, G not
drained), a half of the G buffer, room for a pass's rows in the row queue.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.bundles import (
    PHASE_G,
    PHASE_QG,
    LoadControl,
    StreamControl,
    address_field,
    delay,
    index_width,
    last_start,
    next_address,
    tile_width,
)

__all__ = ["PassScheduler"]


class PassScheduler(Block):
    """Issues stationary tiles and streamed elements for all heads of a job.

    Parameters
    ----------
    config: the accelerator's configuration.
    load_latency: cycles that the columns take from `load_control` to a row of the tile.

    Ports
    -----
    start: a job begins; tokens, head_dim, heads: its sizes, constant while it runs.
    q_loaded, k_loaded, v_loaded: one more head is in the operand buffer; mean_ready: its k_mean is known.
    g_written: the last total of a head's G is in the G buffer.
    row_divided: a row has left the row queue.
    load_control, load, load_first: to the columns and, one cycle later, to the array.
    stream_control: to the operand rows; mean_address: {half, feature} of the k_mean of the same element.
    array_busy: an element streams; stall_input, stall_output: no pass streams because operands are missing, or
        because the row queue is full. All three are exact to the cycle of `stream_control`'s element.
    """

    module_name = "pass_scheduler"

    def __init__(self, config, *, load_latency):
        self.load_latency = load_latency
        self.rows = config.rows
        self.columns = config.columns
        self.stream_lanes = config.stream_lanes
        self.row_queue_depth = config.row_queue_depth
        self.longest_pass = max(config.max_tokens, config.max_head_dim)
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
                "heads": In(config.max_heads.bit_length()),
                "q_loaded": In(1),
                "k_loaded": In(1),
                "v_loaded": In(1),
                "mean_ready": In(1),
                "g_written": In(1),
                "row_divided": In(1),
                "load_control": Out(LoadControl(config)),
                "load": Out(1),
                "load_first": Out(1),
                "stream_control": Out(StreamControl(config)),
                "mean_address": Out(1 + index_width(config.column_tiles * config.columns)),
                "array_busy": Out(1),
                "stall_input": Out(1),
                "stall_output": Out(1),
            }
        )

    @property
    def choice_latency(self):
        """Cycles from `g_written` or the like to the first row of a tile of the product that is chosen then."""
        return 3

    def elaborate(self, platform):
        m = Module()
        # Of a position in a pass with a sign, and of the last row of a tile, which may be far beyond a small job.
        size_width = max(self.longest_pass.bit_length() + 1, (self.longest_pass + self.rows - 1).bit_length())
        tile_bits = max(self.row_tile_bits, self.token_tile_bits)

        def new_pass(name):
            """Signals that describe one pass."""
            return {
                "phase": Signal(name=f"{name}_phase"),
                "half": Signal(name=f"{name}_half"),
                "column_tile": Signal(self.column_tile_bits, name=f"{name}_column_tile"),
                "tile": Signal(tile_bits, name=f"{name}_tile"),
                "base": Signal(size_width, name=f"{name}_base"),  # first token or feature of the tile
                "first": Signal(name=f"{name}_first"),  # of the tiles that are accumulated
                "last": Signal(name=f"{name}_last"),
                "product_end": Signal(name=f"{name}_product_end"),  # last pass of the product
            }

        def copy(source, target):
            return [target[field].eq(source[field]) for field in target]

        coming, loading, streaming = new_pass("coming"), new_pass("loading"), new_pass("streaming")
        del loading["base"], streaming["base"]  # `load_element` counts from it
        take_coming = Signal()
        stream_start = Signal()

        # Heads that can be chosen for a product, and halves of the G buffer that are free.
        choose_g = Signal()
        choose_qg = Signal()
        available = {}
        for name, arrives, chosen in (
            ("q", self.q_loaded, choose_qg),
            ("k", self.k_loaded, choose_g),
            ("v", self.v_loaded, choose_g),
            ("g", self.g_written, choose_qg),
        ):
            available[name] = Signal(2, name=f"{name}_available")
            m.d.sync += available[name].eq(available[name] + arrives - chosen)
        # A half of the G buffer is used from the choice of its G until the last tile of its Q G is loaded. The next
        # head's totals come a pass later and in the same skew, so no column can be overtaken.
        g_used = Signal(2)
        g_released = Signal()
        m.d.sync += g_used.eq(g_used + choose_g - g_released)
        g_heads_left = Signal.like(self.heads)
        g_half = Signal()
        qg_half = Signal()

        # Sequencer: the next pass of the product, else a new product.
        coming_valid = Signal()
        column_base = Signal(size_width)
        last_token_base = last_start(m, self.tokens, self.rows, "last_token_base")
        last_feature_base = last_start(m, self.head_dim, self.rows, "last_feature_base")
        last_column_base = last_start(m, self.head_dim, self.columns, "last_column_base")
        # Passes are taken two cycles apart at least, and the first of a product a cycle after its choice: so what is
        # compared with a base is a register. The reduction is over tokens for G, over features for Q G.
        at_last_token = Signal()
        at_last_feature = Signal()
        at_last_column = Signal()
        m.d.sync += [
            at_last_token.eq(coming["base"] >= last_token_base),
            at_last_feature.eq(coming["base"] >= last_feature_base),
            at_last_column.eq(column_base >= last_column_base),
        ]
        m.d.comb += [
            coming["first"].eq(coming["tile"] == 0),
            coming["last"].eq(Mux(coming["phase"] == PHASE_G, at_last_token, at_last_feature)),
            coming["product_end"].eq(coming["last"] & at_last_column),
        ]
        with m.If(take_coming):
            m.d.sync += [coming["tile"].eq(coming["tile"] + 1), coming["base"].eq(coming["base"] + self.rows)]
            with m.If(coming["last"]):
                m.d.sync += [
                    coming["tile"].eq(0),
                    coming["base"].eq(0),
                    coming["column_tile"].eq(coming["column_tile"] + 1),
                    column_base.eq(column_base + self.columns),
                ]
            with m.If(coming["product_end"]):
                m.d.sync += [coming_valid.eq(0), coming["column_tile"].eq(0), column_base.eq(0)]
        g_inputs = Signal()
        qg_inputs = Signal()
        m.d.comb += [
            g_inputs.eq((available["k"] != 0) & (available["v"] != 0)),
            qg_inputs.eq(available["q"] != 0),
        ]
        # After a Q G comes a G, if its operands are there: its half of the G buffer will be free in time.
        g_possible = Signal()
        chosen_last = Signal()
        m.d.comb += g_possible.eq((g_heads_left != 0) & g_inputs)
        with m.If(choose_g | choose_qg):
            m.d.sync += chosen_last.eq(choose_qg)
        with m.If(~coming_valid):
            with m.If(g_possible & (g_used != 2)):
                m.d.comb += choose_g.eq(1)
                m.d.sync += [
                    coming_valid.eq(1), coming["phase"].eq(PHASE_G), coming["half"].eq(g_half),
                    g_half.eq(~g_half), g_heads_left.eq(g_heads_left - 1),
                ]  # fmt: skip
            with m.Elif((available["g"] != 0) & qg_inputs & ~(g_possible & (chosen_last == PHASE_QG))):
                m.d.comb += choose_qg.eq(1)
                m.d.sync += [
                    coming_valid.eq(1), coming["phase"].eq(PHASE_QG), coming["half"].eq(qg_half),
                    qg_half.eq(~qg_half),
                ]  # fmt: skip

        # Loader: R rows of the tile, bottom row first, as soon as the streamer has taken the tile before.
        load_active = Signal()
        load_done = Signal()
        load_row = Signal(index_width(self.rows))
        load_element = Signal(size_width)  # token or feature
        load_last = Signal()
        m.d.comb += [
            load_last.eq(load_active & (load_row == 0)),
            g_released.eq(load_last & loading["product_end"] & (loading["phase"] == PHASE_QG)),
            take_coming.eq(coming_valid & (stream_start | (~load_active & ~load_done))),
        ]
        with m.If(load_active):
            m.d.sync += [load_row.eq(load_row - 1), load_element.eq(load_element - 1)]
        with m.If(load_last):
            m.d.sync += [load_active.eq(0), load_done.eq(1)]
        with m.If(stream_start):
            m.d.sync += load_done.eq(0)
        with m.If(take_coming):
            m.d.sync += [
                load_active.eq(1), load_done.eq(0), load_row.eq(self.rows - 1),
                load_element.eq(coming["base"] + (self.rows - 1)), *copy(coming, loading),
            ]  # fmt: skip
        load_limit = Signal(size_width)
        m.d.comb += load_limit.eq(Mux(loading["phase"] == PHASE_G, self.tokens, self.head_dim))
        control = self.load_control
        m.d.sync += [
            control.phase.eq(loading["phase"]),
            control.address.eq(
                Mux(
                    loading["phase"] == PHASE_G,
                    Cat(address_field(load_element, self.token_bits), loading["column_tile"], loading["half"]),
                    Cat(address_field(load_element, self.feature_bits), loading["column_tile"], loading["half"]),
                )
            ),
            control.blank.eq(load_element >= load_limit),
            control.release.eq(load_last & loading["product_end"]),
        ]
        # The array wants `load` one cycle before the tile's rows, which come `load_latency` cycles after `control`.
        load_first = Signal()
        m.d.comb += [
            load_first.eq(load_active & (load_row == self.rows - 1)),
            self.load.eq(delay(m, load_active, self.load_latency, "load")),
            self.load_first.eq(delay(m, load_first, self.load_latency, "load_first")),
        ]

        # Rows of Q G in the row queue, or promised to it.
        queued = Signal(range(self.row_queue_depth + 1))
        fills_queue = (loading["phase"] == PHASE_QG) & loading["last"]
        # Passes begin two cycles apart at least, so that registers know of the rows that were promised last.
        promised = Signal()
        queue_has_room = Signal()
        most_queued = [
            Signal(range(-self.row_queue_depth, self.row_queue_depth + 1), name=f"most_queued_{passes}")
            for passes in (1, 2)
        ]  # so that the rows of one pass more, of two more, have room
        m.d.sync += [
            *(most.eq(self.row_queue_depth - (self.tokens << more)) for more, most in enumerate(most_queued)),
            promised.eq(stream_start & fills_queue),
            queued.eq(queued + Mux(promised, self.tokens, 0) - self.row_divided),
            queue_has_room.eq(Mux(promised, queued <= most_queued[1], queued <= most_queued[0])),
        ]

        means = Signal(2)  # heads whose k_mean is known and not yet used up
        means_used = Signal()
        m.d.sync += means.eq(means + self.mean_ready - means_used)

        # Streamer.
        active = Signal()
        position = Signal(size_width)
        next_to_last = Signal(signed(size_width))  # position
        beat = Signal(self.beat_bits)
        lane = Signal(index_width(self.stream_lanes))
        at_last = Signal()  # position
        tile_ready = Signal()
        operands_ready = Signal()
        room_ready = Signal()
        m.d.comb += [
            tile_ready.eq(load_last | load_done),
            # In the last cycle of a head's G its k_mean still counts; the next head's must be there as well.
            operands_ready.eq((loading["phase"] == PHASE_QG) | (means > means_used)),
            room_ready.eq(~fills_queue | queue_has_room),
            stream_start.eq((~active | at_last) & tile_ready & operands_ready & room_ready),
            means_used.eq(at_last & streaming["product_end"] & (streaming["phase"] == PHASE_G)),
        ]
        length = Mux(loading["phase"] == PHASE_G, self.head_dim, self.tokens)
        m.d.sync += at_last.eq(active & (position.as_signed() == next_to_last))
        with m.If(active):
            m.d.sync += [position.eq(position + 1), lane.eq(lane + 1)]
            with m.If(lane == self.stream_lanes - 1):
                m.d.sync += [lane.eq(0), beat.eq(beat + 1)]
        with m.If(at_last):
            m.d.sync += active.eq(0)
        with m.If(stream_start):
            m.d.sync += [
                active.eq(1), position.eq(0), beat.eq(0), lane.eq(0),
                next_to_last.eq(length - 2), at_last.eq(length == 1), *copy(loading, streaming),
            ]  # fmt: skip

        queue_address = Signal(range(self.row_queue_depth))
        with m.If(active & (streaming["phase"] == PHASE_QG) & streaming["last"]):
            m.d.sync += queue_address.eq(next_address(queue_address, self.row_queue_depth))
        control = self.stream_control
        m.d.sync += [
            control.phase.eq(streaming["phase"]),
            control.swap.eq(active & (position == 0)),
            control.address.eq(
                Mux(
                    streaming["phase"] == PHASE_G,
                    Cat(beat, address_field(streaming["tile"], self.token_tile_bits), streaming["half"]),
                    Cat(
                        address_field(position, self.token_bits),
                        address_field(streaming["tile"], self.row_tile_bits),
                        streaming["half"],
                    ),
                )
            ),
            control.lane.eq(lane),
            control.release.eq(at_last & streaming["product_end"]),
            control.accumulate.valid.eq(active),
            control.accumulate.first.eq(streaming["first"]),
            control.accumulate.last.eq(streaming["last"]),
            control.accumulate.phase.eq(streaming["phase"]),
            control.accumulate.index.eq(position),
            control.accumulate.address.eq(
                Mux(
                    streaming["phase"] == PHASE_G,
                    Cat(address_field(position, self.feature_bits), streaming["column_tile"], streaming["half"]),
                    queue_address,
                )
            ),
            control.accumulate.head_end.eq(at_last & streaming["product_end"]),
            self.mean_address.eq(Cat(address_field(position, len(self.mean_address) - 1), streaming["half"])),
        ]

        # What the array does, in the cycle of `stream_control`.
        waits_for_choice = ~coming_valid & ~load_active & ~load_done
        lacks_input = ((g_heads_left != 0) & ~g_inputs) | ((available["g"] != 0) & ~qg_inputs)
        m.d.sync += [
            self.array_busy.eq(active),
            self.stall_input.eq(~active & ((waits_for_choice & lacks_input) | (load_done & ~operands_ready))),
            self.stall_output.eq(~active & load_done & operands_ready & ~room_ready),
        ]

        with m.If(self.start):
            m.d.sync += [
                g_heads_left.eq(self.heads), g_half.eq(0), qg_half.eq(0), chosen_last.eq(PHASE_G),
                queue_address.eq(0),
            ]  # fmt: skip
        return m

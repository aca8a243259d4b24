"""Tile loader: moves the stationary tile of the next pass into the array, as `rtl.schedule.tile_loader` has it.

A row of a tile of V is a token. A row of a tile of K is a feature: column c takes it from the token that it has in this
tile, whose words are whole beats.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.widths import address_field, index_width, tile_width
from taylorvit.rtl.schedule.passes import PassStream, position_width
from taylorvit.rtl.schedule.tile_loader import TileMover

from .bundles import LoadControl, Pass, Phase

__all__ = ["TileLoader"]


class TileLoader(TileMover):
    """Loads the tiles of K and V.

    Args:
        config (AcceleratorConfig): the accelerator's configuration.
        load_latency (int): cycles that the columns take from `load_control` to a row of the tile, at least 0.

    Ports:
        tokens (bits of max_tokens, input): tokens of a head, constant while the job runs.
        head_dim (bits of max_head_dim, input): features of a head, constant while the job runs.
        coming (PassStream, input): the next pass. Its tile begins to move in one cycle after it has been taken.
        coming_base (bits of a position, input): first feature or token of that pass's tile.
        coming_beat (index_width(max_beats_per_row) bits, input): of a tile of K, the beat of that feature.
        loaded (PassStream, output): the pass whose tile is complete, from the cycle of its last row on.
        load_control (LoadControl, output): a row of the tile, to the columns.
        load (1 bit, output): the same row, to the array, one cycle before its operands get there.
        load_first (1 bit, output): it is the first row of a tile.
        empty (1 bit, output): no tile moves in, and none waits.
        waits (1 bit, output): the tile of `loaded` has been complete since the cycle before, at least.

    Raises:
        TypeError: `load_latency` is not an integer.
        ValueError: it is negative.
    """

    module_name = "tile_loader"
    waivers = {("UNUSEDSIGNAL", "coming_beat"): "There is but one beat."}

    def __init__(self, config, *, load_latency):
        self.stream_lanes = config.stream_lanes
        self.token_bits = index_width(config.max_tokens)
        self.beat_bits = tile_width(config.max_beats_per_row)
        self.key_tile_bits = tile_width(config.key_tiles)
        self.column_tile_bits = tile_width(config.column_tiles)
        super().__init__(
            config,
            load_latency=load_latency,
            ports={
                "tokens": In(config.max_tokens.bit_length()),
                "head_dim": In(config.max_head_dim.bit_length()),
                "coming": In(PassStream(Pass(config))),
                "coming_base": In(position_width(config)),
                "coming_beat": In(index_width(config.max_beats_per_row)),
                "loaded": Out(PassStream(Pass(config))),
                "load_control": Out(LoadControl(config)),
                "load": Out(1),
                "load_first": Out(1),
                "empty": Out(1),
                "waits": Out(1),
            },
        )

    def address_row(self, m: Module, element, *, moving, last_row):
        """Rows are features of K, or tokens of V."""
        loading = self.loaded.payload
        is_scores = loading.phase == Phase.SCORES
        # Of a feature: its beat, and its lane there. A tile of K is a number of whole beats.
        lane = Signal(index_width(self.stream_lanes))
        beat = Signal.like(self.coming_beat)
        with m.If(moving):
            m.d.sync += lane.eq(lane - 1)
            with m.If(lane == 0):
                m.d.sync += [lane.eq(self.stream_lanes - 1), beat.eq(beat - 1)]
        with m.If(self.coming.taken):
            m.d.sync += [
                lane.eq(self.stream_lanes - 1),
                beat.eq(self.coming_beat + (self.rows // self.stream_lanes - 1)),
            ]

        size = Mux(is_scores, self.head_dim, self.tokens)  # of what the rows are
        key_tile = address_field(loading.column_tile, self.key_tile_bits)
        column_tile = address_field(loading.column_tile, self.column_tile_bits)
        k_address = Cat(address_field(beat, self.beat_bits), key_tile, loading.head_half)
        v_address = Cat(address_field(element, self.token_bits), column_tile, loading.head_half)
        control = self.load_control
        m.d.sync += [
            control.phase.eq(loading.phase),
            control.address.eq(Mux(is_scores, k_address, v_address)),
            control.lane.eq(lane),
            control.blank.eq(element >= size),
            control.release.eq(last_row & loading.product_end & loading.head_end),
        ]

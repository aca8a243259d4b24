"""Tile loader: moves the stationary tile of the next pass into the array.

A tile moves in one row a cycle, bottom row first, while the pass before it streams: the PEs keep it beside the operands
that they multiply with, and swap it in when the first element of its pass reaches them. So there is room for one tile
that is complete and waits; the next one begins to move when the streamer takes this one's pass.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.bundles import LoadControl, Phase
from taylorvit.rtl.common.bus import copied
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.validation import require_range
from taylorvit.rtl.common.widths import address_field, index_width, tile_width

from .passes import Pass, PassStream, position_width

__all__ = ["TileLoader", "TileMover"]


class TileMover(Block):
    """Moves the tile of one pass after the other, R cycles each; a class to derive from.

    Args:
        config (AcceleratorConfig): the accelerator's configuration.
        load_latency (int): cycles that the columns take from `load_control` to a row of the tile, at least 0.
        ports (dict): the ports; those that are used here are as in `TileLoader`.

    Raises:
        TypeError: `load_latency` is not an integer.
        ValueError: it is negative.
    """

    def __init__(self, config, *, load_latency, ports):
        require_range("load_latency", load_latency, 0)
        self.rows = config.rows
        self.load_latency = load_latency
        self.position_width = position_width(config)
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        loading = self.loaded.payload  # the pass whose tile moves in, or waits
        # moving  complete
        #   0        0      no tile
        #   1        0      a row moves in
        #   1        1      the last row moves in, and the pass may be taken
        #   0        1      the tile waits for its pass to be taken
        moving = Signal()
        complete = self.loaded.valid
        row = Signal(index_width(self.rows))
        element = Signal(self.position_width)  # token or feature in that row
        last_row = Signal()
        taken = self.coming.taken
        m.d.comb += [
            last_row.eq(moving & complete),
            self.empty.eq(~moving & ~complete),
            self.waits.eq(~moving & complete),
            # There is room for the tile: there is none yet, or the pass of the one before is taken in this cycle.
            taken.eq(self.coming.valid & (self.empty | self.loaded.taken)),
        ]

        with m.If(moving):
            m.d.sync += [row.eq(row - 1), element.eq(element - 1)]
            with m.If(row == 1):
                m.d.sync += complete.eq(1)
        with m.If(complete):
            m.d.sync += moving.eq(0)
        with m.If(self.loaded.taken):
            m.d.sync += complete.eq(0)
        with m.If(taken):
            m.d.sync += [
                moving.eq(1),
                row.eq(self.rows - 1),
                element.eq(self.coming_base + (self.rows - 1)),
                *copied(self.coming.payload, loading),
            ]

        self.address_row(m, element, moving=moving, last_row=last_row)
        # The array wants `load` one cycle before the tile's rows, which come `load_latency` cycles after `control`.
        first_row = Signal()
        m.d.comb += [
            first_row.eq(moving & (row == self.rows - 1)),
            self.load.eq(delay(m, moving, self.load_latency, "load")),
            self.load_first.eq(delay(m, first_row, self.load_latency, "load_first")),
        ]
        return m

    def address_row(self, m, element, *, moving, last_row):
        """Says to the columns which row moves in, and to whom it matters what is done with a head's tiles.

        Args:
            m (Module): the block's module.
            element (Value): token or feature of the row.
            moving (Value): a row moves in.
            last_row (Value): it is the last one of its tile.
        """
        raise NotImplementedError


class TileLoader(TileMover):
    """Loads the tile of one pass after the other, R cycles each.

    Args:
        config (AcceleratorConfig): the accelerator's configuration.
        load_latency (int): cycles that the columns take from `load_control` to a row of the tile, at least 0.

    Ports:
        tokens (bits of max_tokens, input): tokens of a head, constant while the job runs.
        head_dim (bits of max_head_dim, input): features of a head, constant while the job runs.
        coming (PassStream, input): the next pass. Its tile begins to move in one cycle after it has been taken.
        coming_base (bits of a position, input): first token or feature of that pass's tile.
        loaded (PassStream, output): the pass whose tile is complete, from the cycle of its last row on.
        load_control (LoadControl, output): a row of the tile, to the columns.
        load (1 bit, output): the same row, to the array, one cycle before its operands get there.
        load_first (1 bit, output): it is the first row of a tile.
        g_released (1 bit, output): the last row of the last tile of a head's G is on its way.
        empty (1 bit, output): no tile moves in, and none waits.
        waits (1 bit, output): the tile of `loaded` has been complete since the cycle before, at least.

    Raises:
        TypeError: `load_latency` is not an integer.
        ValueError: it is negative.
    """

    module_name = "tile_loader"

    def __init__(self, config, *, load_latency):
        self.feature_bits = index_width(config.max_head_dim)
        self.token_bits = index_width(config.max_tokens)
        self.column_tile_bits = tile_width(config.column_tiles)
        super().__init__(
            config,
            load_latency=load_latency,
            ports={
                "tokens": In(config.max_tokens.bit_length()),
                "head_dim": In(config.max_head_dim.bit_length()),
                "coming": In(PassStream(Pass(config))),
                "coming_base": In(position_width(config)),
                "loaded": Out(PassStream(Pass(config))),
                "load_control": Out(LoadControl(config)),
                "load": Out(1),
                "load_first": Out(1),
                "g_released": Out(1),
                "empty": Out(1),
                "waits": Out(1),
            },
        )

    def address_row(self, m, element, *, moving, last_row):
        """Rows are tokens of V, or features of G."""
        loading = self.loaded.payload
        size = Mux(loading.phase == Phase.G, self.tokens, self.head_dim)  # of what the rows are
        release = last_row & loading.product_end
        m.d.comb += self.g_released.eq(release & (loading.phase == Phase.QG))
        column_tile = address_field(loading.column_tile, self.column_tile_bits)
        v_address = Cat(address_field(element, self.token_bits), column_tile, loading.half)
        g_address = Cat(address_field(element, self.feature_bits), column_tile, loading.half)
        control = self.load_control
        m.d.sync += [
            control.phase.eq(loading.phase),
            control.address.eq(Mux(loading.phase == Phase.G, v_address, g_address)),
            control.blank.eq(element >= size),
            control.release.eq(release),
        ]

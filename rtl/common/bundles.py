"""Control bundles: the small records that travel with the data from block to block.

The array and everything around it is skewed: row r works r cycles after row 0, column c works c cycles after column
0. Instead of aligning data with triangles of registers, each block passes its control on with one register, and so
stays in step with the data of its row or column.

An address in braces lists its fields from the highest one down: {half, column tile, token}.
"""

from amaranth.lib import enum
from amaranth.lib.wiring import Out, Signature

from .widths import index_width, tile_width

__all__ = [
    "AccumulateControl",
    "DivideControl",
    "LoadControl",
    "Phase",
    "StreamControl",
    "WriteBackControl",
]


class Phase(enum.IntEnum, shape=1):
    """Which of the two products of a head the array works on."""

    G = 0
    QG = 1


class AccumulateControl(Signature):
    """One partial sum of every column, below the array.

    Args:
        config (AcceleratorConfig): the configuration.

    Ports:
        valid (1 bit): a sum of the array arrives in the next cycle.
        first (1 bit): it belongs to the first of the tiles that are accumulated.
        last (1 bit): it belongs to the last of them.
        phase (Phase): the product.
        index (index_width(longest pass) bits): place among the partial sums of the pass.
        address (bits of the longer address): where a total goes: in the G buffer {half, column tile, feature}, or in
            the row queue.
        head_end (1 bit): the last total of this product of the head.
    """

    def __init__(self, config):
        g_width = 1 + tile_width(config.column_tiles) + index_width(config.max_head_dim)
        address_width = max(g_width, index_width(config.row_queue_depth))
        super().__init__(
            {
                "valid": Out(1),
                "first": Out(1),
                "last": Out(1),
                "phase": Out(Phase),
                "index": Out(index_width(max(config.max_tokens, config.max_head_dim))),
                "address": Out(address_width),
                "head_end": Out(1),
            }
        )


class StreamControl(Signature):
    """One element of a pass, for the operand rows.

    Args:
        config (AcceleratorConfig): the configuration.

    Ports:
        phase (Phase): G streams K^, Q G streams Q.
        swap (1 bit): the first element of a pass, with which the array turns to its next stationary tile.
        address (bits of the longer address): word of the K bank {half, token tile, beat}, or of the Q bank {half, row
            tile, token}.
        lane (index_width(stream_lanes) bits): element of the K bank's word.
        release (1 bit): the last element that this product of the head takes from its half of the buffer.
        accumulate (AccumulateControl): what becomes of the sum.
    """

    def __init__(self, config):
        k_width = 1 + tile_width(config.token_tiles) + tile_width(config.max_beats_per_row)
        q_width = 1 + tile_width(config.row_tiles) + index_width(config.max_tokens)
        super().__init__(
            {
                "phase": Out(Phase),
                "swap": Out(1),
                "address": Out(max(k_width, q_width)),
                "lane": Out(index_width(config.stream_lanes)),
                "release": Out(1),
                "accumulate": Out(AccumulateControl(config)),
            }
        )


class LoadControl(Signature):
    """One row of a stationary tile; a tile comes bottom row first.

    Args:
        config (AcceleratorConfig): the configuration.

    Ports:
        phase (Phase): G loads V, Q G loads G.
        address (bits of the longer address): {half, column tile, token} of V, or {half, column tile, feature} of G.
        blank (1 bit): the row lies beyond the tokens or features of the job and is loaded as zeros.
        release (1 bit): the last row that this product of the head takes from its half of the buffer.
    """

    def __init__(self, config):
        v_width = 1 + tile_width(config.column_tiles) + index_width(config.max_tokens)
        g_width = 1 + tile_width(config.column_tiles) + index_width(config.max_head_dim)
        super().__init__(
            {
                "phase": Out(Phase),
                "address": Out(max(v_width, g_width)),
                "blank": Out(1),
                "release": Out(1),
            }
        )


class DivideControl(Signature):
    """One row that enters the divider array.

    Args:
        config (AcceleratorConfig): the configuration.

    Ports:
        start (1 bit): a row enters.
        mean (1 bit): its numerators are k_sum, not T_N.
        queue_address (index_width(row_queue_depth) bits): place of the row in the row queue.
        bias_address (1 + tile_width(column_tiles) bits): {half, column tile} of its c_v v_sum.
    """

    def __init__(self, config):
        super().__init__(
            {
                "start": Out(1),
                "mean": Out(1),
                "queue_address": Out(index_width(config.row_queue_depth)),
                "bias_address": Out(1 + tile_width(config.column_tiles)),
            }
        )


class WriteBackControl(Signature):
    """One row that leaves the divider array.

    Args:
        config (AcceleratorConfig): the configuration.

    Ports:
        write (1 bit): a row of Z, for the Z buffer.
        address (bits of an address in a Z bank): {half, column tile, token}.
        head_end (1 bit): the last row of Z of its head.
        mean (1 bit): a row of k_mean instead.
        mean_end (1 bit): the last row of k_mean of its head.
    """

    def __init__(self, config):
        super().__init__(
            {
                "write": Out(1),
                "address": Out(1 + tile_width(config.column_tiles) + index_width(config.max_tokens)),
                "head_end": Out(1),
                "mean": Out(1),
                "mean_end": Out(1),
            }
        )

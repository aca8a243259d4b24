"""Passes: what the three engines of the pass scheduler hand on to each other.

    sequencer --coming--> tile loader --loaded--> operand streamer

Each engine holds one pass. It says that it has one to give (`valid`), and the next engine says when it takes it
(`taken`). With tiles of R = 3 rows and passes of 5 elements:

    cycle            0   1   2   3   4   5   6   7   8   9
    coming.taken     A           B                   C
    row of a tile        A2  A1  A0  B2  B1  B0          C2    bottom row first
    loaded.valid                 A           B   B   B
    loaded.taken                 A                   B
    element                          A0  A1  A2  A3  A4  B0

The loader takes a pass when there is room for its tile: there is no tile yet, or the pass of the one before is taken in
this cycle. The streamer takes a pass in the last cycle of the one before. So a pass of R elements or more hides the
loading of the next tile, and its elements are followed by the next ones without a bubble.
"""

from amaranth.lib.wiring import In, Out, Signature

from taylorvit.rtl.common.bundles import Phase
from taylorvit.rtl.common.widths import index_width

__all__ = ["Pass", "PassStream", "position_width"]


def position_width(config):
    """Bits of a position in a pass, or of a token or feature of a tile, which may lie far beyond a small job.

    Args:
        config (AcceleratorConfig): the accelerator's configuration.

    Returns:
        int: enough for the longest pass and one more bit, and for the last row of the last tile.
    """
    longest_pass = max(config.max_tokens, config.max_head_dim)
    return max(longest_pass.bit_length() + 1, (longest_pass + config.rows - 1).bit_length())


class Pass(Signature):
    """One pass: a stationary tile of R x C operands, and the elements that stream past it.

    Args:
        config (AcceleratorConfig): the configuration.

    Ports:
        phase (Phase): the product that it belongs to: G streams features of K^ past V, QG tokens of Q past G.
        half (1 bit): half of the buffers that its head is in.
        column_tile (unsigned): which C columns of the product.
        tile (unsigned): which R rows of the stationary matrix: tokens of V for G, features of G for QG.
        first (1 bit): the first of the tiles whose sums are accumulated.
        last (1 bit): the last of them, after which the sums are totals.
        product_end (1 bit): the last pass of the product.
    """

    def __init__(self, config):
        super().__init__(
            {
                "phase": Out(Phase),
                "half": Out(1),
                "column_tile": Out(index_width(config.column_tiles)),
                "tile": Out(index_width(max(config.row_tiles, config.token_tiles))),
                "first": Out(1),
                "last": Out(1),
                "product_end": Out(1),
            }
        )


class PassStream(Signature):
    """A pass on its way from one engine to the next.

    Args:
        payload (Signature): what is said of a pass, here or in a kernel of its own: `Pass`.

    Ports:
        payload: the pass.
        valid (1 bit): the engine that gives it has one to give.
        taken (1 bit, the other way): the next engine takes it in this cycle, in which it is valid.
    """

    def __init__(self, payload):
        super().__init__({"payload": Out(payload), "valid": Out(1), "taken": In(1)})

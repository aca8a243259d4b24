"""Control of softmax attention: the small records that travel with the data from block to block.

As in `rtl.common.bundles`: row r works r cycles after row 0, column c works c cycles after column 0, and each block
passes its control on with one register. An address in braces lists its fields from the highest one down.
"""

from amaranth.hdl import signed
from amaranth.lib import enum
from amaranth.lib.wiring import Out, Signature

from taylorvit.rtl.common.widths import index_width, tile_width

from .row_maximum import MaximumChain

__all__ = [
    "AccumulateControl",
    "DivideControl",
    "LoadControl",
    "Pass",
    "Phase",
    "ScoreTile",
    "ScoreWrite",
    "StreamControl",
    "WriteBackControl",
    "maximum_sizes",
    "score_address_width",
]


class Phase(enum.IntEnum, shape=1):
    """Which of the two products of a block of queries the array works on."""

    SCORES = 0
    VALUES = 1


def score_address_width(config):
    """Bits of an address in a bank of scores {half, score tile, query}."""
    return 1 + tile_width(config.score_tiles) + index_width(config.longest_block)


def maximum_sizes(config):
    """Parameters of the blocks of `rtl.attention.softmax.row_maximum`; a place is {half, query}."""
    return {
        "score_width": config.kept_score_width,
        "columns": config.columns,
        "places": 2 << index_width(config.longest_block),
    }


def _part_width(config):
    """Bits of the number of a bank of scores in its row, or of a turn of a column."""
    return index_width(max(config.score_banks, config.score_turns))


class Pass(Signature):
    """One pass: a stationary tile of R x C operands, and the elements of a block of queries that stream past it.

    Args:
        config (AcceleratorConfig): the configuration.

    Ports:
        phase (Phase): SCORES streams Q past K, VALUES exponentials past V.
        half (1 bit): half of the banks of scores, and of the maxima.
        head_half (1 bit): half of the buffers of Q and K, or of V.
        column_tile (unsigned): which C columns of the product: tokens of K, or features of V.
        tile (unsigned): which R rows of the stationary matrix: features of K, or tokens of V.
        first (1 bit): the first of the tiles whose sums are accumulated.
        last (1 bit): the last of them, after which the sums are totals.
        product_end (1 bit): the last pass of the product.
        head_end (1 bit): the product is that of the head's last block of queries.
        base (index_width(max_tokens) bits): of SCORES, the first query of the block.
        length (bits of longest_block): queries of the block.
        left (bits of columns): of SCORES, tokens of the column tile.
        score_tile (unsigned): where the scores of a column tile go to, or those of a tile come from: the tokens in
            each bank that come before them,
        part (unsigned): and which turn of the columns this is (SCORES), or which bank of each row (VALUES).
    """

    def __init__(self, config):
        super().__init__(
            {
                "phase": Out(Phase),
                "half": Out(1),
                "head_half": Out(1),
                "column_tile": Out(index_width(max(config.key_tiles, config.column_tiles))),
                "tile": Out(index_width(max(config.row_tiles, config.token_tiles))),
                "first": Out(1),
                "last": Out(1),
                "product_end": Out(1),
                "head_end": Out(1),
                "base": Out(index_width(config.max_tokens)),
                "length": Out(config.longest_block.bit_length()),
                "left": Out(config.columns.bit_length()),
                "score_tile": Out(index_width(config.score_tiles)),
                "part": Out(_part_width(config)),
            }
        )


class AccumulateControl(Signature):
    """One partial sum of every column, below the array.

    Args:
        config (AcceleratorConfig): the configuration.

    Ports:
        valid (1 bit): a sum of the array arrives in the next cycle.
        first (1 bit): it belongs to the first of the tiles that are accumulated.
        last (1 bit): it belongs to the last of them.
        phase (Phase): the product.
        index (index_width(longest_block) bits): query of the block.
        address (bits of the longer address): where a total goes: in a bank of scores {half, score tile, query}, or in
            the row queue.
        part (unsigned): of a score, the turn of the column.
    """

    def __init__(self, config):
        super().__init__(
            {
                "valid": Out(1),
                "first": Out(1),
                "last": Out(1),
                "phase": Out(Phase),
                "index": Out(index_width(config.longest_block)),
                "address": Out(max(score_address_width(config), index_width(config.row_queue_depth))),
                "part": Out(_part_width(config)),
            }
        )


class ScoreTile(Signature):
    """What else has to be known of a score for the largest of its row, at the head of the columns.

    Args:
        config (AcceleratorConfig): the configuration.

    Ports:
        half (1 bit): half of the maxima.
        first (1 bit): it belongs to the first column tile.
        finish (1 bit): it is that of the last query in the last column tile.
        left (bits of columns): tokens of the column tile.
    """

    def __init__(self, config):
        super().__init__({"half": Out(1), "first": Out(1), "finish": Out(1), "left": Out(config.columns.bit_length())})


class StreamControl(Signature):
    """One element of a pass, for the operand rows.

    Args:
        config (AcceleratorConfig): the configuration.

    Ports:
        phase (Phase): SCORES streams Q, VALUES exponentials.
        swap (1 bit): the first element of a pass, with which the array turns to its next stationary tile.
        address (bits of the longer address): word of the Q bank {half, row tile, token}, or of a bank of scores {half,
            score tile, query}.
        bank (index_width(score_banks) bits): which of the row's banks of scores.
        release (1 bit): the last element that this product takes from the buffers of its head.
        accumulate (AccumulateControl): what becomes of the sum.
        score_tile (ScoreTile): likewise.
    """

    def __init__(self, config):
        q_width = 1 + tile_width(config.row_tiles) + index_width(config.max_tokens)
        super().__init__(
            {
                "phase": Out(Phase),
                "swap": Out(1),
                "address": Out(max(q_width, score_address_width(config))),
                "bank": Out(index_width(config.score_banks)),
                "release": Out(1),
                "accumulate": Out(AccumulateControl(config)),
                "score_tile": Out(ScoreTile(config)),
            }
        )


class LoadControl(Signature):
    """One row of a stationary tile; a tile comes bottom row first.

    Args:
        config (AcceleratorConfig): the configuration.

    Ports:
        phase (Phase): SCORES loads K, VALUES loads V.
        address (bits of the longer address): {half, key tile, beat} of K, or {half, column tile, token} of V.
        lane (index_width(stream_lanes) bits): element of the K bank's word.
        blank (1 bit): the row lies beyond the features or tokens of the job and is loaded as zeros.
        release (1 bit): the last row that this product takes from the buffer of its head.
    """

    def __init__(self, config):
        k_width = 1 + tile_width(config.key_tiles) + tile_width(config.max_beats_per_row)
        v_width = 1 + tile_width(config.column_tiles) + index_width(config.max_tokens)
        super().__init__(
            {
                "phase": Out(Phase),
                "address": Out(max(k_width, v_width)),
                "lane": Out(index_width(config.stream_lanes)),
                "blank": Out(1),
                "release": Out(1),
            }
        )


class ScoreWrite(Signature):
    """A score on its way from a column to the bank of its token.

    Args:
        config (AcceleratorConfig): the configuration.

    Ports:
        valid (1 bit): there is a score.
        part (unsigned): turn of the column, which says to which of its banks it goes.
        address (bits of an address in a bank of scores): {half, score tile, query}.
        score (signed, kept_score_width bits): the score.
    """

    def __init__(self, config):
        super().__init__(
            {
                "valid": Out(1),
                "part": Out(_part_width(config)),
                "address": Out(score_address_width(config)),
                "score": Out(signed(config.kept_score_width)),
            }
        )


class DivideControl(Signature):
    """One row that enters the divider array.

    Args:
        config (AcceleratorConfig): the configuration.

    Ports:
        start (1 bit): a row enters.
        queue_address (index_width(row_queue_depth) bits): place of the row in the row queue.
    """

    def __init__(self, config):
        super().__init__({"start": Out(1), "queue_address": Out(index_width(config.row_queue_depth))})


class WriteBackControl(Signature):
    """One row that leaves the divider array.

    Args:
        config (AcceleratorConfig): the configuration.

    Ports:
        write (1 bit): a row of Z, for the Z buffer.
        address (bits of an address in a Z bank): {half, column tile, token}.
        head_end (1 bit): the last row of Z of its head.
    """

    def __init__(self, config):
        super().__init__(
            {
                "write": Out(1),
                "address": Out(1 + tile_width(config.column_tiles) + index_width(config.max_tokens)),
                "head_end": Out(1),
            }
        )


def maximum_chain(config):
    """The `MaximumChain` along the columns."""
    return MaximumChain(**maximum_sizes(config))

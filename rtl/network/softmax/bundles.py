"""What the blocks of softmax attention tell each other in the network accelerator, along rows and columns and back."""

from amaranth.hdl import signed
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import Out, Signature

from taylorvit.rtl.attention.softmax.row_maximum import MaximumChain
from taylorvit.rtl.common.widths import index_width, up_to
from taylorvit.rtl.network.bundles import ExponentialWrite, address_widths
from taylorvit.rtl.network.division.bundles import divided_members, dividing_members, placing_members

__all__ = [
    "ColumnReport",
    "ColumnSide",
    "DiagonalSide",
    "RowFeed",
    "RowSide",
    "ScoreControl",
    "chain_sizes",
    "score_feed",
    "score_write",
]


def chain_sizes(config):
    """Parameters of the blocks that find the largest score of a row; a row's place is {half, query of its block}.

    Args:
        config (NetworkConfig): the configuration.

    Returns:
        dict[str, int]: `score_width`, `columns` and `places`.
    """
    attention = config.attention
    places = 2 << index_width(attention.longest_block)
    return {"score_width": attention.kept_score_width, "columns": config.columns, "places": places}


class ScoreControl(Signature):
    """One score of every column: what becomes of it.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        chain (MaximumChain): the largest score of its row so far; `left` says whether this column has a token.
        bank (index_width(rows) bits): the row whose bank this column writes to.
        address (bits of score_depth): address there.
        following (bits of score_depth): the address from where the bank wraps.
    """

    def __init__(self, config):
        address = index_width(config.score_depth)
        super().__init__(
            {
                "chain": Out(MaximumChain(**chain_sizes(config))),
                "bank": Out(index_width(config.rows)),
                "address": Out(address),
                "following": Out(address),
            }
        )


def score_write(config):
    """What a column makes of a score, one word: it goes to the bank of a row, and the largest one goes on.

        valid (1 bit): there is a score, of a token.
        bank (index_width(rows) bits): the row.
        address (bits of score_depth): address in its bank.
        data (kept_score_width bits, signed): the score.
        chain (MaximumChain): the largest score of the row behind this column; only the last column's counts.

    Args:
        config (NetworkConfig): the configuration.

    Returns:
        StructLayout: the word.
    """
    return StructLayout(
        {
            "valid": 1,
            "bank": index_width(config.rows),
            "address": index_width(config.score_depth),
            "data": signed(config.attention.kept_score_width),
            "chain": StructLayout(
                {name: member.shape for name, member in MaximumChain(**chain_sizes(config)).members.items()}
            ),
        }
    )


def score_feed(config):
    """What is written into a row's bank of scores, one word.

        valid (1 bit): there is a score.
        address (bits of score_depth): where it goes.
        data (kept_score_width bits, signed): the score.

    Args:
        config (NetworkConfig): the configuration.

    Returns:
        StructLayout: the word.
    """
    return StructLayout(
        {
            "valid": 1,
            "address": index_width(config.score_depth),
            "data": signed(config.attention.kept_score_width),
        }
    )


class RowFeed(Signature):
    """What is written into a row.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        score (`score_feed`): a score.
    """

    def __init__(self, config):
        super().__init__({"score": Out(score_feed(config))})


class RowSide(Signature):
    """What goes down the rows.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        maximum (kept_score_width bits, signed): the largest score of the query, L cycles after the row's control.
        exponential (ExponentialWrite): an entry of the table.
    """

    def __init__(self, config):
        super().__init__(
            {
                "maximum": Out(signed(config.attention.kept_score_width)),
                "exponential": Out(ExponentialWrite(config)),
            }
        )


class DiagonalSide(Signature):
    """What the center tells the diagonal, for itself and for the columns.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        divide, numerator_shift, divisor_shift, start, z: as in `rtl.network.division.bundles`.
        shift_s (up_to(shift_s_max)): right shift that requantizes scores, a constant.
        tokens (bits of max_tokens): tokens of K, a constant.
    """

    def __init__(self, config):
        attention = config.attention
        super().__init__(
            dividing_members(config)
            | placing_members(config)
            | {"shift_s": Out(up_to(attention.shift_s_max)), "tokens": Out(attention.max_tokens.bit_length())}
        )


class ColumnSide(Signature):
    """What goes along the columns.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        divide, numerator_shift, divisor, invalid, write_back: as in `rtl.network.division.bundles`.
        shift_s (up_to(shift_s_max)): right shift that requantizes scores, a constant.
        score (ScoreControl): a score, in the cycle in which the column has it.
    """

    def __init__(self, config):
        super().__init__(
            dividing_members(config)
            | divided_members(config)
            | {"shift_s": Out(up_to(config.attention.shift_s_max)), "score": Out(ScoreControl(config))}
        )


class ColumnReport(Signature):
    """What a column tells the center. Of some of it only what column 0 says counts, of some only the last column's.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        key (8 bits, signed): a feature of K, where there is one.
        key_valid (1 bit): there is one. Column 0's counts, like the next one.
        address (bits of a destination address): with it: where the first tile of tokens has it.
        end (1 bit): the last feature of a tile of K or V.
        is_value (1 bit): with it: of V.
        finish (1 bit): with it: the last one of the product.
        score (`score_write`): a score, and the largest one of its row.
        kernel_1_done (1 bit): the last element of Z leaves. The last column's counts.
    """

    def __init__(self, config):
        super().__init__(
            {
                "key": Out(signed(config.data_width)),
                "key_valid": Out(1),
                "address": Out(address_widths(config)["destination"]),
                "end": Out(1),
                "is_value": Out(1),
                "finish": Out(1),
                "score": Out(score_write(config)),
                "kernel_1_done": Out(1),
            }
        )

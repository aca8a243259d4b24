"""What the blocks of both kernels tell each other: what Taylor and softmax attention say, and which of them it is."""

from amaranth.hdl import signed
from amaranth.lib.wiring import Out, Signature

import taylorvit.rtl.network.softmax.bundles as softmax
import taylorvit.rtl.network.taylor.bundles as taylor
from taylorvit.rtl.common.widths import up_to
from taylorvit.rtl.network.bundles import ExponentialWrite
from taylorvit.rtl.network.key_turner import KeyFeed
from taylorvit.rtl.network.softmax.bundles import ScoreControl, score_feed

__all__ = ["ColumnReport", "ColumnSide", "DiagonalSide", "RowFeed", "RowSide", "key_feed"]


def key_feed(config):
    """What is written into a bank of K, be it that of a row or of a column.

    Args:
        config (NetworkConfig): the configuration.
    """
    return KeyFeed(config, depth=max(config.kernel_row_depth, config.kernel_1_depth))


class RowSide(Signature):
    """What goes down the rows.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        softmax (1 bit): the layer has softmax attention, a constant.
        reference (the wider of mean_width and kept_score_width bits, signed): k_mean of the feature, L cycles after the
            row's control; or the largest score of the query, a cycle later.
        exponential (ExponentialWrite): an entry of the table.
    """

    def __init__(self, config):
        attention = config.attention
        super().__init__(
            {
                "softmax": Out(1),
                "reference": Out(signed(max(attention.mean_width, attention.kept_score_width))),
                "exponential": Out(ExponentialWrite(config)),
            }
        )


class RowFeed(Signature):
    """What is written into a row.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        key (KeyFeed): K of Taylor attention. There are keys of softmax attention as well, for the columns.
        score (`score_feed`): a score of softmax attention.
    """

    def __init__(self, config):
        super().__init__({"key": Out(key_feed(config)), "score": Out(score_feed(config))})


def _of_both(config):
    """Members of both sides along the columns that are not those of Taylor attention."""
    return {"shift_g": Out(up_to(config.attention.shift_max)), "softmax": Out(1)}


class DiagonalSide(Signature):
    """What the center tells the diagonal, for itself and for the columns.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        softmax (1 bit): the layer has softmax attention, a constant.
        shift_g (up_to(shift_max)): right shift that requantizes G, or scores, a constant.

        All others are those of Taylor attention.
    """

    def __init__(self, config):
        super().__init__(dict(taylor.DiagonalSide(config).members.items()) | _of_both(config))


class ColumnSide(Signature):
    """What goes along the columns.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        softmax (1 bit): the layer has softmax attention, a constant.
        shift_g (up_to(shift_max)): right shift that requantizes G, or scores, a constant.
        score (ScoreControl): a score, in the cycle in which the column has it.

        All others are those of Taylor attention.
    """

    def __init__(self, config):
        members = dict(taylor.ColumnSide(config).members.items())
        super().__init__(members | _of_both(config) | {"score": Out(ScoreControl(config))})


class ColumnReport(Signature):
    """What a column tells the center.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        Those of both kernels.
    """

    def __init__(self, config):
        members = dict(softmax.ColumnReport(config).members.items())
        super().__init__(members | dict(taylor.ColumnReport(config).members.items()))

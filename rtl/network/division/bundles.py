"""What the dividing blocks of a kernel tell each other along the columns."""

from amaranth.lib.wiring import Out, Signature

from taylorvit.rtl.common.bundles import DivideControl
from taylorvit.rtl.common.widths import index_width, up_to

__all__ = ["DiagonalReport", "WriteBack", "divided_members", "dividing_members", "placing_members"]


class WriteBack(Signature):
    """One row that leaves the divider array.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        z (1 bit): a row of Z.
        mean (1 bit): a row of k_mean.
        finish (1 bit): of Z, the last row of its product.
        bank (index_width(rows) bits): of Z, the activation bank that this column writes to.
        address (bits of activation_depth): address there.
        following (bits of activation_depth): the address from where the bank wraps.
    """

    def __init__(self, config):
        activation = index_width(config.activation_depth)
        super().__init__(
            {
                "z": Out(1),
                "mean": Out(1),
                "finish": Out(1),
                "bank": Out(index_width(config.rows)),
                "address": Out(activation),
                "following": Out(activation),
            }
        )


def dividing_members(config):
    """Members of the sides of diagonal and columns: what the center tells of a row that enters the divider array.

        divide (DivideControl): the row.
        numerator_shift (up_to(numerator_shift_max)): left shift of numerators, a constant.

    Args:
        config (NetworkConfig): the configuration.

    Returns:
        dict[str, Member]: the members by name.
    """
    attention = config.attention
    return {
        "divide": Out(DivideControl(attention)),
        "numerator_shift": Out(up_to(attention.numerator_shift_max)),
    }


def placing_members(config):
    """Members of the diagonal's side: what the center tells it alone.

        divisor_shift (up_to(divisor_shift_max)): left shift of divisors, a constant.
        start (1 bit): new constants: the row queue begins at its first place.
        z (1 bit): a row of Z leaves the divider array, L cycles before it does.

    Args:
        config (NetworkConfig): the configuration.

    Returns:
        dict[str, Member]: the members by name.
    """
    return {
        "divisor_shift": Out(up_to(config.attention.divisor_shift_max)),
        "start": Out(1),
        "z": Out(1),
    }


def divided_members(config):
    """Members of the columns' side: what the diagonal tells of a row in the divider array.

        divisor (divisor_width bits): of the row that `divide` started `divisor_delay` cycles before.
        invalid (1 bit): that row has none.
        write_back (WriteBack): a row that leaves the divider array.

    Args:
        config (NetworkConfig): the configuration.

    Returns:
        dict[str, Member]: the members by name.
    """
    return {
        "divisor": Out(config.attention.divisor_width),
        "invalid": Out(1),
        "write_back": Out(WriteBack(config)),
    }


class DiagonalReport(Signature):
    """What the diagonal tells the center.

    Ports:
        row_queued (1 bit): a row was put into the row queue.
        denominator_error (1 bit): a row has no divisor.
    """

    def __init__(self):
        super().__init__({"row_queued": Out(1), "denominator_error": Out(1)})

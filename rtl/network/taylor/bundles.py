"""What the blocks of Taylor attention tell each other in the network accelerator, along rows and columns and back."""

from amaranth.hdl import signed
from amaranth.lib.wiring import Out, Signature

from taylorvit.rtl.common.bank_chain import BankWrite
from taylorvit.rtl.common.widths import index_width, tile_width, up_to
from taylorvit.rtl.network.bundles import address_widths
from taylorvit.rtl.network.division.bundles import divided_members, dividing_members, placing_members

__all__ = ["ColumnReport", "ColumnSide", "DiagonalSide", "RowSide"]


class RowSide(Signature):
    """What goes down the rows.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        mean (mean_width bits, signed): k_mean of the feature, L cycles after the row's control.
    """

    def __init__(self, config):
        super().__init__({"mean": Out(signed(config.attention.mean_width))})


def _along_the_columns(config):
    """Members of both sides: what the diagonal hands on to column 0."""
    attention = config.attention
    return dividing_members(config) | {
        "bias": Out(
            BankWrite(
                banks=attention.columns,
                address_width=1 + tile_width(attention.column_tiles),
                data_width=attention.aligned_bias_width,
            )
        ),
        "k_sum": Out(signed(attention.column_sum_width)),
        "shift_g": Out(up_to(attention.shift_g_max)),
    }


class DiagonalSide(Signature):
    """What the center tells the diagonal, for itself and for the columns.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        divide (DivideControl): a row that enters the divider array, a cycle before column 0 is told.
        bias (BankWrite): a c_v v_sum for the bias banks.
        k_sum (column_sum_width bits, signed): for each column in turn, for all to see in the same cycle.
        shift_g (up_to(shift_g_max)): right shift that requantizes G; constants, like all that follow but two.
        numerator_shift (up_to(numerator_shift_max)): left shift of numerators.
        c_d (c_d_width bits): the constant c_d.
        divisor_shift (up_to(divisor_shift_max)): left shift of divisors.
        tokens (bits of max_tokens): tokens of K.
        start (1 bit): new constants: the row queue begins at its first place.
        z (1 bit): a row of Z leaves the divider array, L cycles before it does.
        mean (1 bit): a row of k_mean, likewise.
    """

    def __init__(self, config):
        attention = config.attention
        super().__init__(
            _along_the_columns(config)
            | placing_members(config)
            | {
                "c_d": Out(attention.c_d_width),
                "tokens": Out(attention.max_tokens.bit_length()),
                "mean": Out(1),
            }
        )


class ColumnSide(Signature):
    """What goes along the columns.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        divide (DivideControl): a row that enters the divider array.
        bias (BankWrite): a c_v v_sum for the bias banks.
        k_sum (column_sum_width bits, signed): for all columns in the same cycle; column c takes its own c cycles after
            column 0.
        shift_g (up_to(shift_g_max)): right shift that requantizes G, a constant.
        numerator_shift (up_to(numerator_shift_max)): left shift of numerators, a constant.
        divisor (divisor_width bits): of the row that `divide` started `divisor_delay` cycles before.
        invalid (1 bit): that row has none.
        write_back (WriteBack): a row that leaves the divider array.
    """

    def __init__(self, config):
        super().__init__(_along_the_columns(config) | divided_members(config))


class ColumnReport(Signature):
    """What a column tells the center. Of some of it only what column 0 says counts, of some only the last column's.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        key (8 bits, signed): a feature of K, where there is one.
        key_valid (1 bit): there is one. Column 0's counts, like the next five.
        bank (index_width(rows) bits): bank that it goes to.
        address (bits of a destination address): address there.
        end (1 bit): the last feature of a tile of K or V.
        is_value (1 bit): with it: of V.
        finish (1 bit): with it: the last one of the product.
        sum (column_sum_width bits, signed): k_sum or v_sum of the tile, in the cycle after this column's `end`; else 0.
        mean (mean_width bits, signed): a k_mean that leaves the divider; else 0.
        kernel_0_done (1 bit): the last element of G is written. The last column's counts, like the next one.
        kernel_1_done (1 bit): the last element of Z leaves.
    """

    def __init__(self, config):
        attention = config.attention
        super().__init__(
            {
                "key": Out(signed(config.data_width)),
                "key_valid": Out(1),
                "bank": Out(index_width(config.rows)),
                "address": Out(address_widths(config)["destination"]),
                "end": Out(1),
                "is_value": Out(1),
                "finish": Out(1),
                "sum": Out(signed(attention.column_sum_width)),
                "mean": Out(signed(attention.mean_width)),
                "kernel_0_done": Out(1),
                "kernel_1_done": Out(1),
            }
        )

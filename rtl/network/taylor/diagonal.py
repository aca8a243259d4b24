"""Diagonal of Taylor attention: everything above and below SA-Diag, the head of the columns.

    [k^_sum bank] <------------------.                During G, SA-Diag multiplies K^ by ones: k^_sum = 1^T K^
        |  ones                      |                (Algorithm 1, step 3), kept at the addresses of G. During Q G
        mux --> stationary        k^_sum              it multiplies Q by k^_sum, and each total becomes a divisor
                    |                |                t_D (step 4).
                (SA-Diag)            |
                    |                |
    result --> partial sum accumulator
      |             | Q k^_sum
      |             v
      |         [row queue] --> denominator adder --> divisor (t_D, or n), invalid
      '-------> [addresses of Z] --> write_back

Divisor and `write_back` go to column 0, which passes them on.
"""

from amaranth.hdl import Module, Mux

from taylorvit.rtl.attention.taylor.adder_array import DenominatorAdder
from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.bus import copied
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.network.bundles import LoadKind
from taylorvit.rtl.network.command import Destination
from taylorvit.rtl.network.division.bundles import DiagonalReport
from taylorvit.rtl.network.division.diagonal import DividingDiagonal

from .bundles import ColumnSide, DiagonalSide

__all__ = ["TaylorDiagonal"]


class TaylorDiagonal(DividingDiagonal):
    """SA-Diag's buffers, the divisors, and the places of rows.

    Args:
        config (NetworkConfig): the configuration.
        divisor_delay (int): cycles from column 0's `divide` to the divisor.
        write_back_delay (int): cycles from column 0's `divide` to its `write_back`.
        side (Signature): what the center tells, `DiagonalSide` if left out.
        side_out (Signature): what goes along the columns, `ColumnSide` if left out.

    Ports:
        load_in, load_out, result_in, result_out, stationary, partial_sum: as of every `DividingDiagonal`.
        side_in (DiagonalSide): from the center.
        side_out (ColumnSide): to column 0.
        report (DiagonalReport): to the center.
    """

    def __init__(self, config, *, divisor_delay, write_back_delay, side=None, side_out=None):
        attention = config.attention
        self.k_hat_sum_bank = MemoryBank(
            depth=config.g_depth, width=attention.k_hat_sum_width, pipeline=config.memory_pipeline
        )
        super().__init__(
            config,
            adder=DenominatorAdder(
                product_width=attention.q_k_hat_sum_width,
                fraction=config.constant_fraction,
                c_d_width=attention.c_d_width,
                denominator_width=attention.denominator_width,
                shift_max=attention.divisor_shift_max,
                tokens_width=attention.max_tokens.bit_length(),
                tokens_shift=config.data_width - 1,
                divisor_width=attention.divisor_width,
            ),
            divisor_delay=divisor_delay,
            write_back_delay=write_back_delay,
            side=side or DiagonalSide(config),
            side_out=side_out or ColumnSide(config),
            report=DiagonalReport(),
        )

    def elaborate(self, platform):
        m = Module()
        side = self.side_in
        result = self.pass_on_chains(m)
        m.d.comb += [
            *copied(side.bias, self.side_out.bias),
            self.side_out.k_sum.eq(side.k_sum),
            self.side_out.shift_g.eq(side.shift_g),
            self.side_out.write_back.mean.eq(delay(m, side.mean, self.places.latency, "mean")),
        ]

        # Stationary operand: ones during G, k^_sum during Q G.
        bank = instantiate(m, "k_hat_sum_bank", self.k_hat_sum_bank)
        is_g = delay(m, self.load_in.kind == LoadKind.KERNEL_0, self.memory_latency, "is_g")
        blank = delay(m, self.load_in.blank, self.memory_latency, "blank")
        m.d.comb += bank.read_address.eq(self.load_in.address)
        m.d.sync += self.stationary.eq(Mux(blank, 0, Mux(is_g, 1, bank.read_data.as_signed())))

        # Totals. The passes of G for every column tile give the same k^_sum; it is written each time.
        accumulator, row_queue, address = self.totals(m, result, len(bank.write_address))
        is_g_total = delay(m, result.destination == Destination.KERNEL_0, self.accumulator.latency, "is_g_total")
        m.d.comb += [
            bank.write_enable.eq(accumulator.total_valid & is_g_total),
            bank.write_address.eq(address),
            bank.write_data.eq(accumulator.total),
        ]

        adder = self.divisors(m, row_queue)
        m.d.comb += [adder.c_d.eq(self.c_d_of_layer()), adder.tokens.eq(side.tokens)]
        return m

    def c_d_of_layer(self):
        """The constant that is added to each divisor."""
        return self.side_in.c_d

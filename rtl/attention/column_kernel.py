"""What kernels have in common whose rows stream operands and whose columns divide sums."""

from amaranth.hdl import Cat

from .kernel import AttentionKernel, KernelStatus

__all__ = ["ColumnKernel"]


class ColumnKernel(AttentionKernel):
    """Base of kernels with the columns of `rtl.attention.column`.

    What `place` returns has `rows`, `array`, `diagonal`, `columns` and `passes`, the pass scheduler.

    Args:
        config (AcceleratorConfig): the configuration.

    Attributes:
        row (Block): the operand row.
        column (DividingColumn): the column of SA-General.
    """

    @property
    def z_latency(self):
        """Cycles from an address of the sender to the elements of Z of all columns."""
        return self.column.z_latency

    @property
    def accumulate_delay(self):
        """Cycles from the end of the row chain to SA-Diag's `accumulate`: its sum follows `sum_delay` cycles later."""
        return self.row.latency + self.array.latency - self.column.sum_delay - self.config.rows

    def connect_rows(self, m, units):
        """The array takes what the rows stream, and is told when a tile comes and when its turn is.

        Args:
            m (Module): the accelerator's module.
            units: what `place` returned.
        """
        m.d.comb += [
            units.array.streamed.eq(Cat(row.streamed for row in units.rows)),
            units.array.swap.eq(Cat(row.swap for row in units.rows)),
            units.array.load.eq(units.passes.load),
            units.array.load_first.eq(units.passes.load_first),
        ]

    def connect_columns(self, m, units, **shared):
        """The columns give the array its tiles and take its sums; divisors go along them, from SA-Diag's column on.

        Args:
            m (Module): the accelerator's module.
            units: what `place` returned.
            **shared (Value): <port>=value, for all columns alike.
        """
        array, diagonal = units.array, units.diagonal
        m.d.comb += [
            array.stationary_diagonal.eq(diagonal.stationary),
            array.stationary.eq(Cat(column.stationary for column in units.columns)),
            diagonal.partial_sum.eq(array.sum_diagonal),
        ]
        left = diagonal
        for index, column in enumerate(units.columns):
            m.d.comb += [
                column.partial_sum.eq(array.sum.word_select(index, self.config.partial_sum_width)),
                column.divisor_in.eq(left.divisor_out),
                column.invalid_in.eq(left.invalid_out),
                *(getattr(column, port).eq(value) for port, value in shared.items()),
            ]
            left = column

    def status(self, units):
        """What pass scheduler and SA-Diag's column say.

        Args:
            units: what `place` returned.

        Returns:
            KernelStatus: of the kernel.
        """
        return KernelStatus(
            array_busy=units.passes.array_busy,
            stall_input=units.passes.stall_input,
            stall_output=units.passes.stall_output,
            denominator_error=units.diagonal.denominator_error,
        )

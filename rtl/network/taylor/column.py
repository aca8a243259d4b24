r"""Column of Taylor attention: V, G and the divisions of one column.

    value --> [V bank]   [G bank] <--- requantizer <--- total (G)
       |          \        /
       |           mux --> stationary
       '-(+)--> sum of the tile --> report               total (Q G) --> [row queue]   [bias = c_v v_sum]
                                                                              \           /
                                                           k_sum ------> numerator adder (T_N, or k_sum)
                                                                              |
                                                           divisor ----> divider lane --> k_mean --> report
                                                                              |
                                                           write_back -----> z

What V and K need of sums over tokens is added up here, while their features go by.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import Signature

from taylorvit.rtl.array.requantizer import Requantizer
from taylorvit.rtl.attention.taylor.adder_array import NumeratorAdder
from taylorvit.rtl.common.bank_chain import bank_write
from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import tile_width
from taylorvit.rtl.network.command import Destination
from taylorvit.rtl.network.division.column import DividingColumn

from .bundles import ColumnReport, ColumnSide

__all__ = ["TaylorColumn"]


class TaylorColumn(DividingColumn):
    """One column's V, G, row queue, biases, and its lane of the divider array.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        load, stationary, total, total_control, value, value_control, z: as of every `DividingColumn`.
        side_in, side_out (ColumnSide): control of the divisions; passed on one cycle later, `k_sum` in the same cycle.
        report (ColumnReport): to the center.
    """

    handed_on = ("shift_g", *DividingColumn.handed_on)

    def __init__(self, config, *, feed=None, side=None, report=None):
        attention = config.attention
        self.chain_registers = attention.chain_registers
        self.broadcast_registers = attention.broadcast_registers
        pipeline = config.memory_pipeline
        self.g_bank = MemoryBank(
            depth=config.kernel_1_depth, width=config.data_width, pipeline=pipeline, kind=config.kernel_memory
        )
        self.bias_bank = MemoryBank(
            depth=1 << (1 + tile_width(attention.column_tiles)), width=attention.aligned_bias_width, pipeline=pipeline
        )
        self.requantizer = self.requantizer_of(config)
        super().__init__(
            config,
            adder=NumeratorAdder(
                product_width=attention.qg_width,
                fraction=config.constant_fraction,
                shift_max=attention.numerator_shift_max,
                bias_width=attention.aligned_bias_width,
                k_sum_width=attention.column_sum_width,
            ),
            mean_width=attention.mean_width,
            feed=feed or Signature({}),
            side=side or ColumnSide(config),
            report=report or ColumnReport(config),
        )

    @staticmethod
    def requantizer_of(config):
        """What makes G of its totals.

        Args:
            config (NetworkConfig): the configuration.
        """
        return Requantizer(
            i_width=config.attention.g_sum_width,
            o_width=config.data_width,
            shift_max=config.attention.shift_g_max,
            pipelined=config.memory_pipeline > 0,
            module_name="requantizer_g",
        )

    @property
    def k_sum_delay(self):
        """Cycles from `divide` to `k_sum`, which has registers in the column: the numerator adder takes it last."""
        return self.row_queue.latency + self.adder.latency - 1 - self.broadcast_registers

    def elaborate(self, platform):
        m = Module()
        self.pass_on_side(m)
        m.d.comb += self.side_out.k_sum.eq(self.side_in.k_sum)
        self.operands(m)
        self.sums(m)
        adder, divider = self.divisions(m)

        divide, write_back = self.side_in.divide, self.side_in.write_back
        bias_bank = instantiate(m, "bias_bank", self.bias_bank)
        bank_write(m, bias_bank, self.side_in.bias, self.side_out.bias, shares=1, registers=self.chain_registers)
        m.d.comb += [
            bias_bank.read_address.eq(divide.bias_address),
            adder.bias.eq(self.bias_of_layer(bias_bank.read_data)),
            adder.k_sum.eq(delay(m, self.side_in.k_sum, self.broadcast_registers, "k_sum")),
            # In the numerator adder's last cycle, one before the numerator is there, it chooses; the divider is told.
            adder.single.eq(delay(m, divide.mean, self.divisor_delay - 1, "mean")),
            self.report.mean.eq(Mux(write_back.mean, divider.mean, 0)),
        ]
        return m

    def bias_of_layer(self, bias):
        """What is added to the product.

        Args:
            bias (Value): what stands in the bias bank.
        """
        return bias

    def operands(self, m):
        """Stationary operands: V comes as values, G as totals.

        Args:
            m (Module): the column's module.
        """
        g_bank = instantiate(m, "g_bank", self.g_bank)
        requantizer = instantiate(m, "requantizer", self.requantizer)
        total = self.total_control
        g_total = self.is_total(Destination.KERNEL_0)
        later = self.requantizer.latency
        g_write = delay(m, g_total, later, "g_write")
        m.d.comb += [
            requantizer.i.eq(self.total),
            requantizer.shift.eq(self.side_out.shift_g),
            g_bank.write_enable.eq(g_write),
            g_bank.write_address.eq(delay(m, total.address[: len(g_bank.write_address)], later, "g_address")),
            g_bank.write_data.eq(requantizer.o),
            self.report.kernel_0_done.eq(delay(m, g_total & total.finish, later, "g_finish")),
        ]
        self.stationary_operand(m, g_bank)

    def sums(self, m):
        """k_sum or v_sum of the tile that goes by; the two never do at once.

        Args:
            m (Module): the column's module.
        """
        value = self.value_control
        is_key = value.destination == Destination.KEY
        is_value = value.destination == Destination.VALUE
        arrives = value.valid & value.last & (is_key | is_value)
        total = Signal.like(self.report.sum, name="sum")
        with m.If(arrives):
            m.d.sync += total.eq(Mux(value.begin, 0, total) + self.value)
        complete = delay(m, arrives & value.end, 1, "sum_complete")
        m.d.comb += [
            self.report.key.eq(self.value),
            self.report.key_valid.eq(arrives & is_key),
            self.report.bank.eq(value.bank),
            self.report.address.eq(value.address),
            self.report.end.eq(arrives & value.end),
            self.report.is_value.eq(is_value),
            self.report.finish.eq(value.finish),
            self.report.sum.eq(Mux(complete, total, 0)),
        ]

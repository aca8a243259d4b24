r"""Array column: everything above and below one column of SA-General, in step with that column.

                   [V bank] [G bank]<---------------.
                        \    /                      |
          load -->       mux --> stationary      requantizer
                                    |                ^
                               (SA-General)          | G
                                    |                |
          accumulate -->       partial sum accumulator
                                    | Q G
                                    v
          divide -->           [row queue]   [bias = c_v v_sum]
                                    |          |
                               numerator adder (T_N, or k_sum)
                                    |
          divisor -->          divider lane --> k_mean
                                    | z
          write_back -->        [Z bank] --> stream out

The four control bundles and the divisor enter from the left and are passed on to the right one cycle later. What is in
the column is its share of the paper's chunks: one lane of the adder array and of the divider array, and one bank of
the buffers of V, G and Z.
"""

from amaranth.hdl import Module, Mux, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.attention.column import DividingColumn, value_address_width
from taylorvit.rtl.common.bank_chain import BankWrite, bank_write
from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.bundles import AccumulateControl, DivideControl, LoadControl, Phase, WriteBackControl
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import index_width, tile_width

from .adder_array import NumeratorAdder

__all__ = ["ArrayColumn"]


class ArrayColumn(DividingColumn):
    """One column's buffers and its share of the pre- and post-processors.

    Args:
        config (AcceleratorConfig): the configuration.
        adder (type): the numerator adder, `NumeratorAdder` or a class derived from it.

    Ports:
        v_in, v_out: a beat of which the V bank {half, column tile, token} takes an element; it goes on to the right
            (`rtl.common.bank_chain.BankWrite`).
        bias_in, bias_out: a c_v v_sum, aligned, for the bias bank {half, column tile}, likewise.
        z_address, z_data: one element of the Z bank {half, column tile, token}, `z_latency` cycles later.
        load_*, accumulate_*, divide_*, write_back_*, divisor_*, invalid_*: control, `_in` from the left, `_out` to the
            right one cycle later. The divisor belongs to the row that `divide_in` started `divisor_delay` cycles
            before.
        k_sum: numerator of a row of means, `k_sum_delay` cycles after its `divide_in`.
        mean: quotient of such a row, in the cycle of `write_back_in`; 0 where that is not `mean`.
        stationary: to the array, `load_latency` cycles after `load_in`.
        partial_sum: from the array, `sum_delay` cycles after `accumulate_in`.
        shift_g_*, numerator_shift_*: constant during a job, known here one cycle after the column on the left.
    """

    kept_shift = "shift_g"

    def __init__(self, config, *, adder=NumeratorAdder):
        g_address_width = 1 + tile_width(config.column_tiles) + index_width(config.max_head_dim)
        bias_address_width = 1 + tile_width(config.column_tiles)
        pipeline = config.memory_pipeline
        self.g_bank = MemoryBank(depth=1 << g_address_width, width=config.data_width, pipeline=pipeline)
        self.bias_bank = MemoryBank(depth=1 << bias_address_width, width=config.aligned_bias_width, pipeline=pipeline)
        super().__init__(
            config,
            adder=adder(
                product_width=config.qg_width,
                fraction=config.constant_fraction,
                shift_max=config.numerator_shift_max,
                bias_width=config.aligned_bias_width,
                k_sum_width=config.column_sum_width,
            ),
            longest_pass=max(config.max_tokens, config.max_head_dim),
            queued_width=config.qg_width,
            kept_sum_width=config.g_sum_width,
            kept_width=config.data_width,
            mean_width=config.mean_width,
            bundles={
                "load": LoadControl(config),
                "accumulate": AccumulateControl(config),
                "divide": DivideControl(config),
                "write_back": WriteBackControl(config),
                "v": BankWrite(
                    banks=config.columns,
                    address_width=value_address_width(config),
                    data_width=config.stream_lanes * config.data_width,
                ),
                "bias": BankWrite(
                    banks=config.columns, address_width=bias_address_width, data_width=config.aligned_bias_width
                ),
            },
            ports={
                "divisor_in": In(config.divisor_width),
                "divisor_out": Out(config.divisor_width),
                "invalid_in": In(1),
                "invalid_out": Out(1),
                "k_sum": In(signed(config.column_sum_width)),
                "mean": Out(signed(config.mean_width)),
            },
        )

    @property
    def k_sum_delay(self):
        """Cycles from `divide_in` to `k_sum`, which has registers in the column: the numerator adder takes it last."""
        return self.divisor_delay - 1 - self.broadcast_registers

    def elaborate(self, platform):
        m = Module()
        self.pass_on_control(m)
        # Stationary operand. `load_out` is this column's control one cycle later; the words come with or after it.
        v_bank = instantiate(m, "v_bank", self.v_bank)
        bias_bank = instantiate(m, "bias_bank", self.bias_bank)
        registers = self.chain_registers
        bank_write(m, v_bank, self.v_in, self.v_out, shares=self.stream_lanes, registers=registers)
        bank_write(m, bias_bank, self.bias_in, self.bias_out, shares=1, registers=registers)
        g_bank = instantiate(m, "g_bank", self.g_bank)
        m.d.comb += [
            v_bank.read_address.eq(self.load_in.address),
            g_bank.read_address.eq(self.load_in.address),
        ]
        after = self.v_bank.latency - 1
        load_phase = delay(m, self.load_out.phase, after, "load_phase")
        tile_row = Mux(load_phase == Phase.G, v_bank.read_data, g_bank.read_data)
        m.d.sync += self.stationary.eq(Mux(delay(m, self.load_out.blank, after, "blank"), 0, tile_row))

        # Totals: G goes back through the requantizer, Q G waits for its division.
        accumulator, total_phase, total_address = self.totals(m)
        requantizer = instantiate(m, "requantizer", self.requantizer)
        row_queue = instantiate(m, "row_queue", self.row_queue)
        m.d.comb += [
            requantizer.i.eq(accumulator.total),
            requantizer.shift.eq(self.shift_g_out),
        ]
        m.d.comb += [
            row_queue.write_enable.eq(accumulator.total_valid & (total_phase == Phase.QG)),
            row_queue.write_address.eq(total_address),
            row_queue.write_data.eq(accumulator.total),
        ]
        g_address = total_address[: len(g_bank.write_address)]
        g_total = accumulator.total_valid & (total_phase == Phase.G)
        m.d.comb += [
            g_bank.write_enable.eq(delay(m, g_total, self.requantizer.latency, "g_write")),
            g_bank.write_address.eq(delay(m, g_address, self.requantizer.latency, "g_address")),
            g_bank.write_data.eq(requantizer.o),
        ]

        # Division.
        adder = instantiate(m, "adder", self.adder)
        m.d.comb += [
            row_queue.read_address.eq(self.divide_in.queue_address),
            bias_bank.read_address.eq(self.divide_in.bias_address),
            adder.product.eq(row_queue.read_data),
            adder.bias.eq(bias_bank.read_data),
            adder.shift.eq(self.numerator_shift_out),
            adder.k_sum.eq(delay(m, self.k_sum, self.broadcast_registers, "k_sum")),
            # In the numerator adder's last cycle, one before the numerator is there, it chooses.
            adder.single.eq(delay(m, self.divide_in.mean, self.divisor_delay - 1, "mean")),
        ]
        divider = self.divisions(m, adder.numerator)
        m.d.comb += self.mean.eq(Mux(self.write_back_in.mean, divider.mean, 0))
        return m

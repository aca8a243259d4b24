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

from taylorvit.rtl.array.partial_sum_accumulator import PartialSumAccumulator
from taylorvit.rtl.array.requantizer import Requantizer
from taylorvit.rtl.attention.divider_lane import DividerLane
from taylorvit.rtl.common.bank_chain import BankWrite, bank_write
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bundles import AccumulateControl, DivideControl, LoadControl, Phase, WriteBackControl
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.common.widths import index_width, tile_width, up_to

from .adder_array import NumeratorAdder

__all__ = ["ArrayColumn"]


class ArrayColumn(Block):
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

    module_name = "array_column"
    waivers = {
        ("PINCONNECTEMPTY", "*_out"): "The last column has none on its right.",
        ("PINCONNECTEMPTY", "*_out__*"): "The last column has none on its right.",
    }

    def __init__(self, config, *, adder=NumeratorAdder):
        self.data_width = config.data_width
        self.stream_lanes = config.stream_lanes
        self.chain_registers = config.chain_registers
        self.broadcast_registers = config.broadcast_registers
        v_address_width = 1 + tile_width(config.column_tiles) + index_width(config.max_tokens)
        g_address_width = 1 + tile_width(config.column_tiles) + index_width(config.max_head_dim)
        z_address_width = 1 + tile_width(config.column_tiles) + index_width(config.max_tokens)
        bias_address_width = 1 + tile_width(config.column_tiles)
        pipeline = config.memory_pipeline
        self.v_bank = MemoryBank(depth=1 << v_address_width, width=config.data_width, pipeline=pipeline)
        self.g_bank = MemoryBank(depth=1 << g_address_width, width=config.data_width, pipeline=pipeline)
        self.z_bank = MemoryBank(depth=1 << z_address_width, width=config.data_width, pipeline=pipeline)
        self.row_queue = MemoryBank(depth=config.row_queue_depth, width=config.qg_width, pipeline=pipeline)
        self.bias_bank = MemoryBank(depth=1 << bias_address_width, width=config.aligned_bias_width, pipeline=pipeline)
        self.accumulator = PartialSumAccumulator(
            sum_width=config.partial_sum_width,
            depth=max(config.max_tokens, config.max_head_dim),
            memory_pipeline=pipeline,
        )
        self.requantizer = Requantizer(
            i_width=config.g_sum_width,
            o_width=config.data_width,
            shift_max=config.shift_g_max,
            pipelined=config.memory_pipeline > 0,
        )
        self.adder = adder(
            product_width=config.qg_width,
            fraction=config.constant_fraction,
            shift_max=config.numerator_shift_max,
            bias_width=config.aligned_bias_width,
            k_sum_width=config.column_sum_width,
        )
        self.divider = DividerLane(
            numerator_width=config.numerator_width,
            divisor_width=config.divisor_width,
            data_width=config.data_width,
            mean_width=config.mean_width,
            interval=config.divider_row_interval,
            pipelined=config.memory_pipeline > 0 and config.divider_row_interval > 1,
        )
        bundles = {
            "load": LoadControl(config),
            "accumulate": AccumulateControl(config),
            "divide": DivideControl(config),
            "write_back": WriteBackControl(config),
            "v": BankWrite(
                banks=config.columns,
                address_width=v_address_width,
                data_width=config.stream_lanes * config.data_width,
            ),
            "bias": BankWrite(
                banks=config.columns, address_width=bias_address_width, data_width=config.aligned_bias_width
            ),
        }
        super().__init__(
            {f"{name}_in": In(bundle) for name, bundle in bundles.items()}
            | {f"{name}_out": Out(bundle) for name, bundle in bundles.items()}
            | {
                "z_address": In(z_address_width),
                "z_data": Out(signed(config.data_width)),
                "divisor_in": In(config.divisor_width),
                "divisor_out": Out(config.divisor_width),
                "invalid_in": In(1),
                "invalid_out": Out(1),
                "k_sum": In(signed(config.column_sum_width)),
                "mean": Out(signed(config.mean_width)),
                "stationary": Out(signed(config.data_width)),
                "partial_sum": In(signed(config.partial_sum_width)),
                "shift_g_in": In(up_to(config.shift_g_max)),
                "shift_g_out": Out(up_to(config.shift_g_max)),
                "numerator_shift_in": In(up_to(config.numerator_shift_max)),
                "numerator_shift_out": Out(up_to(config.numerator_shift_max)),
            }
        )

    @property
    def load_latency(self):
        """Cycles from `load_in` to `stationary`: the banks, then a register behind the choice between them."""
        return self.v_bank.latency + 1

    @property
    def sum_delay(self):
        """Cycles from `accumulate_in` to `partial_sum`."""
        return self.accumulator.sum_delay

    @property
    def z_latency(self):
        """Cycles from `z_address` to `z_data`."""
        return self.broadcast_registers + self.z_bank.latency

    @property
    def g_latency(self):
        """Cycles from `accumulate_in` to the cycle that writes its total into the G bank."""
        return self.accumulator.latency + self.requantizer.latency

    @property
    def k_sum_delay(self):
        """Cycles from `divide_in` to `k_sum`, which has registers in the column: the numerator adder takes it last."""
        return self.row_queue.latency + self.adder.latency - 1 - self.broadcast_registers

    @property
    def divisor_delay(self):
        """Cycles from `divide_in` to `divisor_in`: the row queue, then the numerator adder."""
        return self.row_queue.latency + self.adder.latency

    @property
    def write_back_delay(self):
        """Cycles from `divide_in` to `write_back_in`."""
        return self.divisor_delay + self.divider.latency

    def elaborate(self, platform):
        m = Module()
        for name in ("load", "accumulate", "divide", "write_back"):
            pass_on(m, getattr(self, f"{name}_in"), getattr(self, f"{name}_out"))
        for source, target, name in (
            (self.divisor_in, self.divisor_out, "divisor"),
            (self.invalid_in, self.invalid_out, "invalid"),
            (self.shift_g_in, self.shift_g_out, "shift_g"),
            (self.numerator_shift_in, self.numerator_shift_out, "numerator_shift"),
        ):
            m.d.comb += target.eq(delay(m, source, 1, name))

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
        accumulator = instantiate(m, "accumulator", self.accumulator)
        requantizer = instantiate(m, "requantizer", self.requantizer)
        row_queue = instantiate(m, "row_queue", self.row_queue)
        m.d.comb += [
            accumulator.valid.eq(self.accumulate_in.valid),
            accumulator.first.eq(self.accumulate_in.first),
            accumulator.last.eq(self.accumulate_in.last),
            accumulator.index.eq(self.accumulate_in.index),
            accumulator.partial_sum.eq(self.partial_sum),
            requantizer.i.eq(accumulator.total),
            requantizer.shift.eq(self.shift_g_out),
        ]
        total_phase = delay(m, self.accumulate_in.phase, self.accumulator.latency, "accumulate_phase")
        total_address = delay(m, self.accumulate_in.address, self.accumulator.latency, "accumulate_address")
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
        divider = instantiate(m, "divider", self.divider)
        m.d.comb += [
            row_queue.read_address.eq(self.divide_in.queue_address),
            bias_bank.read_address.eq(self.divide_in.bias_address),
            adder.product.eq(row_queue.read_data),
            adder.bias.eq(bias_bank.read_data),
            adder.shift.eq(self.numerator_shift_out),
            adder.k_sum.eq(delay(m, self.k_sum, self.broadcast_registers, "k_sum")),
            divider.numerator.eq(adder.numerator),
            divider.divisor.eq(self.divisor_in),
            divider.invalid.eq(self.invalid_in),
        ]
        m.d.comb += [
            # In the numerator adder's last cycle, one before the numerator is there, it chooses; the divider is told.
            adder.single.eq(delay(m, self.divide_in.mean, self.divisor_delay - 1, "mean")),
            divider.start.eq(delay(m, self.divide_in.start, self.divisor_delay - 1, "start")),
        ]

        # Results.
        z_bank = instantiate(m, "z_bank", self.z_bank)
        m.d.comb += [
            z_bank.write_enable.eq(self.write_back_in.write),
            z_bank.write_address.eq(self.write_back_in.address),
            z_bank.write_data.eq(divider.z),
            z_bank.read_address.eq(delay(m, self.z_address, self.broadcast_registers, "z_address")),
            self.z_data.eq(z_bank.read_data),
            self.mean.eq(Mux(self.write_back_in.mean, divider.mean, 0)),
        ]
        return m

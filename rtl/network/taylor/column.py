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

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.array.requantizer import Requantizer
from taylorvit.rtl.attention.divider_lane import DividerLane
from taylorvit.rtl.attention.taylor.adder_array import NumeratorAdder
from taylorvit.rtl.common.bank_chain import bank_write
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.common.widths import tile_width
from taylorvit.rtl.network.bundles import ActivationWrite, LoadControl, LoadKind, ResultControl
from taylorvit.rtl.network.command import Destination

from .bundles import ColumnReport, ColumnSide

__all__ = ["TaylorColumn"]


class TaylorColumn(Block):
    """One column's V, G, row queue, biases, and its lane of the divider array.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        load (LoadControl): a row of a tile.
        stationary (8 bits signed, output): of V or G, `memory_latency` cycles later.
        total (partial_sum_width bits signed, input), total_control (ResultControl): a total.
        value (8 bits signed, input), value_control (ResultControl): a feature of K or V.
        z (ActivationWrite): an element of Z.
        side_in, side_out (ColumnSide): control of the divisions; passed on one cycle later, `k_sum` in the same cycle.
        report (ColumnReport): to the center.
    """

    module_name = "kernel_column"
    waivers = {
        ("UNUSEDSIGNAL", "load__*"): "A column needs to know kind, address and blank.",
        ("UNUSEDSIGNAL", "total*"): "What is for the kernel is narrower, and needs no more than its place.",
        ("UNUSEDSIGNAL", "value_control__*"): "Nor do keys and values.",
        ("PINCONNECTEMPTY", "side_out__*"): "The last column has none on its right.",
        ("PINCONNECTEMPTY", "report__*"): "Some things only the first column tells, or the last one.",
    }

    def __init__(self, config):
        attention = config.attention
        self.rows = config.rows
        self.wraps = config.rows % config.columns != 0
        self.chain_registers = attention.chain_registers
        self.broadcast_registers = attention.broadcast_registers
        pipeline, kind = config.memory_pipeline, config.kernel_memory
        self.v_bank = MemoryBank(depth=config.value_depth, width=config.data_width, pipeline=pipeline, kind=kind)
        self.g_bank = MemoryBank(depth=config.g_depth, width=config.data_width, pipeline=pipeline, kind=kind)
        self.row_queue = MemoryBank(depth=attention.row_queue_depth, width=attention.qg_width, pipeline=pipeline)
        self.bias_bank = MemoryBank(
            depth=1 << (1 + tile_width(attention.column_tiles)), width=attention.aligned_bias_width, pipeline=pipeline
        )
        self.requantizer = Requantizer(
            i_width=attention.g_sum_width,
            o_width=config.data_width,
            shift_max=attention.shift_g_max,
            pipelined=pipeline > 0,
            module_name="requantizer_g",
        )
        self.adder = NumeratorAdder(
            product_width=attention.qg_width,
            fraction=config.constant_fraction,
            shift_max=attention.numerator_shift_max,
            bias_width=attention.aligned_bias_width,
            k_sum_width=attention.column_sum_width,
        )
        self.divider = DividerLane(
            numerator_width=attention.numerator_width,
            divisor_width=attention.divisor_width,
            data_width=config.data_width,
            mean_width=attention.mean_width,
            interval=attention.divider_row_interval,
            pipelined=pipeline > 0 and attention.divider_row_interval > 1,
        )
        super().__init__(
            {
                "load": In(LoadControl(config)),
                "stationary": Out(signed(config.data_width)),
                "total": In(signed(config.partial_sum_width)),
                "total_control": In(ResultControl(config)),
                "value": In(signed(config.data_width)),
                "value_control": In(ResultControl(config)),
                "z": Out(ActivationWrite(config)),
                "side_in": In(ColumnSide(config)),
                "side_out": Out(ColumnSide(config)),
                "report": Out(ColumnReport(config)),
            }
        )

    @property
    def memory_latency(self):
        """Cycles from `load` to `stationary`."""
        return self.v_bank.latency

    @property
    def k_sum_delay(self):
        """Cycles from `divide` to `k_sum`, which has registers in the column: the numerator adder takes it last."""
        return self.row_queue.latency + self.adder.latency - 1 - self.broadcast_registers

    @property
    def divisor_delay(self):
        """Cycles from `divide` to `divisor`: the row queue, then the numerator adder."""
        return self.row_queue.latency + self.adder.latency

    @property
    def write_back_delay(self):
        """Cycles from `divide` to `write_back`."""
        return self.divisor_delay + self.divider.latency

    def elaborate(self, platform):
        m = Module()
        divide, write_back = self.side_in.divide, self.side_in.write_back
        self._pass_on(m)
        self._operands(m)
        self._sums(m)

        # Q G waits for its division.
        row_queue = instantiate(m, "row_queue", self.row_queue)
        bias_bank = instantiate(m, "bias_bank", self.bias_bank)
        bank_write(
            m, bias_bank, self.side_in.bias, self.side_out.bias, shares=1, registers=self.chain_registers
        )  # fmt: skip
        adder = instantiate(m, "adder", self.adder)
        divider = instantiate(m, "divider", self.divider)
        m.d.comb += [
            row_queue.write_enable.eq(self._is_total(Destination.KERNEL_1)),
            row_queue.write_address.eq(self.total_control.address),
            row_queue.write_data.eq(self.total),
            row_queue.read_address.eq(divide.queue_address),
            bias_bank.read_address.eq(divide.bias_address),
            adder.product.eq(row_queue.read_data),
            adder.bias.eq(bias_bank.read_data),
            adder.shift.eq(self.side_out.numerator_shift),
            adder.k_sum.eq(delay(m, self.side_in.k_sum, self.broadcast_registers, "k_sum")),
            # In the numerator adder's last cycle, one before the numerator is there, it chooses; the divider is told.
            adder.single.eq(delay(m, divide.mean, self.divisor_delay - 1, "mean")),
            divider.start.eq(delay(m, divide.start, self.divisor_delay - 1, "start")),
            divider.numerator.eq(adder.numerator),
            divider.divisor.eq(self.side_in.divisor),
            divider.invalid.eq(self.side_in.invalid),
            self.report.mean.eq(Mux(write_back.mean, divider.mean, 0)),
            self.report.kernel_1_done.eq(write_back.z & write_back.finish),
            self.z.valid.eq(write_back.z),
            self.z.bank.eq(write_back.bank),
            self.z.address.eq(write_back.address),
            self.z.data.eq(divider.z),
        ]
        return m

    def _is_total(self, destination):
        """Whether there is a total for this destination."""
        control = self.total_control
        return control.valid & control.last & (control.destination == destination)

    def _pass_on(self, m):
        """Control goes on to the right; Z of the next column goes to the next bank."""
        source, target = self.side_in, self.side_out
        pass_on(m, source.divide, target.divide)
        for name in ("shift_g", "numerator_shift", "divisor", "invalid"):
            m.d.comb += getattr(target, name).eq(delay(m, getattr(source, name), 1, name))
        m.d.comb += target.k_sum.eq(source.k_sum)
        for name in ("z", "mean", "finish"):
            value = delay(m, getattr(source.write_back, name), 1, f"write_back_{name}")
            m.d.comb += getattr(target.write_back, name).eq(value)
        bank, address = source.write_back.bank + 1, source.write_back.address
        if self.wraps:
            last = source.write_back.bank == self.rows - 1
            bank, address = Mux(last, 0, bank), Mux(last, source.write_back.following, address)
        m.d.comb += [
            target.write_back.bank.eq(delay(m, bank[: len(target.write_back.bank)], 1, "write_back_bank")),
            target.write_back.address.eq(delay(m, address, 1, "write_back_address")),
            target.write_back.following.eq(delay(m, source.write_back.following, 1, "write_back_following")),
        ]

    def _operands(self, m):
        """Stationary operands: V comes as values, G as totals."""
        v_bank = instantiate(m, "v_bank", self.v_bank)
        g_bank = instantiate(m, "g_bank", self.g_bank)
        requantizer = instantiate(m, "requantizer", self.requantizer)
        value, total = self.value_control, self.total_control
        g_total = self._is_total(Destination.KERNEL_0)
        later = self.requantizer.latency
        g_write = delay(m, g_total, later, "g_write")
        m.d.comb += [
            v_bank.write_enable.eq(value.valid & value.last & (value.destination == Destination.VALUE)),
            v_bank.write_address.eq(value.address),
            v_bank.write_data.eq(self.value),
            requantizer.i.eq(self.total),
            requantizer.shift.eq(self.side_out.shift_g),
            g_bank.write_enable.eq(g_write),
            g_bank.write_address.eq(delay(m, total.address[: len(g_bank.write_address)], later, "g_address")),
            g_bank.write_data.eq(requantizer.o),
            self.report.kernel_0_done.eq(delay(m, g_total & total.finish, later, "g_finish")),
        ]
        is_v = delay(m, self.load.kind == LoadKind.KERNEL_0, self.memory_latency, "is_v")
        blank = delay(m, self.load.blank, self.memory_latency, "blank")
        m.d.comb += [
            v_bank.read_address.eq(self.load.address),
            g_bank.read_address.eq(self.load.address),
            self.stationary.eq(Mux(blank, 0, Mux(is_v, v_bank.read_data, g_bank.read_data))),
        ]

    def _sums(self, m):
        """k_sum or v_sum of the tile that goes by; the two never do at once."""
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

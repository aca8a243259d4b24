r"""Dividing column: V, and the divisions of one column, which every kernel has that divides its totals.

    value --> [V bank] --.      .-- what the kernel keeps itself
                          \    /
                           mux --> stationary             total (KERNEL_1) --> [row queue]
                                                                                   |
                                                     divide, bias ------> numerator adder
                                                                                   |
                                                     divisor -----------> divider lane --> quotient
                                                                                   |
                                                     write_back --------> z

A tile is of V or of the kernel's other buffer. A total waits in the row queue until its divisor comes along.
"""

from amaranth.hdl import Mux, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.attention.divider_lane import divider_lane_of
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.network.bundles import ActivationWrite, LoadControl, LoadKind, ResultControl
from taylorvit.rtl.network.command import Destination

__all__ = ["DividingColumn"]


class DividingColumn(Block):
    """Base of a kernel's columns; what a kernel has besides is in its own class.

    Args:
        config (NetworkConfig): the configuration.
        adder (NumeratorAdder | Aligner): from a total in the row queue to a numerator.
        mean_width (int): bits of the longest quotient.
        feed (Signature): what the center writes into this column.
        side (Signature): what goes along the columns, with the members of `division.bundles`.
        report (Signature): what is told to the center, `kernel_1_done` among it.

    Ports:
        load (LoadControl): a row of a tile.
        stationary (8 bits signed, output): of the kernel's buffers, `memory_latency` cycles later.
        total (partial_sum_width bits signed, input), total_control (ResultControl): a total.
        value (8 bits signed, input), value_control (ResultControl): a feature of K or V.
        z (ActivationWrite): an element of Z.
        feed, side_in, side_out, report: as the arguments say; the side is passed on one cycle later.

    Attributes:
        handed_on (tuple[str, ...]): members of the side that are plain numbers and go on to the next column.
        adder_ports (tuple[str, str]): names of the ports of `adder` for the total and for the numerator.
    """

    module_name = "kernel_column"
    handed_on = ("numerator_shift", "divisor", "invalid")
    adder_ports = ("product", "numerator")
    waivers = {
        ("UNUSEDSIGNAL", "load__*"): "A column needs to know kind, address and blank.",
        ("UNUSEDSIGNAL", "total*"): "What is for the kernel is narrower, and needs no more than its place.",
        ("UNUSEDSIGNAL", "value_control__*"): "Nor do keys and values.",
        ("PINCONNECTEMPTY", "side_out__*"): "The last column has none on its right.",
        ("PINCONNECTEMPTY", "report__*"): "Some things only the first column tells, or the last one.",
    }

    def __init__(self, config, *, adder, mean_width, feed, side, report):
        attention = config.attention
        self.rows = config.rows
        self.wraps = config.rows % config.columns != 0
        pipeline = config.memory_pipeline
        self.adder = adder
        self.v_bank = MemoryBank(
            depth=config.value_depth, width=config.data_width, pipeline=pipeline, kind=config.kernel_memory
        )
        width = len(getattr(adder, self.adder_ports[0]))
        self.row_queue = MemoryBank(depth=attention.row_queue_depth, width=width, pipeline=pipeline)
        self.divider = divider_lane_of(attention, mean_width)
        super().__init__(
            {
                "load": In(LoadControl(config)),
                "stationary": Out(signed(config.data_width)),
                "total": In(signed(config.partial_sum_width)),
                "total_control": In(ResultControl(config)),
                "value": In(signed(config.data_width)),
                "value_control": In(ResultControl(config)),
                "z": Out(ActivationWrite(config)),
                "feed": In(feed),
                "side_in": In(side),
                "side_out": Out(side),
                "report": Out(report),
            }
        )

    @property
    def memory_latency(self):
        """Cycles from `load` to `stationary`."""
        return self.v_bank.latency

    @property
    def divisor_delay(self):
        """Cycles from `divide` to `divisor`: the row queue, then the numerator adder."""
        return self.row_queue.latency + self.adder.latency

    @property
    def write_back_delay(self):
        """Cycles from `divide` to `write_back`."""
        return self.divisor_delay + self.divider.latency

    def is_total(self, destination):
        """Whether there is a total for this destination.

        Args:
            destination (Destination): KERNEL_0 or KERNEL_1.
        """
        control = self.total_control
        return control.valid & control.last & (control.destination == destination)

    def pass_on_side(self, m):
        """Control goes on to the right; Z of the next column goes to the next bank.

        Args:
            m (Module): the column's module.
        """
        source, target = self.side_in, self.side_out
        pass_on(m, source.divide, target.divide)
        for name in self.handed_on:
            m.d.comb += getattr(target, name).eq(delay(m, getattr(source, name), 1, name))
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

    def divisions(self, m):
        """Totals for KERNEL_1 wait for their division, which leaves Z.

        Args:
            m (Module): the column's module.

        Returns:
            tuple: instances of `adder`, for what else it adds, and of the divider lane.
        """
        divide, write_back = self.side_in.divide, self.side_in.write_back
        row_queue = instantiate(m, "row_queue", self.row_queue)
        adder = instantiate(m, "adder", self.adder)
        total, numerator = (getattr(adder, name) for name in self.adder_ports)
        divider = instantiate(m, "divider", self.divider)
        m.d.comb += [
            row_queue.write_enable.eq(self.is_total(Destination.KERNEL_1)),
            row_queue.write_address.eq(self.total_control.address),
            row_queue.write_data.eq(self.total),
            row_queue.read_address.eq(divide.queue_address),
            total.eq(row_queue.read_data),
            adder.shift.eq(self.side_out.numerator_shift),
            divider.start.eq(delay(m, divide.start, self.divisor_delay - 1, "start")),
            divider.numerator.eq(numerator),
            divider.divisor.eq(self.side_in.divisor),
            divider.invalid.eq(self.side_in.invalid),
            self.report.kernel_1_done.eq(write_back.z & write_back.finish),
            self.z.valid.eq(write_back.z),
            self.z.bank.eq(write_back.bank),
            self.z.address.eq(write_back.address),
            self.z.data.eq(divider.z),
        ]
        return adder, divider

    def stationary_operand(self, m, kernel_1_bank):
        """V comes as values; the tiles are of V, or of the kernel's other bank.

        Args:
            m (Module): the column's module.
            kernel_1_bank (object): instance of the memory of KERNEL_1.
        """
        v_bank = instantiate(m, "v_bank", self.v_bank)
        value = self.value_control
        is_v = delay(m, self.load.kind == LoadKind.KERNEL_0, self.memory_latency, "is_v")
        blank = delay(m, self.load.blank, self.memory_latency, "blank")
        m.d.comb += [
            v_bank.write_enable.eq(value.valid & value.last & (value.destination == Destination.VALUE)),
            v_bank.write_address.eq(value.address),
            v_bank.write_data.eq(self.value),
            v_bank.read_address.eq(self.load.address),
            kernel_1_bank.read_address.eq(self.load.address),
            self.stationary.eq(Mux(blank, 0, Mux(is_v, v_bank.read_data, kernel_1_bank.read_data))),
        ]

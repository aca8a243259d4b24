"""Groups of rows and of columns: neighbours that are emitted together.

An engine of 64 columns would name the ports of each of them twice. A group is a block like any other: the Verilog
describes it once, and the engine has a few of them. Nothing else changes: chains go through a group as through its
members one after the other.
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib.wiring import In, Out, Signature, flipped

from taylorvit.rtl.attention.kernel import chain
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.widths import index_width

from .bundles import ActivationWrite, ImageWrite, TableWrite
from .network_row import writing_columns

__all__ = ["ColumnGroup", "RowGroup", "group_size"]


def group_size(count, unit=1):
    """Members of a group, of `count` altogether: the divisor that comes next to the square root, so that text is least.

    Args:
        count (int): rows or columns of the array.
        unit (int): so many neighbours are in one group, a divisor of `count`.
    """
    divisors = [size for size in range(unit, count + 1, unit) if count % size == 0]
    return min(divisors, key=lambda size: size + count // size)


class RowGroup(Block):
    """Some rows of the engine, one below the other.

    Args:
        config (NetworkConfig): the configuration.
        row (NetworkRow): a row.

    Ports:
        first (index_width(rows) bits, input): number of the first row, a constant.
        control_in, control_out (StreamControl): as of a row, the first and the last.
        activations (ActivationWrite, input): for each row those of `writing_columns`.
        image (ImageWrite, input): pixels.
        kernel_in, kernel_out (the kernel's own): as of a row, the first and the last.
        feeds (the kernel's own, input, one for each row): what the kernel writes.
        streamed (streamed_width bits for each row, output): to the array.
        swap (1 bit for each row, output): likewise.
    """

    module_name = "row_group"
    waivers = {
        ("PINCONNECTEMPTY", "*_out"): "The last group has none below it.",
        ("PINCONNECTEMPTY", "*_out__*"): "The last group has none below it.",
    }

    def __init__(self, config, *, row):
        self.row = row
        self.size = group_size(config.rows)
        self.writers = len(writing_columns(config, 0))
        self.streamed_width = config.streamed_width
        ports = row.signature.members
        super().__init__(
            {
                "first": In(index_width(config.rows)),
                "control_in": ports["control_in"],
                "control_out": ports["control_out"],
                "activations": In(ActivationWrite(config)).array(self.size * self.writers),
                "image": In(ImageWrite(config)),
                "kernel_in": ports["kernel_in"],
                "kernel_out": ports["kernel_out"],
                "feeds": ports["feed"].array(self.size),
                "streamed": Out(self.size * config.streamed_width),
                "swap": Out(self.size),
            }
        )

    def elaborate(self, platform):
        m = Module()
        rows = [instantiate(m, f"row_{index}", self.row) for index in range(self.size)]
        through(m, self, rows, ("control", "kernel"))
        for index, row in enumerate(rows):
            connect(m, flipped(self.feeds[index]), row.feed)
            connect(m, flipped(self.image), row.image)
            for place in range(self.writers):
                connect(m, flipped(self.activations[index * self.writers + place]), row.activations[place])
            m.d.comb += [
                row.row.eq(self.first + index),
                self.streamed.word_select(index, self.streamed_width).eq(row.streamed),
                self.swap[index].eq(row.swap),
            ]
        return m


class ColumnGroup(Block):
    """Some columns of the engine, one to the right of the other.

    Args:
        config (NetworkConfig): the configuration.
        column (NetworkColumn): a column.

    Ports:
        load_in, load_out, result_in, result_out, norm_in, norm_out, sums_in, sums_out, kernel_in, kernel_out: as of a
            column, the first and the last.
        lane_in, lane_out (LaneControl): as of a shared LayerNorm lane, the first and the last, if columns share some.
        tape_write (enable of 1 bit for each column, address, data of 8 bits for each column, input): a word of the
            tape.
        table_write (TableWrite, input): an entry of the table.
        partial_sum (partial_sum_width bits for each column, input): from the array.
        stationary (8 bits for each column, output): to the array.
        feeds (the kernel's own, input, one for each column): what the kernel writes.
        reports (the kernel's own, output, one for each column): to the kernel's center.
        activations (ActivationWrite, output, one for each column): to the rows.
        logit_valid, logit_address, logit: as of a column, that of the group that has one, one cycle later.
    """

    module_name = "column_group"
    waivers = {
        ("PINCONNECTEMPTY", "*_out"): "The last group has none on its right.",
        ("PINCONNECTEMPTY", "*_out__*"): "The last group has none on its right.",
    }

    def __init__(self, config, *, column):
        self.column = column
        self.columns_per_lane = config.columns_per_lane
        self.size = group_size(config.columns, self.columns_per_lane)
        self.partial_sum_width = config.partial_sum_width
        self.data_width = config.data_width
        ports = column.signature.members
        chains = ("load", "result", "norm", "sums", "kernel")
        lane_ports = column.norm_lane.signature.members if self.columns_per_lane > 1 else {}
        tape_write = {
            "enable": Out(self.size),
            "address": Out(index_width(config.tape_queue_rows)),
            "data": Out(self.size * config.data_width),
        }
        super().__init__(
            {f"{name}_in": ports[f"{name}_in"] for name in chains}
            | {f"{name}_out": ports[f"{name}_out"] for name in chains}
            | {name: lane_ports[name] for name in ("lane_in", "lane_out") if lane_ports}
            | {
                "tape_write": In(Signature(tape_write)),
                "table_write": In(TableWrite()),
                "partial_sum": In(self.size * config.partial_sum_width),
                "stationary": Out(self.size * config.data_width),
                "feeds": ports["feed"].array(self.size),
                "reports": ports["report"].array(self.size),
                "activations": Out(ActivationWrite(config)).array(self.size),
                "logit_valid": Out(1),
                "logit_address": Out(index_width(config.max_classes)),
                "logit": Out(signed(config.logit_width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        columns = [instantiate(m, f"column_{index}", self.column) for index in range(self.size)]
        through(m, self, columns, ("load", "result", "norm", "sums", "kernel"))
        if self.columns_per_lane > 1:
            self._lanes(m, columns)
        for index, column in enumerate(columns):
            connect(m, flipped(self.table_write), column.table_write)
            connect(m, flipped(self.feeds[index]), column.feed)
            connect(m, column.report, flipped(self.reports[index]))
            connect(m, column.activation, flipped(self.activations[index]))
            m.d.comb += [
                column.tape_write.enable.eq(self.tape_write.enable[index]),
                column.tape_write.address.eq(self.tape_write.address),
                column.tape_write.data.eq(self.tape_write.data.word_select(index, self.data_width)),
                column.partial_sum.eq(self.partial_sum.word_select(index, self.partial_sum_width)),
                self.stationary.word_select(index, self.data_width).eq(column.stationary),
            ]
        # Columns are skewed, so at most one of them has a logit in a cycle.
        members = [Cat(column.logit, column.logit_address, column.logit_valid) for column in columns]
        logit = Signal(len(members[0]), name="any_logit")
        m.d.sync += logit.eq(reduce(or_, members))
        m.d.comb += Cat(self.logit, self.logit_address, self.logit_valid).eq(logit)
        return m

    def _lanes(self, m, columns):
        """The LayerNorm lanes, each for some neighbours."""
        firsts = range(0, self.size, self.columns_per_lane)
        lanes = [instantiate(m, f"norm_lane_{first}", self.column.norm_lane) for first in firsts]
        through(m, self, lanes, ("lane",))
        for index, column in enumerate(columns):
            lane, place = lanes[index // self.columns_per_lane], index % self.columns_per_lane
            connect(m, column.operand, lane.operands[place])
            connect(m, lane.activations[place], column.normalized)


def through(m, group, members, names):
    """Leads chains into a group, along its members, and out of it.

    Args:
        m (Module): the group's module.
        group (Block): the group.
        members (list): the instances in it, in their order.
        names (tuple[str, ...]): names of the chains.
    """
    for name in names:
        chain(m, flipped(getattr(group, f"{name}_in")), members, name)
        connect(m, getattr(members[-1], f"{name}_out"), flipped(getattr(group, f"{name}_out")))

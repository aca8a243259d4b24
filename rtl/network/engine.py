"""The engine: commands, rows of the tape and an image in, logits out.

    command --> tile loader --> streamer --> rows --> array --> columns --> logits
                     |                        ^                    |
                     |   norm scheduler ------|--------------------+--> activations, back to the rows
                     '-> retirement queue     '--- image           '--> sums --> norm statistics

The attention kernel (`rtl.network.kernel`) is in all of them: a part in each row and in each column, one beside
SA-Diag, and its center. This file only joins blocks; every latency that it needs is asked of the blocks themselves.
"""

from functools import reduce
from operator import or_
from types import SimpleNamespace

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, flipped

from taylorvit.rtl.array.systolic_array import SystolicArray
from taylorvit.rtl.attention.kernel import chain
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect, copied
from taylorvit.rtl.common.pipeline import delay, delay_bundle
from taylorvit.rtl.common.reset_line import ResetLine, ResetLines

from .bundles import LaneControl, NormRead, command_field, engine_ports
from .command import Destination
from .groups import ColumnGroup, RowGroup
from .kernel import network_kernel
from .network_column import NetworkColumn
from .network_row import NetworkRow, writing_columns
from .norm_scheduler import NormScheduler
from .norm_statistics import NormStatistics
from .retirement import RetirementQueue
from .streamer import Streamer
from .tile_loader import TileLoader

__all__ = ["NetworkEngine"]


class NetworkEngine(Block):
    """Computes one network after another, as the commands say.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        soft_reset (1 bit, input): clears everything, for one cycle or more.
        command, command_valid, command_taken: the next command, as in `rtl.network.tile_loader.TileLoader`.
        tape_write (TapeWrite, input): a word of payload for the tape banks.
        tape_written (1 bit, input): one more row of payload is in the tape banks.
        tape_read (1 bit, output): a row is read from them.
        table_write (TableWrite, input): an entry of the table.
        table_finished (1 bit, output): a product with a table is finished.
        exponential_write (ExponentialWrite, input): of softmax attention, an entry of the table of exponentials.
        kernel_1_finished (1 bit, output): of softmax attention, a product with destination KERNEL_1 is finished.
        image_write (ImageWrite, input): pixels.
        image_ready (1 bit, input): an image is in the image banks.
        image_release (1 bit, output): its last pixel has been read.
        logit_valid (1 bit, output): there is a logit.
        logit_address (bits of max_classes, output): its class.
        logit (logit_width bits signed, output): the logit.
        logits_room (1 bit, input): there is room for the logits of an image.
        image_done (1 bit, output): the tape has ended, and all logits of its image have gone out.
        kind (3 bits, output): the part of the network that is at work, or waited for.
        array_busy, stall_tape, stall_image, stall_output, stall_data (1 bit each, output): as in
            `rtl.network.streamer.Streamer`.
        denominator_error (1 bit, output): pulse: a row of attention had no positive denominator.
    """

    module_name = "network_engine"

    def __init__(self, config):
        self.config = config
        attention = config.attention
        self.reset_line = ResetLine()
        self.array = SystolicArray(
            rows=config.rows,
            columns=config.columns,
            streamed_width=config.streamed_width,
            stationary_width=config.data_width,
            sum_width=config.partial_sum_width,
            diagonal_width=attention.diagonal_width,
            diagonal_sum_width=attention.diagonal_sum_width,
            pipeline=config.pe_pipeline,
            multiplier=config.multiplier,
            booth_columns=config.booth_columns,
            pe=config.pe,
        )
        self.kernel = network_kernel(config)
        self.row = NetworkRow(config, kernel_row=self.kernel.row)
        self.column = NetworkColumn(config, kernel_column=self.kernel.column)
        self.row_group = RowGroup(config, row=self.row)
        self.column_group = ColumnGroup(config, column=self.column)
        self.loader = TileLoader(config, load_latency=self.column.load_latency + self.load_delay)
        self.streamer = Streamer(config, drain=self.drain)
        self.retirement = RetirementQueue()
        self.norm_statistics = NormStatistics(config, sums_delay=self.column.sums_delay)
        self.norm_scheduler = NormScheduler(config, read_latency=self.norm_statistics.read_latency)
        super().__init__(
            {
                "soft_reset": In(1),
                **engine_ports(config),
            }
        )

    @property
    def parameters(self):
        """What distinguishes two engines: the configuration."""
        return self.config.to_mapping()

    @property
    def load_delay(self):
        """Cycles that tiles wait behind the columns, so that a tile never comes before the element that swaps it in."""
        return self.row.latency - self.column.load_latency

    @property
    def accumulate_delay(self):
        """Cycles from the end of the row chain to SA-Diag's `result_in`: its sum follows `sum_delay` cycles later."""
        return self.row.latency + self.array.latency - self.column.sum_delay - self.config.rows

    @property
    def drain(self):
        """Cycles from the last element in `stream_control` to its total in the last column's bank, and some more.

        Down the rows, to SA-Diag and column 0, then as in each column; embeddings come to a column as many cycles
        after column 0 as totals do.
        """
        return self.config.rows + self.accumulate_delay + 2 + self.column.value_latency + 2

    @property
    def logit_delay(self):
        """Cycles from a column's logit to `logit`: a register of its group, and one behind the groups."""
        return 2

    def elaborate(self, platform):
        m = Module()
        resets = ResetLines(m, self.reset_line, self.soft_reset)

        def place(name, component):
            return instantiate(m, name, component, reset=None if component.reset_less else resets.line(name))

        units = SimpleNamespace(
            loader=place("tile_loader", self.loader),
            streamer=place("streamer", self.streamer),
            retirement=place("retirement_queue", self.retirement),
            norm=place("norm_scheduler", self.norm_scheduler),
            statistics=place("norm_statistics", self.norm_statistics),
            center=place("kernel_center", self.kernel.center),
            rows=[place(f"rows_{first}", self.row_group) for first in range(0, self.config.rows, self.row_group.size)],
            array=place("array", self.array),
            diagonal=place("diagonal_column", self.kernel.diagonal),
            columns=[
                place(f"columns_{first}", self.column_group)
                for first in range(0, self.config.columns, self.column_group.size)
            ],
        )
        self._commands(m, units, resets)
        self._row_chain(m, units)
        self._column_chain(m, units, resets)
        self._activations(m, units)
        self._norm(m, units, resets)
        self._kernel(m, units)
        self._logits(m, units)
        self._finish(m, units, resets)
        return m

    def _commands(self, m, units, resets):
        """Commands and tape go to the tile loader, its passes to the streamer; no command during a reset."""
        loader, streamer, retirement, columns = units.loader, units.streamer, units.retirement, units.columns
        connect(m, loader.loaded, streamer.loaded)
        m.d.comb += [
            loader.command.eq(self.command),
            loader.command_valid.eq(self.command_valid & ~resets.closed),
            self.command_taken.eq(loader.command_taken),
            loader.tape_written.eq(self.tape_written),
            self.tape_read.eq(loader.tape_read),
            loader.finished.eq(retirement.finished),
            loader.retirement_room.eq(retirement.room),
            loader.residual_busy.eq(streamer.residual_busy),
            streamer.finished.eq(retirement.finished),
            streamer.starving.eq(loader.starving),
            streamer.held_up.eq(loader.held_up),
            streamer.image_ready.eq(self.image_ready),
            streamer.logits_room.eq(self.logits_room),
            retirement.issued.eq(loader.issued),
            retirement.issued_destination.eq(loader.issued_destination),
            retirement.issued_table.eq(loader.issued_table),
            retirement.ended.eq(loader.ended),
        ]
        word, size = self.tape_write, self.column_group.size
        enable = Cat(bit.replicate(self.config.tape_bytes) for bit in word.enable)
        data = word.data.replicate(self.config.columns // self.config.tape_bytes)
        for index, group in enumerate(columns):
            m.d.comb += [
                group.tape_write.enable.eq(enable.word_select(index, size)),
                group.tape_write.address.eq(word.address),
                group.tape_write.data.eq(data.word_select(index, 8 * size)),
            ]
            connect(m, flipped(self.table_write), group.table_write)
        for name in ("kind", "array_busy", "stall_tape", "stall_image", "stall_output", "stall_data"):
            m.d.comb += getattr(self, name).eq(getattr(streamer, name))

    def _row_chain(self, m, units):
        """Down the rows goes the control of the streamed elements."""
        rows, array, loader = units.rows, units.array, units.loader
        chain(m, units.streamer.stream_control, rows, "control")
        chain(m, units.center.row_side, rows, "kernel")
        feeds = iter(units.center.feeds)
        for index, group in enumerate(rows):
            m.d.comb += group.first.eq(index * self.row_group.size)
            for feed in group.feeds:
                connect(m, next(feeds), feed)
            connect(m, flipped(self.image_write), group.image)
        m.d.comb += [
            array.streamed.eq(Cat(group.streamed for group in rows)),
            array.swap.eq(Cat(group.swap for group in rows)),
            array.load.eq(loader.load),
            array.load_first.eq(loader.load_first),
            self.image_release.eq(rows[-1].control_out.release),
        ]

    def _column_chain(self, m, units, resets):
        """Along the columns go rows of tiles and constants, sums, and what the kernel sends, past SA-Diag first."""
        diagonal, columns, array = units.diagonal, units.columns, units.array
        result = delay_bundle(
            m, units.rows[-1].control_out.result, self.accumulate_delay, "result", reset=resets.line("result")
        )
        chain(m, units.loader.load_control, [diagonal, *columns], "load")
        chain(m, result, [diagonal, *columns], "result")
        self._norm_chains(m, units)
        connect(m, units.center.column_side, diagonal.side_in)
        chain(m, diagonal.side_out, columns, "kernel")
        m.d.comb += [
            array.stationary_diagonal.eq(delay(m, diagonal.stationary, self.load_delay, "stationary_diagonal")),
            array.stationary.eq(
                Cat(
                    delay(m, group.stationary, self.load_delay, f"stationary_{index}")
                    for index, group in enumerate(columns)
                )
            ),
            diagonal.partial_sum.eq(array.sum_diagonal),
        ]
        feeds = iter(units.center.column_feeds)
        for index, group in enumerate(columns):
            for feed in group.feeds:
                connect(m, next(feeds), feed)
            m.d.comb += group.partial_sum.eq(array.sum.word_select(index, len(group.partial_sum)))
        first = diagonal.result_out
        m.d.comb += units.loader.constants_begun.eq(
            first.valid & first.begin & (first.destination < Destination.KERNEL_0)
        )

    def _norm_chains(self, m, units):
        """Tokens of a LayerNorm go to the columns, and to their lanes if they share some."""
        norm, columns = units.norm.norm, units.columns
        if self.config.columns_per_lane == 1:
            chain(m, norm, columns, "norm")
            return
        for name, signature in (("norm", NormRead(self.config)), ("lane", LaneControl(self.config))):
            part = signature.create(path=(f"{name}_begin",))
            m.d.comb += [getattr(part, member).eq(getattr(norm, member)) for member in signature.members]
            chain(m, part, columns, name)

    def _activations(self, m, units):
        """Each row hears the columns whose activations can be its own."""
        activations = [activation for group in units.columns for activation in group.activations]
        ears = [ear for group in units.rows for ear in group.activations]
        heard = [column for row in range(self.config.rows) for column in writing_columns(self.config, row)]
        for column, ear in zip(heard, ears):
            m.d.comb += copied(activations[column], ear)

    def _norm(self, m, units, resets):
        """Sums over the features go to the statistics, the tokens' numbers to the norm scheduler."""
        loader, norm, statistics, columns = units.loader, units.norm, units.statistics, units.columns
        chain(m, statistics.sums_head, columns, "sums")
        connect(m, columns[-1].sums_out, statistics.sums)
        m.d.comb += copied(units.diagonal.result_out, statistics.result)
        # What the LayerNorm behind a residual addition has to know stays until the next addition.
        for name, port in (
            ("norm_features", statistics.features),
            ("epsilon", statistics.epsilon),
            ("first_token", statistics.first_token),
        ):
            number = Signal.like(port, name=f"latest_{name}", reset_less=True)
            with m.If(units.streamer.residual_begin):
                m.d.sync += number.eq(command_field(loader.product, name))
            m.d.comb += port.eq(number)
        last = columns[-1].norm_out if self.config.columns_per_lane == 1 else columns[-1].lane_out
        written = self._leaves(
            m, last.valid & last.finish, self.column.norm_latency, "norm_written", resets.line("norm")
        )
        m.d.comb += [
            norm.start.eq(loader.norm_start),
            norm.product.eq(loader.product),
            norm.product_number.eq(loader.product_number),
            norm.finished.eq(units.retirement.finished),
            norm.ready.eq(statistics.ready),
            statistics.read_address.eq(norm.token),
            norm.factor.eq(statistics.factor),
            norm.offset.eq(statistics.offset),
            norm.right_shift.eq(statistics.right_shift),
            norm.tile_written.eq(written),
            loader.norm_idle.eq(norm.idle),
            units.streamer.norm_written.eq(norm.written),
        ]

    def _kernel(self, m, units):
        """The kernel's center hears of commands, elements and totals."""
        center, loader, streamer = units.center, units.loader, units.streamer
        connect(m, units.diagonal.report, center.diagonal_report)
        for report, heard in zip((report for group in units.columns for report in group.reports), center.reports):
            connect(m, report, heard)
        m.d.comb += copied(streamer.stream_control, center.stream)
        m.d.comb += [
            center.constants_valid.eq(loader.constants_valid),
            center.constants.eq(loader.constants),
            center.promised.eq(streamer.promised),
            streamer.kernel_room.eq(center.room),
            self.denominator_error.eq(center.denominator_error),
        ]
        if "softmax" in self.config.kernels:
            connect(m, flipped(self.exponential_write), center.exponential_write)
            m.d.comb += self.kernel_1_finished.eq(center.kernel_1_done)

    def _logits(self, m, units):
        """At most one group has a logit in a cycle."""
        members = [Cat(group.logit, group.logit_address, group.logit_valid) for group in units.columns]
        logit = Signal(len(members[0]), name="any_logit")
        m.d.sync += logit.eq(reduce(or_, members))
        m.d.comb += Cat(self.logit, self.logit_address, self.logit_valid).eq(logit)

    def _finish(self, m, units, resets):
        """Each product is finished by its own pulse."""
        retirement, center = units.retirement, units.center
        last = units.columns[-1].result_out
        linear = last.valid & last.finish & (last.destination <= Destination.LOGITS)
        latency = self.column.activation_latency + self.logit_delay
        done = self._leaves(m, linear, latency, "linear", resets.line("linear"))
        m.d.comb += [
            retirement.linear_done.eq(done),
            retirement.key_done.eq(center.key_done),
            retirement.value_done.eq(center.value_done),
            retirement.kernel_0_done.eq(center.kernel_0_done),
            retirement.kernel_1_done.eq(center.kernel_1_done),
            self.table_finished.eq(retirement.table_finished),
            self.image_done.eq(retirement.image_done),
        ]

    def _leaves(self, m, passed_on, latency, name, reset):
        """A pulse when the last column's last `activation` leaves, or later.

        Its row has written it two cycles later. The streamer hears of the pulse, and only then reads: later than that.

        Args:
            m (Module): the engine's module.
            passed_on (Value): the last column passes on what the activation comes of, a cycle after it got it.
            latency (int): cycles from what that column got to the pulse; to `activation`, or more.
            name (str): name of the registers.
            reset (Value): clears them.
        """
        return delay(m, passed_on, latency - 1, name, reset=reset)

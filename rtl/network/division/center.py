"""Dividing center: what every kernel has in its center that divides its totals.

    command CONSTANTS --> constants of the layer --> all
    keys of columns --> [key turner] --> rows, or columns
    finished products, rows without a divisor, room in the row queue --> the engine

Which row is divided when is decided by a scheduler, which the kernel has itself.
"""

from types import SimpleNamespace

from amaranth.hdl import Cat, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.attention.divider_lane import align
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.counters import room
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.network.bundles import COMMAND_BITS, StreamControl
from taylorvit.rtl.network.command import CONSTANTS_FIELDS

from .bundles import DiagonalReport

__all__ = ["DividingCenter"]


class DividingCenter(Block):
    """Base of a kernel's centers; what a kernel has besides is in its own class.

    Args:
        config (NetworkConfig): the configuration.
        key_turner (KeyTurner): what turns K.
        row_side (Signature): what goes down the rows.
        feed (Signature): what is written into a row.
        column_feed (Signature): what is written into a column.
        column_side (Signature): what the diagonal is told, with the members of `division.bundles`.
        report (Signature): what a column tells, `key`, `key_valid` and `kernel_1_done` among it.
        members (Member): ports that the kernel has besides.

    Ports:
        constants_valid (1 bit, input): `constants` take effect.
        constants (COMMAND_BITS, input): a command CONSTANTS.
        stream (StreamControl): what goes to row 0 in this cycle.
        room (1 bit, output): the row queue has room for the rows of a pass that completes totals for KERNEL_1.
        promised (1 bit, input): such a pass begins.
        row_side: to row 0.
        feeds (one for each row): to the rows.
        column_feeds (one for each column): to the columns.
        column_side: to the diagonal.
        reports (one for each column): from the columns.
        diagonal_report (DiagonalReport): from the diagonal.
        key_done, value_done, kernel_0_done, kernel_1_done (1 bit each, output): a product is finished.
        denominator_error (1 bit, output): a row has no divisor.

    Attributes:
        kernel_fields (dict[str, Field]): the kernel's own fields of the command CONSTANTS.
        told (tuple[str, ...]): constants that the diagonal is told as they are.
    """

    module_name = "kernel_center"
    kernel_fields = {}
    told = ("tokens",)
    waivers = {
        ("UNUSEDSIGNAL", "constants"): "The command has other fields.",
        ("UNUSEDSIGNAL", "stream__*"): "Only the position counts, and when a product ends.",
        ("UNUSEDSIGNAL", "reports__*"): "Some things only the first column tells, or the last one.",
    }

    def __init__(self, config, *, key_turner, row_side, feed, column_feed, column_side, report, **members):
        self.rows, self.columns = config.rows, config.columns
        self.data_width = config.data_width
        self.row_queue_depth = config.attention.row_queue_depth
        self.attention = config.attention
        self.key_turner = key_turner
        super().__init__(
            {
                "constants_valid": In(1),
                "constants": In(COMMAND_BITS),
                "stream": In(StreamControl(config)),
                "room": Out(1),
                "promised": In(1),
                "row_side": Out(row_side),
                "feeds": Out(feed).array(config.rows),
                "column_feeds": Out(column_feed).array(config.columns),
                "column_side": Out(column_side),
                "reports": In(report).array(config.columns),
                "diagonal_report": In(DiagonalReport()),
                "key_done": Out(1),
                "value_done": Out(1),
                "kernel_0_done": Out(1),
                "kernel_1_done": Out(1),
                "denominator_error": Out(1),
            }
            | members
        )

    def shapes_of_constants(self):
        """Registers of a layer by the names of the command's fields: dict of shapes."""
        raise NotImplementedError

    def constants_of_layer(self, m):
        """The constants of a layer, for all who need them.

        Args:
            m (Module): the center's module.

        Returns:
            tuple: registers by name, and a pulse in the first cycle in which they are there.
        """
        side, fields = self.column_side, CONSTANTS_FIELDS | self.kernel_fields
        constants = SimpleNamespace()
        for name, shape in self.shapes_of_constants().items():
            register = Signal(shape, name=name, reset_less=True)
            low = 8 * fields[name].place
            with m.If(self.constants_valid):
                m.d.sync += register.eq(self.constants[low : low + len(register)])
            setattr(constants, name, register)
        start = delay(m, self.constants_valid, 1, "start")
        align(m, constants.shift_z, self.data_width, side.numerator_shift, side.divisor_shift)
        m.d.comb += [getattr(side, name).eq(getattr(constants, name)) for name in self.told]
        m.d.comb += side.start.eq(start)
        return constants, start

    def turned_keys(self, m, bank, address):
        """K of all columns, turned.

        Args:
            m (Module): the center's module.
            bank (Value): where column 0's feature goes.
            address (Value): likewise.

        Returns:
            object: instance of the key turner.
        """
        turner = instantiate(m, "key_turner", self.key_turner)
        m.d.comb += [
            turner.keys.eq(Cat(report.key for report in self.reports)),
            turner.valid.eq(self.reports[0].key_valid),
            turner.bank.eq(bank),
            turner.address.eq(address),
        ]
        return turner

    def tell_engine(self, m, batch, left, done):
        """Room in the row queue, products that are finished, rows that have no divisor.

        Args:
            m (Module): the center's module.
            batch (Value): rows that are promised to the row queue with a pass.
            left (Value): rows that have left the queue, or do not come after all.
            done (dict[str, Value]): pulses, "key", "value" and "kernel_0".
        """
        m.d.comb += [
            self.room.eq(room(m, self.row_queue_depth, batch, self.promised, left)),
            self.key_done.eq(done["key"]),
            self.value_done.eq(done["value"]),
            self.kernel_0_done.eq(done["kernel_0"]),
            self.kernel_1_done.eq(self.reports[-1].kernel_1_done),
            self.denominator_error.eq(self.diagonal_report.denominator_error),
        ]

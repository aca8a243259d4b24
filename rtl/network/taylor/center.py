"""Center of Taylor attention: constants, sums, means and divisions of a layer's heads.

    sums of columns --> [k_sums] --> k_sum, for the columns       constants --> all
                    '-> [v_sums] --> bias unit --> biases
    means of columns --> [mean bank] --> row 0                    keys of columns --> key turner --> rows

What is kept of a head is kept twice, for heads in turn. The division scheduler and the bias unit are those of the
attention accelerator: they count the same heads, and are told of the same events.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out, Signature, flipped

from taylorvit.rtl.attention.divider_lane import align
from taylorvit.rtl.attention.division_scheduler import DivisionScheduler
from taylorvit.rtl.attention.taylor.bias_unit import BiasUnit
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.counters import room
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, gather
from taylorvit.rtl.common.widths import address_field, index_width, up_to
from taylorvit.rtl.network.bundles import COMMAND_BITS, StreamControl
from taylorvit.rtl.network.command import KERNEL_CONSTANTS, Destination
from taylorvit.rtl.network.division.bundles import DiagonalReport
from taylorvit.rtl.network.division.constants import constants_of
from taylorvit.rtl.network.key_turner import KeyFeed, KeyTurner

from .bundles import ColumnReport, DiagonalSide, RowSide

__all__ = ["TaylorCenter"]


class _DivisionScheduler(DivisionScheduler):
    """Starts rows of the divider array and addresses their results, but those of Z."""

    waivers = {
        ("PINCONNECTEMPTY", "write_back__*"): "The diagonal knows where Z goes.",
        ("PINCONNECTEMPTY", "k_sum_lane"): "There is but one lane.",
    }


class _BiasUnit(BiasUnit):
    """c_v v_sum for every feature of a head."""

    waivers = BiasUnit.waivers | {("PINCONNECTEMPTY", "read_lane"): "There is but one lane."}


class TaylorCenter(Block):
    """What all rows and columns share.

    Args:
        config (NetworkConfig): the configuration.
        k_sum_delay (int): cycles from column 0's `divide` to its `k_sum`.
        write_back_delay (int): cycles from column 0's `divide` to its `write_back`.
        place_latency (int): cycles that the diagonal takes to find where a row of Z goes.
        members (Member): ports that another kernel besides has, or has in place of those here.

    Ports:
        constants_valid (1 bit, input): `constants` take effect.
        constants (COMMAND_BITS, input): a command CONSTANTS.
        stream (StreamControl): what goes to row 0 in this cycle.
        room (1 bit, output): the row queue has room for the rows of a pass that completes Q G.
        promised (1 bit, input): such a pass begins.
        row_side (RowSide): to row 0.
        feeds (KeyFeed, one for each row): to the rows.
        column_feeds (nothing, one for each column): to the columns.
        column_side (DiagonalSide): to the diagonal.
        reports (ColumnReport, one for each column): from the columns.
        diagonal_report (DiagonalReport): from the diagonal.
        key_done (1 bit, output): k_mean of one more head is known.
        value_done (1 bit, output): its biases are written.
        kernel_0_done (1 bit, output): its G is written.
        kernel_1_done (1 bit, output): its last element of Z leaves.
        denominator_error (1 bit, output): a row has no divisor.
    """

    module_name = "kernel_center"
    kernel_fields = KERNEL_CONSTANTS["taylor"]
    waivers = {
        ("UNUSEDSIGNAL", "constants"): "The command has other fields.",
        ("UNUSEDSIGNAL", "stream__*"): "Only the position counts, and when a product ends.",
        ("UNUSEDSIGNAL", "reports__*"): "Some things only the first column tells, or the last one.",
    }

    def __init__(self, config, *, k_sum_delay, write_back_delay, place_latency, **members):
        attention = config.attention
        self.rows, self.columns = config.rows, config.columns
        self.data_width = config.data_width
        self.row_queue_depth = attention.row_queue_depth
        self.place_latency = place_latency
        self._config = config
        pipeline = config.memory_pipeline
        self.feature_bits = index_width(attention.max_beats_per_row)
        self.sums = MemoryBank(depth=1 << (1 + self.feature_bits), width=attention.column_sum_width, pipeline=pipeline)
        self.mean_bank = MemoryBank(
            depth=1 << (1 + index_width(attention.column_tiles * attention.columns)),
            width=attention.mean_width,
            pipeline=pipeline,
        )
        self.bias_unit = _BiasUnit(attention, v_sum_latency=self.sums.latency)
        # The diagonal's register lies between the scheduler and column 0; the diagonal looks up where Z goes.
        self.division_scheduler = _DivisionScheduler(
            attention,
            k_sum_delay=1 + k_sum_delay,
            k_sum_latency=self.sums.latency,
            write_back_delay=1 + write_back_delay - place_latency,
        )
        self.key_turner = self.turner_of(config)
        super().__init__(
            {
                "constants_valid": In(1),
                "constants": In(COMMAND_BITS),
                "stream": In(StreamControl(config)),
                "room": Out(1),
                "promised": In(1),
                "row_side": Out(RowSide(config)),
                "feeds": Out(KeyFeed(config, depth=config.key_depth)).array(config.rows),
                "column_feeds": Out(Signature({})).array(config.columns),
                "column_side": Out(DiagonalSide(config)),
                "reports": In(ColumnReport(config)).array(config.columns),
                "diagonal_report": In(DiagonalReport()),
                "key_done": Out(1),
                "value_done": Out(1),
                "kernel_0_done": Out(1),
                "kernel_1_done": Out(1),
                "denominator_error": Out(1),
            }
            | members
        )

    @staticmethod
    def turner_of(config):
        """What turns K.

        Args:
            config (NetworkConfig): the configuration.
        """
        return KeyTurner(config, lanes=config.rows, depth=config.key_depth)

    def elaborate(self, platform):
        m = Module()
        constants, start = self.constants_of_layer(m)
        k_sums, v_sums = instantiate(m, "k_sums", self.sums), instantiate(m, "v_sums", self.sums)
        divisions = instantiate(m, "division_scheduler", self.division_scheduler)
        bias_unit = instantiate(m, "bias_unit", self.bias_unit)
        k_loaded, v_loaded = self._sums(m, k_sums, v_sums, constants, start)
        mean, means_ready = self._means(m, divisions, start)
        self.keys_to_rows(m, constants)

        side, last = self.column_side, self.reports[-1]
        done = {"key": means_ready, "value": bias_unit.done, "kernel_0": last.kernel_0_done}
        done = self.finished(m, constants, start, mean, done)
        m.d.comb += [
            divisions.start.eq(start),
            divisions.tokens.eq(constants.rows),
            divisions.head_dim.eq(constants.head_dim),
            divisions.k_loaded.eq(k_loaded),
            divisions.bias_ready.eq(done["value"]),
            divisions.row_queued.eq(self.diagonal_report.row_queued),
            divisions.z_released.eq(divisions.write_back.write & divisions.write_back.head_end),
            k_sums.read_address.eq(Cat(divisions.k_sum_beat, divisions.k_sum_half)),
            side.k_sum.eq(k_sums.read_data),
            side.z.eq(divisions.write_back.write),
            side.mean.eq(divisions.write_back.mean),
        ]
        connect(m, divisions.divide, flipped(side.divide))
        m.d.comb += [
            bias_unit.start.eq(start),
            bias_unit.head_dim.eq(constants.head_dim),
            bias_unit.c_v.eq(constants.c_v),
            bias_unit.shift.eq(side.numerator_shift),
            bias_unit.v_loaded.eq(v_loaded),
            bias_unit.released.eq(self.of_taylor(constants, last.kernel_1_done)),
            v_sums.read_address.eq(Cat(bias_unit.read_beat, bias_unit.read_half)),
            bias_unit.v_sum.eq(v_sums.read_data),
        ]
        connect(m, bias_unit.write, flipped(side.bias))
        batch, unused = self.rows_of_pass(m, constants)
        m.d.comb += [
            self.room.eq(room(m, self.row_queue_depth, batch, self.promised, divisions.row_divided + unused)),
            self.key_done.eq(done["key"]),
            self.value_done.eq(done["value"]),
            self.kernel_0_done.eq(done["kernel_0"]),
            self.kernel_1_done.eq(last.kernel_1_done),
            self.denominator_error.eq(self.diagonal_report.denominator_error),
        ]
        return m

    # What is different where there is another kernel besides.

    def of_taylor(self, constants, pulse):
        """A pulse, if the layer has Taylor attention.

        Args:
            constants (SimpleNamespace): registers of the layer.
            pulse (Value): 1 bit.
        """
        return pulse

    def rows_of_pass(self, m, constants):
        """Rows that are promised to the row queue with a pass, and those of them that do not come after all.

        Args:
            m (Module): the center's module.
            constants (SimpleNamespace): registers of the layer.
        """
        return constants.rows, 0

    def finished(self, m, constants, start, mean, done):
        """Tells row 0 what it needs; pulses for each finished product.

        Args:
            m (Module): the center's module.
            constants (SimpleNamespace): registers of the layer.
            start (Value): they are new.
            mean (Value): k_mean of the feature that streams, for row 0.
            done (dict[str, Value]): pulses of Taylor attention, "key", "value" and "kernel_0".

        Returns:
            dict[str, Value]: the pulses of the kernel.
        """
        m.d.comb += self.row_side.mean.eq(mean)
        return done

    def keys_to_rows(self, m, constants):
        """K goes from the columns to the rows.

        Args:
            m (Module): the center's module.
            constants (SimpleNamespace): registers of the layer.
        """
        first = self.reports[0]
        turner = self.turned_keys(m, first.bank, first.address)
        for source, target in zip(turner.feeds, self.feeds):
            connect(m, source, flipped(target))

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

    def shapes_of_constants(self):
        """Registers of a layer by the names of the command's fields: dict of shapes."""
        attention = self._config.attention
        return {
            "tokens": attention.max_tokens.bit_length(),
            "rows": attention.max_tokens.bit_length(),
            "head_dim": attention.max_head_dim.bit_length(),
            "shift_g": len(self.column_side.shift_g),
            "shift_z": up_to(attention.shift_z_max, least=attention.shift_z_min),
            "c_v": attention.c_v_width,
            "c_d": attention.c_d_width,
        }

    def constants_of_layer(self, m):
        """The constants of a layer, for all who need them.

        Args:
            m (Module): the center's module.

        Returns:
            tuple: registers by name, and a pulse in the first cycle in which they are there.
        """
        side = self.column_side
        constants = constants_of(m, self, self.shapes_of_constants(), self.kernel_fields)
        start = delay(m, self.constants_valid, 1, "start")
        align(m, constants.shift_z, self.data_width, side.numerator_shift, side.divisor_shift)
        m.d.comb += [
            side.shift_g.eq(constants.shift_g),
            side.c_d.eq(constants.c_d),
            side.tokens.eq(constants.tokens),
            side.start.eq(start),
        ]
        return constants, start

    def _sums(self, m, k_sums, v_sums, constants, start):
        """Sums of the features of a tile come from the columns one a cycle, and go to their places.

        Returns pulses: all k_sums of a head, all v_sums of a head are there.
        """
        first = self.reports[0]
        total = gather(m, [report.sum for report in self.reports], "sum")
        # A column's sum is there a cycle after its last feature; `gather` takes two.
        begin, begin_is_value, begin_finish = (
            delay(m, value, 2, f"sums_{name}")
            for name, value in (
                ("end", self.of_taylor(constants, first.end)),
                ("is_value", first.is_value),
                ("finish", first.finish),
            )
        )
        left = Signal(range(self.columns + 1), name="sums_left")
        feature = Signal(range(self._config.attention.column_tiles * self.columns + 1), name="sum_feature")
        is_value = Signal(name="sum_is_value")
        finish = Signal(name="sum_finish")
        ends = Signal(name="sum_ends")
        with m.If(begin):
            m.d.sync += [
                left.eq(self.columns),
                is_value.eq(begin_is_value),
                finish.eq(begin_finish),
            ]
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        m.d.comb += ends.eq((left == 1) & finish)
        with m.If(left != 0):
            m.d.sync += feature.eq(feature + 1)
        with m.If(ends):
            m.d.sync += feature.eq(0)
        loaded = []
        for name, memory, is_mine in (("k", k_sums, ~is_value), ("v", v_sums, is_value)):
            half = Signal(name=f"{name}_sum_half")
            loaded.append(ends & is_mine)
            with m.If(ends & is_mine):
                m.d.sync += half.eq(~half)
            with m.If(start):
                m.d.sync += half.eq(0)
            m.d.comb += [
                memory.write_enable.eq((left != 0) & is_mine & (feature < constants.head_dim)),
                memory.write_address.eq(Cat(address_field(feature, self.feature_bits), half)),
                memory.write_data.eq(total),
            ]
        return loaded

    def _means(self, m, divisions, start):
        """Means come from the columns one a cycle as well, and wait for the stream of their K.

        Returns the mean for row 0, and a pulse: all means of a head are there.
        """
        bank = instantiate(m, "mean_bank", self.mean_bank)
        # `mean_write` comes a cycle after column 0's mean if no place is looked up; `gather` takes two.
        later = 1 + self.place_latency
        stream, half = self.stream, Signal(name="mean_half")
        ends = stream.result.valid & stream.result.finish & (stream.result.destination == Destination.KERNEL_0)
        with m.If(ends):
            m.d.sync += half.eq(~half)
        with m.If(start):
            m.d.sync += half.eq(0)
        position = address_field(stream.position, len(bank.read_address) - 1)
        m.d.comb += [
            bank.write_enable.eq(delay(m, divisions.mean_write, later, "mean_write")),
            bank.write_address.eq(delay(m, divisions.mean_address, later, "mean_address")),
            bank.write_data.eq(gather(m, [report.mean for report in self.reports], "mean")),
            bank.read_address.eq(Cat(position, half)),
        ]
        return bank.read_data, delay(m, divisions.mean_ready, later, "mean_ready")

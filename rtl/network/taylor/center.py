"""Center of Taylor attention: constants, sums, means and divisions of a layer's heads.

    sums of columns --> [k_sums] --> k_sum, for the columns       constants --> all
                    '-> [v_sums] --> bias unit --> biases
    means of columns --> [mean bank] --> row 0                    keys of columns --> key turner --> rows

What is kept of a head is kept twice, for heads in turn. The division scheduler and the bias unit are those of the
attention accelerator: they count the same heads, and are told of the same events.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import Signature, flipped

from taylorvit.rtl.attention.division_scheduler import DivisionScheduler
from taylorvit.rtl.attention.taylor.bias_unit import BiasUnit
from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, gather
from taylorvit.rtl.common.widths import address_field, index_width, up_to
from taylorvit.rtl.network.command import KERNEL_CONSTANTS, Destination
from taylorvit.rtl.network.division.center import DividingCenter
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


class TaylorCenter(DividingCenter):
    """What all rows and columns share.

    Args:
        config (NetworkConfig): the configuration.
        k_sum_delay (int): cycles from column 0's `divide` to its `k_sum`.
        write_back_delay (int): cycles from column 0's `divide` to its `write_back`.
        place_latency (int): cycles that the diagonal takes to find where a row of Z goes.
        members (Signature | Member): what another kernel besides has in place of the signatures here, and its ports.

    Ports:
        stream, room, promised, constants, constants_valid, diagonal_report, denominator_error: as of every
            `DividingCenter`.
        row_side (RowSide): to row 0.
        feeds (KeyFeed, one for each row): to the rows.
        column_feeds (nothing, one for each column): to the columns.
        column_side (DiagonalSide): to the diagonal.
        reports (ColumnReport, one for each column): from the columns.
        key_done (1 bit, output): k_mean of one more head is known.
        value_done (1 bit, output): its biases are written.
        kernel_0_done (1 bit, output): its G is written.
        kernel_1_done (1 bit, output): its last element of Z leaves.
    """

    kernel_fields = KERNEL_CONSTANTS["taylor"]
    told = ("shift_g", "c_d", *DividingCenter.told)

    def __init__(self, config, *, k_sum_delay, write_back_delay, place_latency, **members):
        attention = config.attention
        self.place_latency = place_latency
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
        signatures = {
            "row_side": RowSide(config),
            "feed": KeyFeed(config, depth=config.key_depth),
            "column_feed": Signature({}),
            "column_side": DiagonalSide(config),
            "report": ColumnReport(config),
        }
        super().__init__(config, key_turner=self.turner_of(config), **signatures | members)

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
        self.tell_engine(m, batch, divisions.row_divided + unused, done)
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

    def shapes_of_constants(self):
        """Registers of a layer by the names of the command's fields: dict of shapes."""
        attention = self.attention
        return {
            "tokens": attention.max_tokens.bit_length(),
            "rows": attention.max_tokens.bit_length(),
            "head_dim": attention.max_head_dim.bit_length(),
            "shift_g": len(self.column_side.shift_g),
            "shift_z": up_to(attention.shift_z_max, least=attention.shift_z_min),
            "c_v": attention.c_v_width,
            "c_d": attention.c_d_width,
        }

    def _sums(self, m, k_sums, v_sums, constants, start):
        """Sums of the features of a tile come from the columns one a cycle, and go to their places.

        Returns pulses: all k_sums of a head, all v_sums of a head are there.
        """
        first = self.reports[0]
        total = gather(m, [report.sum for report in self.reports], "sum")
        # A column's sum is there a cycle after its last feature; `gather` takes two. A register is behind what is found
        # out here, in front of the memories.
        begin, begin_is_value, begin_finish = (
            delay(m, value, 1, f"sums_{name}")
            for name, value in (
                ("end", self.of_taylor(constants, first.end)),
                ("is_value", first.is_value),
                ("finish", first.finish),
            )
        )
        left = Signal(range(self.columns + 1), name="sums_left")
        feature = Signal(range(self.attention.column_tiles * self.columns + 1), name="sum_feature")
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
        place = delay(m, address_field(feature, self.feature_bits), 1, "sum_place")
        is_kept = (left != 0) & (feature < constants.head_dim)
        loaded = []
        for name, memory, is_mine in (("k", k_sums, ~is_value), ("v", v_sums, is_value)):
            half = Signal(name=f"{name}_sum_half")
            loaded.append(delay(m, ends & is_mine, 1, f"{name}_sums_loaded"))
            with m.If(ends & is_mine):
                m.d.sync += half.eq(~half)
            with m.If(start):
                m.d.sync += half.eq(0)
            m.d.comb += [
                memory.write_enable.eq(delay(m, is_kept & is_mine, 1, f"{name}_sum_kept")),
                memory.write_address.eq(Cat(place, delay(m, half, 1, f"{name}_sum_place_half"))),
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

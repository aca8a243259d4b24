"""Center of both kernels: that of Taylor attention, and what softmax attention has besides.

Which kernel a layer has is one of its constants. Sums, means and biases belong to Taylor attention alone, scores and
maxima to softmax attention; keys are turned for the rows or for the columns.
"""

from amaranth.hdl import Mux
from amaranth.lib.wiring import In

from taylorvit.rtl.common.bus import copied
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.network.bundles import ExponentialWrite
from taylorvit.rtl.network.command import KERNEL_CONSTANTS, KERNELS
from taylorvit.rtl.network.key_turner import KeyTurner
from taylorvit.rtl.network.softmax.center import ScoreCenter
from taylorvit.rtl.network.taylor.center import TaylorCenter

from .bundles import ColumnReport, DiagonalSide, RowFeed, RowSide, key_feed

__all__ = ["MixedCenter"]


class MixedCenter(ScoreCenter, TaylorCenter):
    """What all rows and columns share.

    Args:
        config (NetworkConfig): the configuration.
        k_sum_delay (int): cycles from column 0's `divide` to its `k_sum`.
        write_back_delay (int): cycles from column 0's `divide` to its `write_back`.
        place_latency (int): cycles that the diagonal takes to find where a row of Z goes.

    Ports:
        exponential_write (ExponentialWrite, input): an entry of the table; no e V is unfinished meanwhile.
        row_side (RowSide): to row 0.
        feeds (RowFeed, one for each row): to the rows.
        column_feeds (KeyFeed, one for each column): to the columns.
        column_side (DiagonalSide): to the diagonal.
        reports (ColumnReport, one for each column): from the columns.

        All others are those of `TaylorCenter`; a block of queries is a product for KERNEL_0 and one for KERNEL_1 where
        a layer has softmax attention.
    """

    kernel_fields = KERNEL_CONSTANTS["taylor"] | KERNEL_CONSTANTS["softmax"]

    def __init__(self, config, *, k_sum_delay, write_back_delay, place_latency):
        self.build_scores(config)
        super().__init__(
            config,
            k_sum_delay=k_sum_delay,
            write_back_delay=write_back_delay,
            place_latency=place_latency,
            exponential_write=In(ExponentialWrite(config)),
            row_side=RowSide(config),
            feed=RowFeed(config),
            column_feed=key_feed(config),
            column_side=DiagonalSide(config),
            report=ColumnReport(config),
        )

    @staticmethod
    def turner_of(config):
        """What turns K, for the rows or for the columns.

        Args:
            config (NetworkConfig): the configuration.
        """
        depth = max(config.kernel_row_depth, config.kernel_1_depth)
        return KeyTurner(config, lanes=config.rows, depth=depth, folds=config.rows != config.columns)

    def shapes_of_constants(self):
        """Registers of a layer by the names of the command's fields: dict of shapes."""
        width = len(self.column_feeds[0].address)
        return super().shapes_of_constants() | {"kernel": 1, "key_stride": width}

    def constants_of_layer(self, m):
        """The constants of a layer; those of Taylor attention stand where those of softmax attention do.

        Args:
            m (Module): the center's module.

        Returns:
            tuple: registers by name, `softmax` among them, and a pulse in the first cycle in which they are there.
        """
        constants, start = super().constants_of_layer(m)
        constants.softmax = constants.kernel == KERNELS.index("softmax")
        m.d.comb += [self.row_side.softmax.eq(constants.softmax), self.column_side.softmax.eq(constants.softmax)]
        return constants, start

    def of_taylor(self, constants, pulse):
        """A pulse, if the layer has Taylor attention.

        Args:
            constants (SimpleNamespace): registers of the layer.
            pulse (Value): 1 bit.
        """
        return pulse & ~constants.softmax

    def rows_of_pass(self, m, constants):
        """Rows that are promised to the row queue with a pass, and those of them that do not come after all.

        Args:
            m (Module): the center's module.
            constants (SimpleNamespace): registers of the layer.
        """
        batch = Mux(constants.softmax, self.longest(constants.rows), constants.rows)
        return batch, self.rows_unused(m, batch)

    def finished(self, m, constants, start, mean, done):
        """Tells row 0 what it needs; pulses for each finished product of either kernel.

        Args:
            m (Module): the center's module.
            constants (SimpleNamespace): registers of the layer.
            start (Value): they are new.
            mean (Value): k_mean of the feature that streams, for row 0.
            done (dict[str, Value]): pulses of Taylor attention, "key", "value" and "kernel_0".

        Returns:
            dict[str, Value]: the pulses of both.
        """
        maxima = self.scores(m, start)
        # The row's score comes a cycle behind its K.
        maximum = delay(m, maxima.maximum, 1, "maximum")
        m.d.comb += [
            self.row_side.reference.eq(Mux(constants.softmax, maximum, mean.as_signed())),
            *copied(self.exponential_write, self.row_side.exponential),
        ]
        key_written, value_written = self.kept(m)
        return {
            "key": done["key"] | (key_written & constants.softmax),
            "value": done["value"] | (value_written & constants.softmax),
            "kernel_0": done["kernel_0"] | maxima.finished,
        }

    def keys_to_rows(self, m, constants):
        """K goes from the columns to the rows, or by tokens back to the columns. Both hear of all keys.

        Args:
            m (Module): the center's module.
            constants (SimpleNamespace): registers of the layer.
        """
        first = self.reports[0]
        bank, address = self.places_of_keys(m, constants.key_stride)
        turner = self.turned_keys(
            m, Mux(constants.softmax, bank, first.bank), Mux(constants.softmax, address, first.address)
        )
        if self.key_turner.folds:
            m.d.comb += turner.fold.eq(constants.softmax)
        for source, feed in zip(turner.feeds, self.feeds):
            m.d.comb += copied(source, feed.key)
        for source, feed in zip(turner.feeds, self.column_feeds):
            m.d.comb += copied(source, feed)

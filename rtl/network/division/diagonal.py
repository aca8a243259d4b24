r"""Dividing diagonal: what is below SA-Diag in every kernel that divides its totals, and where the quotients go.

    partial sum --> accumulator --> total --> [row queue] --> denominator adder --> divisor, invalid

    result --> [addresses of Z] --> write_back

A row has one place in the row queues of all columns, which it gets here. Where its Z goes comes with its result as
well, and waits until the divider array has its quotients.
"""

from math import ceil

from amaranth.hdl import Cat, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.array.partial_sum_accumulator import PartialSumAccumulator
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.counters import next_address
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.network.bundles import LoadControl, ResultControl
from taylorvit.rtl.network.command import Destination

from .bundles import WriteBack

__all__ = ["DividingDiagonal"]


class DividingDiagonal(Block):
    """Base of a kernel's diagonals; what a kernel has besides is in its own class.

    Args:
        config (NetworkConfig): the configuration.
        adder (DenominatorAdder): from a total in the row queue to a divisor.
        divisor_delay (int): cycles from column 0's `divide` to the divisor.
        write_back_delay (int): cycles from column 0's `divide` to its `write_back`.
        side (Signature): what the center tells, with the members of `division.bundles`.
        side_out (Signature): what goes along the columns, likewise.
        report (Signature): what is told to the center, `row_queued` and `denominator_error` among it.

    Ports:
        load_in, load_out (LoadControl): for column 0 one cycle later.
        result_in, result_out (ResultControl): likewise; results for KERNEL_1 get their places in the row queue.
        stationary (diagonal_width bits signed, output): to the array, `load_latency` cycles after `load_in`.
        partial_sum (diagonal_sum_width bits signed, input): `sum_delay` cycles after `result_in`.
        side_in, side_out, report: as the arguments say.
    """

    module_name = "kernel_diagonal"

    def __init__(self, config, *, adder, divisor_delay, write_back_delay, side, side_out, report):
        attention = config.attention
        self.divisor_delay = divisor_delay
        self.memory_latency = 1 + config.memory_pipeline
        self.row_queue_depth = attention.row_queue_depth
        pipeline = config.memory_pipeline
        self.adder = adder
        self.row_queue = MemoryBank(depth=attention.row_queue_depth, width=len(adder.product), pipeline=pipeline)
        self.accumulator = PartialSumAccumulator(
            sum_width=attention.diagonal_sum_width,
            depth=config.longest_pass,
            memory_pipeline=pipeline,
            module_name="partial_sum_accumulator_diagonal",
        )
        place = WriteBack(config).create()
        # Rows in the queue, and those in the divider array.
        divided = ceil((write_back_delay + 2) / attention.divider_row_interval) + 1
        self.places = MemoryBank(
            depth=attention.row_queue_depth + divided,
            width=1 + len(place.bank) + len(place.address) + len(place.following),
            pipeline=pipeline,
        )
        super().__init__(
            {
                "load_in": In(LoadControl(config)),
                "load_out": Out(LoadControl(config)),
                "result_in": In(ResultControl(config)),
                "result_out": Out(ResultControl(config)),
                "stationary": Out(signed(attention.diagonal_width)),
                "partial_sum": In(signed(attention.diagonal_sum_width)),
                "side_in": In(side),
                "side_out": Out(side_out),
                "report": Out(report),
            }
        )

    @property
    def load_latency(self):
        """Cycles from `load_in` to `stationary`: as long as a column takes, a memory and a register."""
        return self.memory_latency + 1

    @property
    def sum_delay(self):
        """Cycles from `result_in` to `partial_sum`."""
        return self.accumulator.sum_delay

    def pass_on_chains(self, m):
        """Tiles, results and rows to be divided go on to column 0, each a cycle later; shifts are constants.

        Args:
            m (Module): the diagonal's module.

        Returns:
            object: the result, an interface of `ResultControl`, with the address in the row queue if it is a row.
        """
        result = self._placed(m)
        pass_on(m, self.load_in, self.load_out)
        pass_on(m, result, self.result_out)
        pass_on(m, self.side_in.divide, self.side_out.divide)
        m.d.comb += self.side_out.numerator_shift.eq(self.side_in.numerator_shift)
        self._write_back(m)
        return result

    def totals(self, m, result, address_width=0):
        """Totals of SA-Diag; those for KERNEL_1 go into the row queue.

        Args:
            m (Module): the diagonal's module.
            result (object): what `pass_on_chains` returns.
            address_width (int): bits of the addresses of totals for KERNEL_0, if these are kept as well.

        Returns:
            tuple: instances of the accumulator and of the row queue, and the address of the total.
        """
        accumulator = instantiate(m, "accumulator", self.accumulator)
        row_queue = instantiate(m, "row_queue", self.row_queue)
        m.d.comb += [
            accumulator.valid.eq(result.valid),
            accumulator.first.eq(result.first),
            accumulator.last.eq(result.last),
            accumulator.index.eq(result.index),
            accumulator.partial_sum.eq(self.partial_sum),
        ]
        latency = self.accumulator.latency
        is_row = delay(m, result.destination == Destination.KERNEL_1, latency, "is_row")
        address_width = max(address_width, len(row_queue.write_address))
        address = delay(m, result.address[:address_width], latency, "total_address")
        m.d.comb += [
            self.report.row_queued.eq(accumulator.total_valid & is_row),
            row_queue.write_enable.eq(self.report.row_queued),
            row_queue.write_address.eq(address),
            row_queue.write_data.eq(accumulator.total),
        ]
        return accumulator, row_queue, address

    def divisors(self, m, row_queue):
        """A row's divisor goes to column 0.

        The queue's word comes `memory_latency` cycles after `divide`, the adder's result `latency` cycles behind it.

        Args:
            m (Module): the diagonal's module.
            row_queue (object): its instance.

        Returns:
            object: instance of the denominator adder, for its other operands.
        """
        divide = self.side_in.divide
        adder = instantiate(m, "adder", self.adder)
        delay_of_sum = self.memory_latency + self.adder.latency
        m.d.comb += [
            row_queue.read_address.eq(divide.queue_address),
            adder.product.eq(row_queue.read_data),
            adder.single.eq(delay(m, divide.mean, self.memory_latency, "single")),
            adder.shift.eq(self.side_in.divisor_shift),
        ]
        divided = delay(m, divide.start & ~divide.mean, delay_of_sum, "divided")
        m.d.comb += self.report.denominator_error.eq(divided & adder.invalid)
        wait = 1 + self.divisor_delay - delay_of_sum  # 1: column 0 is told a cycle later
        m.d.comb += [
            self.side_out.divisor.eq(delay(m, adder.divisor, wait, "divisor")),
            self.side_out.invalid.eq(delay(m, adder.invalid, wait, "invalid")),
        ]
        return adder

    def _is_row(self, result):
        """Whether a result is that of a row, to be divided."""
        return result.valid & result.last & (result.destination == Destination.KERNEL_1)

    def _placed(self, m):
        """The result, whose address is that in the row queue if it is a row."""
        result = self.result_in
        placed = result.signature.create(path=("placed",))
        place = Signal(range(self.row_queue_depth), name="queue_place")
        is_row = self._is_row(result)
        with m.If(is_row):
            m.d.sync += place.eq(next_address(place, self.row_queue_depth))
        with m.If(self.side_in.start):
            m.d.sync += place.eq(0)
        for name in result.signature.members:
            m.d.comb += getattr(placed, name).eq(getattr(result, name))
        with m.If(is_row):
            m.d.comb += placed.address.eq(place)
        return placed

    def _write_back(self, m):
        """Addresses of Z wait here from a row's result until its quotients leave the divider array."""
        result, side = self.result_in, self.side_in
        target = self.side_out.write_back
        places = instantiate(m, "places", self.places)
        first = Signal.like(places.read_address, name="place_out")
        next_in = Signal.like(places.write_address, name="place_in")
        # The memory is far away, and dividing a row takes long: what is written waits in a register, most of it in
        # `result_out`.
        is_row = delay(m, self._is_row(result), 1, "is_placed")
        address = delay(m, result.address[: len(target.address)], 1, "address_of_row")
        with m.If(is_row):
            m.d.sync += next_in.eq(next_address(next_in, self.places.depth))
        with m.If(side.z):
            m.d.sync += first.eq(next_address(first, self.places.depth))
        following = self.result_out.following[: len(target.following)]
        m.d.comb += [
            places.write_enable.eq(is_row),
            places.write_address.eq(next_in),
            places.write_data.eq(Cat(self.result_out.bank, address, following, self.result_out.finish)),
            places.read_address.eq(first),
            target.z.eq(delay(m, side.z, self.places.latency, "z")),
            Cat(target.bank, target.address, target.following, target.finish).eq(places.read_data),
        ]

"""Diagonal of Taylor attention: everything above and below SA-Diag, the head of the columns.

    [k^_sum bank] <------------------.                During G, SA-Diag multiplies K^ by ones: k^_sum = 1^T K^
        |  ones                      |                (Algorithm 1, step 3), kept at the addresses of G. During Q G
        mux --> stationary        k^_sum              it multiplies Q by k^_sum, and each total becomes a divisor
                    |                |                t_D (step 4).
                (SA-Diag)            |
                    |                |
    result --> partial sum accumulator
      |             | Q k^_sum
      |             v
      |         [row queue] --> denominator adder --> divisor (t_D, or n), invalid
      '-------> [addresses of Z] --> write_back

A row of Q G has one place in the row queues of all columns, which it gets here. Where its Z goes comes with its result
as well, and waits until the divider array has its quotients.
"""

from math import ceil

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.array.partial_sum_accumulator import PartialSumAccumulator
from taylorvit.rtl.attention.taylor.adder_array import DenominatorAdder
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.counters import next_address
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.network.bundles import LoadControl, LoadKind, ResultControl
from taylorvit.rtl.network.command import Destination

from .bundles import ColumnSide, DiagonalReport, DiagonalSide

__all__ = ["TaylorDiagonal"]


class TaylorDiagonal(Block):
    """SA-Diag's buffers, the divisors, and the places of rows.

    Args:
        config (NetworkConfig): the configuration.
        divisor_delay (int): cycles from column 0's `divide` to the divisor.
        write_back_delay (int): cycles from column 0's `divide` to its `write_back`.

    Ports:
        load_in, load_out (LoadControl): for column 0 one cycle later.
        result_in, result_out (ResultControl): likewise; results for KERNEL_1 get their places in the row queue.
        stationary (diagonal_width bits signed, output): to the array, `load_latency` cycles after `load_in`.
        partial_sum (diagonal_sum_width bits signed, input): `sum_delay` cycles after `result_in`.
        side_in (DiagonalSide): from the center.
        side_out (ColumnSide): to column 0.
        report (DiagonalReport): to the center.
    """

    module_name = "kernel_diagonal"

    def __init__(self, config, *, divisor_delay, write_back_delay):
        attention = config.attention
        self.divisor_delay = divisor_delay
        self.row_queue_depth = attention.row_queue_depth
        pipeline = config.memory_pipeline
        self.k_hat_sum_bank = MemoryBank(depth=config.g_depth, width=attention.k_hat_sum_width, pipeline=pipeline)
        self.row_queue = MemoryBank(
            depth=attention.row_queue_depth, width=attention.q_k_hat_sum_width, pipeline=pipeline
        )
        self.accumulator = PartialSumAccumulator(
            sum_width=attention.diagonal_sum_width,
            depth=config.longest_pass,
            memory_pipeline=pipeline,
            module_name="partial_sum_accumulator_diagonal",
        )
        self.adder = DenominatorAdder(
            product_width=attention.q_k_hat_sum_width,
            fraction=config.constant_fraction,
            c_d_width=attention.c_d_width,
            denominator_width=attention.denominator_width,
            shift_max=attention.divisor_shift_max,
            tokens_width=attention.max_tokens.bit_length(),
            tokens_shift=config.data_width - 1,
            divisor_width=attention.divisor_width,
        )
        side_out = ColumnSide(config)
        place = side_out.create().write_back
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
                "side_in": In(DiagonalSide(config)),
                "side_out": Out(side_out),
                "report": Out(DiagonalReport()),
            }
        )

    @property
    def load_latency(self):
        """Cycles from `load_in` to `stationary`: the bank, then a register."""
        return self.k_hat_sum_bank.latency + 1

    @property
    def sum_delay(self):
        """Cycles from `result_in` to `partial_sum`."""
        return self.accumulator.sum_delay

    def elaborate(self, platform):
        m = Module()
        side = self.side_in
        pass_on(m, self.load_in, self.load_out)
        result = self._placed(m)
        pass_on(m, result, self.result_out)
        pass_on(m, side.divide, self.side_out.divide)
        for name in ("bias", "k_sum", "shift_g", "numerator_shift"):
            source, target = getattr(side, name), getattr(self.side_out, name)
            if name == "bias":
                m.d.comb += [getattr(target, part).eq(getattr(source, part)) for part in source.signature.members]
            else:
                m.d.comb += target.eq(source)
        self._write_back(m)

        # Stationary operand: ones during G, k^_sum during Q G.
        bank = instantiate(m, "k_hat_sum_bank", self.k_hat_sum_bank)
        after = self.k_hat_sum_bank.latency  # from `load_in` and `divide` to the words
        is_g = delay(m, self.load_in.kind == LoadKind.KERNEL_0, after, "is_g")
        blank = delay(m, self.load_in.blank, after, "blank")
        m.d.comb += bank.read_address.eq(self.load_in.address)
        m.d.sync += self.stationary.eq(Mux(blank, 0, Mux(is_g, 1, bank.read_data.as_signed())))

        # Totals. The passes of G for every column tile give the same k^_sum; it is written each time.
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
        is_g_total = delay(m, result.destination == Destination.KERNEL_0, latency, "is_g_total")
        is_row = delay(m, result.destination == Destination.KERNEL_1, latency, "is_row")
        address_width = max(len(bank.write_address), len(row_queue.write_address))
        address = delay(m, result.address[:address_width], latency, "total_address")
        m.d.comb += [
            bank.write_enable.eq(accumulator.total_valid & is_g_total),
            bank.write_address.eq(address),
            bank.write_data.eq(accumulator.total),
            self.report.row_queued.eq(accumulator.total_valid & is_row),
            row_queue.write_enable.eq(self.report.row_queued),
            row_queue.write_address.eq(address),
            row_queue.write_data.eq(accumulator.total),
        ]

        # Divisors. The queue's word comes `after` cycles after `divide`, the adder's result `latency` cycles behind it.
        adder = instantiate(m, "adder", self.adder)
        m.d.comb += [
            row_queue.read_address.eq(side.divide.queue_address),
            adder.product.eq(row_queue.read_data),
            adder.single.eq(delay(m, side.divide.mean, after, "single")),
            adder.c_d.eq(side.c_d),
            adder.shift.eq(side.divisor_shift),
            adder.tokens.eq(side.tokens),
        ]
        divided = delay(m, side.divide.start & ~side.divide.mean, after + self.adder.latency, "divided")
        m.d.comb += self.report.denominator_error.eq(divided & adder.invalid)
        wait = 1 + self.divisor_delay - after - self.adder.latency  # 1: column 0 is told a cycle later
        m.d.comb += [
            self.side_out.divisor.eq(delay(m, adder.divisor, wait, "divisor")),
            self.side_out.invalid.eq(delay(m, adder.invalid, wait, "invalid")),
        ]
        return m

    def _placed(self, m):
        """The result, whose address is that in the row queue if it is a row."""
        result = self.result_in
        placed = result.signature.create(path=("placed",))
        place = Signal(range(self.row_queue_depth), name="queue_place")
        is_row = result.valid & result.last & (result.destination == Destination.KERNEL_1)
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
        is_row = result.valid & result.last & (result.destination == Destination.KERNEL_1)
        with m.If(is_row):
            m.d.sync += next_in.eq(next_address(next_in, self.places.depth))
        with m.If(side.z):
            m.d.sync += first.eq(next_address(first, self.places.depth))
        widths = len(target.bank), len(target.address), len(target.following)
        m.d.comb += [
            places.write_enable.eq(is_row),
            places.write_address.eq(next_in),
            places.write_data.eq(
                Cat(
                    result.bank,
                    result.address[: widths[1]],
                    result.following[: widths[2]],
                    result.finish,
                )
            ),
            places.read_address.eq(first),
            target.z.eq(delay(m, side.z, self.places.latency, "z")),
            target.mean.eq(delay(m, side.mean, self.places.latency, "mean")),
            Cat(target.bank, target.address, target.following, target.finish).eq(places.read_data),
        ]

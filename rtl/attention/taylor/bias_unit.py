"""Bias unit: c_v v_sum for every feature of a head, the second term of T_N (Algorithm 1, step 5).

It is needed once a head, so one multiplier does all features, one a cycle, and leaves the products in the columns'
bias banks in the alignment of the divider. What does not fit is clipped, where the quotient saturates anyway
(`TaylorSpec.aligned_bias_width`).

    v_sum --> (x c_v) --> << numerator_shift --> clip --> bias bank of column j % C, entry {half, j / C}
"""

from math import ceil

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.array.multiplier import FORMS
from taylorvit.rtl.common.bank_chain import BankWrite
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.counters import last_start
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import index_width, tile_width, up_to

__all__ = ["BiasUnit"]


class BiasUnit(Block):
    """bias[j] = clip((c_v v_sum[j]) << shift) for the features of a head, heads in their order.

    A head takes a cycle for each feature of its column tiles, and begins when the banks have a half for it.

    Args:
        config (AcceleratorConfig): the accelerator's configuration.
        v_sum_latency (int): cycles from the address of a v_sum to the sum, at least 1.

    Ports:
        start (1 bit, input): a job begins.
        head_dim (bits of max_head_dim, input): features of a head, constant while the job runs.
        c_v (c_v_width bits, input): the factor, likewise.
        shift (bits of numerator_shift_max, input): positions that the product is shifted to the left, likewise.
        v_loaded (1 bit, input): the v_sums of one more head are complete.
        released (1 bit, input): the biases of one head are no longer needed.
        read_half (1 bit, output): half of the accumulator array that a v_sum is read from.
        read_beat (bits of a beat, output): its beat.
        read_lane (bits of a lane, output): its lane in the beat.
        v_sum (column_sum_width bits signed, input): the sum, `v_sum_latency` cycles later.
        write (BankWrite, output): a bias for one column's bank {half, column tile}, on its way to column 0.
        done (1 bit, output): all biases of a head are written.
    """

    module_name = "bias_unit"
    waivers = {
        ("UNUSEDSIGNAL", "multiplier_*__product"): "The whole product is no wider than c_v and v_sum together.",
        ("UNUSEDSIGNAL", "head_dim"): "There is but one column tile.",
    }

    def __init__(self, config, *, v_sum_latency):
        self.v_sum_latency = v_sum_latency
        self.chain_registers = config.chain_registers
        self.lanes = config.stream_lanes
        self.columns = config.columns
        super().__init__(
            {
                "start": In(1),
                "head_dim": In(config.max_head_dim.bit_length()),
                "c_v": In(config.c_v_width),
                "shift": In(up_to(config.numerator_shift_max)),
                "v_loaded": In(1),
                "released": In(1),
                "read_half": Out(1),
                "read_beat": Out(index_width(config.max_beats_per_row)),
                "read_lane": Out(index_width(config.stream_lanes)),
                "v_sum": In(signed(config.column_sum_width)),
                "write": Out(
                    BankWrite(
                        banks=config.columns,
                        address_width=1 + tile_width(config.column_tiles),
                        data_width=config.aligned_bias_width,
                    )
                ),
                "done": Out(1),
            }
        )

        # c_v in slices that the form of the PEs' multipliers takes, if it takes v_sum.
        form = FORMS[config.multiplier]
        limit = form.operand_limit or 18
        slices = 1
        if config.column_sum_width > limit:
            form = FORMS["booth"]
        else:
            slices = ceil(config.c_v_width / (limit - 1))
        self.slice_width = ceil(config.c_v_width / slices)
        self.multiplier = form(
            streamed_width=config.column_sum_width,
            stationary_width=self.slice_width + 1,
            pipeline=2,
            suffix=f"_{config.column_sum_width}x{self.slice_width + 1}",
        )

    def elaborate(self, platform):
        m = Module()
        waiting = Signal(2)  # heads to do
        held = Signal(2)  # heads whose biases are in the banks
        active = Signal()
        base = Signal(len(self.head_dim) + 1)  # first feature of the column tile
        tile = Signal(len(self.write.address) - 1)
        column = Signal(index_width(self.columns))
        finish = Signal()
        last_base = last_start(m, self.head_dim, self.columns, "last_base")
        m.d.comb += finish.eq(active & (column == self.columns - 1) & (base >= last_base))

        with m.If(~active):
            m.d.sync += active.eq((waiting != 0) & (held != 2))
        with m.Else():
            m.d.sync += [column.eq(column + 1), self.read_lane.eq(self.read_lane + 1)]
            with m.If(self.read_lane == self.lanes - 1):
                m.d.sync += [self.read_lane.eq(0), self.read_beat.eq(self.read_beat + 1)]
            with m.If(column == self.columns - 1):
                m.d.sync += [column.eq(0), tile.eq(tile + 1), base.eq(base + self.columns)]
            with m.If(finish):
                m.d.sync += [
                    active.eq(0),
                    tile.eq(0),
                    base.eq(0),
                    self.read_lane.eq(0),
                    self.read_beat.eq(0),
                    self.read_half.eq(~self.read_half),
                ]
        m.d.sync += [
            waiting.eq(waiting + self.v_loaded - finish),
            held.eq(held + finish - self.released),
        ]
        with m.If(self.start):
            m.d.sync += self.read_half.eq(0)

        # The slices' products and their sum, two registers for the shifter (by 0 to 7 first, while the word is narrow),
        # one or two for clipping; the address goes along.
        product = Signal(signed(len(self.c_v) + 1 + len(self.v_sum)))
        total = 0
        for low in range(0, len(self.c_v), self.slice_width):
            multiplier = instantiate(m, f"multiplier_{low}", self.multiplier)
            m.d.comb += [
                multiplier.streamed.eq(self.v_sum),
                multiplier.stationary.eq(self.c_v[low : low + self.slice_width]),
                multiplier.swap.eq(1),
            ]
            total = total + (multiplier.product << low)
            if self.multiplier.has_increment:
                total = total + (multiplier.increment << low)
        m.d.sync += product.eq(total)
        shift_max = (1 << len(self.shift)) - 1
        fine_shifted = Signal(signed(len(product) + min(7, shift_max)))
        shifted = Signal(signed(len(product) + shift_max))
        fits = Signal()
        negative = shifted[-1]
        m.d.sync += [fine_shifted.eq(product << self.shift[:3]), shifted.eq(fine_shifted << (self.shift[3:] << 3))]
        width = len(self.write.data)
        signs = shifted[width - 1 :]
        m.d.comb += fits.eq(signs == negative.replicate(len(signs)))
        low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
        fits, negative, shifted = (
            delay(m, value, self.chain_registers, name)
            for value, name in ((fits, "fits"), (negative, "negative"), (shifted[:width].as_signed(), "shifted"))
        )

        # Cycles from an address to this.
        later = self.v_sum_latency + self.multiplier.latency + 3 + self.chain_registers
        m.d.sync += [
            self.write.valid.eq(delay(m, active, later, "active")),
            self.write.offset.eq(-delay(m, column, later, "column")),
            self.write.address.eq(delay(m, Cat(tile, self.read_half), later, "address")),
            self.write.data.eq(Mux(fits, shifted, Mux(negative, low, high))),
            self.done.eq(delay(m, finish, later, "done")),
        ]
        return m

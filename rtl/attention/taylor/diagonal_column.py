"""Diagonal column: everything above and below SA-Diag, the column to the left of column 0.

    [k^_sum bank] <------------------.                During G, SA-Diag multiplies K^ by ones: k^_sum = 1^T K^
        |  ones                      |                (Algorithm 1, step 3), accumulated over the token tiles and
        mux --> stationary        k^_sum              kept for the next product. During Q G it multiplies Q by
                    |                |                k^_sum, and each total becomes a divisor t_D (step 4).
                (SA-Diag)            |
                    |                |
    accumulate --> partial sum accumulator
                    | Q k^_sum
                    v
    divide -->  [row queue] --> denominator adder --> divisor (t_D, or n), invalid

It is also the head of the column chain: control comes in from the schedulers and goes on to column 0.
"""

from amaranth.hdl import Module, Mux, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.attention.column import Column
from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.bundles import AccumulateControl, DivideControl, LoadControl, Phase
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import address_field, index_width, tile_width, up_to

from .adder_array import DenominatorAdder

__all__ = ["DiagonalColumn"]


class DiagonalColumn(Column):
    """SA-Diag's buffers and the divisors.

    Args:
        config (AcceleratorConfig): the configuration.
        divisor_delay (int): cycles after `divide_out` at which column 0 wants the divisor.
        adder (type): the denominator adder, `DenominatorAdder` or a class derived from it.

    Ports:
        load_*, accumulate_*, divide_*: control from the schedulers and, one cycle later, for column 0.
        divisor_out, invalid_out: for column 0, `divisor_delay` cycles after `divide_out`.
        denominator_error: a row's t_D <= 0 (one cycle a row).
        stationary: to the array, as many cycles after `load_in` as in an `ArrayColumn`.
        partial_sum: from the array, `accumulator.sum_delay` cycles after `accumulate_in`.
        row_queued: a row's totals were put into the row queue, here; each column follows one cycle after its left one.
        c_d, divisor_shift, tokens: constant during a job.
    """

    module_name = "diagonal_column"
    accumulator_name = "partial_sum_accumulator_diagonal"
    waivers = {("UNUSEDSIGNAL", "accumulate_address_*"): "Column tiles are not SA-Diag's business."}

    def __init__(self, config, *, divisor_delay, adder=DenominatorAdder):
        self.divisor_delay = divisor_delay
        self.feature_bits = index_width(config.max_head_dim)
        self.column_tile_bits = tile_width(config.column_tiles)
        self.k_hat_sum_bank = MemoryBank(
            depth=1 << (1 + self.feature_bits), width=config.k_hat_sum_width, pipeline=config.memory_pipeline
        )
        self.adder = adder(
            product_width=config.q_k_hat_sum_width,
            fraction=config.constant_fraction,
            c_d_width=config.c_d_width,
            denominator_width=config.denominator_width,
            shift_max=config.divisor_shift_max,
            tokens_width=config.max_tokens.bit_length(),
            tokens_shift=config.data_width - 1,
            divisor_width=config.divisor_width,
        )
        super().__init__(
            config,
            sum_width=config.diagonal_sum_width,
            longest_pass=max(config.max_tokens, config.max_head_dim),
            queued_width=config.q_k_hat_sum_width,
            bundles={
                "load": LoadControl(config),
                "accumulate": AccumulateControl(config),
                "divide": DivideControl(config),
            },
            ports={
                "divisor_out": Out(config.divisor_width),
                "invalid_out": Out(1),
                "denominator_error": Out(1),
                "row_queued": Out(1),
                "stationary": Out(signed(config.k_hat_sum_width)),
                "partial_sum": In(signed(config.diagonal_sum_width)),
                "c_d": In(config.c_d_width),
                "divisor_shift": In(up_to(config.divisor_shift_max)),
                "tokens": In(config.max_tokens.bit_length()),
            },
        )

    def elaborate(self, platform):
        m = Module()
        self.pass_on_control(m)

        # Stationary operand: ones during G, k^_sum {half, feature} during Q G.
        bank = instantiate(m, "k_hat_sum_bank", self.k_hat_sum_bank)
        after = self.k_hat_sum_bank.latency - 1  # from `load_out` and `divide_out` to the words
        load_phase = delay(m, self.load_out.phase, after, "load_phase")
        tile_row = Mux(load_phase == Phase.G, 1, bank.read_data.as_signed())
        m.d.comb += bank.read_address.eq(self._without_column_tile(self.load_in.address))
        m.d.sync += self.stationary.eq(Mux(delay(m, self.load_out.blank, after, "blank"), 0, tile_row))

        # Totals. The passes of G for every column tile give the same k^_sum; it is written each time.
        accumulator, phase, address = self.totals(m)
        row_queue = instantiate(m, "row_queue", self.row_queue)
        m.d.comb += [
            bank.write_enable.eq(accumulator.total_valid & (phase == Phase.G)),
            bank.write_address.eq(self._without_column_tile(address)),
            bank.write_data.eq(accumulator.total),
            self.row_queued.eq(accumulator.total_valid & (phase == Phase.QG)),
            row_queue.write_enable.eq(self.row_queued),
            row_queue.write_address.eq(address),
            row_queue.write_data.eq(accumulator.total),
        ]

        # Divisors.
        adder = instantiate(m, "adder", self.adder)
        m.d.comb += [
            row_queue.read_address.eq(self.divide_in.queue_address),
            adder.product.eq(row_queue.read_data),
            adder.single.eq(delay(m, self.divide_out.mean, after, "single")),
            adder.c_d.eq(self.c_d),
            adder.shift.eq(self.divisor_shift),
            adder.tokens.eq(self.tokens),
        ]
        divided = delay(m, self.divide_out.start & ~self.divide_out.mean, after + self.adder.latency, "divided")
        m.d.comb += self.denominator_error.eq(divided & adder.invalid)

        # The queue's word comes `after` cycles after `divide_out`, the adder's result `latency` cycles behind it.
        wait = self.divisor_delay - after - self.adder.latency
        divisor, invalid = delay(m, adder.divisor, wait, "divisor"), delay(m, adder.invalid, wait, "invalid")
        m.d.comb += [self.divisor_out.eq(divisor), self.invalid_out.eq(invalid)]
        return m

    def _without_column_tile(self, address):
        """{half, feature} of {half, column tile, feature}."""
        feature = address_field(address, self.feature_bits)
        half = address[self.feature_bits + self.column_tile_bits]
        return (half << self.feature_bits) | feature

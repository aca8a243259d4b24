r"""Array column: everything above and below one column of SA-General, in step with that column.

                   [K bank] [V bank]
                        \    /
          load -->       mux --> stationary
                                    |
                               (SA-General)
                                    |
          accumulate -->  partial sum accumulator --> requantizer --> score, to the banks of the rows
                                    | e V                 |
                                    v                     v
          divide -->           [row queue]            (larger?) <-- largest score so far, along the columns
                                    |
                                 aligner
                                    |
          divisor -->          divider lane
                                    | z
          write_back -->        [Z bank] --> stream out

Control, the largest score and the divisor enter from the left and are passed on to the right one cycle later. Column c
holds the tokens c, c + C, ... of K and the features c, c + C, ... of V and Z.
"""

from amaranth.hdl import Module, Mux, signed
from amaranth.lib.wiring import In, Out, flipped

from taylorvit.rtl.attention.column import DividingColumn, value_address_width
from taylorvit.rtl.common.bank_chain import BankWrite, bank_write
from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import tile_width

from .aligner import Aligner
from .bundles import (
    AccumulateControl,
    DivideControl,
    LoadControl,
    Phase,
    ScoreWrite,
    WriteBackControl,
    maximum_chain,
    maximum_sizes,
    score_address_width,
)
from .row_maximum import MaximumStep

__all__ = ["ArrayColumn"]


class ArrayColumn(DividingColumn):
    """One column's buffers, its scores, and its share of the divisions.

    Args:
        config (AcceleratorConfig): the configuration.

    Ports:
        k_in, k_out: a beat for the K bank {half, key tile, beat}; it goes on to the right
            (`rtl.common.bank_chain.BankWrite`).
        v_in, v_out: a beat of which the V bank {half, column tile, token} takes an element, likewise.
        z_address, z_data: one element of the Z bank {half, column tile, token}, `z_latency` cycles later.
        load_*, accumulate_*, divide_*, write_back_*, divisor_*, invalid_*: control, `_in` from the left, `_out` to the
            right one cycle later. The divisor belongs to the row that `divide_in` started `divisor_delay` cycles
            before.
        maximum_in, maximum_out (MaximumChain): the largest score so far, `kept_latency` cycles after its
            `accumulate_in`; to the right one cycle later.
        score (ScoreWrite): a score, in the cycle of `maximum_in`.
        stationary: to the array, `load_latency` cycles after `load_in`.
        partial_sum: from the array, `sum_delay` cycles after `accumulate_in`.
        shift_s_*, numerator_shift_*: constant during a job, known here one cycle after the column on the left.
    """

    kept_shift = "shift_s"

    def __init__(self, config):
        k_address_width = 1 + tile_width(config.key_tiles) + tile_width(config.max_beats_per_row)
        beat_width = config.stream_lanes * config.data_width
        self.score_address_width = score_address_width(config)
        self.k_bank = MemoryBank(depth=1 << k_address_width, width=beat_width, pipeline=config.memory_pipeline)
        self.maximum_step = MaximumStep(**maximum_sizes(config))
        super().__init__(
            config,
            adder=Aligner(name="numerator", shape=signed(config.value_sum_width), shift_max=config.numerator_shift_max),
            longest_pass=config.longest_block,
            queued_width=config.value_sum_width,
            kept_sum_width=config.score_sum_width,
            kept_width=config.kept_score_width,
            mean_width=config.data_width,
            bundles={
                "load": LoadControl(config),
                "accumulate": AccumulateControl(config),
                "divide": DivideControl(config),
                "write_back": WriteBackControl(config),
                "maximum": maximum_chain(config),
                "k": BankWrite(banks=config.columns, address_width=k_address_width, data_width=beat_width),
                "v": BankWrite(banks=config.columns, address_width=value_address_width(config), data_width=beat_width),
            },
            ports={
                "score": Out(ScoreWrite(config)),
                "divisor_in": In(config.divisor_width),
                "divisor_out": Out(config.divisor_width),
                "invalid_in": In(1),
                "invalid_out": Out(1),
            },
        )

    def elaborate(self, platform):
        m = Module()
        self.pass_on_control(m)
        self._load(m)
        row_queue = instantiate(m, "row_queue", self.row_queue)
        self._accumulate(m, row_queue)
        self._divide(m, row_queue)
        return m

    def _load(self, m):
        """The stationary operand. `load_out` is this column's control one cycle later; words come with or after it."""
        k_bank = instantiate(m, "k_bank", self.k_bank)
        v_bank = instantiate(m, "v_bank", self.v_bank)
        bank_write(m, k_bank, self.k_in, self.k_out, shares=1, registers=self.chain_registers)
        bank_write(m, v_bank, self.v_in, self.v_out, shares=self.stream_lanes, registers=self.chain_registers)
        m.d.comb += [
            k_bank.read_address.eq(self.load_in.address),
            v_bank.read_address.eq(self.load_in.address),
        ]
        after = self.v_bank.latency - 1
        phase, lane, blank = (delay(m, getattr(self.load_out, name), after, f"load_{name}")
                              for name in ("phase", "lane", "blank"))  # fmt: skip
        key = k_bank.read_data.word_select(lane, self.data_width)
        m.d.sync += self.stationary.eq(Mux(blank, 0, Mux(phase == Phase.SCORES, key, v_bank.read_data)))

    def _accumulate(self, m, row_queue):
        """Totals: scores go to the rows through the requantizer, e V waits for its division."""
        accumulator, phase, address = self.totals(m)
        requantizer = instantiate(m, "requantizer", self.requantizer)
        maximum_step = instantiate(m, "maximum_step", self.maximum_step)
        m.d.comb += [
            requantizer.i.eq(accumulator.total),
            requantizer.shift.eq(self.shift_s_out),
        ]
        part = delay(m, self.accumulate_in.part, self.accumulator.latency, "accumulate_part")
        m.d.comb += [
            row_queue.write_enable.eq(accumulator.total_valid & (phase == Phase.VALUES)),
            row_queue.write_address.eq(address),
            row_queue.write_data.eq(accumulator.total),
        ]
        wait = self.requantizer.latency
        is_score = accumulator.total_valid & (phase == Phase.SCORES)
        m.d.comb += [
            self.score.valid.eq(delay(m, is_score, wait, "score_valid")),
            self.score.part.eq(delay(m, part, wait, "score_part")),
            self.score.address.eq(delay(m, address[: self.score_address_width], wait, "score_address")),
            self.score.score.eq(requantizer.o),
            maximum_step.score.eq(requantizer.o),
        ]
        connect(m, flipped(self.maximum_in), maximum_step.chain_in)
        connect(m, maximum_step.chain_out, flipped(self.maximum_out))

    def _divide(self, m, row_queue):
        """Divisions, and their results."""
        aligner = instantiate(m, "aligner", self.adder)
        m.d.comb += [
            row_queue.read_address.eq(self.divide_in.queue_address),
            aligner.value.eq(row_queue.read_data),
            aligner.shift.eq(self.numerator_shift_out),
        ]
        self.divisions(m, aligner.aligned)

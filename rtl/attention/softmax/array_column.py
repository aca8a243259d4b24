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

from taylorvit.rtl.array.partial_sum_accumulator import PartialSumAccumulator
from taylorvit.rtl.array.requantizer import Requantizer
from taylorvit.rtl.attention.divider_lane import DividerLane
from taylorvit.rtl.common.bank_chain import BankWrite, bank_write
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.common.widths import index_width, tile_width, up_to

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


class ArrayColumn(Block):
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
        maximum_in, maximum_out (MaximumChain): the largest score so far, `score_latency` cycles after its
            `accumulate_in`; to the right one cycle later.
        score (ScoreWrite): a score, in the cycle of `maximum_in`.
        stationary: to the array, `load_latency` cycles after `load_in`.
        partial_sum: from the array, `sum_delay` cycles after `accumulate_in`.
        shift_s_*, numerator_shift_*: constant during a job, known here one cycle after the column on the left.
    """

    module_name = "array_column"
    waivers = {
        ("PINCONNECTEMPTY", "*_out"): "The last column has none on its right.",
        ("PINCONNECTEMPTY", "*_out__*"): "The last column has none on its right.",
    }

    def __init__(self, config):
        self.data_width = config.data_width
        self.stream_lanes = config.stream_lanes
        self.chain_registers = config.chain_registers
        self.broadcast_registers = config.broadcast_registers
        k_address_width = 1 + tile_width(config.key_tiles) + tile_width(config.max_beats_per_row)
        v_address_width = 1 + tile_width(config.column_tiles) + index_width(config.max_tokens)
        z_address_width = v_address_width
        beat_width = config.stream_lanes * config.data_width
        pipeline = config.memory_pipeline
        self.score_address_width = score_address_width(config)
        self.k_bank = MemoryBank(depth=1 << k_address_width, width=beat_width, pipeline=pipeline)
        self.v_bank = MemoryBank(depth=1 << v_address_width, width=config.data_width, pipeline=pipeline)
        self.z_bank = MemoryBank(depth=1 << z_address_width, width=config.data_width, pipeline=pipeline)
        self.row_queue = MemoryBank(depth=config.row_queue_depth, width=config.value_sum_width, pipeline=pipeline)
        self.accumulator = PartialSumAccumulator(
            sum_width=config.partial_sum_width, depth=config.longest_block, memory_pipeline=pipeline
        )
        self.requantizer = Requantizer(
            i_width=config.score_sum_width,
            o_width=config.kept_score_width,
            shift_max=config.shift_s_max,
            pipelined=config.memory_pipeline > 0,
        )
        self.maximum_step = MaximumStep(**maximum_sizes(config))
        self.aligner = Aligner(
            name="numerator", shape=signed(config.value_sum_width), shift_max=config.numerator_shift_max
        )
        self.divider = DividerLane(
            numerator_width=config.numerator_width,
            divisor_width=config.divisor_width,
            data_width=config.data_width,
            mean_width=config.data_width,
            interval=config.divider_row_interval,
            pipelined=config.memory_pipeline > 0 and config.divider_row_interval > 1,
        )
        bundles = {
            "load": LoadControl(config),
            "accumulate": AccumulateControl(config),
            "divide": DivideControl(config),
            "write_back": WriteBackControl(config),
            "maximum": maximum_chain(config),
            "k": BankWrite(banks=config.columns, address_width=k_address_width, data_width=beat_width),
            "v": BankWrite(banks=config.columns, address_width=v_address_width, data_width=beat_width),
        }
        super().__init__(
            {f"{name}_in": In(bundle) for name, bundle in bundles.items()}
            | {f"{name}_out": Out(bundle) for name, bundle in bundles.items()}
            | {
                "z_address": In(z_address_width),
                "z_data": Out(signed(config.data_width)),
                "score": Out(ScoreWrite(config)),
                "divisor_in": In(config.divisor_width),
                "divisor_out": Out(config.divisor_width),
                "invalid_in": In(1),
                "invalid_out": Out(1),
                "stationary": Out(signed(config.data_width)),
                "partial_sum": In(signed(config.partial_sum_width)),
                "shift_s_in": In(up_to(config.shift_s_max)),
                "shift_s_out": Out(up_to(config.shift_s_max)),
                "numerator_shift_in": In(up_to(config.numerator_shift_max)),
                "numerator_shift_out": Out(up_to(config.numerator_shift_max)),
            }
        )

    @property
    def load_latency(self):
        """Cycles from `load_in` to `stationary`: the banks, then a register behind the choice between them."""
        return self.v_bank.latency + 1

    @property
    def sum_delay(self):
        """Cycles from `accumulate_in` to `partial_sum`."""
        return self.accumulator.sum_delay

    @property
    def score_latency(self):
        """Cycles from `accumulate_in` to its `score`."""
        return self.accumulator.latency + self.requantizer.latency

    @property
    def z_latency(self):
        """Cycles from `z_address` to `z_data`."""
        return self.broadcast_registers + self.z_bank.latency

    @property
    def divisor_delay(self):
        """Cycles from `divide_in` to `divisor_in`: the row queue, then the aligner."""
        return self.row_queue.latency + self.aligner.latency

    @property
    def write_back_delay(self):
        """Cycles from `divide_in` to `write_back_in`."""
        return self.divisor_delay + self.divider.latency

    def elaborate(self, platform):
        m = Module()
        for name in ("load", "accumulate", "divide", "write_back"):
            pass_on(m, getattr(self, f"{name}_in"), getattr(self, f"{name}_out"))
        for source, target, name in (
            (self.divisor_in, self.divisor_out, "divisor"),
            (self.invalid_in, self.invalid_out, "invalid"),
            (self.shift_s_in, self.shift_s_out, "shift_s"),
            (self.numerator_shift_in, self.numerator_shift_out, "numerator_shift"),
        ):
            m.d.comb += target.eq(delay(m, source, 1, name))
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
        accumulator = instantiate(m, "accumulator", self.accumulator)
        requantizer = instantiate(m, "requantizer", self.requantizer)
        maximum_step = instantiate(m, "maximum_step", self.maximum_step)
        m.d.comb += [
            accumulator.valid.eq(self.accumulate_in.valid),
            accumulator.first.eq(self.accumulate_in.first),
            accumulator.last.eq(self.accumulate_in.last),
            accumulator.index.eq(self.accumulate_in.index),
            accumulator.partial_sum.eq(self.partial_sum),
            requantizer.i.eq(accumulator.total),
            requantizer.shift.eq(self.shift_s_out),
        ]
        phase, address, part = (
            delay(m, getattr(self.accumulate_in, name), self.accumulator.latency, f"accumulate_{name}")
            for name in ("phase", "address", "part")
        )
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
        aligner = instantiate(m, "aligner", self.aligner)
        divider = instantiate(m, "divider", self.divider)
        z_bank = instantiate(m, "z_bank", self.z_bank)
        m.d.comb += [
            row_queue.read_address.eq(self.divide_in.queue_address),
            aligner.value.eq(row_queue.read_data),
            aligner.shift.eq(self.numerator_shift_out),
            divider.numerator.eq(aligner.aligned),
            divider.divisor.eq(self.divisor_in),
            divider.invalid.eq(self.invalid_in),
            # The divider is told in the cycle before the numerator is there.
            divider.start.eq(delay(m, self.divide_in.start, self.divisor_delay - 1, "start")),
            z_bank.write_enable.eq(self.write_back_in.write),
            z_bank.write_address.eq(self.write_back_in.address),
            z_bank.write_data.eq(divider.z),
            z_bank.read_address.eq(delay(m, self.z_address, self.broadcast_registers, "z_address")),
            self.z_data.eq(z_bank.read_data),
        ]

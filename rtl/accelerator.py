"""The accelerator: Taylor attention by ViTALiTy's Algorithm 1, heads of Q, K, V in, heads of Z out.

    s_axis_k --> loader --> K banks --> centring ---.        s_axil --> control_status --> job, start, interrupt
                   |-> accumulators: k_sum          |
    s_axis_q --> loader --> Q banks ----------------+--> operand rows --> SA-Diag | SA-General
    s_axis_v --> loader --> V banks --> stationary tiles ------------------^           |
                   |-> accumulators: v_sum --> bias unit                               |
                                                 |              partial sums, requantizer, row queue
    m_axis_z <-- sender <-- Z banks <-- divider lanes <-- adders <---------------------'

The row side (`operand_row`) is a chain down the array, the column side (`diagonal_column`, `array_column`) a chain to
its right. Two schedulers feed them: `pass_scheduler` decides what the array does, `division_scheduler` what the
divider array does. They and the loaders know of each other only through pulses: a head loaded, a head's k_mean
ready, a half of a buffer released.

This file only joins blocks; every latency that it needs is asked of the blocks themselves.
"""

from functools import reduce
from math import ceil
from operator import or_

from amaranth.hdl import Cat, Module, ResetSignal, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.array.systolic_array import SystolicArray
from taylorvit.rtl.attention.accumulator_array import AccumulatorArray
from taylorvit.rtl.attention.array_column import ArrayColumn
from taylorvit.rtl.attention.bias_unit import BiasUnit
from taylorvit.rtl.attention.diagonal_column import DiagonalColumn
from taylorvit.rtl.attention.division_scheduler import DivisionScheduler
from taylorvit.rtl.attention.operand_row import OperandRow
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bundles import PHASE_G, PHASE_QG, delay, delay_bundle, index_width
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.reset_line import ResetLine
from taylorvit.rtl.control.control_status import ControlStatus
from taylorvit.rtl.control.job_control import JobControl
from taylorvit.rtl.schedule.pass_scheduler import PassScheduler
from taylorvit.rtl.streams.stream_loader import StreamLoader
from taylorvit.rtl.streams.stream_sender import StreamSender

__all__ = ["Accelerator"]


class Accelerator(Block):
    """Heads of Q, K and V in, heads of Z = Taylor attention out; the top level.

    Parameters
    ----------
    config: the configuration (`rtl.config.AcceleratorConfig`). With a `prefix` "a_" the module is `a_taylorvit`.

    Ports
    -----
    s_axil_*: AXI4-Lite slave, control and status registers (`rtl.control.registers`); interrupt: level.
    s_axis_q_*, s_axis_k_*, s_axis_v_*: AXI4-Stream slaves, one packet a head (`rtl.streams.stream_loader`).
    m_axis_z_*: AXI4-Stream master, one packet a head (`rtl.streams.stream_sender`).

    Sustained over heads that follow each other, a head takes `config.array_cycles(n, d)` cycles where `sustains(n, d)`.
    """

    waivers = {("SYMRSVDWORD", "interrupt"): "The usual name; C++ code gets another one from Verilator."}

    def __init__(self, config):
        self.config = config
        self.prefix = config.prefix
        self.module_name = f"{config.prefix}taylorvit"
        self.control_status = ControlStatus(config)
        self.reset_line = ResetLine()
        self.job_control = JobControl(config, streams=3)
        self.loaders = {
            name: StreamLoader(
                name=name,
                lanes=config.stream_lanes,
                data_width=config.data_width,
                element_width=config.element_width,
                max_tokens=config.max_tokens,
                max_head_dim=config.max_head_dim,
                max_heads=config.max_heads,
                banks=banks,
                banked_by=banked_by,
                readers=readers,
                pipelined=config.memory_pipeline > 0,
            )
            for name, banks, banked_by, readers in (
                ("q", config.rows, "feature", 1),
                ("k", config.rows, "token", 1),
                ("v", config.columns, "feature", 2),  # tiles for the array, and v_sum for the bias unit
            )
        }
        self.column_sums = AccumulatorArray(
            lanes=config.stream_lanes,
            beats=config.max_beats_per_row,
            data_width=config.data_width,
            sum_width=config.column_sum_width,
            memory_pipeline=config.memory_pipeline,
        )
        self.operand_row = OperandRow(config)
        self.mean_bank = MemoryBank(
            depth=1 << (1 + index_width(config.column_tiles * config.columns)),
            width=config.mean_width,
            pipeline=self.operand_row.memory_latency - 1,
        )
        self.array = SystolicArray(
            rows=config.rows,
            columns=config.columns,
            streamed_width=config.streamed_width,
            stationary_width=config.data_width,
            sum_width=config.partial_sum_width,
            diagonal_width=config.k_hat_sum_width,
            diagonal_sum_width=config.diagonal_sum_width,
            pipeline=config.pe_pipeline,
            multiplier=config.multiplier,
            booth_columns=config.booth_columns,
            pe=config.pe,
        )
        self.array_column = ArrayColumn(config)
        self.diagonal_column = DiagonalColumn(config, divisor_delay=self.array_column.divisor_delay)
        self.bias_unit = BiasUnit(config, v_sum_latency=self.column_sums.read_latency)
        self.pass_scheduler = PassScheduler(config, load_latency=self.array_column.load_latency)
        # The diagonal column's register lies between the schedulers and column 0.
        self.division_scheduler = DivisionScheduler(
            config,
            k_sum_delay=1 + self.array_column.k_sum_delay,
            k_sum_latency=self.column_sums.read_latency,
            write_back_delay=1 + self.array_column.write_back_delay,
        )
        self.sender = StreamSender(
            lanes=config.stream_lanes,
            data_width=config.data_width,
            element_width=config.element_width,
            columns=config.columns,
            max_tokens=config.max_tokens,
            max_head_dim=config.max_head_dim,
            z_latency=self.array_column.z_latency,
        )
        ports = {
            name: member
            for name, member in self.control_status.signature.members.items()
            if name.startswith("s_axil_") or name == "interrupt"
        }
        for stream in "qkv":
            ports |= {
                f"s_axis_{stream}_tdata": In(config.stream_width),
                f"s_axis_{stream}_tvalid": In(1),
                f"s_axis_{stream}_tready": Out(1),
                f"s_axis_{stream}_tlast": In(1),
            }
        ports |= {
            "m_axis_z_tdata": Out(config.stream_width),
            "m_axis_z_tvalid": Out(1),
            "m_axis_z_tready": In(1),
            "m_axis_z_tlast": Out(1),
        }
        super().__init__(ports)

    @property
    def parameters(self):
        """What distinguishes two accelerators: the configuration."""
        return self.config.to_mapping()

    @property
    def accumulate_delay(self):
        """Cycles from the end of the row chain to SA-Diag's `accumulate`: its sum follows `sum_delay` cycles later."""
        return self.operand_row.latency + self.array.latency - self.array_column.sum_delay - self.config.rows

    @property
    def turnaround(self):
        """Cycles that go by beside the array's work before something of one head can be the array's work again.

        The longer of two ways, each from an element that the pass scheduler sends to the next one that depends on it:
        totals of G out of the last column and as a tile back into the array, and a half of the K banks from its last
        row through the divider array (the next head's k_mean) to the first element of that head.
        """
        rows, columns, column = self.config.rows, self.config.columns, self.array_column
        # Down the rows, along the columns, into the G bank; the choice of the product, and its first tile.
        g_out = 1 + rows + self.accumulate_delay + 1 + columns + column.g_latency
        g_back = self.pass_scheduler.choice_latency + rows
        # The last row's release; the loader's, the division scheduler's and the mean bank's own registers are 8.
        k_in = 1 + rows + self.column_sums.write_latency
        k_mean = 1 + column.write_back_delay + columns + 8
        return max(g_out + g_back, k_in + k_mean)

    def sustains(self, tokens, head_dim):
        """Whether heads of this size are sure to follow each other in `config.array_cycles(tokens, head_dim)` cycles.

        Sufficient, not necessary: some other sizes do as well.

        Passes hide the loading of the next tile, the divider takes rows as fast as they leave the array, and the
        array works long enough for the operands of a head to come in and for `turnaround`.
        """
        config = self.config
        beats = tokens * ceil(head_dim / config.stream_lanes)
        return (
            tokens > config.rows
            and head_dim >= config.rows
            and config.divider_row_interval <= ceil(head_dim / config.rows)
            and config.array_cycles(tokens, head_dim) >= beats + self.turnaround
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config

        # Control and status.
        registers = instantiate(m, "control_status", self.control_status)
        for name in self.control_status.signature.members:
            if name in self.signature.members:
                outer, inner = getattr(self, name), getattr(registers, name)
                incoming = self.signature.members[name].flow == In
                m.d.comb += inner.eq(outer) if incoming else outer.eq(inner)

        # A soft reset clears every block but the registers; what is on its way from block to block as well. It takes
        # some cycles to get there. Until then the ports to the outside are closed: what is behind them is past.
        reset = registers.soft_reset | ResetSignal()
        any_reset = Signal(init=1, reset_less=True)
        closed = Signal(init=1, reset_less=True)
        under_way = [any_reset]
        for step in range(1, self.reset_line.latency):
            under_way.append(Signal(init=1, reset_less=True, name=f"any_reset_{step}"))
            m.d.sync += under_way[-1].eq(under_way[-2])
        m.d.sync += [any_reset.eq(reset), closed.eq(reset | Cat(under_way).any())]

        def reset_of(name):
            line = instantiate(m, f"{name}_reset", self.reset_line)
            m.d.comb += line.i.eq(any_reset)
            return line.o

        def block(name, component):
            return instantiate(m, name, component, reset=None if component.reset_less else reset_of(name))

        job = block("job_control", self.job_control)
        loaders = {name: block(f"loader_{name}", loader) for name, loader in self.loaders.items()}
        k_sums, v_sums = block("k_sums", self.column_sums), block("v_sums", self.column_sums)
        mean_bank = block("mean_bank", self.mean_bank)
        rows = [block(f"operand_row_{index}", self.operand_row) for index in range(config.rows)]
        array = block("array", self.array)
        diagonal = block("diagonal_column", self.diagonal_column)
        columns = [block(f"column_{index}", self.array_column) for index in range(config.columns)]
        bias_unit = block("bias_unit", self.bias_unit)
        passes = block("pass_scheduler", self.pass_scheduler)
        divisions = block("division_scheduler", self.division_scheduler)
        sender = block("sender", self.sender)

        # The job: its sizes and constants go to whoever uses them.
        for unit in (job, *loaders.values(), passes, divisions, bias_unit, sender):
            m.d.comb += unit.start.eq(registers.start)
        for unit in (*loaders.values(), passes, divisions, bias_unit, sender):
            m.d.comb += unit.head_dim.eq(registers.head_dim)
        for unit in (*loaders.values(), passes, divisions, sender, diagonal):
            m.d.comb += unit.tokens.eq(registers.tokens)
        for unit in (job, *loaders.values(), passes):
            m.d.comb += unit.heads.eq(registers.heads)
        m.d.comb += [
            job.shift_z.eq(registers.shift_z),
            job.timeout.eq(registers.timeout),
            diagonal.c_d.eq(registers.c_d),
            diagonal.divisor_shift.eq(job.divisor_shift),
            bias_unit.c_v.eq(registers.c_v),
            bias_unit.shift.eq(job.numerator_shift),
        ]
        shift_g, numerator_shift = registers.shift_g, job.numerator_shift
        for column in columns:
            m.d.comb += [column.shift_g_in.eq(shift_g), column.numerator_shift_in.eq(numerator_shift)]
            shift_g, numerator_shift = column.shift_g_out, column.numerator_shift_out

        # Streams in, to the banks and the accumulator arrays.
        for name, loader in loaders.items():
            m.d.comb += [
                loader.s_tdata.eq(getattr(self, f"s_axis_{name}_tdata")),
                loader.s_tvalid.eq(getattr(self, f"s_axis_{name}_tvalid")),
                getattr(self, f"s_axis_{name}_tready").eq(loader.s_tready),
                loader.s_tlast.eq(getattr(self, f"s_axis_{name}_tlast")),
                loader.closed.eq(closed),
            ]
        self._chain(m, loaders["q"].write, rows, "q")
        self._chain(m, loaders["k"].write, rows, "k")
        self._chain(m, loaders["v"].write, columns, "v")
        for sums, loader in ((k_sums, loaders["k"]), (v_sums, loaders["v"])):
            m.d.comb += [
                sums.write.eq(loader.row_write),
                sums.first.eq(loader.row_first),
                sums.half.eq(loader.row_half),
                sums.beat.eq(loader.row_beat),
                sums.data.eq(loader.write.data),
            ]

        # c_v v_sum, from the accumulators into the columns' bias banks.
        m.d.comb += [
            v_sums.read_half.eq(bias_unit.read_half),
            v_sums.read_beat.eq(bias_unit.read_beat),
            v_sums.read_lane.eq(bias_unit.read_lane),
            bias_unit.v_sum.eq(v_sums.read_data),
        ]
        self._chain(m, bias_unit.write, columns, "bias")

        # Down the rows: streamed elements and their k_mean.
        self._chain(m, passes.stream_control, rows, "control")
        m.d.comb += [mean_bank.read_address.eq(passes.mean_address), rows[0].mean_in.eq(mean_bank.read_data)]
        for above, below in zip(rows, rows[1:]):
            m.d.comb += below.mean_in.eq(above.mean_out)
        m.d.comb += [
            array.streamed.eq(Cat(row.streamed for row in rows)),
            array.swap.eq(Cat(row.swap for row in rows)),
            array.load.eq(passes.load),
            array.load_first.eq(passes.load_first),
        ]

        # Along the columns: stationary tiles, sums, divisions, results.
        accumulate = delay_bundle(
            m, rows[-1].control_out.accumulate, self.accumulate_delay, "accumulate", reset=reset_of("accumulate")
        )
        self._chain(m, passes.load_control, [diagonal, *columns], "load")
        self._chain(m, accumulate, [diagonal, *columns], "accumulate")
        self._chain(m, divisions.divide, [diagonal, *columns], "divide")
        self._chain(m, divisions.write_back, columns, "write_back")
        m.d.comb += [
            array.stationary_diagonal.eq(diagonal.stationary),
            array.stationary.eq(Cat(column.stationary for column in columns)),
            diagonal.partial_sum.eq(array.sum_diagonal),
        ]
        left = diagonal
        for index, column in enumerate(columns):
            m.d.comb += [
                column.partial_sum.eq(array.sum.word_select(index, config.partial_sum_width)),
                column.divisor_in.eq(left.divisor_out),
                column.invalid_in.eq(left.invalid_out),
                column.k_sum.eq(k_sums.read_data),
                column.z_address.eq(sender.z_address),
            ]
            left = column

        # Means: k_sum to the columns, k_mean back; the columns answer one after the other, so one word serves all.
        m.d.comb += [
            k_sums.read_half.eq(divisions.k_sum_half),
            k_sums.read_beat.eq(divisions.k_sum_beat),
            k_sums.read_lane.eq(divisions.k_sum_lane),
        ]
        mean = Signal(config.mean_width)
        near = []  # of four neighbours: a register on the way
        for first in range(0, len(columns), 4):
            near.append(Signal(config.mean_width, name=f"mean_{first}"))
            m.d.sync += near[-1].eq(reduce(or_, (column.mean.as_unsigned() for column in columns[first : first + 4])))
        m.d.sync += mean.eq(reduce(or_, near))
        mean_written = reset_of("mean_written")
        m.d.comb += [
            mean_bank.write_enable.eq(delay(m, divisions.mean_write, 1, "mean_write", reset=mean_written)),
            mean_bank.write_address.eq(delay(m, divisions.mean_address, 1, "mean_address")),
            mean_bank.write_data.eq(mean),
        ]

        # Stream out.
        m.d.comb += [
            sender.z_data.eq(Cat(column.z_data for column in columns)),
            self.m_axis_z_tdata.eq(sender.m_tdata),
            self.m_axis_z_tvalid.eq(sender.m_tvalid & ~closed),
            self.m_axis_z_tlast.eq(sender.m_tlast),
            sender.m_tready.eq(self.m_axis_z_tready & ~closed),
        ]

        # Who waits for whom. A half is released when the last row or column has read its last word.
        last_row, last_column = rows[-1], columns[-1]
        head_divided = last_column.write_back_out.head_end
        v_tiles_left = last_column.load_out.release & (last_column.load_out.phase == PHASE_G)
        g_totals_out = Signal()
        m.d.comb += g_totals_out.eq(last_column.accumulate_out.head_end & (last_column.accumulate_out.phase == PHASE_G))
        m.d.comb += [
            loaders["q"].released.eq(last_row.control_out.release & (last_row.control_out.phase == PHASE_QG)),
            loaders["k"].released.eq(last_row.control_out.release & (last_row.control_out.phase == PHASE_G)),
            loaders["v"].released.eq(Cat(v_tiles_left, bias_unit.done)),
            passes.q_loaded.eq(loaders["q"].loaded),
            passes.k_loaded.eq(loaders["k"].loaded),
            passes.v_loaded.eq(loaders["v"].loaded),
            passes.mean_ready.eq(delay(m, divisions.mean_ready, 1, "mean_ready", reset=mean_written)),
            passes.g_written.eq(
                delay(m, g_totals_out, self.array_column.g_latency, "g_written", reset=reset_of("g_written"))
            ),
            passes.row_divided.eq(divisions.row_divided),
            divisions.bias_ready.eq(bias_unit.done),
            divisions.row_queued.eq(diagonal.row_queued),
            divisions.z_released.eq(sender.sent),
            bias_unit.released.eq(head_divided),
            sender.head_ready.eq(head_divided),
        ]

        # Of a head's sums the first is asked for two cycles after this, at the earliest.
        wait = self.column_sums.write_latency - 2
        for unit, stream in ((divisions.k_loaded, "k"), (bias_unit.v_loaded, "v")):
            name = f"{stream}_summed"
            line = reset_of(name) if wait else None
            m.d.comb += unit.eq(delay(m, loaders[stream].loaded, wait, name, reset=line))

        # Start, end and what the host sees of a job.
        m.d.comb += [
            job.starving.eq(Cat(loader.starving for loader in loaders.values())),
            job.moving.eq(Cat(loader.s_tvalid & loader.s_tready for loader in loaders.values())),
            job.idle.eq(Cat(loader.idle for loader in loaders.values())),
            job.array_busy.eq(passes.array_busy),
            job.sink_waits.eq(sender.m_tvalid & ~sender.m_tready),
            job.sent.eq(sender.sent),
            *(loader.input_timeout.eq(job.input_timeout) for loader in loaders.values()),
            registers.busy.eq(job.busy & ~closed),
            registers.array_busy.eq(passes.array_busy),
            registers.stall_input.eq(passes.stall_input),
            registers.stall_output.eq(passes.stall_output),
        ]
        # What is only recorded may take a cycle more.
        m.d.sync += [
            registers.done.eq(job.done & ~closed),
            registers.head_done.eq(sender.sent & ~closed),
            registers.tlast_early.eq(Cat(loader.tlast_early & ~closed for loader in loaders.values())),
            registers.tlast_late.eq(Cat(loader.tlast_late & ~closed for loader in loaders.values())),
            registers.input_timeout.eq(Cat(loader.gave_up for loader in loaders.values()).any() & ~closed),
            registers.denominator_error.eq(diagonal.denominator_error & ~closed),
        ]
        return m

    @staticmethod
    def _chain(m, source, members, name):
        """Connects `source` to the first member's `<name>_in`, and each `<name>_out` to the next one's."""
        for member in members:
            target = getattr(member, f"{name}_in")
            for path, _member, value in source.signature.flatten(source):
                destination = target
                for part in path:
                    destination = getattr(destination, part)
                m.d.comb += destination.eq(value)
            source = getattr(member, f"{name}_out")

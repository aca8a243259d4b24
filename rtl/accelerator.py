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
from types import SimpleNamespace

from amaranth.hdl import Cat, Module, ResetSignal, Signal
from amaranth.lib.wiring import In, Out, flipped

from taylorvit.rtl.array.systolic_array import SystolicArray
from taylorvit.rtl.attention.accumulator_array import AccumulatorArray
from taylorvit.rtl.attention.division_scheduler import DivisionScheduler
from taylorvit.rtl.attention.taylor.array_column import ArrayColumn
from taylorvit.rtl.attention.taylor.bias_unit import BiasUnit
from taylorvit.rtl.attention.taylor.diagonal_column import DiagonalColumn
from taylorvit.rtl.attention.taylor.operand_row import OperandRow
from taylorvit.rtl.common.axi import AxiLite, AxiStream
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bundles import Phase
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, delay_bundle
from taylorvit.rtl.common.reset_line import ResetLine
from taylorvit.rtl.common.widths import index_width
from taylorvit.rtl.control.control_status import ControlStatus
from taylorvit.rtl.control.job_control import JobControl
from taylorvit.rtl.control.registers import ADDRESS_WIDTH, DATA_WIDTH
from taylorvit.rtl.schedule.pass_scheduler import PassScheduler
from taylorvit.rtl.streams.stream_loader import StreamLoader
from taylorvit.rtl.streams.stream_sender import StreamSender

__all__ = ["Accelerator"]


class Accelerator(Block):
    """Heads of Q, K and V in, heads of Z = Taylor attention out; the top level.

    Sustained over heads that follow each other, a head takes `config.array_cycles(n, d)` cycles where `sustains(n, d)`.

    Args:
        config (AcceleratorConfig): the configuration. With a `prefix` "a_" the module is `a_taylorvit`.

    Ports:
        s_axil (AxiLite, slave): control and status registers (`rtl.control.registers`).
        interrupt (1 bit): level, high while an enabled event is set.
        s_axis_q (AxiStream of stream_width bits, sink): Q, one packet a head (`rtl.streams.stream_loader`).
        s_axis_k (AxiStream of stream_width bits, sink): K, likewise.
        s_axis_v (AxiStream of stream_width bits, sink): V, likewise.
        m_axis_z (AxiStream of stream_width bits, source): Z, one packet a head (`rtl.streams.stream_sender`).
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
        super().__init__(
            {
                "s_axil": In(AxiLite(address_width=ADDRESS_WIDTH, data_width=DATA_WIDTH)),
                "interrupt": Out(1),
                "s_axis_q": In(AxiStream(config.stream_width)),
                "s_axis_k": In(AxiStream(config.stream_width)),
                "s_axis_v": In(AxiStream(config.stream_width)),
                "m_axis_z": Out(AxiStream(config.stream_width)),
            }
        )

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
        registers = self._registers(m)
        resets = _Resets(m, self.reset_line, registers.soft_reset)
        blocks = self._blocks(m, resets)
        self._job(m, registers, blocks)
        self._streams_in(m, blocks, resets.closed)
        self._biases(m, blocks)
        self._row_chain(m, blocks)
        self._column_chain(m, blocks, resets)
        self._means(m, blocks, resets)
        self._stream_out(m, blocks, resets.closed)
        self._flow_control(m, blocks, resets)
        self._status(m, registers, blocks, resets.closed)
        return m

    def _registers(self, m):
        """Control and status, for the host."""
        registers = instantiate(m, "control_status", self.control_status)
        connect(m, flipped(self.s_axil), registers.s_axil)
        m.d.comb += self.interrupt.eq(registers.interrupt)
        return registers

    def _blocks(self, m, resets):
        """The instances of all other blocks, each with a reset line of its own; several of one kind are a list."""
        config = self.config

        def block(name, component):
            return instantiate(m, name, component, reset=None if component.reset_less else resets.line(name))

        return SimpleNamespace(
            job=block("job_control", self.job_control),
            loaders={name: block(f"loader_{name}", loader) for name, loader in self.loaders.items()},
            k_sums=block("k_sums", self.column_sums),
            v_sums=block("v_sums", self.column_sums),
            mean_bank=block("mean_bank", self.mean_bank),
            rows=[block(f"operand_row_{index}", self.operand_row) for index in range(config.rows)],
            array=block("array", self.array),
            diagonal=block("diagonal_column", self.diagonal_column),
            columns=[block(f"column_{index}", self.array_column) for index in range(config.columns)],
            bias_unit=block("bias_unit", self.bias_unit),
            passes=block("pass_scheduler", self.pass_scheduler),
            divisions=block("division_scheduler", self.division_scheduler),
            sender=block("sender", self.sender),
        )

    def _job(self, m, registers, blocks):
        """The sizes and constants of the job go to the blocks that use them."""
        job, diagonal, bias_unit = blocks.job, blocks.diagonal, blocks.bias_unit
        loaders, passes, divisions, sender = blocks.loaders.values(), blocks.passes, blocks.divisions, blocks.sender
        for unit in (job, *loaders, passes, divisions, bias_unit, sender):
            m.d.comb += unit.start.eq(registers.start)
        for unit in (*loaders, passes, divisions, bias_unit, sender):
            m.d.comb += unit.head_dim.eq(registers.head_dim)
        for unit in (*loaders, passes, divisions, sender, diagonal):
            m.d.comb += unit.tokens.eq(registers.tokens)
        for unit in (job, *loaders, passes):
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
        for column in blocks.columns:
            m.d.comb += [column.shift_g_in.eq(shift_g), column.numerator_shift_in.eq(numerator_shift)]
            shift_g, numerator_shift = column.shift_g_out, column.numerator_shift_out

    def _streams_in(self, m, blocks, closed):
        """Streams go through their loaders to the banks, and K and V to the accumulator arrays as well."""
        loaders = blocks.loaders
        for stream, loader in zip((self.s_axis_q, self.s_axis_k, self.s_axis_v), loaders.values()):
            connect(m, flipped(stream), loader.s)
            m.d.comb += loader.closed.eq(closed)
        _chain(m, loaders["q"].write, blocks.rows, "q")
        _chain(m, loaders["k"].write, blocks.rows, "k")
        _chain(m, loaders["v"].write, blocks.columns, "v")
        for sums, loader in ((blocks.k_sums, loaders["k"]), (blocks.v_sums, loaders["v"])):
            m.d.comb += [
                sums.write.eq(loader.row_write),
                sums.first.eq(loader.row_first),
                sums.half.eq(loader.row_half),
                sums.beat.eq(loader.row_beat),
                sums.data.eq(loader.write.data),
            ]

    def _biases(self, m, blocks):
        """c_v v_sum goes from the accumulators through the bias unit into the bias banks of the columns."""
        v_sums, bias_unit = blocks.v_sums, blocks.bias_unit
        m.d.comb += [
            v_sums.read_half.eq(bias_unit.read_half),
            v_sums.read_beat.eq(bias_unit.read_beat),
            v_sums.read_lane.eq(bias_unit.read_lane),
            bias_unit.v_sum.eq(v_sums.read_data),
        ]
        _chain(m, bias_unit.write, blocks.columns, "bias")

    def _row_chain(self, m, blocks):
        """Down the rows go the control of the streamed elements and, behind it, their k_mean."""
        rows, passes, mean_bank, array = blocks.rows, blocks.passes, blocks.mean_bank, blocks.array
        _chain(m, passes.stream_control, rows, "control")
        m.d.comb += [mean_bank.read_address.eq(passes.mean_address), rows[0].mean_in.eq(mean_bank.read_data)]
        for above, below in zip(rows, rows[1:]):
            m.d.comb += below.mean_in.eq(above.mean_out)
        m.d.comb += [
            array.streamed.eq(Cat(row.streamed for row in rows)),
            array.swap.eq(Cat(row.swap for row in rows)),
            array.load.eq(passes.load),
            array.load_first.eq(passes.load_first),
        ]

    def _column_chain(self, m, blocks, resets):
        """Along the columns go stationary tiles, sums, divisions and results, through SA-Diag's column first."""
        diagonal, columns, array = blocks.diagonal, blocks.columns, blocks.array
        accumulate = delay_bundle(
            m,
            blocks.rows[-1].control_out.accumulate,
            self.accumulate_delay,
            "accumulate",
            reset=resets.line("accumulate"),
        )
        _chain(m, blocks.passes.load_control, [diagonal, *columns], "load")
        _chain(m, accumulate, [diagonal, *columns], "accumulate")
        _chain(m, blocks.divisions.divide, [diagonal, *columns], "divide")
        _chain(m, blocks.divisions.write_back, columns, "write_back")
        m.d.comb += [
            array.stationary_diagonal.eq(diagonal.stationary),
            array.stationary.eq(Cat(column.stationary for column in columns)),
            diagonal.partial_sum.eq(array.sum_diagonal),
        ]
        left = diagonal
        for index, column in enumerate(columns):
            m.d.comb += [
                column.partial_sum.eq(array.sum.word_select(index, self.config.partial_sum_width)),
                column.divisor_in.eq(left.divisor_out),
                column.invalid_in.eq(left.invalid_out),
                column.k_sum.eq(blocks.k_sums.read_data),
                column.z_address.eq(blocks.sender.z_address),
            ]
            left = column

    def _means(self, m, blocks, resets):
        """k_sum goes to the columns and k_mean comes back, one after the other, so that one word serves all columns."""
        divisions, k_sums, mean_bank, columns = blocks.divisions, blocks.k_sums, blocks.mean_bank, blocks.columns
        m.d.comb += [
            k_sums.read_half.eq(divisions.k_sum_half),
            k_sums.read_beat.eq(divisions.k_sum_beat),
            k_sums.read_lane.eq(divisions.k_sum_lane),
        ]
        width = self.config.mean_width
        mean = Signal(width)
        near = []  # of four neighbours: a register on the way
        for first in range(0, len(columns), 4):
            near.append(Signal(width, name=f"mean_{first}"))
            m.d.sync += near[-1].eq(reduce(or_, (column.mean.as_unsigned() for column in columns[first : first + 4])))
        m.d.sync += mean.eq(reduce(or_, near))
        reset = resets.line("mean_written")
        m.d.comb += [
            mean_bank.write_enable.eq(delay(m, divisions.mean_write, 1, "mean_write", reset=reset)),
            mean_bank.write_address.eq(delay(m, divisions.mean_address, 1, "mean_address")),
            mean_bank.write_data.eq(mean),
        ]

    def _stream_out(self, m, blocks, closed):
        """Z leaves the columns through the sender."""
        sender = blocks.sender
        m.d.comb += [
            sender.z_data.eq(Cat(column.z_data for column in blocks.columns)),
            self.m_axis_z.tdata.eq(sender.m.tdata),
            self.m_axis_z.tvalid.eq(sender.m.tvalid & ~closed),
            self.m_axis_z.tlast.eq(sender.m.tlast),
            sender.m.tready.eq(self.m_axis_z.tready & ~closed),
        ]

    def _flow_control(self, m, blocks, resets):
        """Pulses say which head is where. A half is released when the last row or column has read its last word."""
        loaders, passes, divisions = blocks.loaders, blocks.passes, blocks.divisions
        bias_unit, sender = blocks.bias_unit, blocks.sender
        last_row, last_column = blocks.rows[-1], blocks.columns[-1]
        head_divided = last_column.write_back_out.head_end
        v_tiles_left = last_column.load_out.release & (last_column.load_out.phase == Phase.G)
        g_totals_out = Signal()
        m.d.comb += g_totals_out.eq(last_column.accumulate_out.head_end & (last_column.accumulate_out.phase == Phase.G))
        m.d.comb += [
            loaders["q"].released.eq(last_row.control_out.release & (last_row.control_out.phase == Phase.QG)),
            loaders["k"].released.eq(last_row.control_out.release & (last_row.control_out.phase == Phase.G)),
            loaders["v"].released.eq(Cat(v_tiles_left, bias_unit.done)),
            passes.q_loaded.eq(loaders["q"].loaded),
            passes.k_loaded.eq(loaders["k"].loaded),
            passes.v_loaded.eq(loaders["v"].loaded),
            passes.mean_ready.eq(delay(m, divisions.mean_ready, 1, "mean_ready", reset=resets.line("mean_written"))),
            passes.g_written.eq(
                delay(m, g_totals_out, self.array_column.g_latency, "g_written", reset=resets.line("g_written"))
            ),
            passes.row_divided.eq(divisions.row_divided),
            divisions.bias_ready.eq(bias_unit.done),
            divisions.row_queued.eq(blocks.diagonal.row_queued),
            divisions.z_released.eq(sender.sent),
            bias_unit.released.eq(head_divided),
            sender.head_ready.eq(head_divided),
        ]
        # The first sum of a head is read two cycles after this, at the earliest.
        wait = self.column_sums.write_latency - 2
        for unit, stream in ((divisions.k_loaded, "k"), (bias_unit.v_loaded, "v")):
            name = f"{stream}_summed"
            line = resets.line(name) if wait else None
            m.d.comb += unit.eq(delay(m, loaders[stream].loaded, wait, name, reset=line))

    def _status(self, m, registers, blocks, closed):
        """Job control and the registers are told what a job does."""
        job, passes, diagonal, sender = blocks.job, blocks.passes, blocks.diagonal, blocks.sender
        loaders = blocks.loaders.values()
        m.d.comb += [
            job.starving.eq(Cat(loader.starving for loader in loaders)),
            job.moving.eq(Cat(loader.s.tvalid & loader.s.tready for loader in loaders)),
            job.idle.eq(Cat(loader.idle for loader in loaders)),
            job.array_busy.eq(passes.array_busy),
            job.sink_waits.eq(sender.m.tvalid & ~sender.m.tready),
            job.sent.eq(sender.sent),
            *(loader.input_timeout.eq(job.input_timeout) for loader in loaders),
            registers.busy.eq(job.busy & ~closed),
            registers.array_busy.eq(passes.array_busy),
            registers.stall_input.eq(passes.stall_input),
            registers.stall_output.eq(passes.stall_output),
        ]
        # What is only recorded may take a cycle more.
        m.d.sync += [
            registers.done.eq(job.done & ~closed),
            registers.head_done.eq(sender.sent & ~closed),
            registers.tlast_early.eq(Cat(loader.tlast_early & ~closed for loader in loaders)),
            registers.tlast_late.eq(Cat(loader.tlast_late & ~closed for loader in loaders)),
            registers.input_timeout.eq(Cat(loader.gave_up for loader in loaders).any() & ~closed),
            registers.denominator_error.eq(diagonal.denominator_error & ~closed),
        ]


class _Resets:
    """The reset of each block, and whether the ports to the outside are closed.

    A soft reset clears every block but the registers, and what is on its way from block to block. It takes some cycles
    to get there. Until then the ports are closed: what is behind them belongs to the past.
    """

    def __init__(self, m, reset_line, soft_reset):
        self._m = m
        self._reset_line = reset_line
        self._ends = {}
        reset = soft_reset | ResetSignal()
        self._any_reset = any_reset = Signal(init=1, reset_less=True, name="any_reset")
        self.closed = Signal(init=1, reset_less=True, name="closed")
        under_way = [any_reset]
        for step in range(1, reset_line.latency):
            under_way.append(Signal(init=1, reset_less=True, name=f"any_reset_{step}"))
            m.d.sync += under_way[-1].eq(under_way[-2])
        m.d.sync += [any_reset.eq(reset), self.closed.eq(reset | Cat(under_way).any())]

    def line(self, name):
        """The end of the reset line of the block or the registers called `name`, made when it is first asked for."""
        if name not in self._ends:
            line = instantiate(self._m, f"{name}_reset", self._reset_line)
            self._m.d.comb += line.i.eq(self._any_reset)
            self._ends[name] = line.o
        return self._ends[name]


def _chain(m, source, members, name):
    """Connects `source` to the first member's `<name>_in`, and each `<name>_out` to the next one's."""
    for member in members:
        connect(m, source, getattr(member, f"{name}_in"))
        source = getattr(member, f"{name}_out")

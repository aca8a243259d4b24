"""Taylor attention on the array: ViTALiTy's Algorithm 1, head by head.

    k --> K banks --> centring ---.
     |-> accumulators: k_sum      |
    q --> Q banks ----------------+--> operand rows --> SA-Diag | SA-General
    v --> V banks --> stationary tiles --------------------^         |
     |-> accumulators: v_sum --> bias unit                           |
                                     |        partial sums, requantizer, row queue
    z <-- Z banks <-- divider lanes <-- adders <---------------------'

The row side (`operand_row`) is a chain down the array, the column side (`diagonal_column`, `array_column`) a chain to
its right. Two schedulers feed them: `pass_scheduler` decides what the array does, `division_scheduler` what the
divider array does. They and the loaders know of each other only through pulses: a head loaded, a head's k_mean
ready, a half of a buffer released.

This file only joins blocks; every latency that it needs is asked of the blocks themselves.
"""

from math import ceil
from types import SimpleNamespace

from amaranth.hdl import Cat, Signal

from taylorvit.rtl.attention.accumulator_array import AccumulatorArray
from taylorvit.rtl.attention.column_kernel import ColumnKernel
from taylorvit.rtl.attention.division_scheduler import DivisionScheduler
from taylorvit.rtl.attention.kernel import Banking, carry, chain
from taylorvit.rtl.common.bundles import Phase
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, delay_bundle, gather
from taylorvit.rtl.common.widths import index_width
from taylorvit.rtl.schedule.pass_scheduler import PassScheduler

from .adder_array import DenominatorAdder, NumeratorAdder
from .array_column import ArrayColumn
from .bias_unit import BiasUnit
from .diagonal_column import DiagonalColumn
from .operand_row import OperandRow

__all__ = ["TaylorKernel"]


class TaylorKernel(ColumnKernel):
    """Z = (c_v v_sum + Q G) / (c_d + Q k^_sum), one divisor a row.

    A relative of Taylor attention derives its kernel from this one. It replaces a block by overriding the method that
    makes it (`operand_row`, `array_column`, `diagonal_column`), an adder by its class, or what feeds them, `constants`.

    Sustained over heads that follow each other, a head takes `config.array_cycles(n, d)` cycles where `sustains(n, d)`.

    Args:
        config (AcceleratorConfig): the configuration.

    Attributes:
        numerator_adder (type): block of each column that forms the numerators.
        denominator_adder (type): block beside SA-Diag that forms the divisors.
    """

    numerator_adder = NumeratorAdder
    denominator_adder = DenominatorAdder

    def __init__(self, config):
        super().__init__(config)
        self.column_sums = AccumulatorArray(
            lanes=config.stream_lanes,
            beats=config.max_beats_per_row,
            data_width=config.data_width,
            sum_width=config.column_sum_width,
            memory_pipeline=config.memory_pipeline,
        )
        self.row = self.operand_row()
        self.mean_bank = MemoryBank(
            depth=1 << (1 + index_width(config.column_tiles * config.columns)),
            width=config.mean_width,
            pipeline=self.row.memory_latency - 1,
        )
        self.column = self.array_column()
        self.diagonal = self.diagonal_column()
        self.bias_unit = BiasUnit(config, v_sum_latency=self.column_sums.read_latency)
        self.pass_scheduler = PassScheduler(config, load_latency=self.column.load_latency)
        # The diagonal column's register lies between the schedulers and column 0.
        self.division_scheduler = DivisionScheduler(
            config,
            k_sum_delay=1 + self.column.k_sum_delay,
            k_sum_latency=self.column_sums.read_latency,
            write_back_delay=1 + self.column.write_back_delay,
        )

    def operand_row(self):
        """Makes the row front end: banks of Q and K, and what becomes of their words on the way into the array."""
        return OperandRow(self.config)

    def array_column(self):
        """Makes the column back end: from partial sums to elements of Z."""
        return ArrayColumn(self.config, adder=self.numerator_adder)

    def diagonal_column(self):
        """Makes what is above and below SA-Diag: the divisors of the rows."""
        return DiagonalColumn(self.config, divisor_delay=self.column.divisor_delay, adder=self.denominator_adder)

    def constants(self, registers):
        """The constants of the job, from its registers; they do not change while it runs.

        Args:
            registers: the instance of `ControlStatus`.

        Returns:
            SimpleNamespace: `shift_g`, `shift_z`, `c_v` and `c_d`.
        """
        return SimpleNamespace(
            shift_g=registers.shift_g, shift_z=registers.shift_z, c_v=registers.c_v, c_d=registers.c_d
        )

    def shift_z(self, registers):
        """That of the constants of the job."""
        return self.constants(registers).shift_z

    @property
    def banking(self):
        """Rows hold features of Q and tokens of K, columns features of V, which the bias unit sums up as well."""
        return {
            "q": Banking(banks=self.config.rows, by="feature"),
            "k": Banking(banks=self.config.rows, by="token"),
            "v": Banking(banks=self.config.columns, by="feature", readers=2),
        }

    @property
    def turnaround(self):
        """Cycles that go by beside the array's work before something of one head can be the array's work again.

        The longer of two ways, each from an element that the pass scheduler sends to the next one that depends on it:
        totals of G out of the last column and as a tile back into the array, and a half of the K banks from its last
        row through the divider array (the next head's k_mean) to the first element of that head.
        """
        rows, columns, column = self.config.rows, self.config.columns, self.column
        # Down the rows, along the columns, into the G bank; the choice of the product, and its first tile.
        g_out = 1 + rows + self.accumulate_delay + 1 + columns + column.kept_latency
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

    def place(self, place):
        """The instances of the blocks; several of one kind are a list."""
        config = self.config
        return SimpleNamespace(
            k_sums=place("k_sums", self.column_sums),
            v_sums=place("v_sums", self.column_sums),
            mean_bank=place("mean_bank", self.mean_bank),
            rows=[place(f"operand_row_{index}", self.row) for index in range(config.rows)],
            array=place("array", self.array),
            diagonal=place("diagonal_column", self.diagonal),
            columns=[place(f"column_{index}", self.column) for index in range(config.columns)],
            bias_unit=place("bias_unit", self.bias_unit),
            passes=place("pass_scheduler", self.pass_scheduler),
            divisions=place("division_scheduler", self.division_scheduler),
        )

    def connect_job(self, m, units, outside):
        """The sizes and constants of the job go to the blocks that use them."""
        registers, job = outside.registers, outside.job
        passes, divisions, bias_unit, diagonal = units.passes, units.divisions, units.bias_unit, units.diagonal
        constants = self.constants(registers)
        for unit in (passes, divisions, bias_unit):
            m.d.comb += [unit.start.eq(registers.start), unit.head_dim.eq(registers.head_dim)]
        for unit in (passes, divisions, diagonal):
            m.d.comb += unit.tokens.eq(registers.tokens)
        m.d.comb += [
            passes.heads.eq(registers.heads),
            diagonal.c_d.eq(constants.c_d),
            diagonal.divisor_shift.eq(job.divisor_shift),
            bias_unit.c_v.eq(constants.c_v),
            bias_unit.shift.eq(job.numerator_shift),
        ]
        carry(m, units.columns, shift_g=constants.shift_g, numerator_shift=job.numerator_shift)

    def connect_data(self, m, units, outside):
        """One method for each sentence of the drawing."""
        self._operands(m, units, outside.loaders)
        self._biases(m, units)
        self._row_chain(m, units)
        self._column_chain(m, units, outside)
        self._means(m, units, outside.resets)
        m.d.comb += outside.sender.z_data.eq(Cat(column.z_data for column in units.columns))

    def _operands(self, m, units, loaders):
        """Operands go into the banks, and K and V to the accumulator arrays as well."""
        chain(m, loaders["q"].write, units.rows, "q")
        chain(m, loaders["k"].write, units.rows, "k")
        chain(m, loaders["v"].write, units.columns, "v")
        for sums, loader in ((units.k_sums, loaders["k"]), (units.v_sums, loaders["v"])):
            m.d.comb += [
                sums.write.eq(loader.row_write),
                sums.first.eq(loader.row_first),
                sums.half.eq(loader.row_half),
                sums.beat.eq(loader.row_beat),
                sums.data.eq(loader.write.data),
            ]

    def _biases(self, m, units):
        """c_v v_sum goes from the accumulators through the bias unit into the bias banks of the columns."""
        v_sums, bias_unit = units.v_sums, units.bias_unit
        m.d.comb += [
            v_sums.read_half.eq(bias_unit.read_half),
            v_sums.read_beat.eq(bias_unit.read_beat),
            v_sums.read_lane.eq(bias_unit.read_lane),
            bias_unit.v_sum.eq(v_sums.read_data),
        ]
        chain(m, bias_unit.write, units.columns, "bias")

    def _row_chain(self, m, units):
        """Down the rows go the control of the streamed elements and, behind it, their k_mean."""
        chain(m, units.passes.stream_control, units.rows, "control")
        m.d.comb += units.mean_bank.read_address.eq(units.passes.mean_address)
        carry(m, units.rows, mean=units.mean_bank.read_data)
        self.connect_rows(m, units)

    def _column_chain(self, m, units, outside):
        """Along the columns go stationary tiles, sums, divisions and results, through SA-Diag's column first."""
        diagonal, columns = units.diagonal, units.columns
        accumulate = delay_bundle(
            m,
            units.rows[-1].control_out.accumulate,
            self.accumulate_delay,
            "accumulate",
            reset=outside.resets.line("accumulate"),
        )
        chain(m, units.passes.load_control, [diagonal, *columns], "load")
        chain(m, accumulate, [diagonal, *columns], "accumulate")
        chain(m, units.divisions.divide, [diagonal, *columns], "divide")
        chain(m, units.divisions.write_back, columns, "write_back")
        self.connect_columns(m, units, k_sum=units.k_sums.read_data, z_address=outside.sender.z_address)

    def _means(self, m, units, resets):
        """k_sum goes to the columns and k_mean comes back, one after the other, so that one word serves all columns."""
        divisions, k_sums, mean_bank, columns = units.divisions, units.k_sums, units.mean_bank, units.columns
        m.d.comb += [
            k_sums.read_half.eq(divisions.k_sum_half),
            k_sums.read_beat.eq(divisions.k_sum_beat),
            k_sums.read_lane.eq(divisions.k_sum_lane),
        ]
        mean = gather(m, [column.mean for column in columns], "mean")
        reset = resets.line("mean_written")
        m.d.comb += [
            mean_bank.write_enable.eq(delay(m, divisions.mean_write, 1, "mean_write", reset=reset)),
            mean_bank.write_address.eq(delay(m, divisions.mean_address, 1, "mean_address")),
            mean_bank.write_data.eq(mean),
        ]

    def connect_control(self, m, units, outside):
        """Pulses say which head is where. A half is released when the last row or column has read its last word."""
        loaders, sender, resets = outside.loaders, outside.sender, outside.resets
        passes, divisions, bias_unit = units.passes, units.divisions, units.bias_unit
        last_row, last_column = units.rows[-1], units.columns[-1]
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
                delay(m, g_totals_out, self.column.kept_latency, "g_written", reset=resets.line("g_written"))
            ),
            passes.row_divided.eq(divisions.row_divided),
            divisions.bias_ready.eq(bias_unit.done),
            divisions.row_queued.eq(units.diagonal.row_queued),
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
        return self.status(units)

r"""Output stage of a column: what a total becomes.

    total --(+ bias)--+--> sum, of logits
                      '--(<< branch_shift)--(+)--> round, saturate --+--> feature of the residual stream
    residual ----------(<< stream_shift)----'                        '--> saturate to 8 bits --+--> [table] --.
                                                                                               '--------------+--> value

Each step has a register behind it, so that no cycle has more than one adder or shifter of a wide word.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.array.requantizer import Requantizer, saturated
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import up_to

__all__ = ["OutputStage"]

_TABLE_ENTRIES = 256


class OutputStage(Block):
    """feature = saturate(round_half_up(((total + bias) << branch_shift + residual << stream_shift) / 2^right_shift)).

    One total a cycle. Sums beyond `sum_width` or `aligned_width` wrap: the compiler has to prove that there are none.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        total (partial_sum_width bits signed, input): a total.
        bias (sum_width bits signed, input): in the same cycle, like all that follow but `residual`.
        stream_shift (up_to(stream_shift_max), input): left shift of the residual.
        branch_shift (up_to(branch_shift_max), input): left shift of the total with its bias.
        right_shift (up_to(right_shift_limit), input): right shift of the sum of both.
        add (1 bit, input): there is a residual; it is 0 otherwise.
        through_table (1 bit, input): the value goes through the table.
        residual (residual_width bits signed, input): `residual_delay` cycles after `total`.
        table_write (1 bit, input): an entry of the table is written.
        table_entry (8 bits, input): its number, of which 0 belongs to -128.
        table_data (8 bits, input): what stands there.
        sum (sum_width bits signed, output): total + bias, `sum_latency` cycles after `total`.
        feature (residual_width bits signed, output): `feature_latency` cycles after `total`.
        value (8 bits signed, output): the feature, saturated to 8 bits, or what the table has for it, `latency` cycles
            after `total`.
    """

    module_name = "output_stage"
    reset_less = True
    waivers = {("UNUSEDSIGNAL", "total"): "A linear layer's sums are narrower than those of attention may be."}

    def __init__(self, config):
        self.sum_width = config.sum_width
        self.aligned_width = config.aligned_width
        self.requantizer = Requantizer(
            i_width=config.aligned_width,
            o_width=config.residual_width,
            shift_max=config.right_shift_limit,
            pipelined=config.memory_pipeline > 0,
            module_name="output_requantizer",
        )
        self.table_bank = MemoryBank(depth=_TABLE_ENTRIES, width=config.data_width, pipeline=config.memory_pipeline)
        super().__init__(
            {
                "total": In(signed(config.partial_sum_width)),
                "bias": In(signed(config.sum_width)),
                "stream_shift": In(up_to(config.stream_shift_max)),
                "branch_shift": In(up_to(config.branch_shift_max)),
                "right_shift": In(up_to(config.right_shift_limit)),
                "add": In(1),
                "through_table": In(1),
                "residual": In(signed(config.residual_width)),
                "table_write": In(1),
                "table_entry": In(config.data_width),
                "table_data": In(config.data_width),
                "sum": Out(signed(config.sum_width)),
                "feature": Out(signed(config.residual_width)),
                "value": Out(signed(config.data_width)),
            }
        )

    @property
    def residual_delay(self):
        """Cycles from `total` to `residual`."""
        return 1

    @property
    def sum_latency(self):
        """Cycles from `total` to `sum`."""
        return 1

    @property
    def feature_latency(self):
        """Cycles from `total` to `feature`: bias, left shifts, their sum, rounding and saturation."""
        return self.sum_latency + 2 + self.requantizer.latency

    @property
    def latency(self):
        """Cycles from `total` to `value`: the table behind the feature, and the choice."""
        return self.feature_latency + self.table_bank.latency + 1

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.sum.eq(self.total + self.bias)

        branch, stream, aligned = (
            Signal(signed(self.aligned_width), name=name) for name in ("branch", "stream", "aligned")
        )
        stream_shift = delay(m, self.stream_shift, self.residual_delay, "stream_shift")
        branch_shift = delay(m, self.branch_shift, self.sum_latency, "branch_shift")
        m.d.sync += [
            branch.eq(self.sum << branch_shift),
            stream.eq(Mux(delay(m, self.add, self.residual_delay, "add"), self.residual << stream_shift, 0)),
            aligned.eq(branch + stream),
        ]
        requantizer = instantiate(m, "requantizer", self.requantizer)
        m.d.comb += [
            requantizer.i.eq(aligned),
            requantizer.shift.eq(delay(m, self.right_shift, self.sum_latency + 2, "right_shift")),
            self.feature.eq(requantizer.o),
        ]

        # Saturated twice is saturated to the narrower one. Entry 0 is that of the least value.
        narrow = Signal(signed(len(self.value)))
        table = instantiate(m, "table_bank", self.table_bank)
        m.d.comb += [
            narrow.eq(saturated(self.feature, len(self.value))),
            table.write_enable.eq(self.table_write),
            table.write_address.eq(self.table_entry),
            table.write_data.eq(self.table_data),
            table.read_address.eq(Cat(narrow[:-1], ~narrow[-1])),
        ]
        through_table = delay(m, self.through_table, self.feature_latency + self.table_bank.latency, "through_table")
        beside_table = delay(m, narrow, self.table_bank.latency, "beside_table")
        m.d.sync += self.value.eq(Mux(through_table, table.read_data, beside_table))
        return m

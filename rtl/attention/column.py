"""Columns: what every kernel has above and below a column of the array.

    load --------> [V bank] and what the kernel keeps itself --> stationary
                                                                     |
                                                                  (array)
                                                                     |
    accumulate --> partial sum accumulator <--------------------- partial_sum
                     |            '--> requantizer --> kept by the kernel
                     v
    divide ------> [row queue] --> adder --> divider lane <-- divisor
                                                 |
    write_back -----------------> [Z bank] <-----'

Control enters from the left and is passed on to the right one cycle later.
"""

from amaranth.hdl import signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.array.partial_sum_accumulator import PartialSumAccumulator
from taylorvit.rtl.array.requantizer import Requantizer
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.common.widths import index_width, tile_width, up_to

from .divider_lane import divider_lane_of

__all__ = ["Column", "DividingColumn", "value_address_width"]


def value_address_width(config):
    """Bits of an address in a bank of V or Z {half, column tile, token}."""
    return 1 + tile_width(config.column_tiles) + index_width(config.max_tokens)


class Column(Block):
    """Sums of one column of the array, SA-Diag included; a class to derive from.

    Args:
        config (AcceleratorConfig): the configuration.
        sum_width (int): bits of a partial sum.
        longest_pass (int): most elements of a pass.
        queued_width (int): bits of a total that waits for its division.
        bundles (dict[str, Signature]): what comes in as `<name>_in` and goes out as `<name>_out`, `controls` among it.
        ports (dict): the other ports.

    Ports:
        partial_sum: from the array, `accumulator.sum_delay` cycles after `accumulate_in`.

    Attributes:
        controls (tuple[str, ...]): the bundles that are passed on one cycle later.
        accumulator_name (str): name of the accumulator's module.
    """

    accumulator_name = "partial_sum_accumulator"
    controls = ("load", "accumulate", "divide")

    def __init__(self, config, *, sum_width, longest_pass, queued_width, bundles, ports):
        pipeline = config.memory_pipeline
        self.accumulator = PartialSumAccumulator(
            sum_width=sum_width, depth=longest_pass, memory_pipeline=pipeline, module_name=self.accumulator_name
        )
        self.row_queue = MemoryBank(depth=config.row_queue_depth, width=queued_width, pipeline=pipeline)
        super().__init__(
            {f"{name}_in": In(bundle) for name, bundle in bundles.items()}
            | {f"{name}_out": Out(bundle) for name, bundle in bundles.items()}
            | ports
        )

    def pass_on_control(self, m):
        """Control goes on to the right.

        Args:
            m (Module): the column's module.
        """
        for name in self.controls:
            pass_on(m, getattr(self, f"{name}_in"), getattr(self, f"{name}_out"))

    def totals(self, m):
        """Adds partial sums up.

        Args:
            m (Module): the column's module.

        Returns:
            tuple: instance of the accumulator; phase and address of its total.
        """
        control = self.accumulate_in
        accumulator = instantiate(m, "accumulator", self.accumulator)
        m.d.comb += [
            accumulator.valid.eq(control.valid),
            accumulator.first.eq(control.first),
            accumulator.last.eq(control.last),
            accumulator.index.eq(control.index),
            accumulator.partial_sum.eq(self.partial_sum),
        ]
        phase = delay(m, control.phase, self.accumulator.latency, "accumulate_phase")
        address = delay(m, control.address, self.accumulator.latency, "accumulate_address")
        return accumulator, phase, address


class DividingColumn(Column):
    """Base of the columns of SA-General: the operands and results of one column, and its share of the divisions.

    Args:
        config (AcceleratorConfig): the configuration.
        adder (NumeratorAdder | Aligner): from a total in the row queue to a numerator.
        longest_pass (int): most elements of a pass.
        queued_width (int): bits of a total that waits for its division.
        kept_sum_width (int): bits of a total that the kernel keeps.
        kept_width (int): bits to which it is requantized.
        mean_width (int): bits of the longest quotient.
        bundles (dict[str, Signature]): as of `Column`.
        ports (dict): the other ports, `divisor` and `invalid` among them, but for those below.

    Ports:
        z_address, z_data: one element of the Z bank {half, column tile, token}, `z_latency` cycles later.
        stationary: to the array, `load_latency` cycles after `load_in`.
        partial_sum: from the array, `sum_delay` cycles after `accumulate_in`.
        <kept_shift>_*, numerator_shift_*: constant during a job, known here one cycle after the column on the left.

    Attributes:
        kept_shift (str): name of the shift of the requantizer, of which the configuration has `<name>_max`.
    """

    module_name = "array_column"
    waivers = {
        ("PINCONNECTEMPTY", "*_out"): "The last column has none on its right.",
        ("PINCONNECTEMPTY", "*_out__*"): "The last column has none on its right.",
    }
    controls = ("load", "accumulate", "divide", "write_back")
    kept_shift: str

    def __init__(
        self, config, *, adder, longest_pass, queued_width, kept_sum_width, kept_width, mean_width, bundles, ports
    ):
        self.data_width = config.data_width
        self.stream_lanes = config.stream_lanes
        self.chain_registers = config.chain_registers
        self.broadcast_registers = config.broadcast_registers
        pipeline = config.memory_pipeline
        depth = 1 << value_address_width(config)
        self.v_bank = MemoryBank(depth=depth, width=config.data_width, pipeline=pipeline)
        self.z_bank = MemoryBank(depth=depth, width=config.data_width, pipeline=pipeline)
        kept_shift_max = getattr(config, f"{self.kept_shift}_max")
        self.requantizer = Requantizer(
            i_width=kept_sum_width, o_width=kept_width, shift_max=kept_shift_max, pipelined=pipeline > 0
        )
        self.adder = adder
        self.divider = divider_lane_of(config, mean_width)
        super().__init__(
            config,
            sum_width=config.partial_sum_width,
            longest_pass=longest_pass,
            queued_width=queued_width,
            bundles=bundles,
            ports={"z_address": In(value_address_width(config)), "z_data": Out(signed(config.data_width))}
            | ports
            | {
                "stationary": Out(signed(config.data_width)),
                "partial_sum": In(signed(config.partial_sum_width)),
                f"{self.kept_shift}_in": In(up_to(kept_shift_max)),
                f"{self.kept_shift}_out": Out(up_to(kept_shift_max)),
                "numerator_shift_in": In(up_to(config.numerator_shift_max)),
                "numerator_shift_out": Out(up_to(config.numerator_shift_max)),
            },
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
    def kept_latency(self):
        """Cycles from `accumulate_in` to its total, requantized."""
        return self.accumulator.latency + self.requantizer.latency

    @property
    def z_latency(self):
        """Cycles from `z_address` to `z_data`."""
        return self.broadcast_registers + self.z_bank.latency

    @property
    def divisor_delay(self):
        """Cycles from `divide_in` to `divisor_in`: the row queue, then the numerator adder."""
        return self.row_queue.latency + self.adder.latency

    @property
    def write_back_delay(self):
        """Cycles from `divide_in` to `write_back_in`."""
        return self.divisor_delay + self.divider.latency

    def pass_on_control(self, m):
        """Control goes on to the right, and the divisor and the shifts with it.

        Args:
            m (Module): the column's module.
        """
        super().pass_on_control(m)
        for name in ("divisor", "invalid", self.kept_shift, "numerator_shift"):
            m.d.comb += getattr(self, f"{name}_out").eq(delay(m, getattr(self, f"{name}_in"), 1, name))

    def divisions(self, m, numerator):
        """Numerators are divided, and the quotients become Z.

        Args:
            m (Module): the column's module.
            numerator (Value): a row's, `divisor_delay` cycles after its `divide_in`.

        Returns:
            The instance of the divider lane.
        """
        divider = instantiate(m, "divider", self.divider)
        z_bank = instantiate(m, "z_bank", self.z_bank)
        m.d.comb += [
            divider.numerator.eq(numerator),
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
        return divider

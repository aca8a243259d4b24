"""The four blocks of a kernel around the array, joined as the accelerator does.

Columns have nothing but an accumulator: K and V come in as values, Q as operands. A bundle is one wide port, whose
members `Packed` puts together.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Value
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.array.partial_sum_accumulator import PartialSumAccumulator
from taylorvit.rtl.array.systolic_array import SystolicArray
from taylorvit.rtl.attention.kernel import chain
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.pipeline import delay, delay_bundle, pass_on
from taylorvit.rtl.network.bundles import (
    COMMAND_BITS,
    ActivationWrite,
    ExponentialWrite,
    LoadControl,
    ResultControl,
    StreamControl,
)
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.kernel import network_kernel
from taylorvit.simulation import pack

__all__ = ["DONE", "KernelTop", "Packed"]

DONE = ("key", "value", "kernel_0", "kernel_1")
"""What a kernel says is finished, bit by bit of the port `done`."""


def _wires(interface):
    return [Value.cast(value) for _path, _member, value in interface.signature.flatten(interface)]


class Packed:
    """Words of a wide port that has the members of a signature, by their names; what is not named is 0."""

    def __init__(self, signature):
        self._places, low = {}, 0
        for path, _member, value in signature.flatten(signature.create()):
            width = len(Value.cast(value))
            self._places[path] = (low, width)
            low += width
        self.width = low

    def word(self, **members) -> int:
        """The word of some members; those of a bundle inside are a mapping."""
        word = 0
        for name, value in members.items():
            inner = value if isinstance(value, dict) else {None: value}
            for part, number in inner.items():
                low, width = self._places[(name, part) if part else (name,)]
                word |= pack([int(number)], width) << low
        return word

    def members(self, word: int) -> dict[str, int]:
        """The members of a word of a flat signature."""
        return {path[0]: word >> low & (1 << width) - 1 for path, (low, width) in self._places.items()}


class KernelTop(Block):
    """A kernel, the array, and accumulators.

    Inputs are relative to row 0 and column 0: `operands` come with their `stream`, `values` with their `value`.
    """

    module_name = "kernel_top"

    def __init__(self, config: NetworkConfig):
        self._config = config
        self._kernel = network_kernel(config)
        attention = config.attention
        self._array = SystolicArray(
            rows=config.rows,
            columns=config.columns,
            streamed_width=config.streamed_width,
            stationary_width=config.data_width,
            sum_width=config.partial_sum_width,
            diagonal_width=attention.diagonal_width,
            diagonal_sum_width=attention.diagonal_sum_width,
            pipeline=config.pe_pipeline,
        )
        self._accumulator = PartialSumAccumulator(
            sum_width=config.partial_sum_width, depth=config.longest_pass, memory_pipeline=config.memory_pipeline
        )
        super().__init__(
            {
                "constants_valid": In(1),
                "constants": In(COMMAND_BITS),
                "exponential": In(Packed(ExponentialWrite(config)).width),
                "stream": In(Packed(StreamControl(config)).width),
                "operands": In(config.rows * config.data_width),
                "load": In(Packed(LoadControl(config)).width),
                "load_first": In(1),
                "value": In(Packed(ResultControl(config)).width),
                "values": In(config.columns * config.data_width),
                "promised": In(1),
                "room": Out(1),
                "done": Out(len(DONE)),
                "denominator_error": Out(1),
                "z": Out(config.columns * Packed(ActivationWrite(config)).width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, kernel = self._config, self._kernel
        center = instantiate(m, "center", kernel.center)
        diagonal = instantiate(m, "diagonal", kernel.diagonal)
        rows = [instantiate(m, f"kernel_row_{row}", kernel.row) for row in range(config.rows)]
        columns = [instantiate(m, f"kernel_column_{column}", kernel.column) for column in range(config.columns)]
        array = instantiate(m, "array", self._array)
        if "softmax" in config.kernels:
            m.d.comb += Cat(_wires(center.exponential_write)).eq(self.exponential)
        m.d.comb += [
            center.constants_valid.eq(self.constants_valid),
            center.constants.eq(self.constants),
            center.promised.eq(self.promised),
            self.room.eq(center.room),
            self.done.eq(Cat(getattr(center, f"{name}_done") for name in DONE)),
            self.denominator_error.eq(center.denominator_error),
        ]
        result = self._rows(m, center, rows, array)
        self._columns(m, center, diagonal, columns, array, result)
        return m

    def _rows(self, m, center, rows, array):
        """Down the rows; returns the result of the last one's element."""
        config = self._config
        control = StreamControl(config).create(path=("control",))
        m.d.comb += [Cat(_wires(control)).eq(self.stream)]
        connect(m, control, center.stream)
        chain(m, center.row_side, rows, "side")
        latency = self._kernel.row.memory_latency
        swaps = []
        for index, row in enumerate(rows):
            connect(m, control, row.control)
            connect(m, center.feeds[index], row.feed)
            operand = self.operands.word_select(index, config.data_width)
            m.d.comb += row.operand.eq(delay(m, operand, latency + index, f"operand_{index}"))
            swaps.append(delay(m, control.swap, self._kernel.row.latency, f"swap_{index}"))
            below = StreamControl(config).create(path=(f"control_{index}",))
            pass_on(m, control, below)
            control = below
        m.d.comb += [array.streamed.eq(Cat(row.streamed for row in rows)), array.swap.eq(Cat(swaps))]
        return control.result

    def _columns(self, m, center, diagonal, columns, array, result):
        """Along the columns."""
        config, accumulator = self._config, self._accumulator
        row_latency, array_latency = self._kernel.row.latency, self._array.latency
        result = delay_bundle(m, result, row_latency + array_latency - accumulator.sum_delay - config.rows, "result")
        load = LoadControl(config).create(path=("load_bundle",))
        value = ResultControl(config).create(path=("value_bundle",))
        m.d.comb += [Cat(_wires(load)).eq(self.load), Cat(_wires(value)).eq(self.value)]
        connect(m, load, diagonal.load_in)
        connect(m, result, diagonal.result_in)
        connect(m, center.column_side, diagonal.side_in)
        connect(m, diagonal.report, center.diagonal_report)
        # As the engine does: a tile comes no earlier than the element that swaps in the one before it.
        later = row_latency - self._kernel.diagonal.load_latency
        before = self._kernel.diagonal.load_latency - 1 + later
        m.d.comb += [
            array.load.eq(delay(m, load.valid, before, "load")),
            array.load_first.eq(delay(m, self.load_first, before, "load_first")),
            array.stationary_diagonal.eq(delay(m, diagonal.stationary, later, "stationary_diagonal")),
            diagonal.partial_sum.eq(array.sum_diagonal),
        ]
        load, result, side = diagonal.load_out, diagonal.result_out, diagonal.side_out
        stationary, z = [], []
        for index, column in enumerate(columns):
            sums = instantiate(m, f"accumulator_{index}", accumulator)
            m.d.comb += [getattr(sums, name).eq(getattr(result, name)) for name in ("valid", "first", "last", "index")]
            m.d.comb += [
                sums.partial_sum.eq(array.sum.word_select(index, config.partial_sum_width)),
                column.total.eq(sums.total),
                column.value.eq(delay(m, self.values.word_select(index, config.data_width), index, f"value_{index}")),
            ]
            connect(m, load, column.load)
            connect(m, delay_bundle(m, result, accumulator.latency, f"total_{index}"), column.total_control)
            connect(m, value, column.value_control)
            connect(m, side, column.side_in)
            connect(m, center.column_feeds[index], column.feed)
            connect(m, column.report, center.reports[index])
            stationary.append(delay(m, column.stationary, 1 + later, f"stationary_{index}"))
            z += _wires(column.z)
            side = column.side_out
            load, result, value = (
                _passed(m, bundle, f"{name}_{index}")
                for name, bundle in (("load", load), ("result", result), ("value", value))
            )
        m.d.comb += [array.stationary.eq(Cat(stationary)), self.z.eq(Cat(z))]


def _passed(m, source, name):
    """The bundle, for the next column."""
    target = source.signature.create(path=(name,))
    pass_on(m, source, target)
    return target

"""The four blocks of a kernel around the array, and an engine in Python that gives them the products of heads.

`KernelTop` joins them as the accelerator does, with columns that have nothing but an accumulator: K and V come in as
values, Q as operands. A bundle is one wide port, whose members `Packed` puts together.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import ceil

import numpy as np
from amaranth.hdl import Cat, Module, Value
from amaranth.lib.wiring import In, Out
from cocotb.triggers import RisingEdge

from taylorvit.rtl.array.partial_sum_accumulator import PartialSumAccumulator
from taylorvit.rtl.array.systolic_array import SystolicArray
from taylorvit.rtl.attention.kernel import chain
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.pipeline import delay, delay_bundle, pass_on
from taylorvit.rtl.network.bundles import (
    COMMAND_BITS,
    ActivationWrite,
    LoadControl,
    LoadKind,
    ResultControl,
    StreamControl,
)
from taylorvit.rtl.network.command import CONSTANTS_FIELDS, KERNEL_CONSTANTS, Destination, Opcode, Source
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.kernel import network_kernel
from taylorvit.simulation import WaitError, pack, unpack

__all__ = ["Engine", "KernelTop", "Layer"]

DONE = ("key", "value", "kernel_0", "kernel_1")
LONGEST_SILENCE = 3000  # cycles in which nothing is finished


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
        before = self._kernel.diagonal.load_latency - 1
        m.d.comb += [
            array.load.eq(delay(m, load.valid, before, "load")),
            array.load_first.eq(delay(m, self.load_first, before, "load_first")),
            array.stationary_diagonal.eq(diagonal.stationary),
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
            connect(m, column.report, center.reports[index])
            stationary.append(delay(m, column.stationary, 1, f"stationary_{index}"))
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


@dataclass
class Layer:
    """Heads of one layer, and where the engine puts them.

    Attributes:
        q: (heads, rows, head_dim); rows may be fewer than tokens.
        k: (heads, tokens, head_dim).
        v: as k.
        constants: `shift_g`, `shift_z`, `c_v`, `c_d`.
        ahead: whether G of a head goes before Q G of the head before it.
    """

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    constants: object
    ahead: bool = False

    @property
    def heads(self):
        return self.k.shape[0]

    @property
    def tokens(self):
        return self.k.shape[1]

    @property
    def rows(self):
        return self.q.shape[1]

    @property
    def head_dim(self):
        return self.k.shape[2]

    def command(self) -> int:
        """The command CONSTANTS."""
        values = {"opcode": Opcode.CONSTANTS, "tokens": self.tokens, "rows": self.rows, "head_dim": self.head_dim}
        values |= vars(self.constants)
        word = 0
        for name, field in (CONSTANTS_FIELDS | KERNEL_CONSTANTS["taylor"]).items():
            word |= pack([values.get(name, 0)], 8 * field.bytes) << 8 * field.place
        return word


@dataclass
class _Pass:
    """A stationary tile, and the elements that stream past it."""

    kind: LoadKind
    head: int
    rows: list[dict]  # members of `LoadControl`, bottom row first
    elements: list[tuple[dict, list[int]]]  # members of `StreamControl`, and operands of the rows
    completes: bool


class Engine:
    """Gives a `KernelTop` the products of layers, as early as the rules allow or some cycles later.

    Two lanes go side by side: K and V of the heads, and G and Q G.
    """

    def __init__(self, dut, config: NetworkConfig, generator: random.Random):
        self.dut, self.config, self.generator = dut, config, generator
        self._packed = {
            "stream": Packed(StreamControl(config)),
            "load": Packed(LoadControl(config)),
            "value": Packed(ResultControl(config)),
        }
        self._write = Packed(ActivationWrite(config))
        self._driven = {}
        self.errors = 0

    async def run(self, layer: Layer) -> list[np.ndarray]:
        """Z of each head of a layer, (rows, head_dim), as it was when its product was finished."""
        lanes = await self._begin(layer)
        results = []
        silent = 0
        while self.done != dict.fromkeys(DONE, layer.heads):
            before = dict(self.done)
            await self._advance(lanes)
            if self.done["kernel_1"] > before["kernel_1"]:
                results.append(self._result(before["kernel_1"]))
            silent = silent + 1 if self.done == before else 0
            if silent > LONGEST_SILENCE:
                raise WaitError(f"nothing was finished within {LONGEST_SILENCE} cycles; finished are {self.done}")
        return results

    async def abandon(self, layer: Layer, cycles: int):
        """Some cycles of a layer, and a reset."""
        lanes = await self._begin(layer)
        for _cycle in range(cycles):
            await self._advance(lanes)
        self.dut.rst.value = 1
        await self._step({})
        self.dut.rst.value = 0

    async def _begin(self, layer):
        self.layer = layer
        self.done = dict.fromkeys(DONE, 0)
        self.room = 0
        self.errors = 0
        self._z, self._places = {}, {}
        self._slot = None
        self._cycle, self._next_promise = 0, 0
        await self._step({"constants_valid": 1, "constants": layer.command()})
        return [self._values(), self._streamer(), self._loader()]

    async def _advance(self, lanes):
        inputs = {}
        for lane in lanes:
            inputs |= next(lane, None) or {}
        await self._step(inputs)

    async def _step(self, inputs):
        """A cycle: what is not among the inputs is 0."""
        for port in ("constants_valid", "constants", "stream", "operands", "load", "load_first", "value", "values",
                     "promised"):  # fmt: skip
            value = inputs.get(port, 0)
            if self._driven.get(port) != value:
                getattr(self.dut, port).value = value
                self._driven[port] = value
        await RisingEdge(self.dut.clk)
        self._cycle += 1
        dut = self.dut
        self.room = int(dut.room.value)
        done = int(dut.done.value)
        for place, name in enumerate(DONE):
            self.done[name] += done >> place & 1
        self.errors += int(dut.denominator_error.value)
        self._take_z(str(dut.z.value))

    def _take_z(self, bits):
        """Keeps what columns write; where there is nothing, a four-state simulator may not know the rest."""
        width = self._write.width
        for column in range(self.config.columns):
            word = bits[-width * (column + 1) : len(bits) - width * column]
            if word[-1] != "0":  # `valid`, the first member
                write = self._write.members(int(word, 2))
                self._z[write["bank"], write["address"]] = unpack(write["data"], self.config.data_width, 1)[0]

    def _gap(self, longest):
        """Cycles of nothing, often none."""
        return self.generator.choice((0, 0, 0, self.generator.randint(0, longest)))

    # Where things are.

    def _tiles(self, count, size):
        return ceil(count / size)

    def _base(self, head, words):
        return head % 2 * words

    @property
    def _key_stride(self):
        return self._tiles(self.layer.head_dim, self.config.columns) * self.config.columns

    def _z_place(self, head):
        """Bank and base of a head's Z, and the stride, drawn once."""
        if head not in self._places:
            config, layer = self.config, self.layer
            words = layer.rows * (self._tiles(self._key_stride, config.rows) + 1)
            bank = self.generator.randrange(config.rows)
            if config.rows % config.columns == 0:
                bank -= bank % config.columns
            half = config.activation_depth // 2  # a head's Z comes before that of the one before it has been looked at
            self._places[head] = bank, head % 2 * half + self.generator.randrange(half - words + 1)
        return self._places[head]

    def _result(self, head):
        """Z of a head out of what was written; what is taken is forgotten."""
        config, layer = self.config, self.layer
        bank, base = self._z_place(head)
        places = [divmod(bank + feature, config.rows) for feature in range(layer.head_dim)]
        return np.array(
            [[self._z.pop((b, base + tile * layer.rows + row)) for tile, b in places] for row in range(layer.rows)]
        )

    # Lanes: generators of inputs, cycle by cycle.

    def _values(self):
        """K and V, as they come out of the linear layers."""
        layer = self.layer
        for head in range(layer.heads):
            while self.done["kernel_0"] < head - 1:  # K and V of the head before last are in use
                yield
            yield from self._linear(head, layer.k[head].tolist(), Destination.KEY)
            while self.done["kernel_1"] < head - 1:  # so are its biases
                yield
            yield from self._linear(head, layer.v[head].tolist(), Destination.VALUE)

    def _linear(self, head, matrix, destination):
        config = self.config
        tokens, head_dim = len(matrix), self.layer.head_dim
        rows, columns = config.rows, config.columns
        is_key = destination == Destination.KEY
        tiles = self._tiles(head_dim, columns)
        pass_length = self._tiles(tokens, rows) * rows if is_key else max(tokens, rows)
        for tile in range(tiles):
            for cycle in range(pass_length):
                if cycle >= tokens:
                    yield
                    continue
                if is_key:
                    base = self._base(head, self._tiles(tokens, rows) * self._key_stride)
                    address = base + cycle // rows * self._key_stride + tile * columns
                else:
                    address = self._base(head, tiles * tokens) + tile * tokens + cycle
                last = cycle == tokens - 1
                word = self._packed["value"].word(
                    valid=1, last=1, destination=destination, bank=cycle % rows if is_key else 0, address=address,
                    begin=cycle == 0, end=last, finish=last and tile == tiles - 1,
                )  # fmt: skip
                features = range(tile * columns, (tile + 1) * columns)
                values = [matrix[cycle][f] if f < head_dim else self.generator.randint(-128, 127) for f in features]
                yield {"value": word, "values": pack(values, config.data_width)}
            gap = self._gap(20)
            for _cycle in range(gap + rows if gap else 0):
                yield

    def _passes(self):
        """The passes of G and of Q G, in their order."""
        heads, ahead = self.layer.heads, self.layer.ahead
        order = [(self._g, 0)]
        for head in range(heads):
            following = [(self._g, head + 1)] if head + 1 < heads else []
            order += [*following, (self._qg, head)] if ahead else [(self._qg, head), *following]
        for product, head in order:
            yield from product(head)

    def _product(self, head, kind, reduction, limit, length, element, stationary_base):
        """Passes of a product; `element` gives the members of an element's control and its operands."""
        config = self.config
        rows, columns = config.rows, config.columns
        output_tiles, input_tiles = self._tiles(self.layer.head_dim, columns), self._tiles(reduction, rows)
        for j in range(output_tiles):
            for i in range(input_tiles):
                load = [
                    {"valid": 1, "kind": kind, "address": stationary_base + j * limit + i * rows + row,
                     "blank": i * rows + row >= reduction}
                    for row in reversed(range(rows))
                ]  # fmt: skip
                elements = []
                for t in range(length):
                    last, final = i == input_tiles - 1, t == length - 1
                    control, result, operands = element(j, i, t)
                    result |= {
                        "valid": 1, "first": i == 0, "last": last, "index": t, "begin": last and t == 0,
                        "end": last and final, "finish": last and final and j == output_tiles - 1,
                    }  # fmt: skip
                    control |= {"swap": t == 0, "position": t, "result": result}
                    elements.append((control, operands))
                yield _Pass(kind, head, load, elements, i == input_tiles - 1 and kind == LoadKind.KERNEL_1)

    def _g(self, head):
        config, layer = self.config, self.layer
        rows, tokens, head_dim = config.rows, layer.tokens, layer.head_dim
        tiles = self._tiles(head_dim, config.columns)
        key_base = self._base(head, self._tiles(tokens, rows) * self._key_stride)
        g_base = self._base(head, tiles * head_dim)

        def element(j, i, t):
            control = {"source": Source.KERNEL, "address": key_base + i * self._key_stride + t}
            result = {"destination": Destination.KERNEL_0, "address": g_base + j * head_dim + t}
            return control, result, [self.generator.randint(-128, 127) for _row in range(rows)]

        base = self._base(head, tiles * tokens)
        yield from self._product(head, LoadKind.KERNEL_0, tokens, tokens, head_dim, element, base)

    def _qg(self, head):
        config, layer = self.config, self.layer
        rows, columns, head_dim = config.rows, config.columns, layer.head_dim
        q = layer.q[head].tolist()
        bank, base = self._z_place(head)

        def element(j, i, t):
            tile, here = divmod(bank + j * columns, rows)
            address = base + tile * layer.rows + t
            result = {"destination": Destination.KERNEL_1, "bank": here, "address": address,
                      "following": address + layer.rows if here + columns > rows else 0}  # fmt: skip
            features = range(i * rows, (i + 1) * rows)
            return {"source": Source.ACTIVATION}, result, [q[t][f] if f < head_dim else 0 for f in features]

        g_base = self._base(head, self._tiles(head_dim, columns) * head_dim)
        yield from self._product(head, LoadKind.KERNEL_1, head_dim, head_dim, layer.rows, element, g_base)

    def _loader(self):
        """Tiles, each while the one before it streams."""
        for each in self._passes():
            needs = ("value",) if each.kind == LoadKind.KERNEL_0 else ("kernel_0",)
            while self._slot is not None or any(self.done[name] <= each.head for name in needs):
                yield
            for number, row in enumerate(each.rows):
                yield {"load": self._packed["load"].word(**row), "load_first": number == 0}
            self._slot = each

    def _streamer(self):
        """Passes, each when its tile is there and what it needs."""
        rows = self.config.rows
        while True:
            each = self._slot
            if (
                each is None
                or (each.kind == LoadKind.KERNEL_0 and self.done["key"] <= each.head)
                or (each.completes and not (self.room and self._cycle >= self._next_promise))
                or self.generator.random() < 0.1
            ):
                yield
                continue
            self._slot = None
            if each.completes:
                self._next_promise = self._cycle + 3
            for number in range(max(rows, len(each.elements))):
                inputs = {"promised": each.completes and number == 0}
                if number < len(each.elements):
                    control, operands = each.elements[number]
                    inputs["stream"] = self._packed["stream"].word(**control)
                    inputs["operands"] = pack(operands, self.config.data_width)
                yield inputs

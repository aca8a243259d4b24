"""The four blocks of a kernel around the array, and an engine in Python that gives them the products of heads.

`Layer` is what the engine computes; each kernel has its own. `KernelTop` joins the blocks as the accelerator does, with
columns that have nothing but an accumulator: K and V come in as values, Q as operands. A bundle is one wide port, whose
members `Packed` puts together.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import numpy as np
from amaranth.hdl import Cat, Module, Value
from amaranth.lib.wiring import In, Out
from cocotb.triggers import RisingEdge

from taylorvit.rtl.array.partial_sum_accumulator import PartialSumAccumulator
from taylorvit.rtl.array.systolic_array import SystolicArray
from taylorvit.rtl.attention.kernel import chain
from taylorvit.rtl.attention.softmax.spec import query_blocks
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.pipeline import delay, delay_bundle, pass_on
from taylorvit.rtl.network.bundles import (
    COMMAND_BITS,
    ActivationWrite,
    ExponentialWrite,
    LoadControl,
    LoadKind,
    ResultControl,
    StreamControl,
    address_widths,
)
from taylorvit.rtl.network.command import (
    CONSTANTS_FIELDS,
    KERNEL_CONSTANT_BYTES,
    KERNEL_CONSTANT_PLACE,
    KERNEL_CONSTANTS,
    KERNELS,
    Destination,
    Opcode,
    Source,
)
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.kernel import network_kernel
from taylorvit.simulation import WaitError, pack, unpack

__all__ = ["Engine", "KernelTop", "Layer", "SoftmaxLayer", "TaylorLayer"]

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


@dataclass
class Pass:
    """A stationary tile, and the elements that stream past it.

    Attributes:
        kind (LoadKind): where the tile comes from.
        rows (list[dict]): members of `LoadControl`, bottom row first.
        elements (list[tuple]): members of `StreamControl`, and operands of the rows.
        completes (bool): it completes rows of Z.
        may_load (Callable): from what is finished to whether the tile is there.
        may_stream (Callable): likewise whether the pass may begin.
    """

    kind: LoadKind
    rows: list[dict]
    elements: list[tuple[dict, list[int]]]
    completes: bool
    may_load: Callable[[dict], bool]
    may_stream: Callable[[dict], bool]


@dataclass(kw_only=True)
class Layer:
    """Heads of one layer, and where the engine puts them.

    Attributes:
        config (NetworkConfig): the accelerator.
        generator (random.Random): of places and gaps.
        q: (heads, rows, head_dim); rows may be fewer than tokens.
        k: (heads, tokens, head_dim).
        v: as k.
        constants: of the kernel.
        ahead: whether the first product of a head, or block, goes before the second one of that before it.
        kernel (str): name of the kernel.
    """

    config: NetworkConfig
    generator: random.Random
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    constants: object
    ahead: bool = False

    kernel = ""

    def __post_init__(self):
        self._places = {}

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

    @property
    def column_tiles(self):
        return ceil(self.head_dim / self.config.columns)

    @property
    def padded_head_dim(self):
        return self.column_tiles * self.config.columns

    @property
    def blocks(self) -> list[int]:
        """Queries of the blocks of a head."""
        return [self.rows]

    @property
    def expected(self) -> dict[str, int]:
        """Products of each destination."""
        products = self.heads * len(self.blocks)
        return {"key": self.heads, "value": self.heads, "kernel_0": products, "kernel_1": products}

    @property
    def table(self) -> list[int]:
        """Exponentials."""
        return []

    def fields(self) -> dict[str, int]:
        """The kernel's own fields of the command CONSTANTS."""
        raise NotImplementedError

    def command(self) -> int:
        """The command CONSTANTS."""
        values = {"opcode": Opcode.CONSTANTS, "tokens": self.tokens, "rows": self.rows, "head_dim": self.head_dim}
        values |= {"kernel": KERNELS.index(self.kernel)} | self.fields()
        # What the kernel does not have may be anything.
        word = self.generator.getrandbits(8 * KERNEL_CONSTANT_BYTES) << 8 * KERNEL_CONSTANT_PLACE
        for name, field in (CONSTANTS_FIELDS | KERNEL_CONSTANTS[self.kernel]).items():
            low, bits = 8 * field.place, 8 * field.bytes
            word = word & ~((1 << bits) - 1 << low) | pack([values.get(name, 0)], bits) << low
        return word

    # Lanes.

    def values(self, done):
        """K and V, as they come out of the linear layers: members and values, None in a cycle without."""
        for head in range(self.heads):
            while not self.key_is_free(head, done):
                yield None
            yield from self._linear(self.k[head].tolist(), Destination.KEY, self.key_address(head))
            while not self.value_is_free(head, done):
                yield None
            yield from self._linear(self.v[head].tolist(), Destination.VALUE, self.value_address(head))

    def key_is_free(self, head, done):
        """Whether the half of K may be overwritten."""
        raise NotImplementedError

    def value_is_free(self, head, done):
        """Whether the half of V may be overwritten."""
        return done["kernel_1"] >= (head - 1) * len(self.blocks)

    def key_address(self, head):
        """(tile, token) -> bank and address of column 0's feature of K."""
        raise NotImplementedError

    def value_address(self, head):
        """(tile, token) -> bank and address of V."""
        base = self.half(head, self.column_tiles * self.tokens)
        return lambda tile, token: (0, base + tile * self.tokens + token)

    key_multiple = 1
    """A tile of K takes a multiple of so many cycles."""

    def _linear(self, matrix, destination, place):
        config, generator = self.config, self.generator
        tokens, head_dim = len(matrix), self.head_dim
        is_key = destination == Destination.KEY
        length = max(tokens, config.rows)
        if is_key:
            length = ceil(length / self.key_multiple) * self.key_multiple
        for tile in range(self.column_tiles):
            for cycle in range(length):
                if cycle >= tokens:
                    yield None
                    continue
                bank, address = place(tile, cycle)
                last = cycle == tokens - 1
                members = {
                    "valid": 1, "last": 1, "destination": destination, "bank": bank, "address": address,
                    "begin": cycle == 0, "end": last, "finish": last and tile == self.column_tiles - 1,
                }  # fmt: skip
                features = range(tile * config.columns, (tile + 1) * config.columns)
                yield members, [matrix[cycle][f] if f < head_dim else generator.randint(-128, 127) for f in features]
            gap = generator.choice((0, 0, 0, generator.randint(0, 20)))
            for _cycle in range(gap + config.rows if gap else 0):
                yield None

    def passes(self):
        """The passes of the kernel's two products, in an order."""
        raise NotImplementedError

    def product(self, *, kind, output_tiles, reduction, stride, base, length, element, needs):
        """Passes of a product.

        Args:
            kind (LoadKind): of its stationary operand.
            output_tiles (int): of its totals.
            reduction (int): rows of the stationary operand.
            stride (int): addresses from an output tile to the next.
            base (int): its address.
            length (int): elements of a pass.
            element (Callable): (output tile, input tile, element) -> members of `StreamControl` and of its result, and
                operands.
            needs (tuple): conditions, `may_load` and `may_stream`.
        """
        rows = self.config.rows
        input_tiles = ceil(reduction / rows)
        for j in range(output_tiles):
            for i in range(input_tiles):
                load = [
                    {"valid": 1, "kind": kind, "address": base + j * stride + i * rows + row,
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
                        "first_tile": j == 0, "last_tile": j == output_tiles - 1,
                    }  # fmt: skip
                    control |= {"swap": t == 0, "position": t, "result": result}
                    elements.append((control, operands))
                completes = i == input_tiles - 1 and elements[0][0]["result"]["destination"] == Destination.KERNEL_1
                yield Pass(kind, load, elements, completes, *needs)

    # Where things are.

    def half(self, number, words):
        """Base of the half of a buffer that a head, or a block, has."""
        return number % 2 * words

    def operands_of(self, matrix, token, tile):
        """Operands of the rows, for an input tile of features."""
        features = range(tile * self.config.rows, (tile + 1) * self.config.rows)
        return [matrix[token][f] if f < self.head_dim else 0 for f in features]

    def _z_place(self, head):
        """Bank and base of a head's Z, and the stride, drawn once."""
        if head not in self._places:
            config = self.config
            words = self.rows * (ceil(self.padded_head_dim / config.rows) + 1)
            bank = self.generator.randrange(config.rows)
            if config.rows % config.columns == 0:
                bank -= bank % config.columns
            half = config.activation_depth // 2  # a head's Z comes before that of the one before it has been looked at
            self._places[head] = bank, head % 2 * half + self.generator.randrange(half - words + 1)
        return self._places[head]

    def z_result(self, head, tile, row):
        """Members of the result of a row of Z."""
        rows, columns = self.config.rows, self.config.columns
        bank, base = self._z_place(head)
        tile_of_rows, here = divmod(bank + tile * columns, rows)
        address = base + tile_of_rows * self.rows + row
        following = address + self.rows if here + columns > rows else 0
        return {"destination": Destination.KERNEL_1, "bank": here, "address": address, "following": following}

    def z_of(self, head, written):
        """Z of a head out of what was written, (bank, address) -> value; what is taken is forgotten."""
        bank, base = self._z_place(head)
        places = [divmod(bank + feature, self.config.rows) for feature in range(self.head_dim)]
        return np.array(
            [[written.pop((b, base + tile * self.rows + row)) for tile, b in places] for row in range(self.rows)]
        )


class TaylorLayer(Layer):
    """A layer of Taylor attention, constants `shift_g`, `shift_z`, `c_v`, `c_d`."""

    kernel = "taylor"

    def fields(self):
        return vars(self.constants)

    @property
    def key_multiple(self):
        return self.config.rows

    def key_is_free(self, head, done):
        return done["kernel_0"] >= head - 1  # K and V of the head before last are in use

    def key_address(self, head):
        rows, columns, stride = self.config.rows, self.config.columns, self.padded_head_dim
        base = self.half(head, ceil(self.tokens / rows) * stride)
        return lambda tile, token: (token % rows, base + token // rows * stride + tile * columns)

    def passes(self):
        order = [(self._g, 0)]
        for head in range(self.heads):
            following = [(self._g, head + 1)] if head + 1 < self.heads else []
            order += [*following, (self._qg, head)] if self.ahead else [(self._qg, head), *following]
        for product, head in order:
            yield from product(head)

    def _g(self, head):
        rows, tokens, head_dim = self.config.rows, self.tokens, self.head_dim
        key_base = self.half(head, ceil(tokens / rows) * self.padded_head_dim)
        g_base = self.half(head, self.column_tiles * head_dim)

        def element(j, i, t):
            control = {"source": Source.KERNEL, "address": key_base + i * self.padded_head_dim + t}
            result = {"destination": Destination.KERNEL_0, "address": g_base + j * head_dim + t}
            return control, result, [self.generator.randint(-128, 127) for _row in range(rows)]

        needs = (lambda done: done["value"] > head, lambda done: done["key"] > head)
        yield from self.product(
            kind=LoadKind.KERNEL_0, output_tiles=self.column_tiles, reduction=tokens, stride=tokens,
            base=self.half(head, self.column_tiles * tokens), length=head_dim, element=element, needs=needs,
        )  # fmt: skip

    def _qg(self, head):
        q = self.q[head].tolist()

        def element(j, i, t):
            return {"source": Source.ACTIVATION}, self.z_result(head, j, t), self.operands_of(q, t, i)

        needs = (lambda done: done["kernel_0"] > head, lambda done: True)
        yield from self.product(
            kind=LoadKind.KERNEL_1, output_tiles=self.column_tiles, reduction=self.head_dim, stride=self.head_dim,
            base=self.half(head, self.column_tiles * self.head_dim), length=self.rows, element=element, needs=needs,
        )  # fmt: skip


class SoftmaxLayer(Layer):
    """A layer of softmax attention, constants `shift_s`, `shift_z` and `exponentials`."""

    kernel = "softmax"

    def fields(self):
        names = ("shift_s", "shift_z")
        return {name: getattr(self.constants, name) for name in names} | {"key_stride": self.padded_head_dim}

    @property
    def table(self):
        return list(self.constants.exponentials)

    @property
    def blocks(self):
        return query_blocks(self.rows, self.config.attention.longest_block)

    @property
    def key_multiple(self):
        return self.config.columns

    @property
    def _key_tiles(self):
        return ceil(self.tokens / self.config.columns)

    def key_is_free(self, head, done):
        return done["kernel_0"] >= (head - 1) * len(self.blocks)  # K of the head before last is in use

    def key_address(self, head):
        base = self.half(head, self._key_tiles * self.padded_head_dim)
        # The bank means nothing, and the address is that of the first tile of tokens.
        return lambda tile, token: (token % self.config.rows, base + tile * self.config.columns)

    def passes(self):
        blocks = []  # (number, head, first query, queries)
        for head in range(self.heads):
            first = 0
            for length in self.blocks:
                blocks.append((len(blocks), head, first, length))
                first += length
        order = [(self._scores, blocks[0])]
        for block, following in zip(blocks, [*blocks[1:], None]):
            more = [(self._scores, following)] if following else []
            order += [*more, (self._ev, block)] if self.ahead else [(self._ev, block), *more]
        for product, block in order:
            yield from product(*block)

    def _score_base(self, number):
        return self.half(number, ceil(self.tokens / self.config.rows) * max(self.blocks))

    def _scores(self, number, head, first, length):
        q = self.q[head].tolist()
        base = self._score_base(number)

        def element(j, i, t):
            address = base + j * length + t
            # As the engine has them: the address of an output tile, whichever row it begins with.
            mask = (1 << address_widths(self.config)["destination"]) - 1
            result = {"destination": Destination.KERNEL_0, "address": address & mask}
            result["following"] = address + length & mask
            return {"source": Source.ACTIVATION}, result, self.operands_of(q, first + t, i)

        needs = (lambda done: done["key"] > head, lambda done: done["kernel_1"] >= number - 1)
        yield from self.product(
            kind=LoadKind.KERNEL_1, output_tiles=self._key_tiles, reduction=self.head_dim,
            stride=self.padded_head_dim, base=self.half(head, self._key_tiles * self.padded_head_dim), length=length,
            element=element, needs=needs,
        )  # fmt: skip

    def _ev(self, number, head, first, length):
        rows, base = self.config.rows, self._score_base(number)

        def element(j, i, t):
            control = {"source": Source.KERNEL, "address": base + i * length + t}
            operands = [self.generator.randint(-128, 127) for _row in range(rows)]
            return control, self.z_result(head, j, first + t), operands

        needs = (lambda done: done["value"] > head, lambda done: done["kernel_0"] > number)
        yield from self.product(
            kind=LoadKind.KERNEL_0, output_tiles=self.column_tiles, reduction=self.tokens, stride=self.tokens,
            base=self.half(head, self.column_tiles * self.tokens), length=length, element=element, needs=needs,
        )  # fmt: skip


class Engine:
    """Gives a `KernelTop` the products of layers, as early as the rules allow or some cycles later.

    Two lanes go side by side: K and V of the heads, and the products of the kernel.
    """

    def __init__(self, dut, config: NetworkConfig, generator: random.Random):
        self.dut, self.config, self.generator = dut, config, generator
        self._packed = {
            "stream": Packed(StreamControl(config)),
            "load": Packed(LoadControl(config)),
            "value": Packed(ResultControl(config)),
        }
        if "softmax" in config.kernels:
            self._packed["exponential"] = Packed(ExponentialWrite(config))
        self._write = Packed(ActivationWrite(config))
        self._driven = {}
        self.errors = 0

    async def run(self, layer: Layer) -> list[np.ndarray]:
        """Z of each head of a layer, (rows, head_dim), as it was when its last product was finished."""
        lanes = await self._begin(layer)
        results = []
        silent = 0
        blocks = len(layer.blocks)
        while self.done != layer.expected:
            before = dict(self.done)
            await self._advance(lanes)
            if self.done["kernel_1"] // blocks > len(results):
                results.append(layer.z_of(len(results), self._z))
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
        self.done = dict.fromkeys(DONE, 0)
        self.room = 0
        self.errors = 0
        self._z = {}
        self._slot = None
        self._cycle, self._next_promise = 0, 0
        # The table comes before the constants, when no product of the layer before is unfinished.
        for entry, data in enumerate(layer.table):
            await self._step({"exponential": self._packed["exponential"].word(valid=1, entry=entry, data=data)})
        await self._step({"constants_valid": 1, "constants": layer.command()})
        return [self._values(layer), self._streamer(), self._loader(layer)]

    async def _advance(self, lanes):
        inputs = {}
        for lane in lanes:
            inputs |= next(lane, None) or {}
        await self._step(inputs)

    async def _step(self, inputs):
        """A cycle: what is not among the inputs is 0."""
        for port in ("constants_valid", "constants", "exponential", "stream", "operands", "load", "load_first", "value",
                     "values", "promised"):  # fmt: skip
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

    # Lanes: generators of inputs, cycle by cycle.

    def _values(self, layer):
        """K and V."""
        for each in layer.values(self.done):
            if each is None:
                yield
                continue
            members, values = each
            yield {"value": self._packed["value"].word(**members), "values": pack(values, self.config.data_width)}

    def _loader(self, layer):
        """Tiles, each while the one before it streams."""
        for each in layer.passes():
            while self._slot is not None or not each.may_load(self.done):
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
                or not each.may_stream(self.done)
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

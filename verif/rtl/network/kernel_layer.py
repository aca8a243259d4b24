"""What the engine computes with a kernel: the products of a layer's heads, in passes, and where their operands are.

Each kernel has a layer of its own, which says what its two products are.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.network.bundles import LoadKind
from taylorvit.rtl.network.command import (
    CONSTANTS_FIELDS,
    KERNEL_CONSTANT_BYTES,
    KERNEL_CONSTANT_PLACE,
    KERNEL_CONSTANTS,
    KERNELS,
    Destination,
    Opcode,
)
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import pack
from verif.regression.jobs import random_operands

__all__ = ["Layer", "Pass"]


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

    @classmethod
    def random(cls, generator: random.Random, config: NetworkConfig, number: int) -> Layer:
        """A layer of some heads; its number says, among other things, of what kind its constants are."""
        attention = cls.attention_of(config)
        numpy = np.random.default_rng(generator.getrandbits(64))
        tokens = generator.choice((1, 2, config.max_tokens, generator.randint(1, config.max_tokens)))
        head_dim = generator.choice((config.max_head_dim, generator.randint(1, config.max_head_dim)))
        q, k, v = random_operands(numpy, attention, generator.randint(1, 5), tokens, head_dim)
        constants = cls.random_constants(generator, numpy, attention, number, (q, k, v))
        rows = generator.choice((tokens, tokens, generator.randint(1, tokens)))
        ahead = generator.random() < 0.5
        return cls(config=config, generator=generator, q=q[:, :rows], k=k, v=v, constants=constants, ahead=ahead)

    @classmethod
    def attention_of(cls, config: NetworkConfig) -> AcceleratorConfig:
        """The configuration of its kernel, if another one is there besides."""
        return replace(config, kernel=cls.kernel).attention

    @staticmethod
    def random_constants(generator, numpy, attention, number, operands):
        """Constants of the kernel, from either generator, for Q, K and V."""
        raise NotImplementedError

    def golden(self) -> tuple[np.ndarray, int]:
        """Z of each head, and rows without a divisor, by the golden model."""
        raise NotImplementedError

    @property
    def padded_q(self) -> np.ndarray:
        """Q with as many rows as K."""
        return np.pad(self.q, ((0, 0), (0, self.tokens - self.rows), (0, 0)))

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

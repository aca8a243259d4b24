"""Products for the unit tests of the scheduler: random commands, and what `docs/network.md` says that comes of them.

`Product` is the model: the rows that its columns get, its passes, and the elements of each pass, in their order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from taylorvit.rtl.network.bundles import LoadKind, address_widths
from taylorvit.rtl.network.command import (
    CONSTANT_BYTES,
    FIELDS,
    Destination,
    Flag,
    Opcode,
    Source,
    Stationary,
)
from taylorvit.rtl.network.config import NetworkConfig
from verif.rtl.harness import bits

__all__ = ["BY_PLACE", "CONFIGS", "Product", "command_bits", "random_product"]

CONFIGS = {
    name: NetworkConfig(name="products", max_classes=12, max_heads=2, **sizes)
    for name, sizes in {
        "array_4x4": {"rows": 4, "columns": 4, "max_tokens": 17, "max_width": 16, "max_hidden": 32, "max_patch": 16,
                      "max_head_dim": 8, "tape_queue_rows": 32},
        "array_5x3": {"rows": 5, "columns": 3, "max_tokens": 20, "max_width": 20, "max_hidden": 30, "max_patch": 12,
                      "max_head_dim": 7, "tape_queue_rows": 32, "memory_pipeline": 1},
        "array_8x4": {"rows": 8, "columns": 4, "max_tokens": 30, "max_width": 24, "max_hidden": 48, "max_patch": 48,
                      "max_head_dim": 12, "tape_queue_rows": 32, "image_lanes": 2},
        "array_16x8": {"rows": 16, "columns": 8, "max_tokens": 50, "max_width": 64, "max_hidden": 256, "max_patch": 16,
                       "max_head_dim": 32, "tape_queue_rows": 64, "memory_pipeline": 2, "image_lanes": 16},
    }.items()
}  # fmt: skip

BY_PLACE = (Destination.ACTIVATION, Destination.KERNEL_1)
"""Destinations whose totals go to activation banks."""


def command_bits(**values: int) -> int:
    """A command with these fields, the others zero."""
    return sum(value << 8 * FIELDS[name].place for name, value in values.items())


@dataclass(frozen=True)
class Product:
    """A command PRODUCT: its fields by name, those left out zero."""

    config: NetworkConfig
    values: dict[str, int]

    def __getattr__(self, name):
        if name not in FIELDS:
            raise AttributeError(name)
        return self.values.get(name, 0)

    def __str__(self):
        kind = (
            f"{Source(self.source).name} x {Stationary(self.stationary).name} -> {Destination(self.destination).name}"
        )
        return f"{kind}, {self.input_tiles} x {self.output_tiles} tiles of {self.length}"

    @cached_property
    def bits(self) -> int:
        return command_bits(opcode=Opcode.PRODUCT, **self.values)

    @property
    def norm(self) -> bool:
        return bool(self.flags & Flag.NORM)

    @property
    def table(self) -> bool:
        return bool(self.flags & Flag.TABLE)

    @property
    def embedding(self) -> bool:
        return bool(self.flags & Flag.EMBEDDING)

    @property
    def from_tape(self) -> bool:
        return self.stationary == Stationary.TAPE

    @property
    def has_constants(self) -> bool:
        return self.destination < Destination.KERNEL_0

    @cached_property
    def widths(self) -> dict[str, int]:
        return address_widths(self.config)

    def tiles(self) -> Iterator[tuple[int, int]]:
        """(output tile, input tile) of every pass."""
        for output_tile in range(self.output_tiles):
            for input_tile in range(self.input_tiles):
                yield output_tile, input_tile

    def tape_rows(self) -> int:
        """Rows of payload, as in the field `payload`."""
        return sum(row["kind"] not in (LoadKind.KERNEL_0, LoadKind.KERNEL_1) for row in self.all_loads())

    def all_loads(self) -> Iterator[dict[str, int]]:
        yield from self.norm_loads()
        for output_tile, input_tile in self.tiles():
            yield from self.loads(output_tile, input_tile)

    def norm_loads(self) -> Iterator[dict[str, int]]:
        """The rows of its LayerNorm's constants."""
        for tile in range(self.norm_tiles if self.norm else 0):
            for byte in range(CONSTANT_BYTES):
                yield {"kind": LoadKind.NORM_CONSTANT, "byte": byte, "place": tile, "blank": 0}

    def loads(self, output_tile: int, input_tile: int) -> Iterator[dict[str, int]]:
        """The rows of one pass: members of LoadControl; those of the tape without their address."""
        for row in reversed(range(self.config.rows)):
            if self.from_tape:
                yield {"kind": LoadKind.TAPE_TILE, "blank": 0}
            else:
                place = input_tile * self.config.rows + row
                address = self.stationary_base + output_tile * self.stationary_stride + place
                yield {"kind": self.stationary, "blank": int(place >= self.stationary_limit),
                       "address": address % (1 << self.widths["stationary"])}  # fmt: skip
        if self.embedding:
            first = input_tile * self.embedding_chunk
            for token in range(first, min(first + self.embedding_chunk, self.length)):
                address = (self.destination_base + output_tile * self.destination_stride + token) % (
                    1 << self.widths["destination"]
                )
                place = address % (1 << bits(self.config.residual_depth))
                for byte in range(2):
                    yield {"kind": LoadKind.EMBEDDING, "byte": byte, "place": place, "blank": 0}
        if self.has_constants and input_tile == self.input_tiles - 1:
            for byte in range(CONSTANT_BYTES):
                yield {"kind": LoadKind.CONSTANT, "byte": byte, "blank": 0}

    def destination_of(self, output_tile: int, element: int) -> dict[str, int]:
        """Members of ResultControl for column 0 that say where a total goes."""
        width, config = self.widths["destination"], self.config
        address, place = self.destination_base, self.destination_bank
        where = {}
        if self.destination in BY_PLACE:
            place += output_tile * config.columns
            address += place // config.rows * self.destination_stride + element
            where = {"bank": place % config.rows, "following": address + self.destination_stride}
        elif self.destination == Destination.KEY:
            address += element // config.rows * self.destination_stride + output_tile * config.columns
            where = {"bank": element % config.rows}
        elif self.destination == Destination.LOGITS:
            address += output_tile * config.columns
        else:
            address += output_tile * self.destination_stride + element
        where["address"] = address
        return {name: value % (1 << width) if name != "bank" else value for name, value in where.items()}

    def source_address(self, input_tile: int, element: int) -> int:
        """Where an element of the streamed operand is, if it is none of the prefix."""
        address = self.source_base + input_tile * self.source_stride + element - self.prefix
        return address % (1 << self.widths["source"])

    def result(self, output_tile: int, input_tile: int) -> dict[str, int]:
        """Members of ResultControl that all elements of a pass have in common."""
        return {
            "first": int(input_tile == 0), "last": int(input_tile == self.input_tiles - 1),
            "destination": self.destination, "table": int(self.table),
            "first_tile": int(output_tile == 0), "last_tile": int(output_tile == self.output_tiles - 1),
        }  # fmt: skip

    def ends(self, output_tile: int, input_tile: int) -> bool:
        """Whether it is the product's last pass."""
        return (output_tile, input_tile) == (self.output_tiles - 1, self.input_tiles - 1)

    def payload(self, output_tile: int, input_tile: int, sequence: int) -> dict[str, int]:
        """The members of `Pass`, flat."""
        members = {
            "sequence": sequence, "wait": self.wait, "kind": self.kind, "source": self.source, "prefix": self.prefix,
            "length": self.length, "pass_length": self.pass_length, "norm": int(self.norm and output_tile == 0),
            "source_address": self.source_address(input_tile, self.prefix),
            "product_first": int((output_tile, input_tile) == (0, 0)),
            "product_last": int(self.ends(output_tile, input_tile)),
        }  # fmt: skip
        if members["norm"]:
            members["norm_features"] = (input_tile + 1) * self.config.rows
        result = self.result(output_tile, input_tile) | self.destination_of(output_tile, 0) | {"valid": 1}
        if self.destination == Destination.KEY:
            result["following"] = self.destination_stride % (1 << self.widths["destination"])
        return members | {f"result__{name}": value for name, value in result.items()}

    def element(self, output_tile: int, input_tile: int, position: int) -> dict[str, int]:
        """Members of StreamControl that mean something in a cycle of a pass, flat; after the elements few do."""
        there = position < self.length
        members = {"swap": int(position == 0), "release": 0}
        flags = dict.fromkeys(("valid", "begin", "end", "finish"), 0)
        if not there:
            return members | {f"result__{name}": value for name, value in flags.items()}
        common = self.result(output_tile, input_tile)
        end = int(position == self.length - 1 and common["last"])
        finish = int(end and self.ends(output_tile, input_tile))
        blank = int(position < self.prefix)
        members |= {"source": self.source, "blank": blank, "position": position,
                    "release": int(finish and self.source == Source.IMAGE)}  # fmt: skip
        if not blank:
            members["address"] = self.source_address(input_tile, position)
        result = common | self.destination_of(output_tile, position)
        result |= {"valid": 1, "index": position, "begin": int(common["last"] and position == 0), "end": end,
                   "finish": finish}  # fmt: skip
        return members | {f"result__{name}": value for name, value in result.items()}


def random_product(config: NetworkConfig, generator: random.Random, **values: int) -> Product:
    """A product of random fields, but for `values`; small, and often of one tile or one element."""

    def up_to(most, *, least=1):
        return generator.choice((least, min(least + 1, most), generator.randint(least, most)))

    flags = values.get("flags", generator.choice((0, 0, 0, Flag.NORM, Flag.NORM, Flag.TABLE, Flag.EMBEDDING)))
    destination, stationary = generator.choice(list(Destination)), generator.choice(list(Stationary))
    if flags & Flag.EMBEDDING:
        destination = Destination.RESIDUAL
    if flags & (Flag.EMBEDDING | Flag.NORM):
        stationary = Stationary.TAPE
    destination, stationary = values.get("destination", destination), values.get("stationary", stationary)
    length = 1 if destination == Destination.LOGITS else up_to(min(12, config.longest_pass))
    length = values.get("length", length)
    # Of a LayerNorm they hold no more features than a token has.
    most_tiles = min(4, -(-config.max_width // config.rows)) if flags & Flag.NORM else 4
    input_tiles = values.get("input_tiles", up_to(most_tiles))
    widths = address_widths(config)
    fields = {
        "flags": flags, "destination": destination, "stationary": stationary, "length": length,
        "input_tiles": input_tiles, "output_tiles": up_to(3), "kind": generator.randrange(8),
        "wait": generator.choice((0, 1, 2, 15)), "source": generator.choice(list(Source)),
        "prefix": generator.randint(0, min(2, length)),
        "pass_length": length + min(generator.choice((0, 0, 1, 5)), config.rows - 1),
        "source_base": generator.getrandbits(widths["source"]), "source_stride": generator.randint(0, 300),
        "destination_bank": 0 if destination == Destination.KEY else generator.randrange(config.rows),
        "destination_base": generator.getrandbits(widths["destination"]),
        "destination_stride": generator.randint(0, 300), "stationary_stride": generator.randint(0, 300),
        "stationary_base": generator.getrandbits(widths["stationary"]),
        "stationary_limit": generator.randint(1, input_tiles * config.rows),
    }  # fmt: skip
    if flags & Flag.NORM:
        # Its tiles of C features are those that the input tiles of R features hold.
        most = min(input_tiles * config.rows, config.max_width)
        features = generator.randint((input_tiles - 1) * config.rows + 1, most)
        fields |= {"norm_tiles": -(-features // config.columns), "norm_rows": up_to(min(12, config.max_tokens)),
                   "norm_stride": generator.randint(0, 40), "norm_shift": generator.randrange(64)}  # fmt: skip
    if flags & Flag.EMBEDDING:
        fields["embedding_chunk"] = max(-(-length // input_tiles), up_to(length))
    return Product(config, fields | values)

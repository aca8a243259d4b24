"""Steps of a plan: commands, and what of the model belongs to each; and what all products of a network share."""

from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from taylorvit.golden.network.vit import VitShape
from taylorvit.rtl.network.command import (
    CONSTANT_BYTES,
    EXPONENTIAL_BYTES,
    KERNELS,
    Destination,
    Flag,
    Kind,
    Opcode,
    Stationary,
)
from taylorvit.rtl.network.config import NetworkConfig

from .layout import Layout

__all__ = ["Products", "Step", "places", "step_of", "table_bytes"]

#: Bytes of a table of activations: an entry for each value of 8 bits.
_TABLE_BYTES = 256

_KERNEL = (Destination.KERNEL_0, Destination.KERNEL_1)


def places(features: int, tiles: int, size: int) -> np.ndarray:
    """The features that lie at the places of so many tiles of so many places; -1 where there is none.

    Args:
        features (int): features, the first ones of the places.
        tiles (int): tiles.
        size (int): places of a tile.
    """
    every = np.arange(tiles * size)
    return np.where(every < features, every, -1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """One command, and what of the model belongs to it.

    Attributes:
        name (str): what it computes, by the names of the network's steps.
        values (Mapping[str, int]): its fields, all but those that the model decides.
        layer (int | None): index of the block; None before the first and after the last one.
        linears (tuple[str, ...]): linear layers whose weights are its stationary operand, their inputs side by side.
        result (str): step of the network that its totals become; "" where they are the kernel's.
        norm (str): LayerNorm that is done first; "" for none.
        following (str): of RESIDUAL, the LayerNorm that reads the residual stream next.
        table (str): step whose table the activations go through; "" for none.
        inputs (np.ndarray): input of the linear layers at each place of the input tiles, -1 for none.
        outputs (np.ndarray): output of the linear layers at each place of the output tiles, -1 for none.
        macs (int): products of the network that it computes.
    """

    name: str
    values: MappingProxyType
    layer: int | None = None
    linears: tuple[str, ...] = ()
    result: str = ""
    norm: str = ""
    following: str = ""
    table: str = ""
    inputs: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    outputs: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    macs: int = 0

    @property
    def opcode(self) -> Opcode:
        """What the command is."""
        return Opcode(self.values["opcode"])

    @property
    def kind(self) -> Kind:
        """What part of the network it is."""
        return Kind(self.values["kind"])

    @property
    def flags(self) -> Flag:
        """What a product has besides."""
        return Flag(self.values.get("flags", 0))

    def __getitem__(self, name: str) -> int:
        """A field of the command, 0 if it has not been given."""
        return self.values.get(name, 0)

    def with_values(self, **values: int) -> "Step":
        """The same with other values of fields."""
        return replace(self, values=MappingProxyType({**self.values, **values}))


def step_of(name: str, opcode: Opcode, kind: Kind, **fields) -> Step:
    """A command.

    Args:
        name (str): what it computes.
        opcode (Opcode): what the command is.
        kind (Kind): what part of the network it is.
        **fields: attributes of a `Step`.
    """
    values = fields.pop("values", {})
    return Step(name=name, values=MappingProxyType({"opcode": opcode, "kind": kind, **values}), **fields)


def table_bytes(step: Step, config: NetworkConfig) -> int:
    """Bytes of the table that follows a command, 0 if there is none.

    Args:
        step (Step): the command.
        config (NetworkConfig): the accelerator.
    """
    if step.opcode == Opcode.CONSTANTS and KERNELS[step["kernel"]] == "softmax":
        return EXPONENTIAL_BYTES * config.exponential_entries
    return _TABLE_BYTES if step.table else 0


class Products:
    """Makes products of one network on one accelerator.

    Args:
        shape (VitShape): the network.
        config (NetworkConfig): the accelerator.

    Attributes:
        layout (Layout): where its buffers lie.
        prefix (int): prefix tokens.
    """

    def __init__(self, shape: VitShape, config: NetworkConfig) -> None:
        self.shape = shape
        self.config = config
        self.layout = Layout(shape, config)
        self.prefix = shape.extra_tokens

    def rows(self, layer: int) -> int:
        """Tokens of a layer that are still read behind its K and V."""
        return self.prefix if layer == self.shape.depth - 1 else self.shape.tokens

    def normalized_places(self) -> np.ndarray:
        """The features of a token at the places of its input tiles."""
        width = self.shape.width
        return places(width, self.layout.input_tiles(width), self.config.rows)

    def column_places(self, features: int) -> np.ndarray:
        """The features at the places of the output tiles that give so many."""
        return places(features, self.layout.output_tiles(features), self.config.columns)

    def norm(self, rows: int) -> dict[str, int]:
        """Sizes of a LayerNorm of the first tokens of the residual stream."""
        return {
            "norm_tiles": self.layout.output_tiles(self.shape.width),
            "norm_rows": rows,
            "norm_stride": self.shape.tokens,
        }

    def to_stream(
        self, linear: str, kind: Kind, stream: int, inputs: np.ndarray, *, number: str = "", **fields
    ) -> Step:
        """A product that is added to the residual stream, which becomes residual.`stream`; `number` is its block's."""
        last = 2 * self.shape.depth
        following = "norm" if stream == last else f"blocks.{stream // 2}.norm{stream % 2 + 1}"
        return self.product(
            linear + number,
            kind,
            linears=(linear,),
            result=f"residual.{stream}",
            following=following,
            inputs=inputs,
            outputs=self.column_places(self.shape.width),
            destination=Destination.RESIDUAL,
            destination_stride=self.shape.tokens,
            norm_features=self.shape.width,
            **fields,
        )

    def product(self, name: str, kind: Kind, **fields) -> Step:
        """A product: what is no attribute of a step is a field of the command."""
        own = {key: fields.pop(key) for key in list(fields) if key in Step.__dataclass_fields__}
        values = dict(fields)
        if "inputs" in own:
            values["input_tiles"] = len(own["inputs"]) // self.config.rows
            values["output_tiles"] = len(own["outputs"]) // self.config.columns
        values.setdefault("pass_length", values["length"])
        values["payload"] = _payload_rows(values, self.config.rows)
        return step_of(name, Opcode.PRODUCT, kind, values=values, **own)


def _payload_rows(values: dict[str, int], rows: int) -> int:
    """Rows of the payload of a product, without those of its table."""
    flags = Flag(values.get("flags", 0))
    count = CONSTANT_BYTES * values["norm_tiles"] if Flag.NORM in flags else 0
    passes = values["input_tiles"] * values["output_tiles"]
    if values.get("stationary", Stationary.TAPE) == Stationary.TAPE:
        count += rows * passes
    if Flag.EMBEDDING in flags:
        count += 2 * values["length"] * values["output_tiles"]
    if values.get("destination", Destination.ACTIVATION) not in _KERNEL:
        count += CONSTANT_BYTES * values["output_tiles"]
    return count

"""The plan: the commands of a network on an accelerator, from sizes alone, before any weight is known.

`plan_of` gives the commands in their order, each a `Step`: the fields that follow from sizes, and which integers of the
model belong to it. `taylorvit.compiler.payload` fills them in; the cycles of a network follow from the plan alone.

A layer is

    K(0) + norm1, V(0), then for every head  K(h) V(h) G(h-1) Q(h) QG(h-1), for the last two  K V G G Q QG QG
    projection      to the residual stream
    fc1 + norm2     through the table of GELU
    fc2             to the residual stream

An accelerator whose buffers hold the hidden features of few tokens has fc1 and fc2 for one block of tokens after
another; the LayerNorm of all tokens comes with the first block.

In the last layer nobody reads other tokens than the prefix tokens any more: Q, Q G, the projection and the MLP compute
these alone. The heads of a distilled model are one product whose input tiles read the two prefix tokens in turn.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import ceil
from types import MappingProxyType

import numpy as np

from taylorvit.golden.network.vit import VitShape
from taylorvit.rtl.network.command import (
    CONSTANT_BYTES,
    Destination,
    Flag,
    Kind,
    Opcode,
    Source,
    Stationary,
)
from taylorvit.rtl.network.config import NetworkConfig

from .layout import Layout
from .waiting import waits_of

__all__ = ["TABLE_BYTES", "Step", "plan_of"]

#: Bytes of a table: an entry for each value of 8 bits.
TABLE_BYTES = 256

_KERNEL = (Destination.KERNEL_0, Destination.KERNEL_1)


def _places(features: int, tiles: int, size: int) -> np.ndarray:
    """The features that lie at the places of so many tiles of so many places; -1 where there is none."""
    places = np.arange(tiles * size)
    return np.where(places < features, places, -1)


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


def plan_of(shape: VitShape, config: NetworkConfig) -> list[Step]:
    """The commands of a network, in their order, END included.

    Args:
        shape (VitShape): the network.
        config (NetworkConfig): the accelerator. Whether the network fits it is not asked here.
    """
    plan = _Plan(shape, config)
    steps = [*plan.embedding()]
    for layer in range(shape.depth):
        steps += plan.attention(layer)
        steps += plan.mlp(layer)
    steps += plan.head()
    steps.append(_step("end", Opcode.END, Kind.OTHER))
    products = [step for step in steps if step.opcode == Opcode.PRODUCT]
    waits = iter(waits_of([step.values for step in products], config))
    return [step.with_values(wait=next(waits)) if step.opcode == Opcode.PRODUCT else step for step in steps]


def _step(name: str, opcode: Opcode, kind: Kind, **fields) -> Step:
    values = fields.pop("values", {})
    return Step(name=name, values=MappingProxyType({"opcode": opcode, "kind": kind, **values}), **fields)


class _Plan:
    """Makes the steps of one network on one accelerator."""

    def __init__(self, shape: VitShape, config: NetworkConfig) -> None:
        self.shape = shape
        self.config = config
        self.layout = Layout(shape, config)
        self.prefix = shape.extra_tokens

    def embedding(self) -> Iterator[Step]:
        """The patches, added to the embedding that comes with the tape: residual.0."""
        shape, layout = self.shape, self.layout
        patches = shape.tokens - self.prefix
        inputs = layout.input_tiles(layout.patch)
        yield self._to_stream(
            "patch_embed",
            Kind.EMBEDDING,
            0,
            _places(layout.patch, inputs, self.config.rows),
            macs=patches * layout.patch * shape.width,
            source=Source.IMAGE,
            prefix=self.prefix,
            length=shape.tokens,
            source_stride=patches,
            embedding_chunk=ceil(shape.tokens / inputs),
            flags=Flag.EMBEDDING,
        )

    def attention(self, layer: int) -> Iterator[Step]:
        """A layer's attention and projection."""
        shape, layout = self.shape, self.layout
        heads, d, tokens, rows = shape.heads, shape.head_dim, shape.tokens, self._rows(layer)
        constants = {"tokens": tokens, "rows": rows, "head_dim": d}
        yield _step(f"blocks.{layer}.constants", Opcode.CONSTANTS, Kind.OTHER, layer=layer, values=constants)
        for head in range(heads):
            yield self._key(layer, head, norm=head == 0)
            yield self._value(layer, head)
            if head > 0:
                yield self._g(layer, head - 1)
            if head == heads - 1:
                yield self._g(layer, head)
            yield self._query(layer, head)
            if head > 0:
                yield self._q_g(layer, head - 1)
        yield self._q_g(layer, heads - 1)
        z_places = heads * layout.z_places
        inputs = np.full(self.config.rows * layout.input_tiles(z_places), -1)
        for head in range(heads):
            first = head * layout.z_places
            inputs[first : first + d] = np.arange(head * d, (head + 1) * d)
        yield self._to_stream(
            f"blocks.{layer}.proj",
            Kind.PROJECTION,
            2 * layer + 1,
            inputs,
            layer=layer,
            macs=rows * shape.width**2,
            length=rows,
            source_base=layout.z_base,
            source_stride=rows,
        )

    def mlp(self, layer: int) -> Iterator[Step]:
        """A layer's MLP, block by block."""
        blocks = self.layout.blocks(self._rows(layer))
        for block, tokens in enumerate(blocks):
            number = f"[{block}]" if len(blocks) > 1 else ""
            yield self._fc1(layer, block, tokens, number)
            yield self._fc2(layer, block, tokens, number)

    def head(self) -> Iterator[Step]:
        """The heads, as one product: input tile k reads prefix token k mod prefix of the features of tile k div prefix.

        The tokens of a tile of features lie side by side, so that tile k is at address k.
        """
        shape, layout, prefix = self.shape, self.layout, self.prefix
        features = self._normalized_places().reshape(-1, 1, self.config.rows)
        token = np.arange(prefix).reshape(1, -1, 1)
        yield self._product(
            "head",
            Kind.HEAD,
            linears=("head", "head_dist")[:prefix],
            result="logits",
            norm="norm",
            inputs=np.where(features < 0, -1, features + token * shape.width).ravel(),
            outputs=self._column_places(shape.classes),
            macs=prefix * shape.width * shape.classes,
            length=1,
            source_base=layout.normalized_base,
            source_stride=1,
            destination=Destination.LOGITS,
            flags=Flag.NORM,
            **self._norm(prefix),
        )

    # Parts of the MLP

    def _fc1(self, layer: int, block: int, tokens: range, number: str) -> Step:
        layout, rows, length = self.layout, self._rows(layer), len(tokens)
        norm = {"norm": f"blocks.{layer}.norm2", **self._norm(rows)} if block == 0 else {}
        return self._product(
            f"blocks.{layer}.fc1{number}",
            Kind.MLP_UP,
            layer=layer,
            linears=(f"blocks.{layer}.fc1",),
            result=f"blocks.{layer}.hidden",
            table=f"blocks.{layer}.gelu",
            inputs=self._normalized_places(),
            outputs=self._column_places(layout.hidden),
            macs=length * self.shape.width * layout.hidden,
            length=length,
            source_base=layout.normalized_base + tokens.start,
            source_stride=rows,
            destination_base=layout.hidden_base(block),
            destination_stride=length,
            flags=Flag.TABLE | (Flag.NORM if norm else 0),
            **norm,
        )

    def _fc2(self, layer: int, block: int, tokens: range, number: str) -> Step:
        layout, length = self.layout, len(tokens)
        return self._to_stream(
            f"blocks.{layer}.fc2",
            Kind.MLP_DOWN,
            2 * layer + 2,
            _places(layout.hidden, layout.input_tiles(layout.hidden), self.config.rows),
            number=number,
            layer=layer,
            macs=length * self.shape.width * layout.hidden,
            length=length,
            source_base=layout.hidden_base(block),
            source_stride=length,
            destination_base=tokens.start,
            first_token=tokens.start,
        )

    # Parts of attention

    def _key(self, layer: int, head: int, *, norm: bool) -> Step:
        tokens, tiles = self.shape.tokens, self.layout.input_tiles(self.shape.width)
        # Where every pass gives totals, those of an output tile must have been turned when the next ones come.
        turned = self.config.rows * ceil(tokens / self.config.rows) if tiles == 1 else tokens
        extra = {"flags": Flag.NORM, **self._norm(tokens)} if norm else {}
        return self._projected(
            layer,
            head,
            "k",
            tokens,
            norm=f"blocks.{layer}.norm1" if norm else "",
            pass_length=turned,
            destination=Destination.KEY,
            destination_base=self.layout.key_base(head),
            destination_stride=self.layout.key_stride,
            **extra,
        )

    def _value(self, layer: int, head: int) -> Step:
        return self._projected(
            layer,
            head,
            "v",
            self.shape.tokens,
            destination=Destination.VALUE,
            destination_base=self.layout.value_base(head),
            destination_stride=self.layout.value_stride,
        )

    def _query(self, layer: int, head: int) -> Step:
        rows = self._rows(layer)
        return self._projected(
            layer, head, "q", rows, destination_base=self.layout.q_base(head), destination_stride=rows
        )

    def _projected(self, layer: int, head: int, name: str, rows: int, *, norm: str = "", **values: int) -> Step:
        """Q, K or V of a head."""
        d, width = self.shape.head_dim, self.shape.width
        outputs = self._column_places(d)
        first = "qkv".index(name) * width + head * d
        return self._product(
            f"blocks.{layer}.{name}[{head}]",
            Kind.QUERY_KEY_VALUE,
            layer=layer,
            linears=(f"blocks.{layer}.qkv",),
            result=f"blocks.{layer}.{name}",
            norm=norm,
            inputs=self._normalized_places(),
            outputs=np.where(outputs < 0, -1, outputs + first),
            macs=rows * width * d,
            length=rows,
            source_base=self.layout.normalized_base,
            source_stride=self.shape.tokens,
            **values,
        )

    def _g(self, layer: int, head: int) -> Step:
        d, tokens, layout = self.shape.head_dim, self.shape.tokens, self.layout
        return self._product(
            f"blocks.{layer}.g[{head}]",
            Kind.ATTENTION,
            layer=layer,
            macs=tokens * d * d,
            source=Source.KERNEL,
            length=d,
            input_tiles=layout.input_tiles(tokens),
            output_tiles=layout.output_tiles(d),
            source_base=layout.key_base(head),
            source_stride=layout.key_stride,
            stationary=Stationary.KERNEL_0,
            stationary_base=layout.value_base(head),
            stationary_stride=layout.value_stride,
            stationary_limit=tokens,
            destination=Destination.KERNEL_0,
            destination_base=layout.g_base(head),
            destination_stride=layout.g_stride,
        )

    def _q_g(self, layer: int, head: int) -> Step:
        d, rows, layout = self.shape.head_dim, self._rows(layer), self.layout
        tile, bank = divmod(head * layout.z_places, self.config.rows)
        return self._product(
            f"blocks.{layer}.z[{head}]",
            Kind.ATTENTION,
            layer=layer,
            macs=rows * d * d,
            length=rows,
            input_tiles=layout.input_tiles(d),
            output_tiles=layout.output_tiles(d),
            source_base=layout.q_base(head),
            source_stride=rows,
            stationary=Stationary.KERNEL_1,
            stationary_base=layout.g_base(head),
            stationary_stride=layout.g_stride,
            stationary_limit=d,
            destination=Destination.KERNEL_1,
            destination_bank=bank,
            destination_base=layout.z_base + tile * rows,
            destination_stride=rows,
        )

    # Parts of products

    def _rows(self, layer: int) -> int:
        """Tokens of a layer that are read any more behind its K and V."""
        return self.prefix if layer == self.shape.depth - 1 else self.shape.tokens

    def _normalized_places(self) -> np.ndarray:
        width = self.shape.width
        return _places(width, self.layout.input_tiles(width), self.config.rows)

    def _column_places(self, features: int) -> np.ndarray:
        return _places(features, self.layout.output_tiles(features), self.config.columns)

    def _norm(self, rows: int) -> dict[str, int]:
        """Sizes of a LayerNorm of the first tokens of the residual stream."""
        return {
            "norm_tiles": self.layout.output_tiles(self.shape.width),
            "norm_rows": rows,
            "norm_stride": self.shape.tokens,
        }

    def _to_stream(
        self, linear: str, kind: Kind, stream: int, inputs: np.ndarray, *, number: str = "", **fields
    ) -> Step:
        """A product that is added to the residual stream, which becomes residual.`stream`; `number` is its block's."""
        last = 2 * self.shape.depth
        following = "norm" if stream == last else f"blocks.{stream // 2}.norm{stream % 2 + 1}"
        return self._product(
            linear + number,
            kind,
            linears=(linear,),
            result=f"residual.{stream}",
            following=following,
            inputs=inputs,
            outputs=self._column_places(self.shape.width),
            destination=Destination.RESIDUAL,
            destination_stride=self.shape.tokens,
            norm_features=self.shape.width,
            **fields,
        )

    def _product(self, name: str, kind: Kind, **fields) -> Step:
        """A product: what is no attribute of a step is a field of the command."""
        own = {key: fields.pop(key) for key in list(fields) if key in Step.__dataclass_fields__}
        values = dict(fields)
        if "inputs" in own:
            values["input_tiles"] = len(own["inputs"]) // self.config.rows
            values["output_tiles"] = len(own["outputs"]) // self.config.columns
        values.setdefault("pass_length", values["length"])
        values["payload"] = _payload_rows(values, self.config.rows)
        return _step(name, Opcode.PRODUCT, kind, values=values, **own)


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

"""The products of a layer's attention and its projection, of each attention kernel."""

from collections.abc import Iterator
from math import ceil

import numpy as np

from taylorvit.rtl.attention.softmax.spec import query_blocks
from taylorvit.rtl.network.command import KERNELS, Destination, Flag, Kind, Opcode, Source, Stationary

from .attention_order import Part, order_of
from .steps import Products, Step, step_of

__all__ = ["attention_of"]


def attention_of(products: Products, layer: int, kernel: str) -> Iterator[Step]:
    """A layer's attention and projection.

    Args:
        products (Products): of the network.
        layer (int): the layer.
        kernel (str): its attention kernel.
    """
    attention = {"taylor": _Taylor, "softmax": _Softmax}[kernel](products, layer)
    yield attention.constants(kernel)
    for part in order_of(kernel, products.shape.heads, len(attention.blocks)):
        yield attention.step(part)
    yield attention.projection()


class _Attention:
    """Makes the steps of one layer, those that every kernel has."""

    def __init__(self, products: Products, layer: int) -> None:
        self.products, self.layer = products, layer
        self.shape, self.config, self.layout = products.shape, products.config, products.layout
        self.rows = products.rows(layer)
        self.blocks = [range(self.rows)]
        """Queries of each block of a head."""

    def step(self, part: Part) -> Step:
        """A product."""
        if part.name in "qkv":
            return getattr(self, part.name)(part.head)
        return getattr(self, part.name)(part.head, part.block)

    def constants(self, kernel: str, **values: int) -> Step:
        """The command CONSTANTS."""
        return step_of(
            f"blocks.{self.layer}.constants",
            Opcode.CONSTANTS,
            Kind.OTHER,
            layer=self.layer,
            values={
                "tokens": self.shape.tokens,
                "rows": self.rows,
                "head_dim": self.shape.head_dim,
                "kernel": KERNELS.index(kernel),
                **values,
            },
        )

    def k(self, head: int) -> Step:
        """K, with the layer's first LayerNorm in front of it."""
        tokens, norm = self.shape.tokens, head == 0
        extra = {"flags": Flag.NORM, **self.products.norm(tokens)} if norm else {}
        return self.projected(
            head,
            "k",
            tokens,
            norm=f"blocks.{self.layer}.norm1" if norm else "",
            destination=Destination.KEY,
            **self.key(head),
            **extra,
        )

    def key(self, head: int) -> dict[str, int]:
        """Where K goes."""
        raise NotImplementedError

    def turned(self, tile: int) -> int:
        """Cycles of a pass of K: where every pass gives totals, they must have been turned when the next ones come."""
        tokens, tiles = self.shape.tokens, self.layout.input_tiles(self.shape.width)
        return tile * ceil(tokens / tile) if tiles == 1 else tokens

    def v(self, head: int) -> Step:
        """V."""
        return self.projected(
            head,
            "v",
            self.shape.tokens,
            destination=Destination.VALUE,
            destination_base=self.layout.value_base(head),
            destination_stride=self.layout.value_stride,
        )

    def q(self, head: int) -> Step:
        """Q."""
        return self.projected(
            head, "q", self.rows, destination_base=self.layout.q_base(head), destination_stride=self.rows
        )

    def projected(self, head: int, name: str, rows: int, *, norm: str = "", **values: int) -> Step:
        """Q, K or V of a head."""
        products, d, width = self.products, self.shape.head_dim, self.shape.width
        outputs = products.column_places(d)
        first = "qkv".index(name) * width + head * d
        return products.product(
            f"blocks.{self.layer}.{name}[{head}]",
            Kind.QUERY_KEY_VALUE,
            layer=self.layer,
            linears=(f"blocks.{self.layer}.qkv",),
            result=f"blocks.{self.layer}.{name}",
            norm=norm,
            inputs=products.normalized_places(),
            outputs=np.where(outputs < 0, -1, outputs + first),
            macs=rows * width * d,
            length=rows,
            source_base=self.layout.normalized_base,
            source_stride=self.shape.tokens,
            **values,
        )

    def divided(self, name: str, head: int, queries: range, **values: int) -> Step:
        """A product whose rows become Z of some queries."""
        tile, bank = divmod(head * self.layout.z_places, self.config.rows)
        return self.products.product(
            f"blocks.{self.layer}.{name}",
            Kind.ATTENTION,
            layer=self.layer,
            length=len(queries),
            output_tiles=self.layout.output_tiles(self.shape.head_dim),
            destination=Destination.KERNEL_1,
            destination_bank=bank,
            destination_base=self.layout.z_base + tile * self.rows + queries.start,
            destination_stride=self.rows,
            **values,
        )

    def projection(self) -> Step:
        """The projection of Z of all heads, which is added to the residual stream."""
        layout, d, heads = self.layout, self.shape.head_dim, self.shape.heads
        inputs = np.full(self.config.rows * layout.input_tiles(heads * layout.z_places), -1)
        for head in range(heads):
            first = head * layout.z_places
            inputs[first : first + d] = np.arange(head * d, (head + 1) * d)
        return self.products.to_stream(
            f"blocks.{self.layer}.proj",
            Kind.PROJECTION,
            2 * self.layer + 1,
            inputs,
            layer=self.layer,
            macs=self.rows * self.shape.width**2,
            length=self.rows,
            source_base=layout.z_base,
            source_stride=self.rows,
        )


class _Taylor(_Attention):
    """Taylor attention: G, and Q G."""

    def key(self, head: int) -> dict[str, int]:
        return {
            "destination_base": self.layout.key_base(head),
            "destination_stride": self.layout.key_stride,
            "pass_length": self.turned(self.config.rows),
        }

    def g(self, head: int, _block: int) -> Step:
        """G = K^^T V."""
        d, tokens, layout = self.shape.head_dim, self.shape.tokens, self.layout
        return self.products.product(
            f"blocks.{self.layer}.g[{head}]",
            Kind.ATTENTION,
            layer=self.layer,
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

    def z(self, head: int, _block: int) -> Step:
        """Q G."""
        d, layout = self.shape.head_dim, self.layout
        return self.divided(
            f"z[{head}]",
            head,
            range(self.rows),
            macs=self.rows * d * d,
            input_tiles=layout.input_tiles(d),
            source_base=layout.q_base(head),
            source_stride=self.rows,
            stationary=Stationary.KERNEL_1,
            stationary_base=layout.g_base(head),
            stationary_stride=layout.g_stride,
            stationary_limit=d,
        )


class _Softmax(_Attention):
    """Softmax attention: scores and e V, block by block of queries, whose scores take two halves by turns."""

    def __init__(self, products: Products, layer: int) -> None:
        super().__init__(products, layer)
        lengths = query_blocks(self.rows, self.layout.longest_block)
        ends = np.cumsum(lengths).tolist()
        self.blocks = [range(end - length, end) for length, end in zip(lengths, ends, strict=True)]

    def constants(self, kernel: str, **values: int) -> Step:
        return super().constants(kernel, key_stride=self.layout.key_stride, **values)

    def key(self, head: int) -> dict[str, int]:
        return {
            "destination_base": self.layout.turned_key_base(head),
            "pass_length": self.turned(self.config.columns),
        }

    def s(self, head: int, block: int) -> Step:
        """Scores Q K^T."""
        d, tokens, layout, queries = self.shape.head_dim, self.shape.tokens, self.layout, self.blocks[block]
        return self.products.product(
            f"blocks.{self.layer}.s{self._number(head, block)}",
            Kind.ATTENTION,
            layer=self.layer,
            macs=len(queries) * tokens * d,
            length=len(queries),
            input_tiles=layout.input_tiles(d),
            output_tiles=layout.output_tiles(tokens),
            source_base=layout.q_base(head) + queries.start,
            source_stride=self.rows,
            stationary=Stationary.KERNEL_1,
            stationary_base=layout.turned_key_base(head),
            stationary_stride=layout.key_stride,
            stationary_limit=d,
            destination=Destination.KERNEL_0,
            destination_base=self._score_base(head, block),
            destination_stride=len(queries),
        )

    def ev(self, head: int, block: int) -> Step:
        """Exponentials times V."""
        d, tokens, layout, queries = self.shape.head_dim, self.shape.tokens, self.layout, self.blocks[block]
        return self.divided(
            f"ev{self._number(head, block)}",
            head,
            queries,
            macs=len(queries) * tokens * d,
            source=Source.KERNEL,
            input_tiles=layout.input_tiles(tokens),
            source_base=self._score_base(head, block),
            source_stride=len(queries),
            stationary=Stationary.KERNEL_0,
            stationary_base=layout.value_base(head),
            stationary_stride=layout.value_stride,
            stationary_limit=tokens,
        )

    def _score_base(self, head: int, block: int) -> int:
        return self.layout.score_base(head * len(self.blocks) + block)

    def _number(self, head: int, block: int) -> str:
        return f"[{head}][{block}]" if len(self.blocks) > 1 else f"[{head}]"

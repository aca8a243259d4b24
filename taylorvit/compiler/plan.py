"""The plan: the commands of a network on an accelerator, from sizes alone, before any weight is known.

`plan_of` gives the commands in their order, each a `Step`: the fields that follow from sizes, and which integers of the
model belong to it. `taylorvit.compiler.payload` fills them in; the cycles of a network follow from the plan alone.

A layer is

    attention       by its kernel (`taylorvit.compiler.attention_plan`); norm1 comes with the first K
    projection      to the residual stream
    fc1 + norm2     through the table of GELU
    fc2             to the residual stream

An accelerator whose buffers hold the hidden features of few tokens has fc1 and fc2 for one block of tokens after
another; the LayerNorm of all tokens comes with the first block.

In the last layer nothing but the prefix tokens is read behind K and V: Q, what follows of it, the projection and the
MLP compute these alone. The heads of a distilled model are one product whose input tiles read the two prefix tokens
in turn.
"""

from collections.abc import Iterator, Sequence
from math import ceil

import numpy as np

from taylorvit.golden.network.vit import VitShape
from taylorvit.rtl.network.command import Destination, Flag, Kind, Opcode, Source
from taylorvit.rtl.network.config import NetworkConfig

from .attention_plan import attention_of
from .steps import Products, Step, places, step_of
from .waiting import waits_of

__all__ = ["plan_of"]


def plan_of(shape: VitShape, config: NetworkConfig, kernels: Sequence[str] | None = None) -> list[Step]:
    """The commands of a network, in their order, END included.

    Args:
        shape (VitShape): the network.
        config (NetworkConfig): the accelerator. Whether the network fits it is not asked here.
        kernels (Sequence[str] | None): attention kernel of each layer; the accelerator's first one in all of them if
            left out.
    """
    plan = _Plan(shape, config)
    steps = [*plan.embedding()]
    for layer, kernel in enumerate(kernels or config.kernels[:1] * shape.depth):
        steps += attention_of(plan, layer, kernel)
        steps += plan.mlp(layer)
    steps += plan.head()
    steps.append(step_of("end", Opcode.END, Kind.OTHER))
    waits = iter(waits_of([step.values for step in steps], config))
    return [step.with_values(wait=next(waits)) if step.opcode == Opcode.PRODUCT else step for step in steps]


class _Plan(Products):
    """Makes the steps outside of attention."""

    def embedding(self) -> Iterator[Step]:
        """The patches, added to the embedding that comes with the tape: residual.0."""
        shape, layout = self.shape, self.layout
        patches = shape.tokens - self.prefix
        inputs = layout.input_tiles(layout.patch)
        yield self.to_stream(
            "patch_embed",
            Kind.EMBEDDING,
            0,
            places(layout.patch, inputs, self.config.rows),
            macs=patches * layout.patch * shape.width,
            source=Source.IMAGE,
            prefix=self.prefix,
            length=shape.tokens,
            source_stride=patches,
            embedding_chunk=ceil(shape.tokens / inputs),
            flags=Flag.EMBEDDING,
        )

    def mlp(self, layer: int) -> Iterator[Step]:
        """A layer's MLP, block by block."""
        blocks = self.layout.blocks(self.rows(layer))
        for block, tokens in enumerate(blocks):
            number = f"[{block}]" if len(blocks) > 1 else ""
            yield self._fc1(layer, block, tokens, number)
            yield self._fc2(layer, block, tokens, number)

    def head(self) -> Iterator[Step]:
        """The heads, as one product: input tile k reads prefix token k mod prefix of the features of tile k div prefix.

        The tokens of a tile of features lie side by side, so that tile k is at address k.
        """
        shape, layout, prefix = self.shape, self.layout, self.prefix
        features = self.normalized_places().reshape(-1, 1, self.config.rows)
        token = np.arange(prefix).reshape(1, -1, 1)
        yield self.product(
            "head",
            Kind.HEAD,
            linears=("head", "head_dist")[:prefix],
            result="logits",
            norm="norm",
            inputs=np.where(features < 0, -1, features + token * shape.width).ravel(),
            outputs=self.column_places(shape.classes),
            macs=prefix * shape.width * shape.classes,
            length=1,
            source_base=layout.normalized_base,
            source_stride=1,
            destination=Destination.LOGITS,
            flags=Flag.NORM,
            **self.norm(prefix),
        )

    # Parts of the MLP

    def _fc1(self, layer: int, block: int, tokens: range, number: str) -> Step:
        layout, rows, length = self.layout, self.rows(layer), len(tokens)
        norm = {"norm": f"blocks.{layer}.norm2", **self.norm(rows)} if block == 0 else {}
        return self.product(
            f"blocks.{layer}.fc1{number}",
            Kind.MLP_UP,
            layer=layer,
            linears=(f"blocks.{layer}.fc1",),
            result=f"blocks.{layer}.hidden",
            table=f"blocks.{layer}.gelu",
            inputs=self.normalized_places(),
            outputs=self.column_places(layout.hidden),
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
        return self.to_stream(
            f"blocks.{layer}.fc2",
            Kind.MLP_DOWN,
            2 * layer + 2,
            places(layout.hidden, layout.input_tiles(layout.hidden), self.config.rows),
            number=number,
            layer=layer,
            macs=length * self.shape.width * layout.hidden,
            length=length,
            source_base=layout.hidden_base(block),
            source_stride=length,
            destination_base=tokens.start,
            first_token=tokens.start,
        )

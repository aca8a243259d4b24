"""The order of a layer's products of attention, in which the array never waits for a sum to drain.

    taylor      K(0) V(0) Q(0), then for every head  K(h) V(h) G(h-1) Q(h) QG(h-1), for the last two  K V G G Q QG QG
    softmax     for every head  K(h) Q(h) V(h), then for each block of its queries  S(h, b), and EV of the block before

Between a product and the one that reads what it gives there are others: between K, V and their G, K and V of the next
head; between scores and their EV, EV of the block before, or K, Q and V of the next head. Q comes behind K, since what
is divided must leave the way to the activation banks to it.
"""

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Part", "order_of"]


class Part(NamedTuple):
    """A product of attention.

    Attributes:
        name (str): "k", "v" and "q"; of Taylor attention "g" and "z" (Q G); of softmax "s" (scores) and "ev".
        head (int): the head.
        block (int): of "s" and "ev", the block of queries.
    """

    name: str
    head: int
    block: int = 0


def order_of(kernel: str, heads: int, blocks: int) -> Iterator[Part]:
    """The products of a layer.

    Args:
        kernel (str): its attention kernel.
        heads (int): heads.
        blocks (int): blocks of queries of a head, for softmax.
    """
    return {"taylor": _taylor, "softmax": _softmax}[kernel](heads, blocks)


def _taylor(heads: int, _blocks: int) -> Iterator[Part]:
    for head in range(heads):
        yield Part("k", head)
        yield Part("v", head)
        if head > 0:
            yield Part("g", head - 1)
        if head == heads - 1:
            yield Part("g", head)
        yield Part("q", head)
        if head > 0:
            yield Part("z", head - 1)
    yield Part("z", heads - 1)


def _softmax(heads: int, blocks: int) -> Iterator[Part]:
    before: Part | None = None
    for head in range(heads):
        yield Part("k", head)
        yield Part("q", head)
        yield Part("v", head)
        for block in range(blocks):
            yield Part("s", head, block)
            if before:
                yield before
            before = Part("ev", head, block)
    if before:
        yield before

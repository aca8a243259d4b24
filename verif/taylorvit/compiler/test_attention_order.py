"""The order of a layer's products of attention."""

import pytest

from taylorvit.compiler.attention_order import order_of


def written(kernel: str, heads: int, blocks: int = 1) -> str:
    """The order as text, a product as its name, its head and, of several blocks, its block."""
    block = "{0.block}" if blocks > 1 else ""
    return " ".join(f"{{0.name}}{{0.head}}{block}".format(part) for part in order_of(kernel, heads, blocks))


def test_taylor():
    assert written("taylor", 3) == "k0 v0 q0 k1 v1 g0 q1 z0 k2 v2 g1 g2 q2 z1 z2"
    assert written("taylor", 1) == "k0 v0 g0 q0 z0"


def test_softmax():
    assert written("softmax", 3) == "k0 q0 v0 s0 k1 q1 v1 s1 ev0 k2 q2 v2 s2 ev1 ev2"
    assert written("softmax", 1) == "k0 q0 v0 s0 ev0"
    assert written("softmax", 2, 3) == "k00 q00 v00 s00 s01 ev00 s02 ev01 k10 q10 v10 s10 ev02 s11 ev10 s12 ev11 ev12"


@pytest.mark.parametrize("kernel, products", [("taylor", "kvqgz"), ("softmax", "kvq")])
def test_each_product_once_and_behind_what_it_reads(kernel, products):
    for heads in range(1, 6):
        for blocks in range(1, 4) if kernel == "softmax" else (1,):
            order = list(order_of(kernel, heads, blocks))
            assert sorted(order) == sorted(
                [(name, head, 0) for name in products for head in range(heads)]
                + [(name, head, block) for name in ("s", "ev") for head in range(heads) for block in range(blocks)]
                * (kernel == "softmax")
            )
            reads = {"g": "kv", "z": "qg", "s": "qk", "ev": ("s", "v")}
            for place, part in enumerate(order):
                for name in reads.get(part.name, ""):
                    block = part.block if name == "s" else 0
                    assert order.index((name, part.head, block)) < place

"""The closed forms count what attention does when every scalar operation is carried out and counted."""

import math
from collections import Counter

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from taylorvit.golden.attention.float_attention import softmax_attention, taylor_attention
from taylorvit.golden.network.vit import SHAPES, Block, VisionTransformer, VitShape
from taylorvit.golden.reports.op_counts import (
    COMPARED,
    OperationCount,
    attention_operations,
    linear_operations,
    operations_table,
    total_attention_operations,
)


class Scalar:
    """A number that counts what is done to it."""

    counts = Counter()

    def __init__(self, value: float) -> None:
        self.value = value

    def __add__(self, other):
        return self._counted("additions", self.value + other.value)

    def __sub__(self, other):
        return self._counted("additions", self.value - other.value)

    def __mul__(self, other):
        return self._counted("multiplications", self.value * other.value)

    def __truediv__(self, other):
        return self._counted("divisions", self.value / other.value)

    def exp(self):
        return self._counted("exponentials", math.exp(self.value))

    def _counted(self, kind, value):
        Scalar.counts[kind] += 1
        return Scalar(value)


def total(terms):
    """The sum, beginning with the first term."""
    first, *others = terms
    for term in others:
        first = first + term
    return first


def dot(x, y):
    return total(a * b for a, b in zip(x, y, strict=True))


def columns(x):
    return list(zip(*x, strict=True))


def softmax_in_scalars(q, k, v):
    """Steps and results; the keys have the factor 1/sqrt(d) in them."""
    logits = [[dot(row, key) for key in k] for row in q]
    yield "Q K^T", logits
    weights = []
    for row in logits:
        row = [logit.exp() for logit in row]
        below = total(row)
        weights.append([each / below for each in row])
    yield "softmax", weights
    yield "map V", [[dot(row, column) for column in columns(v)] for row in weights]


def taylor_in_scalars(q, k, v):
    """Steps and results of Algorithm 1."""
    root, tokens = Scalar(math.sqrt(len(q[0]))), Scalar(len(q))
    tokens_root = Scalar(len(q) * math.sqrt(len(q[0])))  # a constant
    k_mean = [total(column) / tokens for column in columns(k)]
    k_hat = [[x - mean for x, mean in zip(row, k_mean, strict=True)] for row in k]
    yield "1: k_sum, k_mean, K^", k_hat
    g = [[dot(column, other) for other in columns(v)] for column in columns(k_hat)]
    yield "2: G", g
    k_hat_sum, v_sum = ([total(column) for column in columns(x)] for x in (k_hat, v))
    yield "3: k^_sum, v_sum", v_sum
    t_d = [tokens_root + dot(row, k_hat_sum) for row in q]
    yield "4: t_D", t_d
    scaled = [root * x for x in v_sum]
    t_n = [[each + dot(row, column) for each, column in zip(scaled, columns(g), strict=True)] for row in q]
    yield "5: T_N", t_n
    yield "6: Z", [[x / below for x in row] for row, below in zip(t_n, t_d, strict=True)]


def shape_of(tokens: int, head_dim: int, heads: int = 1) -> VitShape:
    """With one patch a row: a square of patches has a whole number of them only for some numbers of tokens."""
    side = math.isqrt(tokens - 1)
    assert side * side + 1 == tokens
    return VitShape(image_size=side, patch_size=1, channels=1, classes=1, depth=1, width=heads * head_dim, heads=heads)


@pytest.mark.parametrize("tokens, head_dim", [(2, 1), (2, 3), (5, 1), (5, 4), (10, 3)])
@pytest.mark.parametrize(
    ("attention", "in_scalars", "reference"),
    [
        ("softmax", softmax_in_scalars, softmax_attention),
        ("taylor", taylor_in_scalars, lambda q, k, v: taylor_attention(q, k, v).z),
    ],
)
def test_every_step_takes_what_is_counted(attention, in_scalars, reference, tokens, head_dim):
    q, k, v = torch.randn(3, tokens, head_dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scaled = k / math.sqrt(head_dim) if attention == "softmax" else k
    expected = attention_operations(attention, shape_of(tokens, head_dim))

    counted, results = {}, {}
    Scalar.counts.clear()
    in_rows = ([[Scalar(x) for x in row] for row in each.tolist()] for each in (q, scaled, v))
    for step, result in in_scalars(*in_rows):
        counted[step], results[step] = OperationCount(**Scalar.counts), result
        Scalar.counts.clear()

    assert counted == expected
    z = torch.tensor([[x.value for x in row] for row in results[list(expected)[-1]]], dtype=torch.float64)
    torch.testing.assert_close(z, reference(q, k, v), rtol=0, atol=1e-12)


def products(function) -> int:
    """Multiplications of matrix products, by torch's own counter, which counts an addition with each."""
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("name", ["deit_tiny", "deit_base_distilled", "vit_8"])
def test_matrix_products_are_those_that_torch_counts(name):
    shape = SHAPES[name]
    q, k, v = torch.empty(3, 1, shape.heads, shape.tokens, shape.head_dim, device="meta")
    of_softmax = attention_operations("softmax", shape)
    assert products(lambda: softmax_attention(q, k, v)) == sum(count.multiplications for count in of_softmax.values())
    of_taylor = attention_operations("taylor", shape)
    of_v_sum = shape.heads * shape.head_dim  # times sqrt(d), no matrix product
    multiplications = sum(count.multiplications for count in of_taylor.values())
    assert products(lambda: taylor_attention(q, k, v)) == multiplications - of_v_sum


@pytest.mark.parametrize("name", ["deit_tiny", "vit_25"])
def test_linear_layers_are_those_that_torch_counts(name):
    shape = SHAPES[name]
    with torch.device("meta"):
        model = VisionTransformer(shape, "softmax")
        x = torch.empty(1, shape.tokens, shape.width)
    block: Block = model.blocks[0]
    counts = linear_operations(shape)
    for step, layer, inputs in (
        ("qkv", block.attn.qkv, x),
        ("proj", block.attn.proj, x),
        ("fc1", block.mlp.fc1, x),
        ("fc2", block.mlp.fc2, block.mlp.fc1(x)),
    ):
        assert products(lambda layer=layer, inputs=inputs: layer(inputs)) == counts[step].multiplications
        assert counts[step].additions == counts[step].multiplications  # one less for each output, and its bias
    attention = sum(count.multiplications for count in attention_operations("softmax", shape).values())
    linear = sum(count.multiplications for count in counts.values())
    assert products(lambda: block(x)) == attention + linear


def test_deit_tiny_has_the_operations_of_the_paper():
    softmax, taylor = (total_attention_operations(attention, SHAPES["deit_tiny"]) for attention in COMPARED)
    assert softmax.multiplications / 1e6 == pytest.approx(178.8, abs=0.05)
    assert taylor.multiplications / 1e6 == pytest.approx(58.6, abs=0.05)
    assert softmax.multiplications / taylor.multiplications == pytest.approx(3.05, abs=0.005)
    assert softmax.exponentials / 1e6 == pytest.approx(1.4, abs=0.05) and taylor.exponentials == 0
    assert softmax.divisions / 1e6 == pytest.approx(1.4, abs=0.05)
    assert taylor.divisions / 1e6 == pytest.approx(0.45, abs=0.01)


def test_counts_are_added_and_multiplied():
    assert OperationCount(1, 2, 3, 4).times(2).plus(OperationCount(1, 1)) == OperationCount(3, 5, 6, 8)
    assert OperationCount._fields == ("multiplications", "additions", "divisions", "exponentials")


def test_an_unknown_attention_is_named():
    with pytest.raises(ValueError, match="^attention must be one of softmax, taylor, not 'relu'$"):
        attention_operations("relu", SHAPES["vit_8"])


def test_the_table_has_each_step_of_a_layer_and_the_totals_of_all():
    table = operations_table("deit_tiny")
    steps, multiplications = (list(column.cells) for column in table.columns[:2])
    assert table.title == "deit_tiny: 197 tokens, 12 layers of 3 heads of 64; operations of a layer, of all heads"
    assert [step for step in steps if step.startswith("softmax")] == [
        "softmax Q K^T",
        "softmax softmax",
        "softmax map V",
        "softmax attention, all layers",
    ]
    assert multiplications[steps.index("taylor 2: G")] == f"{3 * 197 * 64 * 64:,}"
    assert multiplications[steps.index("fc2")] == f"{197 * 4 * 192 * 192:,}"
    assert multiplications[-2:] == ["178.8 M", "58.6 M"]


def test_a_table_of_no_model_is_refused():
    with pytest.raises(ValueError, match="^model must be one of deit_tiny, .*, not 'deit_huge'$"):
        operations_table("deit_huge")

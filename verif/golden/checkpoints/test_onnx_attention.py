"""Attention is found whatever moves Q, K and V to their heads; another attention is refused by its operator."""

import math
import re

import numpy as np
import pytest

from taylorvit.golden.checkpoints.onnx_attention import attention_at
from taylorvit.golden.checkpoints.weight_files import CheckpointError

from .onnx_files import graph_of

# An image of 4 x 4 pixels is 4 tokens of 4 features, or of 2 heads of 2.
RANDOM = np.random.default_rng(2)
CONSTANTS = {
    **{name: RANDOM.normal(size=(4, 4)) for name in ("wq", "wk", "wv")},
    **{name: RANDOM.normal(size=4) for name in ("bq", "bk", "bv")},
    "wqkv": RANDOM.normal(size=(4, 12)),
    "scale": np.array(1 / math.sqrt(2)),
    "root": np.array(math.sqrt(2)),
    "half": np.array(2**-0.25),
    "tenth": np.array(0.1),
    "none": np.zeros((1, 1, 4, 4)),
    "mask": np.triu(np.full((4, 4), -9.0), 1),
    "zero": np.array(0.0),
}
SHAPES = {"tokens": [1, 4, 4], "heads": [1, 4, 2, 2], "three": [1, 4, 3, 2, 2], "wrong": [1, 2, 4, 2]}

LAYERS = "t = Reshape(x, tokens) " + " ".join(
    f"p{part} = MatMul(t, w{part}) l{part} = Add(p{part}, b{part}) h{part} = Reshape(l{part}, heads) "
    f"{part} = Transpose<perm = [0, 2, 1, 3]>(h{part})"
    for part in "qkv"
)
KEYS = " kt = Transpose<perm = [0, 1, 3, 2]>(k)"
PRODUCT = " m = MatMul(q, kt)"
END = " z = MatMul(s, v) j = Transpose<perm = [0, 2, 1, 3]>(z) y = Reshape(j, tokens)"
USUAL = LAYERS + KEYS + PRODUCT + " n = Mul(m, scale) s = Softmax<axis = -1>(n)" + END


def graph(text):
    names = set(re.findall(r"\w+", text))
    constants = {name: value.astype(np.float32) for name, value in CONSTANTS.items() if name in names}
    return graph_of(text, constants | {name: np.array(SHAPES[name]) for name in SHAPES if name in names}, opset=23)


def computed(x, layer, heads):
    """Attention of tokens x, (tokens, features)."""
    q, k, v = (x @ layer.weight.T + layer.bias).reshape(len(x), 3, heads, -1).transpose(1, 2, 0, 3)
    scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1])
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return (e / e.sum(axis=-1, keepdims=True) @ v).swapaxes(0, 1).reshape(len(x), -1)


@pytest.mark.parametrize(
    "text",
    [
        USUAL,
        # Query and key each multiplied by the root of the scale; a mask of zeros; a guard.
        LAYERS + KEYS + " q2 = Mul(q, half) k2 = Mul(half, kt) m = MatMul(q2, k2) n = Add(m, none)"
        " s0 = Softmax<axis = 3>(n) g = IsNaN(s0) s = Where(g, zero, s0)" + END,
        LAYERS + " kt = Transpose<perm = [0, 2, 3, 1]>(hk)" + PRODUCT + " n = Div(m, root) s = Softmax(n)" + END,
        # One layer, as timm has it.
        "t = Reshape(x, tokens) l = MatMul(t, wqkv) h = Reshape(l, three) a = Transpose<perm = [2, 0, 3, 1, 4]>(h)"
        " q1, k1, v1 = Split<axis = 0, num_outputs = 3>(a) o = Constant<value = int64[1] {0}>()"
        " q = Squeeze(q1, o) k = Squeeze(k1, o) v = Squeeze(v1, o)" + KEYS + PRODUCT
        + " n = Mul(m, scale) s = Softmax(n)" + END,
        # One operator.
        LAYERS + " z = Attention(q, k, v) j = Transpose<perm = [0, 2, 1, 3]>(z) y = Reshape(j, tokens)",
        LAYERS + " q2 = Mul(q, half) k2 = Mul(k, half) z = Attention<scale = 1.0>(q2, k2, v)"
        " j = Transpose<perm = [0, 2, 1, 3]>(z) y = Reshape(j, tokens)",
    ],
)  # fmt: skip
def test_attention(text):
    found = graph(text)
    layer, heads = attention_at(found, "y")
    assert (heads, layer.weight.shape, layer.source) == (2, (12, 4), "x")
    np.testing.assert_allclose(computed(found.value("x")[0, 0], layer, heads), found.value("y")[0], atol=1e-5)


ONE_OPERATOR = LAYERS + " z = Attention(q, k, v) j = Transpose<perm = [0, 2, 1, 3]>(z) y = Reshape(j, tokens)"


@pytest.mark.parametrize(
    "text, old, new, reason",
    [
        (USUAL, "Softmax<axis = -1>", "Sigmoid", "there must be softmax over the keys, and there is Sigmoid 's'"),
        (USUAL, "axis = -1", "axis = 2", "there must be softmax over the keys, and there is Softmax 's'"),
        (USUAL, "(m, scale)", "(m, tenth)", "must multiply by 1/sqrt(2), 0.7071, and MatMul 'z' multiplies by 0.1"),
        (USUAL, "n = Mul(m, scale)", "o = Mul(m, scale) n = Add(o, mask)", "product of Q and K, and there is Add 'n'"),
        (USUAL, "m = MatMul(q, kt)", "q2 = Relu(q) m = MatMul(q2, kt)", "computes Q, and there is Relu 'q2'"),
        (
            USUAL,
            "m = MatMul(q, kt)",
            "q2 = Reshape(lq, wrong) m = MatMul(q2, kt)",
            "a layer that computes Q of 2 heads, 2 features side by side",
        ),
        (USUAL, "z = MatMul(s, v)", "v2 = Mul(v, tenth) z = MatMul(s, v2)", "a layer that computes V of 2 heads"),
        (USUAL, "z = MatMul(s, v)", "s2 = Mul(s, tenth) z = MatMul(s2, v)", "the product of a softmax and V"),
        (USUAL, "z = MatMul(s, v)", "z = Relu(v)", "the product of a softmax and V, and there is Relu 'z'"),
        (USUAL, "pk = MatMul(t, wk)", "tk = Relu(t) pk = MatMul(tk, wk)", "Q, K and V of the same tokens"),
        (USUAL, "j = Transpose<perm = [0, 2, 1, 3]>(z)", "j = Identity(z)", "attention whose 2 heads are side by side"),
        (USUAL, "y = Reshape(j, tokens)", "y = Relu(j)", "the product of a softmax and V, and there is Relu 'y'"),
        (ONE_OPERATOR, "Attention(", "Attention<is_causal = 1>(", "without a mask, and there is Attention 'z'"),
        (ONE_OPERATOR, "k, v)", "k, v, none)", "without a mask, and there is Attention 'z'"),
        (ONE_OPERATOR, "Attention(", "Attention<softcap = 2.0>(", "without a mask, and there is Attention 'z'"),
        (
            LAYERS + " y = Attention<q_num_heads = 2, kv_num_heads = 2>(lq, lk, lv)",
            "",
            "",
            "by heads and without a mask, and there is Attention 'y'",
        ),
    ],
)
def test_other_attentions(text, old, new, reason):
    assert old in text
    with pytest.raises(CheckpointError, match=re.escape(reason)):
        attention_at(graph(text.replace(old, new) if old else text), "y")

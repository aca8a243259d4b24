"""Linear layers, norms and GELU are found in every form that exporters write; near misses are not taken for them."""

import math
import re

import numpy as np
import pytest

from taylorvit.golden.checkpoints.onnx_layers import gelu_of, linear_at, norm_at, scaled_linear_at
from taylorvit.golden.checkpoints.weight_files import CheckpointError

from .onnx_files import graph_of

RANDOM = np.random.default_rng(1)
CONSTANTS = {
    "w": RANDOM.normal(size=(4, 6)),
    "t": RANDOM.normal(size=(6, 4)),
    "b": RANDOM.normal(size=6),
    "row": RANDOM.normal(size=(1, 6)),
    "one": np.array([0.5]),
    "scale": RANDOM.normal(size=6),
    "g": RANDOM.normal(size=4),
    "h": RANDOM.normal(size=4),
    "square": RANDOM.normal(size=(4, 4)),
    "cube": RANDOM.normal(size=(1, 4, 6)),
    "cube4": np.zeros((3, 1, 1, 1, 1)),
    "column": RANDOM.normal(size=(4, 1)),
    "epsilon": np.array(1e-6),
    "large": np.array(1e-3),
    "root": np.array(math.sqrt(2)),
    "half": np.array(0.5),
    "unit": np.array(1.0),
    "two": np.array(2.0),
}
ROWS = "s = Constant<value = int64[2] {4, 4}>() r = Reshape(x, s) "
MEAN = "a = Constant<value = int64[1] {-1}>() m = ReduceMean<keepdims = 1>(x, a) d = Sub(x, m) "
VARIANCE = "q = Pow(d, two) v = ReduceMean<keepdims = 1>(q, a) "
FC1 = "p = MatMul(x, w) u = Add(b, p) "


def graph(text):
    names = set(re.findall(r"\w+", text))
    return graph_of(text, {name: value.astype(np.float32) for name, value in CONSTANTS.items() if name in names})


@pytest.mark.parametrize(
    "text",
    [
        "y = MatMul(x, w)",
        "p = MatMul(x, w) y = Add(p, b)",
        "p = MatMul(x, w) q = Add(b, p) y = Add(q, row)",
        "p = MatMul(x, w) y = Add(p, one)",
        ROWS + "y = Gemm(r, w, b)",
        ROWS + "y = Gemm<transB = 1, alpha = 0.5, beta = 2.0>(r, t, row)",
        ROWS + "y = Gemm(r, w)",
        "p = MatMul(x, w) q = Identity(p) y = Add(q, b)",
    ],
)
def test_linear_layers(text):
    found = graph(text)
    layer = linear_at(found, "y")
    wanted = found.value(layer.source) @ layer.weight.T + layer.bias
    assert layer.weight.shape == (6, 4)
    np.testing.assert_allclose(wanted, found.value("y"), atol=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        "y = MatMul(t, x)",
        "y = MatMul(x, cube)",
        "y = MatMul(x, x)",
        "p = MatMul(x, w) y = Add(p, column)",
        "p = MatMul(x, w) y = Add(p, p)",
        "y = Add(x, half)",
        ROWS + "y = Gemm<transA = 1>(r, w)",
        ROWS + "y = Gemm(r, w, column)",
        ROWS + "y = Gemm(square, r)",
        "y = Relu(x)",
    ],
)
def test_what_is_no_linear_layer(text):
    assert linear_at(graph(text), "y") is None


def test_scale_behind_a_layer():
    for text in (FC1 + "y = Mul(u, scale)", FC1 + "y = Mul(one, u)", FC1 + "y = Identity(u)"):
        found = graph(text)
        layer = scaled_linear_at(found, "y")
        np.testing.assert_allclose(found.value("x") @ layer.weight.T + layer.bias, found.value("y"), atol=1e-5)
    for text in (FC1 + "y = Mul(u, u)", "y = Mul(x, half)", FC1 + "y = Mul(u, column)"):
        assert scaled_linear_at(graph(text), "y") is None


@pytest.mark.parametrize(
    "text",
    [
        "y = LayerNormalization<axis = -1, epsilon = 1e-6>(x, g, h)",
        "y = LayerNormalization<axis = 3, epsilon = 1e-6>(x, g)",
        "y = LayerNormalization(x, g, h)",
        MEAN + VARIANCE + "e = Add(v, epsilon) k = Sqrt(e) n = Div(d, k) w1 = Mul(n, g) y = Add(w1, h)",
        MEAN + "q = Mul(d, d) v = ReduceMean<keepdims = 1>(q, a) e = Add(v, epsilon) k = Sqrt(e) n = Div(d, k)"
        " y = Mul(g, n)",
        MEAN + VARIANCE + "e = Add(epsilon, v) k = Sqrt(e) y = Div(d, k)",
    ],
)
def test_norms(text):
    found = graph(text)
    norm = norm_at(found, "y")
    x = found.value(norm.source)
    x = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-6)
    assert norm.source == "x"
    np.testing.assert_allclose(x * norm.weight + norm.bias, found.value("y"), atol=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        "y = LayerNormalization<axis = 2>(x, c)",
        "z, y = LayerNormalization(x, g, h)",
        MEAN + VARIANCE + "e = Add(v, epsilon) y = Sqrt(e)",
        MEAN + VARIANCE + "k = Sqrt(v) y = Div(d, k)",
        MEAN + VARIANCE + "e = Add(v, epsilon) k = Sqrt(e) y = Div(x, k)",  # RMSNorm, nearly
        MEAN + "q = Mul(x, x) v = ReduceMean<keepdims = 1>(q, a) e = Add(v, epsilon) k = Sqrt(e) y = Div(d, k)",
        MEAN + VARIANCE + "e = Add(v, epsilon) k = Sqrt(e) n = Div(d, k) w1 = Mul(n, n) y = Add(w1, h)",
        MEAN + VARIANCE + "e = Add(v, epsilon) k = Sqrt(e) n = Div(d, k) y = Mul(n, column)",
        "y = Add(x, x)",
    ],
)
def test_what_is_no_norm(text):
    constants = {"c": np.ones((4, 4), np.float32)} if "(x, c)" in text else {}
    found = graph_of(text, constants) if constants else graph(text)
    assert norm_at(found, "y") is None


@pytest.mark.parametrize(
    "text",
    [
        "y = LayerNormalization<epsilon = 0.001>(x, g, h)",
        MEAN + VARIANCE + "e = Add(v, large) k = Sqrt(e) y = Div(d, k)",
    ],
)
def test_an_epsilon_that_is_too_large(text):
    with pytest.raises(CheckpointError, match=r"epsilon must be at most 1e-05, not 0.001 of (LayerNorm|Div)"):
        norm_at(graph(text), "y")


@pytest.mark.parametrize(
    "text",
    [
        FC1 + "y = Gelu(u)",
        FC1 + "i = Div(u, root) e = Erf(i) o = Add(e, unit) m = Mul(u, o) y = Mul(m, half)",
        FC1 + "h1 = Mul(half, u) i = Div(u, root) e = Erf(i) o = Add(unit, e) y = Mul(h1, o)",
        FC1 + "c = Identity(u) g1 = Gelu(c) y = Identity(g1)",
    ],
)
def test_gelu(text):
    assert gelu_of(graph(text), "y") == "u"


@pytest.mark.parametrize(
    "text, reason",
    [
        (FC1 + 'y = Gelu<approximate = "tanh">(u)', "must be GELU by erf, and Gelu 'y' is 0.0005 from it"),
        (FC1 + "y = Relu(u)", "must be GELU by erf, and Relu 'y' is 0.2 from it"),
        (FC1 + "e = Sigmoid(u) y = Mul(u, e)", "must be GELU by erf, and Mul 'y' is 0.2 from it"),
        (FC1 + "y = Softmax(u)", "there must be GELU of a linear layer, and there is Softmax 'y'"),
        (FC1 + "p2 = MatMul(x, w) g1 = Gelu(u) y = Mul(g1, p2)", "GELU of one linear layer, and there is Mul 'y'"),
        (FC1 + "y = Identity(u)", "there must be GELU of one linear layer, and there is Add 'u'"),
        (FC1 + "z = Gelu(u) y = Add(z, cube4)", "GELU of each number of a linear layer, and there is Add 'y'"),
        ("y = Gelu(x)", "there must be GELU of a linear layer, and there is the input 'x'"),
    ],
)
def test_what_is_no_gelu(text, reason):
    with pytest.raises(CheckpointError, match=re.escape(reason)):
        gelu_of(graph(text), "y")

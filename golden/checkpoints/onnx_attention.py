"""Softmax attention in a graph of ONNX: where its Q, K and V come from, and that its heads are as they must be."""

import math

import numpy as np

from .onnx_graph import Graph, Origin
from .onnx_layers import Linear, linear_at

__all__ = ["attention_at"]


def attention_at(graph: Graph, name: str) -> tuple[Linear, int]:
    """Finds what an attention is computed of, in one operator or as softmax(scale Q K^T) V.

    Args:
        graph (Graph): the graph.
        name (str): Z, all heads side by side.

    Returns:
        Query, key and value of all heads as one layer, as timm has them, and the number of heads.

    Raises:
        CheckpointError: it is another attention; the text names the operator.
    """
    merged = graph.origin(name)
    product = merged.name
    if graph.operator(product) not in ("Attention", "MatMul"):
        raise graph.unexpected(product, "the product of a softmax and V")
    heads, tokens, size = _sizes(graph, product)
    side_by_side = np.arange(heads * tokens * size).reshape(heads, tokens, size).swapaxes(0, 1)
    if not np.array_equal(merged.places.ravel(), side_by_side.ravel()) or merged.scale != 1:
        raise graph.unexpected(product, f"attention whose {heads} heads are side by side")
    (q, k, v), scale = (_of_operator if graph.operator(product) == "Attention" else _of_product)(graph, product)
    scale *= q.scale * k.scale
    if not math.isclose(scale, 1 / math.sqrt(size), rel_tol=1e-4):
        raise graph.error(
            f"attention must multiply by 1/sqrt({size}), {1 / math.sqrt(size):.4g}, and {graph.described(product)} "
            f"multiplies by {scale:.4g}"
        )
    shape = heads, tokens, size
    parts = [_part(graph, part, origin, shape) for part, origin in zip("QKV", (q, k, v))]
    if len({part.source for part in parts}) > 1:
        raise graph.unexpected(product, "Q, K and V of the same tokens")
    weights, biases = (np.concatenate(each) for each in zip(*((part.weight, part.bias) for part in parts)))
    return Linear(weights, biases, parts[0].source), heads


def _sizes(graph: Graph, product: str) -> tuple[int, int, int]:
    shape = graph.value(product).shape
    if len(shape) == 4 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 3:
        raise graph.unexpected(product, "attention by heads, (heads, tokens, features)")
    return shape


def _of_operator(graph: Graph, product: str) -> tuple[list[Origin], float]:
    """Origins of Q, K and V, and what their product is multiplied by."""
    node = graph.producer(product)
    inputs = [each for each in node.input if each]
    masked = len(inputs) != 3 or graph.attribute(product, "is_causal", 0) or graph.attribute(product, "softcap", 0.0)
    if masked or graph.value(product).ndim != 4:
        raise graph.unexpected(product, "attention of Q, K and V alone, by heads and without a mask")
    size = graph.value(product).shape[-1]
    return [graph.origin(each) for each in inputs], graph.attribute(product, "scale", 1 / math.sqrt(size))


def _of_product(graph: Graph, product: str) -> tuple[list[Origin], float]:
    map_of, v = graph.producer(product).input
    guarded = graph.origin(map_of)
    softmax = guarded.name
    last = graph.value(softmax).ndim - 1
    if graph.operator(softmax) != "Softmax" or graph.attribute(softmax, "axis", -1) not in (-1, last):
        raise graph.unexpected(softmax, "softmax over the keys")
    if not guarded.in_order or guarded.scale != 1:
        raise graph.unexpected(product, "the product of a softmax and V")
    scores = graph.origin(graph.producer(softmax).input[0])
    if graph.operator(scores.name) != "MatMul" or not scores.in_order:
        raise graph.unexpected(scores.name, "the product of Q and K")
    q, k = (graph.origin(each) for each in graph.producer(scores.name).input)
    if k.places.ndim < 2:
        raise graph.unexpected(scores.name, "the product of Q and K")
    return [q, k._replace(places=k.places.swapaxes(-1, -2)), graph.origin(v)], scores.scale


def _part(graph: Graph, part: str, origin: Origin, shape: tuple[int, int, int]) -> Linear:
    """The layer that computes Q, K or V of all heads, one head after another."""
    layer = linear_at(graph, origin.name)
    if layer is None:
        raise graph.unexpected(origin.name, f"a linear layer that computes {part}")
    heads, tokens, size = shape
    features = len(layer.bias)
    wrong = graph.unexpected(
        origin.name, f"a layer that computes {part} of {heads} heads, {size} features side by side"
    )
    if origin.places.size != heads * tokens * size or (part == "V" and origin.scale != 1):
        raise wrong
    places = origin.places.reshape(shape)
    first = places[:, 0, 0]  # of each head
    of_token = features * np.arange(tokens)[:, None] + np.arange(size)
    if not np.array_equal(places, first[:, None, None] + of_token) or (first < 0).any() or (first >= features).any():
        raise wrong
    rows = (first[:, None] + np.arange(size)).ravel()
    return Linear(layer.weight[rows], layer.bias[rows], graph.plain(layer.source))

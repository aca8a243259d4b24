"""Linear layers, LayerNorm and GELU in a graph of ONNX, known by what they compute."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from .onnx_graph import Graph

__all__ = ["Linear", "Norm", "gelu_of", "linear_at", "norm_at", "scaled_linear_at"]

_SQUARES = ("Pow", "Mul")
_LARGEST_EPSILON = 1e-5  # ours is 1e-6, which makes no difference to what trained models normalize

_ELEMENTWISE = {"Abs", "Add", "Cast", "Clip", "Div", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish",
                "LeakyRelu", "Max", "Min", "Mish", "Mul", "Neg", "Pow", "Relu", "Selu", "Sigmoid", "Softplus", "Sub",
                "Swish", "Tanh"}  # fmt: skip
_GELU_RANGE = 6.0
_GELU_TOLERANCE = 1e-5  # the approximation by tanh is up to 5e-4 from GELU


class Linear(NamedTuple):
    """weight x + bias.

    Attributes:
        weight (np.ndarray): (outputs, inputs).
        bias (np.ndarray): (outputs,).
        source (str): the value x.
    """

    weight: np.ndarray
    bias: np.ndarray
    source: str

    def scaled(self, factor: np.ndarray | float) -> "Linear":
        """The same, with each output multiplied by its factor, or all by one."""
        factor = np.broadcast_to(factor, self.bias.shape)
        return self._replace(weight=self.weight * factor[:, None], bias=self.bias * factor)


class Norm(NamedTuple):
    """LayerNorm of the last dimension.

    Attributes:
        weight (np.ndarray): (features,).
        bias (np.ndarray): (features,).
        source (str): the value that is normalized.
    """

    weight: np.ndarray
    bias: np.ndarray
    source: str


def linear_at(graph: Graph, name: str) -> Linear | None:
    """The linear layer of the last dimension that computes a value, or None if it is something else.

    Args:
        graph (Graph): the graph.
        name (str): the value.
    """
    name = graph.plain(name)
    operator = graph.operator(name)
    if operator not in ("Add", "Gemm", "MatMul"):
        return None
    live, constants = graph.inputs(name)
    if len(live) != 1 or not constants:
        return None
    if operator == "Add":
        inner = linear_at(graph, live[0])
        bias = _vector(constants[0], len(inner.bias)) if inner is not None else None
        return inner._replace(bias=inner.bias + bias) if inner is not None and bias is not None else None
    if constants[0].ndim != 2 or live[0] != graph.producer(name).input[0]:
        return None
    if operator == "MatMul":
        return Linear(constants[0].T, np.zeros(constants[0].shape[1]), live[0])
    if graph.attribute(name, "transA", 0):
        return None
    weight = constants[0] if graph.attribute(name, "transB", 0) else constants[0].T
    bias = _vector(constants[1], len(weight)) if len(constants) > 1 else np.zeros(len(weight))
    if bias is None:
        return None
    alpha, beta = graph.attribute(name, "alpha", 1.0), graph.attribute(name, "beta", 1.0)
    return Linear(alpha * weight, beta * bias, live[0])


def scaled_linear_at(graph: Graph, name: str) -> Linear | None:
    """As `linear_at`, also with LayerScale behind the layer, which becomes part of it.

    Args:
        graph (Graph): the graph.
        name (str): the value.
    """
    name = graph.plain(name)
    if graph.operator(name) != "Mul":
        return linear_at(graph, name)
    live, constants = graph.inputs(name)
    inner = linear_at(graph, live[0]) if len(live) == 1 else None
    factor = _vector(constants[0], len(inner.bias)) if inner is not None else None
    return inner.scaled(factor) if inner is not None and factor is not None else None


def norm_at(graph: Graph, name: str) -> Norm | None:
    """The LayerNorm that computes a value, in one operator or in its parts; None if it is something else.

    Args:
        graph (Graph): the graph.
        name (str): the value.

    Raises:
        CheckpointError: its epsilon is too large.
    """
    name = graph.plain(name)
    if graph.operator(name) == "LayerNormalization":
        return _norm_in_one(graph, name)
    bias, weight = np.zeros(()), np.ones(())
    if graph.operator(name) == "Add":
        live, constants = graph.inputs(name)
        if len(live) != 1:
            return None
        name, bias = live[0], constants[0]
    if graph.operator(name) == "Mul":
        live, constants = graph.inputs(name)
        if len(live) != 1:
            return None
        name, weight = live[0], constants[0]
    source, epsilon = _normalized(graph, name)
    if source is None:
        return None
    width = graph.value(source).shape[-1]
    of_features = _vector(weight, width), _vector(bias, width)
    if of_features[0] is None or of_features[1] is None:
        return None
    _check_epsilon(graph, name, epsilon)
    return Norm(of_features[0], of_features[1], source)


def _norm_in_one(graph: Graph, name: str) -> Norm | None:
    live, constants = graph.inputs(name)
    if len(live) != 1 or graph.producer(name).output[0] != name:
        return None
    source = graph.value(live[0])
    if graph.attribute(name, "axis", -1) not in (-1, source.ndim - 1):
        return None
    weight = constants[0].ravel()
    _check_epsilon(graph, name, graph.attribute(name, "epsilon", 1e-5))
    return Norm(weight, constants[1].ravel() if len(constants) > 1 else np.zeros(len(weight)), live[0])


def _normalized(graph: Graph, name: str) -> tuple[str | None, float]:
    """Returns x and epsilon, if the value is (x - mean) / sqrt(mean((x - mean)^2) + epsilon)."""
    if graph.operator(name) != "Div":
        return None, 0.0
    centred, deviation = graph.producer(name).input
    source = _centred(graph, centred)
    variance = graph.producer(deviation).input[0] if graph.operator(deviation) == "Sqrt" else ""
    if source is None or graph.operator(variance) != "Add":
        return None, 0.0
    live, constants = graph.inputs(variance)
    if len(live) != 1 or constants[0].size != 1 or graph.operator(live[0]) != "ReduceMean":
        return None, 0.0
    square = graph.producer(live[0]).input[0]
    if graph.operator(square) not in _SQUARES or _centred(graph, graph.producer(square).input[0]) != source:
        return None, 0.0
    return source, float(constants[0].ravel()[0])


def _centred(graph: Graph, name: str) -> str | None:
    """x, if the value is x minus its mean."""
    name = graph.plain(name)
    if graph.operator(name) != "Sub":
        return None
    source, mean = graph.producer(name).input
    return source if graph.operator(mean) == "ReduceMean" and graph.producer(mean).input[0] == source else None


def _check_epsilon(graph: Graph, name: str, epsilon: float) -> None:
    if not 0 <= epsilon <= _LARGEST_EPSILON * 1.001:  # as a float of 32 bits
        raise graph.error(
            f"LayerNorm's epsilon must be at most {_LARGEST_EPSILON:g}, not {epsilon:g} of {graph.described(name)}"
        )


def _vector(constant: np.ndarray, size: int) -> np.ndarray | None:
    """A constant as one number for each feature, if it is that, or one for all."""
    fits = constant.size == 1 or (constant.size == size and constant.shape[-1] == size)
    return np.broadcast_to(constant.ravel(), size) if fits else None


def gelu_of(graph: Graph, name: str) -> str:
    """The value of which GELU is computed.

    It is found behind operators on each number by itself, and these are then tried on numbers all over the range.

    Args:
        graph (Graph): the graph.
        name (str): the value that GELU computes.

    Raises:
        CheckpointError: it is not GELU of a linear layer.
    """
    layers: set[str] = set()
    following = [name]
    while following:
        each = graph.plain(following.pop())
        if linear_at(graph, each) is not None:
            layers.add(each)
        elif graph.operator(each) in _ELEMENTWISE:
            following += graph.inputs(each)[0]
        else:
            raise graph.unexpected(each, "GELU of a linear layer")
    if len(layers) != 1 or layers == {graph.plain(name)}:
        raise graph.unexpected(graph.plain(name), "GELU of one linear layer")
    (layer,) = layers
    shape = graph.value(layer).shape
    x = np.linspace(-_GELU_RANGE, _GELU_RANGE, int(np.prod(shape))).reshape(shape)
    found = graph.applied(name, layer, x).astype(np.float64)
    if found.size != x.size:
        raise graph.unexpected(graph.plain(name), "GELU of each number of a linear layer")
    error = float(np.abs(found.ravel() - functional.gelu(torch.from_numpy(x)).numpy().ravel()).max())
    if not error <= _GELU_TOLERANCE:
        raise graph.error(
            f"the activation of an MLP must be GELU by erf, and {graph.described(graph.plain(name))} is {error:.1g} "
            "from it"
        )
    return layer

"""A network in ONNX: its operators, what they computed for one image, and what only moves data.

The graph is evaluated once, operator by operator, on an image of noise. So all shapes are known, whatever an exporter
left open, and whatever does not depend on the pixels is a constant, however many operators made it.

Transposing, reshaping, splitting and the like only move numbers. Such a chain is evaluated on the places of the numbers
instead (`Graph.origin`), which says what went where, whichever operators an exporter chose.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from taylorvit.boundary.errors import install_command

from .onnx_operators import OperatorError, attributes_of, evaluate
from .weight_files import CheckpointError, some

__all__ = ["Graph", "Origin", "read_graph"]

# Operators that move the numbers of their first input, or hand them on.
_MOVES = {"Dropout", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose",
          "Unsqueeze"}  # fmt: skip
_SAME_ORDER = {"Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}

# Operators that look at the shape of their input alone.
_OF_SHAPES = {"Shape", "Size"}

_LARGEST_IMAGE, _MOST_PIXELS = 1 << 12, 1 << 26  # pixels with all colours


class Origin(NamedTuple):
    """Where the numbers of a value come from.

    Attributes:
        name (str): the value that they were moved from.
        places (np.ndarray): for each of them its place there, counted in its memory; -1 for a constant.
        scale (float): factor that they were multiplied by on their way.
    """

    name: str
    places: np.ndarray
    scale: float

    @property
    def in_order(self) -> bool:
        """Whether all numbers are there, in their order."""
        return np.array_equal(self.places.ravel(), np.arange(self.places.size))


class Graph:
    """A graph, evaluated.

    Args:
        path (Path): the file, for the text of an error.
        model: the `onnx.ModelProto`.

    Attributes:
        path (Path): the file.
        image (np.ndarray): the pixels that it was evaluated on, (1, channels, height, width), single precision.

    Raises:
        CheckpointError: the input is not one image of a fixed size, or an operator cannot be evaluated.
    """

    def __init__(self, path: Path, model: Any) -> None:
        self.path = path
        self._opsets = {opset.domain: opset.version for opset in model.opset_import}
        self._values: dict[str, np.ndarray] = {}
        self._producers: dict[str, Any] = {}
        self._live: set[str] = set()
        self._origins: dict[str, Origin] = {}
        self._evaluate(model.graph)

    # What there is

    def error(self, text: str) -> CheckpointError:
        """An error of this file."""
        return CheckpointError(f"{self.path}: {text}")

    def unexpected(self, name: str, wanted: str) -> CheckpointError:
        """The error that a value is computed by something else than what is wanted."""
        return self.error(f"there must be {wanted}, and there is {self.described(name)}")

    def described(self, name: str) -> str:
        """A value as an error names it: by its operator and its node."""
        node = self.producer(name)
        if node is None:
            return f"the input {name!r}" if name in self._live else f"the constant {name!r}"
        return f"{node.op_type} {node.name or name!r}"

    def producer(self, name: str) -> Any:
        """The node that computes a value from the image; None for the image and for a constant."""
        return self._producers.get(name) if name in self._live else None

    def operator(self, name: str) -> str:
        """The operator that computes a value, "" for the image and for a constant."""
        node = self.producer(name)
        return node.op_type if node is not None else ""

    def value(self, name: str) -> np.ndarray:
        """What it was for the image, in double precision if it is of floating point."""
        value = self._values[name]
        return value.astype(np.float64) if value.dtype.kind == "f" else value

    def inputs(self, name: str) -> tuple[list[str], list[np.ndarray]]:
        """The inputs of the node that computes a value: names of those that depend on the pixels, and constants."""
        names = [each for each in self.producer(name).input if each]
        live = [each for each in names if each in self._live]
        return live, [self.value(each) for each in names if each not in self._live]

    def attribute(self, name: str, attribute: str, default: Any = None) -> Any:
        """An attribute of the node that computes a value."""
        return attributes_of(self.producer(name)).get(attribute, default)

    # What only moves data

    def plain(self, name: str) -> str:
        """The value in front of operators that leave the numbers in their order."""
        while self.operator(name) in _SAME_ORDER and self._hands_on(name):
            name = self.producer(name).input[0]
        return name

    def origin(self, name: str) -> Origin:
        """Follows a value back to where its numbers were computed: through what moves them or multiplies them all.

        A mask without a masked place, which adds zeros, and a guard against what is no number, which exporters put
        around softmax, change nothing either.
        """
        if name not in self._origins:
            self._origins[name] = self._followed(name)
        return self._origins[name]

    def _followed(self, name: str) -> Origin:
        node, operator = self.producer(name), self.operator(name)
        if node is None:
            return self._here(name)
        live, constants = self.inputs(name)
        if operator == "Cast" and self._hands_on(name):
            return self.origin(live[0])
        if operator in _MOVES and self._hands_on(name):
            before = self.origin(live[0])
            return before._replace(places=self._moved(name, {live[0]: before.places}))
        if operator == "Concat" and len(live) == 1:
            before = self.origin(live[0])
            places = {each: np.full(self._values[each].shape, -1) for each in node.input if each not in live}
            return before._replace(places=self._moved(name, {**places, live[0]: before.places}))
        if operator in ("Mul", "Div") and len(live) == 1 and constants[0].size == 1:
            factor = float(constants[0].ravel()[0])
            before = self.origin(live[0])
            if operator == "Mul":
                return before._replace(scale=before.scale * factor)
            if live[0] == node.input[0] and factor:
                return before._replace(scale=before.scale / factor)
        if operator == "Add" and len(live) == 1 and not constants[0].any() and self._same_shape(name, live[0]):
            return self.origin(live[0])
        if operator == "Where" and self.operator(node.input[0]) == "IsNaN":
            if self.inputs(node.input[0])[0] == [node.input[2]]:
                return self.origin(node.input[2])
        return self._here(name)

    def _hands_on(self, name: str) -> bool:
        """Whether the first input alone depends on the pixels, and its numbers stay what they are."""
        node = self.producer(name)
        return self.inputs(name)[0] == [node.input[0]] and self._values[name].dtype.kind == "f"

    def _same_shape(self, *names: str) -> bool:
        return len({self._values[name].shape for name in names}) == 1

    def _here(self, name: str) -> Origin:
        shape = self._values[name].shape
        return Origin(name, np.arange(int(np.prod(shape))).reshape(shape), 1.0)

    def _moved(self, name: str, places: dict[str, np.ndarray]) -> np.ndarray:
        node = self.producer(name)
        return self._run(node, places)[list(node.output).index(name)]

    # Evaluation

    def applied(self, name: str, source: str, numbers: np.ndarray) -> np.ndarray:
        """What a value would be, if another one, from which alone it is computed, had other numbers.

        Args:
            name (str): the value.
            source (str): the other one.
            numbers (np.ndarray): its numbers.

        Raises:
            CheckpointError: an operator cannot be evaluated.
        """
        found = {source: numbers.astype(self._values[source].dtype)}

        def result(each: str) -> np.ndarray:
            if each not in found:
                node = self.producer(each)
                inputs = {live: result(live) for live in self.inputs(each)[0]}
                found[each] = self._run(node, inputs)[list(node.output).index(each)]
            return found[each]

        return result(name)

    def _evaluate(self, graph: Any) -> None:
        from onnx import numpy_helper

        for each in graph.initializer:
            try:
                self._values[each.name] = numpy_helper.to_array(each)
            except (TypeError, ValueError) as error:
                raise self.error(f"weights must be whole, and {each.name!r} cannot be read: {error}") from None
        inputs = [each for each in graph.input if each.name not in self._values]
        if len(inputs) != 1:
            names = some([each.name for each in inputs]) or "none"
            raise self.error(f"there must be one input, the image, not {len(inputs)} ({names})")
        self.image = self._values[inputs[0].name] = self._noise(inputs[0])
        self._live.add(inputs[0].name)
        for node in graph.node:
            missing = [each for each in node.input if each and each not in self._values]
            if missing:
                raise self.error(f"{node.op_type} {node.name!r} reads {missing[0]!r}, which nothing before it computes")
            if twice := [each for each in node.output if each in self._values]:
                raise self.error(f"{node.op_type} {node.name!r} computes {twice[0]!r}, which is there already")
            live = node.op_type not in _OF_SHAPES and not self._live.isdisjoint(node.input)
            for name, result in zip(node.output, self._run(node, {})):
                if name:
                    self._values[name], self._producers[name] = result, node
                    self._live.update([name] if live else [])

    def _noise(self, described: Any) -> np.ndarray:
        from onnx import TensorProto, helper

        kind = described.type.tensor_type
        images, *sizes = [dimension.dim_value for dimension in kind.shape.dim] or [0]
        if images > 1 or len(sizes) != 3 or not all(0 < size <= _LARGEST_IMAGE for size in sizes):
            shown = [each.dim_value or each.dim_param or "?" for each in kind.shape.dim]
            raise self.error(
                f"input {described.name!r} must be (1 or any number of images, channels, height, width) of fixed size, "
                f"not ({', '.join(map(str, shown))}): export the model for images of one size"
            )
        if math.prod(sizes) > _MOST_PIXELS:
            raise self.error(
                f"input {described.name!r} must be an image of at most {_MOST_PIXELS:,} pixels with all colours, "
                f"not {math.prod(sizes):,}"
            )
        if kind.elem_type != TensorProto.FLOAT:
            name = helper.tensor_dtype_to_string(kind.elem_type).removeprefix("TensorProto.").lower()
            raise self.error(f"input {described.name!r} must be of float, not {name}: export the model in float")
        return np.random.default_rng(0).normal(size=(1, *sizes)).astype(np.float32)

    def _run(self, node: Any, replaced: dict[str, np.ndarray]) -> Sequence[np.ndarray]:
        """The results of a node, of other inputs where they are replaced."""
        inputs = {name: replaced.get(name, self._values[name]) for name in node.input if name}
        try:
            return evaluate(node, inputs, self._opsets)
        except OperatorError as error:
            raise self.error(f"{node.op_type} {node.name!r} cannot be evaluated: {error}") from None


def read_graph(path: Path, output: str | None = None) -> tuple[Graph, str]:
    """Reads and evaluates a file, or the part of it that an output needs.

    Args:
        path (Path): the file, `.onnx`.
        output (str | None): the value that is wanted; by default "logits", if there is such an output, or the first.

    Returns:
        The graph, and the name of the output.

    Raises:
        CheckpointError: there is no such file or value, it is damaged, or it cannot be evaluated; or the package `onnx`
            is not installed.
    """
    model = _load(path)
    known = {name for node in model.graph.node for name in node.output}
    outputs = [each.name for each in model.graph.output]
    if output is None and outputs:
        output = "logits" if "logits" in outputs else outputs[0]
    if output is None:
        raise CheckpointError(f"{path} must be a file of ONNX with a graph that has an output")
    if output not in known:
        raise CheckpointError(
            f"{path}: output must be a value that the graph computes, such as {some(outputs)}, not {output!r}"
        )
    _cut(model.graph, output)
    return Graph(path, model), output


def _load(path: Path) -> Any:
    try:
        import onnx
    except ImportError:
        raise CheckpointError(
            f"files of ONNX need the package onnx, which is not installed: {install_command('pretrained')}"
        ) from None
    from google.protobuf.message import DecodeError

    if not path.is_file():
        raise CheckpointError(f"checkpoint must be a file, not {str(path)!r}")
    try:
        model = onnx.load(path)  # with weights in files beside it
    except (DecodeError, onnx.checker.ValidationError, OSError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} must be a whole file of ONNX, with its weights: {reason}") from None
    newest = onnx.defs.onnx_opset_version()
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx") and opset.version > newest:
            raise CheckpointError(
                f"{path}: operators must be of version {newest} at most, which the installed onnx knows, "
                f"not {opset.version}"
            )
    return model


def _cut(graph: Any, output: str) -> None:
    """Leaves only the nodes that an output needs."""
    wanted, kept = {output}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))

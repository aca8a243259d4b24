"""A network in ONNX: its operators, what they computed for one image, and what only moves data.

The graph is evaluated once, operator by operator, on an image of noise. So all shapes are known, whatever an exporter
left open, and whatever does not depend on the pixels is a constant, however many operators made it.

Transposing, reshaping, splitting and the like only move numbers. Such a chain is evaluated on the places of the numbers
instead (`Graph.origin`), which says what went where, whichever operators an exporter chose.

`onnx` reads the file and evaluates its operators; convolution and resizing, slow there, are torch's.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from .weight_files import CheckpointError

__all__ = ["Graph", "Origin", "read_graph"]

#: Operators that move numbers, or hand them on.
_MOVES = {
    "Cast", "Concat", "Dropout", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze",
    "Transpose", "Unsqueeze",
}  # fmt: skip

_LARGEST_IMAGE = 1 << 12


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


class Graph:
    """A graph, evaluated.

    Args:
        path (Path): the file, for the text of an error.
        model: the `onnx.ModelProto`.

    Attributes:
        image (np.ndarray): the pixels that it was evaluated on, (1, channels, height, width), single precision.

    Raises:
        CheckpointError: the input is not one image of a fixed size, or an operator cannot be evaluated.
    """

    def __init__(self, path: Path, model: Any) -> None:
        self.path = path
        self._model = model
        self._values: dict[str, np.ndarray] = {}
        self._producers: dict[str, Any] = {}
        self._live: set[str] = set()
        self._origins: dict[str, Origin] = {}
        self._evaluate()

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs."""
        return [output.name for output in self._model.graph.output]

    def error(self, text: str) -> CheckpointError:
        """An error of this file."""
        return CheckpointError(f"{self.path}: {text}")

    def producer(self, name: str) -> Any:
        """The node that computes a value from the image; None for the image and for a constant."""
        return self._producers.get(name) if name in self._live else None

    def operator(self, name: str) -> str:
        """The operator that computes a value, "" for the image and for a constant."""
        node = self.producer(name)
        return node.op_type if node is not None else ""

    def described(self, name: str) -> str:
        """A value as an error names it: by its operator and its node."""
        node = self.producer(name)
        if node is None:
            return f"the input {name!r}" if name in self._live else f"the constant {name!r}"
        return f"{node.op_type} {node.name or name!r}"

    def value(self, name: str) -> np.ndarray:
        """What it was for the image, in double precision if it is of floating point."""
        value = self._values[name]
        return value.astype(np.float64) if value.dtype.kind == "f" else value

    def constant(self, name: str) -> np.ndarray | None:
        """The value, if it does not depend on the pixels."""
        return None if name in self._live else self.value(name)

    def split(self, name: str) -> tuple[list[str], list[np.ndarray]]:
        """The inputs of the node that computes a value: names of those that depend on the pixels, and constants."""
        inputs = [each for each in self.producer(name).input if each]
        live = [each for each in inputs if each in self._live]
        return live, [self.value(each) for each in inputs if each not in self._live]

    def attribute(self, name: str, attribute: str, default: Any = None) -> Any:
        """An attribute of the node that computes a value."""
        return _attributes(self.producer(name)).get(attribute, default)

    def origin(self, name: str) -> Origin:
        """Follows a value back to where its numbers were computed: through what moves them or multiplies them all.

        A mask without a masked place, which adds zeros, and a guard against what is no number, which exporters put
        around softmax, change nothing either.
        """
        if name not in self._origins:
            self._origins[name] = self._followed(name)
        return self._origins[name]

    def _followed(self, name: str) -> Origin:
        node = self.producer(name)
        if node is None:
            return self._here(name)
        live, constants = self.split(name)
        if node.op_type in _MOVES and len(live) == 1:
            before = self.origin(live[0])
            filler = {each: np.full(self._values[each].shape, -1) for each in node.input if each and each not in live}
            filler = filler if node.op_type == "Concat" else {}
            places = self._run(node, {**filler, live[0]: before.places})[list(node.output).index(name)]
            return Origin(before.name, places, before.scale)
        if node.op_type in ("Mul", "Div") and len(live) == 1 and constants[0].size == 1:
            factor = float(constants[0].ravel()[0])
            if node.op_type == "Mul" or live[0] == node.input[0]:
                before = self.origin(live[0])
                return before._replace(scale=before.scale * factor if node.op_type == "Mul" else before.scale / factor)
        if node.op_type == "Add" and len(live) == 1 and not constants[0].any():
            if self._values[live[0]].shape == self._values[name].shape:
                return self.origin(live[0])
        if node.op_type == "Where" and self.operator(node.input[0]) == "IsNaN":
            if self.split(node.input[0])[0] == [node.input[2]]:
                return self.origin(node.input[2])
        return self._here(name)

    def _here(self, name: str) -> Origin:
        shape = self._values[name].shape
        return Origin(name, np.arange(int(np.prod(shape))).reshape(shape), 1.0)

    # Evaluation

    def _evaluate(self) -> None:
        graph = self._model.graph
        for initializer in graph.initializer:
            self._values[initializer.name] = self._array(initializer)
        inputs = [each for each in graph.input if each.name not in self._values]
        if len(inputs) != 1:
            names = ", ".join(each.name for each in inputs)
            raise self.error(f"there must be one input, the image, not {len(inputs)} ({names})")
        self.image = self._noise(inputs[0])
        self._values[inputs[0].name] = self.image
        self._live.add(inputs[0].name)
        for node in graph.node:
            if node.op_type == "Constant" and _attributes(node).get("value") is not None:
                self._values[node.output[0]] = self._array(_attributes(node)["value"])
                continue
            missing = [each for each in node.input if each and each not in self._values]
            if missing:
                raise self.error(f"{node.op_type} {node.name!r} reads {missing[0]!r}, which nothing computes")
            results = self._run(node, {})
            for name, result in zip(node.output, results):
                if name:
                    self._values[name], self._producers[name] = np.asarray(result), node
            if node.op_type != "Shape" and self._live.intersection(node.input):
                self._live.update(name for name in node.output if name)

    def _array(self, tensor: Any) -> np.ndarray:
        from onnx import numpy_helper

        return numpy_helper.to_array(tensor)

    def _noise(self, described: Any) -> np.ndarray:
        sizes = [dimension.dim_value for dimension in described.type.tensor_type.shape.dim]
        if len(sizes) != 4 or not all(0 < size <= _LARGEST_IMAGE for size in sizes[1:]):
            shown = [each.dim_value or each.dim_param or "?" for each in described.type.tensor_type.shape.dim]
            raise self.error(
                f"input {described.name!r} must be (images, channels, height, width) of fixed size, not "
                f"({', '.join(map(str, shown))}); export the model for images of one size"
            )
        return np.random.default_rng(0).normal(size=(1, *sizes[1:])).astype(np.float32)

    @cached_property
    def _opsets(self) -> dict[str, int]:
        return {opset.domain: opset.version for opset in self._model.opset_import}

    def _run(self, node: Any, replaced: dict[str, np.ndarray]) -> Sequence[np.ndarray]:
        """The results of a node, of other inputs where they are replaced."""
        from onnx.reference import ReferenceEvaluator

        inputs = {name: replaced.get(name, self._values[name]) for name in node.input if name}
        quick = _QUICK.get(node.op_type)
        try:
            if quick and not node.domain:
                return quick([inputs.get(name) for name in node.input], _attributes(node))
            return ReferenceEvaluator(node, opsets=self._opsets).run(None, inputs)
        except Exception as error:  # noqa: BLE001 - the reader of ONNX raises what it likes
            reason = " ".join(str(error).split())[:200]
            raise self.error(f"{node.op_type} {node.name!r} cannot be evaluated: {reason}") from None


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _convolution(inputs: list, attributes: dict) -> list[np.ndarray]:
    image, weight = torch.from_numpy(inputs[0]), torch.from_numpy(np.array(inputs[1]))
    bias = torch.from_numpy(np.array(inputs[2])) if len(inputs) > 2 and inputs[2] is not None else None
    pads = attributes.get("pads", [0, 0, 0, 0])
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise ValueError("its padding must be given in numbers")
    image = functional.pad(image, (pads[1], pads[3], pads[0], pads[2]))
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    result = functional.conv2d(
        image, weight, bias, stride=strides, dilation=dilations, groups=attributes.get("group", 1)
    )
    return [result.numpy()]


def _resized(inputs: list, attributes: dict) -> list[np.ndarray]:
    modes = {b"cubic": "bicubic", b"linear": "bilinear"}
    mode, transform = (
        attributes.get("mode", b"nearest"),
        attributes.get("coordinate_transformation_mode", b"half_pixel"),
    )
    if mode not in modes or transform not in (b"half_pixel", b"pytorch_half_pixel"):
        raise ValueError("it must be linear or cubic, of half pixels")
    if abs(attributes.get("cubic_coeff_a", -0.75) + 0.75) > 1e-6:
        raise ValueError("cubic_coeff_a must be -0.75")
    sizes = inputs[3] if len(inputs) > 3 and inputs[3] is not None else None
    if sizes is None:
        sizes = np.floor(np.array(inputs[0].shape) * inputs[2]).astype(int)
    size = [int(each) for each in sizes[-2:]]
    result = functional.interpolate(torch.from_numpy(np.array(inputs[0])), size=size, mode=modes[mode])
    return [result.numpy()]


def _gelu(inputs: list, attributes: dict) -> list[np.ndarray]:
    approximate = attributes.get("approximate", b"none").decode()
    return [functional.gelu(torch.from_numpy(np.array(inputs[0])), approximate=approximate).numpy()]


_QUICK = {"Conv": _convolution, "Gelu": _gelu, "Resize": _resized}


def read_graph(path: Path, output: str | None = None) -> tuple[Graph, str]:
    """Reads and evaluates a file, or the part of it that an output needs.

    Args:
        path (Path): the file, `.onnx`.
        output (str | None): the value that is wanted; by default "logits", if there is such an output, or the first.

    Returns:
        The graph, and the name of the output.

    Raises:
        CheckpointError: there is no such file or value, or it is damaged, or it cannot be evaluated.
    """
    try:
        import onnx
    except ImportError:
        raise CheckpointError(
            "ONNX files need the package onnx, which is not installed: pip install 'taylorvit[pretrained]'"
        ) from None
    if not path.is_file():
        raise CheckpointError(f"checkpoint must be a file, not {str(path)!r}")
    try:
        model = onnx.load(path)  # with weights in files beside it
        known = {name for node in model.graph.node for name in node.output}
    except Exception as error:  # noqa: BLE001 - protobuf raises what it likes
        raise CheckpointError(f"{path} must be a whole file of ONNX, and is damaged: {error}") from None
    outputs = [each.name for each in model.graph.output]
    if not outputs:
        raise CheckpointError(f"{path} must be a file of ONNX with a graph that has an output")
    if output is None:
        output = "logits" if "logits" in outputs else outputs[0]
    if output not in known:
        raise CheckpointError(f"{path}: output must be a value of the graph, not {output!r}; its outputs are {outputs}")
    _cut(model, output)
    return Graph(path, model), output


def _cut(model: Any, output: str) -> None:
    """Leaves only the nodes that an output needs."""
    wanted, kept = {output}, []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    del model.graph.node[:]
    model.graph.node.extend(reversed(kept))

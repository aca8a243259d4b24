"""One operator of ONNX, evaluated: by the package `onnx`, or by torch where that is slow."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

__all__ = ["OperatorError", "attributes_of", "evaluate"]

# What the evaluator of `onnx` raises, and numpy below it, for operators that it lacks and for what does not fit one.
_REFUSALS = (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError,
             ValueError)  # fmt: skip

# Operators that go on as long as a graph says, which no ViT needs.
_ENDLESS = ("Loop", "Scan")

# ONNX's own operators.
_DOMAINS = ("", "ai.onnx")


class OperatorError(ValueError):
    """An operator cannot be evaluated; the text is the reason."""


def attributes_of(node: Any) -> dict[str, Any]:
    """The attributes that a node has, by name.

    Args:
        node: an `onnx.NodeProto`.
    """
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def evaluate(node: Any, inputs: dict[str, np.ndarray], opsets: dict[str, int]) -> Sequence[np.ndarray]:
    """The outputs of a node.

    Args:
        node: an `onnx.NodeProto`.
        inputs (dict[str, np.ndarray]): its inputs, by name.
        opsets (dict[str, int]): version of the operators, by domain.

    Raises:
        OperatorError: there is no such operator, or it is not for such inputs.
    """
    from onnx.reference import ReferenceEvaluator

    if node.domain not in _DOMAINS:
        raise OperatorError(f"operators must be ONNX's own, and it is of {node.domain!r}")
    if node.op_type in _ENDLESS:
        raise OperatorError("a ViT has no loops")
    quick = _QUICK.get(node.op_type)
    try:
        with np.errstate(all="ignore"):
            if quick is not None:
                return [quick([inputs.get(name) for name in node.input], attributes_of(node))]
            results = ReferenceEvaluator(node, opsets=opsets).run(None, inputs)
    except _REFUSALS as error:
        raise OperatorError(" ".join(str(error).split())[:200] or type(error).__name__) from None
    return [np.asarray(result) for result in results]


def _convolution(inputs: list, attributes: dict) -> np.ndarray:
    image, weight, bias = (_tensor(each) for each in (*inputs, None)[:3])
    pads = attributes.get("pads", [0, 0, 0, 0])
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise ValueError("its padding must be given in numbers")
    if image is None or weight is None or image.ndim != 4:
        raise ValueError("it must be of images")
    image = functional.pad(image, (pads[1], pads[3], pads[0], pads[2]))
    return functional.conv2d(
        image,
        weight,
        bias,
        stride=attributes.get("strides", [1, 1]),
        dilation=attributes.get("dilations", [1, 1]),
        groups=attributes.get("group", 1),
    ).numpy()


def _resized(inputs: list, attributes: dict) -> np.ndarray:
    image, _region, scales, sizes = (*inputs, None, None)[:4]
    mode = {b"cubic": "bicubic", b"linear": "bilinear"}.get(attributes.get("mode", b"nearest"))
    centres = attributes.get("coordinate_transformation_mode", b"half_pixel")
    if mode is None or centres not in (b"half_pixel", b"pytorch_half_pixel") or attributes.get("antialias", 0):
        raise ValueError("it must be linear or cubic, of half pixels, without antialiasing")
    if abs(attributes.get("cubic_coeff_a", -0.75) + 0.75) > 1e-6:
        raise ValueError("cubic_coeff_a must be -0.75")
    if sizes is None:
        sizes = np.floor(np.array(image.shape) * scales)
    size = [int(each) for each in sizes[-2:]]
    return functional.interpolate(torch.from_numpy(np.array(image)), size=size, mode=mode).numpy()


def _gelu(inputs: list, attributes: dict) -> np.ndarray:
    approximate = attributes.get("approximate", b"none").decode()
    return functional.gelu(torch.from_numpy(np.array(inputs[0])), approximate=approximate).numpy()


def _tensor(array: np.ndarray | None) -> torch.Tensor | None:
    return None if array is None else torch.from_numpy(np.array(array))  # a copy, since torch wants to write


_QUICK = {"Conv": _convolution, "Gelu": _gelu, "Resize": _resized}

"""Files of ONNX made here: exports by torch, and graphs in ONNX's own text."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from taylorvit.golden.checkpoints.onnx_graph import Graph
from taylorvit.golden.network.vit import VisionTransformer, VitShape

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

SHAPE = VitShape(image_size=8, patch_size=4, channels=3, classes=5, depth=2, width=12, heads=3)
DISTILLED = VitShape(
    image_size=9, patch_size=3, channels=1, classes=4, depth=1, width=10, heads=2, mlp_ratio=3, distilled=True
)


def model(shape: VitShape = SHAPE, attention: str = "softmax") -> VisionTransformer:
    """With weights that are all different, biases too."""
    torch.manual_seed(0)
    vit = VisionTransformer(shape, attention).eval()
    for parameter in vit.requires_grad_(False).parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    return vit


def export(path: Path, module: torch.nn.Module, size: tuple[int, ...], **options) -> Path:
    """Writes a module, which takes images (images, *size)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter, which needs no more packages, is an older one
        torch.onnx.export(module.eval(), (torch.zeros(1, *size),), str(path), dynamo=False, **options)
    return path


def file_of(path: Path, text: str, *, inputs: str = "float[1,1,4,4] x", outputs: str = "float y", opset: int = 20):
    """Writes a graph of ONNX's text; its nodes are `text`."""
    whole = f'<ir_version: 10, opset_import: ["": {opset}, "other": 1]> g ({inputs}) => ({outputs}) {{ {text} }}'
    onnx.save(onnx.parser.parse_model(whole), path)
    return path


def graph_of(text: str, constants: dict[str, np.ndarray] | None = None, **given) -> Graph:
    """A graph of ONNX's text, evaluated; an image x of 4 x 4 unless another one is given."""
    inputs, opset = given.get("inputs", "float[1,1,4,4] x"), given.get("opset", 20)
    whole = f'<ir_version: 10, opset_import: ["": {opset}, "other": 1]> g ({inputs}) => (float y) {{ {text} }}'
    parsed = onnx.parser.parse_model(whole)
    for name, value in (constants or {}).items():
        parsed.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    return Graph(Path("a.onnx"), parsed)

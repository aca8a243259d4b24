"""Values of a graph are followed through what moves them; a file that is damaged or open in its sizes is refused."""

import re
from pathlib import Path

import numpy as np
import pytest

from taylorvit.golden.checkpoints.onnx_graph import Graph, read_graph
from taylorvit.golden.checkpoints.weight_files import CheckpointError

from .onnx_files import SHAPE, export, file_of, graph_of, model, onnx


def moved(text, constants=None, **given):
    """The origin of y, and that its places and scale make y of the value that they are of."""
    graph = graph_of(text, constants, **given)
    origin = graph.origin("y")
    source = graph.value(origin.name).ravel()
    found = np.where(origin.places < 0, 0, source[origin.places] * origin.scale)
    wanted = np.where(origin.places < 0, 0, graph.value("y"))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    return origin


@pytest.mark.parametrize(
    "text",
    [
        "y = Transpose<perm = [0, 1, 3, 2]>(x)",
        "s = Constant<value = int64[2] {2, -1}>() y = Reshape(x, s)",
        "y = Flatten<axis = 2>(x)",
        "a = Constant<value = int64[1] {0}>() b = Squeeze(x, a) c = Unsqueeze(b, a) y = Transpose(c)",
        "i = Constant<value = int64[2] {3, 1}>() y = Gather<axis = 3>(x, i)",
        "s = Constant<value = int64[1] {1}>() e = Constant<value = int64[1] {3}>() a = Constant<value = int64[1] {3}>()"
        " y = Slice(x, s, e, a)",
        "y, z = Split<axis = 2, num_outputs = 2>(x)",
        "z, y = Split<axis = 2, num_outputs = 2>(x)",
        "s = Constant<value = int64[4] {1, 3, 4, 4}>() y = Expand(x, s)",
        "c = Constant<value_floats = [1.0]>() r = Constant<value = int64[4] {1, 1, 1, 1}>() d = Reshape(c, r)"
        " s = Constant<value = int64[4] {1, 1, 4, 4}>() e = Expand(d, s) y = Concat<axis = 1>(e, x)",
        "d = Cast<to = 11>(x) y = Identity(d)",
        "c = Constant<value = float {0.25}>() d = Mul(c, x) e = Div(d, c) y = Mul(e, c)",
        "c = Constant<value = float {0.0}>() y = Add(x, c)",
        "c = Constant<value = float {0.0}>() n = IsNaN(x) y = Where(n, c, x)",
    ],
)
def test_what_moves_numbers_is_followed(text):
    assert moved(text).name == "x"


@pytest.mark.parametrize(
    "text",
    [
        "y = Relu(x)",
        "c = Constant<value = float {1.0}>() y = Add(x, c)",
        "c = Constant<value = float {2.0}>() y = Div(c, x)",
        "c = Constant<value = float[4] {1.0, 2.0, 3.0, 4.0}>() y = Mul(x, c)",
        "y = Cast<to = 7>(x)",  # to integers
        "t = Constant<value = float[3] {1.0, 2.0, 3.0}>() a = Abs(x) f = Floor(a) z = Sub(f, f) i = Cast<to = 7>(z)"
        " y = Gather(t, i)",  # the image is where to look, not what is found
        "y = Concat<axis = 0>(x, x)",
    ],
)
def test_what_changes_numbers_is_not(text):
    origin = moved(text)
    assert origin.name == "y" and origin.in_order and origin.scale == 1


def test_factors_are_multiplied_on_the_way():
    c = {"two": np.float32(2), "eight": np.float32(8)}
    assert moved("a = Mul(two, x) b = Transpose(a) y = Div(b, eight)", c).scale == 0.25


def test_what_follows_from_shapes_is_a_constant():
    text = "s = Shape(x) i = Constant<value = int64 {2}>() n = Gather(s, i) f = Cast<to = 1>(n) y = Mul(x, f)"
    graph = graph_of(text)
    assert graph.inputs("y") == (["x"], [4.0]) and graph.producer("f") is None
    assert (graph.described("y"), graph.described("x"), graph.described("f")) == (
        "Mul 'y'",
        "the input 'x'",
        "the constant 'f'",
    )


def test_other_numbers_go_through_the_same_operators():
    graph = graph_of("a = Transpose(x) b = Relu(a) c = Neg(a) y = Add(b, c)")
    numbers = np.arange(-8, 8).reshape(4, 4, 1, 1)
    np.testing.assert_array_equal(graph.applied("y", "a", numbers), np.maximum(numbers, 0) - numbers)


@pytest.mark.parametrize(
    "inputs, text",
    [
        ("float[1,3,h,w] x", "of fixed size, not (1, 3, h, w)"),
        ("float[n,3,4] x", "not (n, 3, 4)"),
        ("float[2,3,4,4] x", "not (2, 3, 4, 4)"),
        ("float[1,3,5000,4] x", "not (1, 3, 5000, 4)"),
        ("float[1,100,4096,4096] x", "at most 67,108,864 pixels with all colours, not 1,677,721,600"),
        ("float16[1,3,4,4] x", "must be of float, not float16"),
        ("float[1,3,4,4] x, float[1,3,4,4] z", "there must be one input, the image, not 2 (x, z)"),
        ("", "not 0 (none)"),
    ],
)
def test_inputs_that_are_not_one_image(inputs, text):
    with pytest.raises(CheckpointError, match=re.escape(text)):
        graph_of("y = Relu(x)", inputs=inputs)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("y = Relu(z) z = Relu(x)", "Relu 'y' reads 'z', which nothing before it computes"),
        ("x = Relu(x) y = Relu(x)", "computes 'x', which is there already"),
        ("a = Relu(x) a = Relu(a) y = Relu(a)", "computes 'a', which is there already"),
        ("y = other.Relu(x)", "Relu 'y' cannot be evaluated: operators must be ONNX's own, and it is of 'other'"),
        ("y = Whatever(x)", "Whatever 'y' cannot be evaluated"),
        ("y = MatMul(x, c)", "MatMul 'y' cannot be evaluated"),
    ],
)
def test_nodes_that_cannot_be_evaluated(text, reason):
    constants = {"c": np.ones((7, 7), np.float32)}
    parsed = onnx.parser.parse_graph(f"g (float[1,1,4,4] x) => (float y) {{ {text} }}")
    for node in parsed.node:
        node.name = node.output[0]
    parsed.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    made = onnx.helper.make_model(parsed, opset_imports=[onnx.helper.make_opsetid("", 20)])
    with pytest.raises(CheckpointError, match=re.escape(reason)):
        Graph(Path("a.onnx"), made)


# Files


def test_only_what_the_output_needs_is_evaluated(tmp_path):
    file = file_of(tmp_path / "a.onnx", "a = Relu(x) b = Nothing(a) y = Neg(a)")
    assert read_graph(file, "a")[1] == "a"
    graph, name = read_graph(file)
    assert name == "y" and graph.operator("y") == "Neg"


def test_scores_are_preferred(tmp_path):
    file = file_of(tmp_path / "a.onnx", "y = Relu(x) logits = Neg(x)", outputs="float y, float logits")
    assert read_graph(file)[1] == "logits"


def test_outputs_that_are_not_there(tmp_path):
    file = file_of(tmp_path / "a.onnx", "y = Relu(x)")
    for name in ("z", "x"):
        with pytest.raises(
            CheckpointError, match=f"output must be a value that the graph computes, such as y, not '{name}'"
        ):
            read_graph(file, name)
    empty = tmp_path / "b.onnx"
    empty.write_bytes(b"")  # is a message without any field
    with pytest.raises(CheckpointError, match="a graph that has an output"):
        read_graph(empty)


def test_files_that_are_damaged(tmp_path):
    whole = export(tmp_path / "a.onnx", model(), (3, 8, 8)).read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-10], b"<html>", bytes(range(256))):
        (tmp_path / "b.onnx").write_bytes(content)
        with pytest.raises(CheckpointError, match="must be a whole file of ONNX, with its weights"):
            read_graph(tmp_path / "b.onnx")
    with pytest.raises(CheckpointError, match="checkpoint must be a file"):
        read_graph(tmp_path / "c.onnx")


def test_weights_beside_the_file(tmp_path):
    whole = onnx.load(export(tmp_path / "a.onnx", model(), (3, 8, 8)))
    onnx.save(whole, tmp_path / "b.onnx", save_as_external_data=True, location="b.bin", size_threshold=0)
    graph, output = read_graph(tmp_path / "b.onnx")
    assert graph.value(output).size == SHAPE.classes
    weights = (tmp_path / "b.bin").read_bytes()
    (tmp_path / "b.bin").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(CheckpointError, match="whole"):  # older packages notice it later
        read_graph(tmp_path / "b.onnx")
    (tmp_path / "b.bin").unlink()
    with pytest.raises(CheckpointError, match="must be a whole file of ONNX, with its weights"):
        read_graph(tmp_path / "b.onnx")


def test_weights_that_are_not_of_their_size(tmp_path):
    whole = onnx.load(export(tmp_path / "a.onnx", model(), (3, 8, 8)))
    whole.graph.initializer[0].raw_data = whole.graph.initializer[0].raw_data[:-1]
    onnx.save(whole, tmp_path / "b.onnx")
    with pytest.raises(CheckpointError, match="weights must be whole, and '.*' cannot be read"):
        read_graph(tmp_path / "b.onnx")


def test_operators_that_are_newer_than_the_package(tmp_path):
    newest = onnx.defs.onnx_opset_version()
    assert read_graph(file_of(tmp_path / "a.onnx", "y = Relu(x)", opset=newest))[1] == "y"
    with pytest.raises(CheckpointError, match=f"operators must be of version {newest} at most.*, not {newest + 1}"):
        read_graph(file_of(tmp_path / "b.onnx", "y = Relu(x)", opset=newest + 1))


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(CheckpointError, match=r'need the package onnx.*: pip install "taylorvit\[pretrained\]"'):
        read_graph(tmp_path / "a.onnx")

"""Operators that torch evaluates are those of ONNX's own evaluator; what cannot be evaluated is refused."""

import numpy as np
import pytest

from taylorvit.golden.checkpoints.onnx_operators import OperatorError, attributes_of, evaluate

from .onnx_files import onnx

OPSETS = {"": 20}


def node(operator, inputs, domain="", **attributes):
    names = [f"x{index}" if each is not None else "" for index, each in enumerate(inputs)]
    given = {name: each for name, each in zip(names, inputs) if each is not None}
    return onnx.helper.make_node(operator, names, ["y"], domain=domain, **attributes), given


def reference(made, given):
    """In a graph, since operators that are functions of others need the types of their inputs."""
    types = {name: onnx.helper.np_dtype_to_tensor_dtype(each.dtype) for name, each in given.items()}
    inputs = [onnx.helper.make_tensor_value_info(name, types[name], each.shape) for name, each in given.items()]
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([made], "g", inputs, [output])
    opsets = [onnx.helper.make_opsetid("", OPSETS[""])]
    whole = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return onnx.reference.ReferenceEvaluator(whole).run(None, given)[0]


def random(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "operator, inputs, attributes",
    [
        ("Conv", [random(1, 3, 8, 8), random(4, 3, 4, 4), random(4)], {"strides": [4, 4], "kernel_shape": [4, 4]}),
        ("Conv", [random(1, 4, 9, 8), random(6, 2, 3, 2)], {"group": 2, "pads": [1, 0, 2, 1], "dilations": [1, 2]}),
        ("Gelu", [random(3, 100)], {}),
        ("Gelu", [random(3, 100)], {"approximate": "tanh"}),
        (
            "Resize",
            [random(1, 2, 5, 5), None, None, np.array([1, 2, 8, 7])],
            {"mode": "cubic", "coordinate_transformation_mode": "half_pixel"},
        ),
        ("Resize", [random(1, 2, 4, 4), None, np.array([1, 1, 2, 2.5], np.float32)], {"mode": "linear"}),
    ],
)
def test_what_torch_evaluates_is_what_onnx_does(operator, inputs, attributes):
    made, given = node(operator, inputs, **attributes)
    np.testing.assert_allclose(evaluate(made, given, OPSETS)[0], reference(made, given), rtol=1e-5, atol=1e-5)


def test_attributes_are_those_of_the_node():
    made, given = node("Split", [random(2, 6)], axis=1, num_outputs=2)
    made.output.append("z")
    assert attributes_of(made) == {"axis": 1, "num_outputs": 2}
    assert [each.shape for each in evaluate(made, given, OPSETS)] == [(2, 3), (2, 3)]


@pytest.mark.parametrize(
    "operator, inputs, given, text",
    [
        ("SkipLayerNormalization", [random(2)], {"domain": "com.microsoft"}, "operators must be ONNX's own"),
        ("Nothing", [random(2)], {}, "No registered schema"),
        ("MatMul", [random(2, 3), random(2, 3)], {}, "MatMul"),
        ("Reshape", [random(2, 3), np.array([4, 4])], {}, "cannot reshape"),
        ("Gather", [random(2, 3), np.array([9])], {}, "out of bounds"),
        ("ConstantOfShape", [np.array([1 << 40, 1 << 20])], {}, "allocate"),
        ("Loop", [np.array(1 << 60), np.array(True), random(2)], {}, "a ViT has no loops"),
        ("Attention", [random(1, 2, 3)] * 3, {}, "."),
        ("Conv", [random(1, 4), random(4, 4)], {}, "must be of images"),
        ("Conv", [random(1, 1, 4, 4), random(1, 1, 2, 2)], {"auto_pad": "SAME_UPPER"}, "padding must be given"),
        ("Conv", [random(1, 1, 4, 4), random(1, 2, 2, 2)], {}, "channels"),
        ("Resize", [random(1, 1, 4, 4), None, None, np.array([1, 1, 2, 2])], {}, "must be linear or cubic"),
        (
            "Resize",
            [random(1, 1, 4, 4), None, None, np.array([1, 1, 2, 2])],
            {"mode": "cubic", "cubic_coeff_a": -0.5},
            "cubic_coeff_a must be -0.75",
        ),
    ],
)
def test_what_cannot_be_evaluated(operator, inputs, given, text):
    made, values = node(operator, inputs, **given)
    with pytest.raises(OperatorError, match=text):
        evaluate(made, values, OPSETS)

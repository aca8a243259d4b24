"""The list of operations: names, order, what is read where and how long, and lists that cannot be."""

import pytest

from taylorvit.golden.arithmetic.number_format import NetworkFormat
from taylorvit.golden.attention.kernels import KERNELS as INTEGER_KERNELS
from taylorvit.golden.attention.trained_attention import ATTENTIONS as TRAINED
from taylorvit.golden.network.float_steps import ATTENTIONS
from taylorvit.golden.network.operations import PIXELS, Add, Attention, Linear, Norm, Patches, Requantize
from taylorvit.golden.network.program import (
    KERNEL_OF_ATTENTION,
    KERNELS,
    Program,
    compute,
    kernels_of,
    last_uses,
    network_of,
)
from taylorvit.golden.network.vit import SHAPES, VitShape
from verif.golden.network.models import SHAPES as SMALL_SHAPES
from verif.golden.network.models import quantized

SHAPE = VitShape(image_size=6, patch_size=3, channels=2, classes=3, depth=2, width=6, heads=2, mlp_ratio=3)
DISTILLED = VitShape(**SHAPE.__dict__ | {"depth": 1, "distilled": True})


def test_operations_in_their_order():
    operations = [f"{type(operation).__name__} {operation.name}" for operation in network_of(DISTILLED)]
    assert operations == [
        "Patches patches", "Linear patch_embed", "Embedding embedding", "Add residual.0",
        "Norm blocks.0.norm1", "Linear blocks.0.qkv", "Requantize blocks.0.q", "Requantize blocks.0.k",
        "Requantize blocks.0.v", "Attention blocks.0.z", "Linear blocks.0.proj", "Add residual.1",
        "Norm blocks.0.norm2", "Linear blocks.0.fc1", "Requantize blocks.0.hidden", "LookUp blocks.0.gelu",
        "Linear blocks.0.fc2", "Add residual.2", "Norm norm", "Linear head", "Linear head_dist", "Logits logits",
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [SHAPE, DISTILLED, SHAPES["deit_tiny"], SHAPES["deit_base_distilled"]])
def test_parts_are_what_is_around_the_layers_and_each_layer(shape):
    parts = list(network_of(shape).parts())
    assert [layer for layer, _operations in parts] == [None, *range(shape.depth), None]
    assert [len(operations) for _layer, operations in parts] == [4, *[14] * shape.depth, 3 + shape.distilled]
    assert tuple(each for _layer, operations in parts for each in operations) == network_of(shape).operations


def test_sizes_of_deit_tiny():
    program = network_of(SHAPES["deit_tiny"])
    linears = {
        operation.name: (operation.rows, operation.inputs, operation.features)
        for operation in program
        if isinstance(operation, Linear) and operation.layer in (None, 11)
    }
    assert linears == {
        "patch_embed": (197, 768, 192),
        "blocks.11.qkv": (197, 192, 576),
        "blocks.11.proj": (197, 192, 192),
        "blocks.11.fc1": (197, 192, 768),
        "blocks.11.fc2": (197, 768, 192),
        "head": (1, 192, 1000),
    }
    products = sum(
        operation.rows * operation.inputs * operation.features for operation in program if isinstance(operation, Linear)
    )
    assert products == 1_074_851_328 + 768 * 192  # with the 58.6 million of attention, 1,133 million


def test_operands_come_from_where_they_are_made():
    program = network_of(SHAPE)
    q, k, v = (program[f"blocks.1.{name}"] for name in "qkv")
    for place, operand in enumerate((q, k, v)):
        assert isinstance(operand, Requantize) and operand.source == "blocks.1.qkv"
        assert (operand.first, operand.features, operand.heads) == (6 * place, 6, 2)
    z = program["blocks.1.z"]
    assert isinstance(z, Attention) and z.sources == ("blocks.1.q", "blocks.1.k", "blocks.1.v")
    assert (z.kernel, z.layer, z.shape) == ("taylor", 1, (2, 5, 3))
    add = program["residual.4"]
    assert isinstance(add, Add) and add.sources == ("residual.3", "blocks.1.fc2")
    norm = program["norm"]
    assert isinstance(norm, Norm) and norm.sources == ("residual.4",) and norm.rows == 1
    patches = program["patches"]
    assert isinstance(patches, Patches) and patches.sources == (PIXELS,) and patches.shape == (5, 18)


def test_attention_has_the_widths_of_the_accelerator():
    program = network_of(SHAPE, NetworkFormat(data_width=6, residual_width=10))
    assert [program[name].width for name in ("embedding", "residual.0", "residual.1", "residual.2")] == [10] * 4
    assert [program[f"blocks.0.{name}"].width for name in ("q", "k", "v", "z", "hidden", "gelu")] == [6] * 4 + [8] * 2


def test_readers_and_last_uses():
    program = network_of(DISTILLED)
    assert [reader.name for reader in program.readers("residual.0")] == ["blocks.0.norm1", "residual.1"]
    assert [reader.name for reader in program.readers("norm")] == ["head", "head_dist"]
    assert program.readers("logits") == ()
    done = last_uses(program)
    assert done["patches"] == [PIXELS] and done["residual.1"] == ["residual.0", "blocks.0.proj"]
    assert done["blocks.0.z"] == ["blocks.0.q", "blocks.0.k", "blocks.0.v"]
    assert done["blocks.0.v"] == ["blocks.0.qkv"] and done["logits"] == ["head", "head_dist"]
    assert sorted(step for steps in done.values() for step in steps) == sorted(
        [PIXELS, *(operation.name for operation in program if operation.name != "logits")]
    )


def test_steps_are_kept_as_long_as_they_are_read():
    """Two streams, or a stream and what a branch is at, and never more: what a buffer has to hold."""
    program = network_of(SHAPES["deit_tiny"])
    done, alive, most = last_uses(program), {PIXELS}, 0
    for operation in program:
        assert set(operation.sources) <= alive
        alive |= {operation.name}
        most = max(most, len(alive))
        alive -= set(done.get(operation.name, ()))
    assert alive == {"logits"} and most == 5  # a stream, q, k, v and z


def test_parameters_and_exponents_are_those_of_the_models():
    for shape in SMALL_SHAPES:
        vit, program = quantized(shape), network_of(shape)
        assert list(program.parameters) == sorted(vit.tensors, key=list(program.parameters).index)
        assert set(program.exponents) == set(vit.exponents) and len(program.exponents) == len(vit.exponents)
        around_gelu = [f"blocks.{layer}.{name}" for layer in range(shape.depth) for name in ("hidden", "gelu")]
        assert list(program.offsets) == list(vit.offsets) == around_gelu


def test_names_of_parameters_in_the_order_of_their_use():
    names = list(network_of(DISTILLED).parameters)
    assert names == [
        "patch_embed.weight", "patch_embed.weight_shift", "patch_embed.bias", "embedding.left_shift", "embedding",
        "residual.0.left_shift", "blocks.0.norm1.gamma", "blocks.0.norm1.beta", "blocks.0.qkv.weight",
        "blocks.0.qkv.weight_shift", "blocks.0.qkv.bias", "blocks.0.proj.weight", "blocks.0.proj.weight_shift",
        "blocks.0.proj.bias", "residual.1.left_shift", "blocks.0.norm2.gamma", "blocks.0.norm2.beta",
        "blocks.0.fc1.weight", "blocks.0.fc1.weight_shift", "blocks.0.fc1.bias", "blocks.0.gelu.table",
        "blocks.0.fc2.weight", "blocks.0.fc2.weight_shift", "blocks.0.fc2.bias", "residual.2.left_shift",
        "norm.gamma", "norm.beta", "head.weight", "head.bias", "head_dist.weight", "head_dist.bias",
    ]  # fmt: skip


def test_one_list_for_one_shape():
    assert network_of(SHAPE) is network_of(VitShape(**SHAPE.__dict__))


# Computing


def test_steps_are_computed_in_turn_and_forgotten():
    program = network_of(SHAPE)
    seen = {}

    def result(operation, steps):
        assert [text.partition("(")[0] for text in steps] == list(operation.sources)
        seen[operation.name] = steps
        return f"{operation.name}({len(steps)})"

    given = {PIXELS: PIXELS}
    assert compute(program, given, result) == "logits(1)"
    assert list(seen) == [operation.name for operation in program] and given == {PIXELS: PIXELS}


def test_a_part_of_a_network_is_computed_from_the_stream_before_it():
    [_embedding, (_layer, operations), *_rest] = network_of(SHAPE).parts()
    assert compute(operations, {"residual.0": 1}, lambda _operation, steps: sum(steps)) == 8


# Lists that cannot be


def test_names_must_differ():
    operations = network_of(SHAPE).operations
    with pytest.raises(ValueError, match="^names of steps must differ, and 'patches' comes twice$"):
        Program((*operations, operations[0]))


def test_sources_must_come_before():
    operations = network_of(SHAPE).operations
    with pytest.raises(ValueError, match="^sources of 'blocks.0.norm1' must be steps before it, not 'residual.0'$"):
        Program(operations[4:])


def test_a_step_that_nobody_gives_is_a_key_error():
    with pytest.raises(KeyError, match="residual.9"):
        network_of(SHAPE)["residual.9"]


def test_unknown_kernels_are_refused():
    with pytest.raises(ValueError, match="^kernel must be one of taylor, softmax, not 'relu'$"):
        network_of(SHAPE, kernels=("taylor", "relu"))
    with pytest.raises(ValueError, match="^kernels must be one for each of 2 layers, not 3$"):
        network_of(SHAPE, kernels=("taylor",) * 3)


def test_kernels_of_each_layer():
    program = network_of(SHAPE, kernels=("softmax", "taylor"))
    assert [program[f"blocks.{layer}.z"].kernel for layer in range(2)] == ["softmax", "taylor"]
    assert program is not network_of(SHAPE) and network_of(SHAPE, kernels="softmax")["blocks.1.z"].kernel == "softmax"
    assert program.parameters == network_of(SHAPE).parameters and program.exponents == network_of(SHAPE).exponents


def test_kernels_of_attentions():
    assert kernels_of(["softmax", "vitality", "taylor"]) == ("softmax", "taylor", "taylor")
    assert set(KERNEL_OF_ATTENTION.values()) == set(KERNELS) and set(KERNEL_OF_ATTENTION) <= set(TRAINED)
    with pytest.raises(ValueError, match="^attention must be one of softmax, taylor, vitality, which have a kernel"):
        kernels_of(["softmax", "relu"])


def test_kernels_are_there_in_integers_and_in_floating_point():
    assert set(KERNELS) == set(ATTENTIONS) and set(KERNELS) <= set(INTEGER_KERNELS)

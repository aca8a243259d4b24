"""The plan of a network: its commands, from sizes alone."""

import numpy as np
import pytest

from taylorvit.compiler.plan import plan_of
from taylorvit.gen.presets import load_preset
from taylorvit.golden.network.vit import SHAPES
from taylorvit.rtl.network.bundles import field_widths
from taylorvit.rtl.network.command import Destination, Flag, Opcode

from .networks import SMALLEST, UNEVEN, network, small_config


def test_every_number_of_a_model_is_used():
    vit = network(2, small_config(), shape=UNEVEN)
    steps = plan_of(vit.shape, small_config())
    assert {name for step in steps for name in step.linears} == set(vit.linears)
    for name in vit.linears:  # each weight once
        uses = [step.outputs[step.outputs >= 0] for step in steps if name in step.linears]
        assert sorted(index for use in uses for index in use) == list(range(len(vit.tensors[f"{name}.weight"])))


def test_products_are_those_of_the_network():
    """In all layers but the last one, all products are computed."""
    config = load_preset("vit-16x16")
    shape = SHAPES["deit_tiny_2_layers"]
    steps = [step for step in plan_of(shape, config) if step.layer == 0]
    width, tokens = shape.width, shape.tokens
    linear = tokens * width * (3 * width + width + 8 * width)
    assert sum(step.macs for step in steps) == linear + 2 * tokens * width * shape.head_dim
    assert [step.opcode for step in steps].count(Opcode.CONSTANTS) == 1


def test_the_last_layer_computes_what_is_read():
    shape = UNEVEN  # two layers, two prefix tokens
    lengths = {step.name: step["length"] for step in plan_of(shape, small_config()) if step.opcode == Opcode.PRODUCT}
    for name in ("k[2]", "v[2]"):
        assert lengths[f"blocks.0.{name}"] == lengths[f"blocks.1.{name}"] == shape.tokens == 11
    for name in ("q[2]", "z[2]", "proj", "fc1", "fc2"):
        assert (lengths[f"blocks.0.{name}"], lengths[f"blocks.1.{name}"]) == (11, 2)
    assert lengths["head"] == 1


def test_blocks_of_tokens():
    """Of 11 tokens, at most 4 at once; in the last layer, 2 of 2."""
    steps = [step for step in plan_of(UNEVEN, small_config(mlp_tokens=4)) if step.name.split(".")[-1].startswith("fc")]
    assert [(step.name, step["length"]) for step in steps] == [
        *((f"blocks.0.{layer}[{block}]", (4, 4, 3)[block]) for block in range(3) for layer in ("fc1", "fc2")),
        ("blocks.1.fc1", 2),
        ("blocks.1.fc2", 2),
    ]
    fc1, fc2 = steps[0:6:2], steps[1:6:2]
    assert [step["first_token"] for step in fc2] == [step["destination_base"] for step in fc2] == [0, 4, 8]
    assert [step["source_base"] for step in fc1] == [0, 4, 8]
    assert [(step["source_stride"], step["destination_stride"]) for step in fc1] == [(11, 4), (11, 4), (11, 3)]
    # The LayerNorm is that of all tokens; each block has weights and table.
    assert [Flag.NORM in step.flags for step in fc1] == [True, False, False] and fc1[0]["norm_rows"] == 11
    assert {step.table for step in fc1} == {"blocks.0.gelu"} and all(Flag.TABLE in step.flags for step in fc1)
    whole = [step for step in plan_of(UNEVEN, small_config()) if step.name in ("blocks.0.fc1", "blocks.0.fc2")]
    assert [sum(step.macs for step in each) for each in (fc1, fc2)] == [step.macs for step in whole]


def test_a_block_for_all_is_no_block():
    whole, *others = (
        [(step.name, step.values) for step in plan_of(UNEVEN, small_config(mlp_tokens=count))] for count in (0, 11, 18)
    )
    assert others == [whole, whole]


def test_each_layer_has_its_kernel():
    config = small_config(kernel="taylor+softmax")
    steps = plan_of(UNEVEN, config, ["softmax", "taylor"])
    constants = [step for step in steps if step.opcode == Opcode.CONSTANTS]
    assert [(step["kernel"], step["key_stride"]) for step in constants] == [(1, 8), (0, 0)]
    names = [{step.name.split("[")[0] for step in steps if step.layer == layer} for layer in range(2)]
    parts = {"softmax": {"s", "ev"}, "taylor": {"g", "z"}}
    shared = {"constants", "k", "q", "v", "proj", "fc1", "fc2"}
    for layer, kernel in enumerate(("softmax", "taylor")):
        assert names[layer] == {f"blocks.{layer}.{name}" for name in shared | parts[kernel]}
    assert [step["kernel"] for step in plan_of(UNEVEN, config) if step.opcode == Opcode.CONSTANTS] == [0, 0]


def test_softmax_goes_by_blocks_of_queries():
    shape = UNEVEN  # 11 tokens, 3 heads of 5 features
    config = small_config(4, 3, kernel="softmax", query_block=4)
    steps = {step.name: step for step in plan_of(shape, config)}
    names = [name for name in steps if name.startswith(("blocks.0.s[", "blocks.0.ev["))]
    assert len(names) == 2 * 3 * 3
    scores, values = steps["blocks.0.s[1][1]"], steps["blocks.0.ev[1][1]"]
    assert [steps[f"blocks.0.s[0][{block}]"]["length"] for block in range(3)] == [4, 4, 3]
    # 5 features of Q and K in 2 tiles of R, 11 tokens in 4 tiles of C; and 11 tokens in 3 tiles of R.
    assert (scores["length"], scores["input_tiles"], scores["output_tiles"]) == (4, 2, 4)
    assert (values["length"], values["input_tiles"], values["output_tiles"]) == (4, 3, 2)
    assert scores["source_base"] == steps["blocks.0.q[1]"]["destination_base"] + 4
    assert (scores["stationary_base"], scores["stationary_stride"], scores["stationary_limit"]) == (4 * 6, 6, 5)
    assert scores["destination_base"] == values["source_base"] == 0  # fifth block
    assert steps["blocks.0.s[1][2]"]["destination_base"] == 3 * 4
    assert values["destination_base"] - steps["blocks.0.ev[1][0]"]["destination_base"] == 4
    assert scores.macs + values.macs == 2 * 4 * 11 * 5
    # The last layer computes two tokens alone.
    assert (steps["blocks.1.s[0]"]["length"], steps["blocks.1.ev[0]"]["length"]) == (2, 2)


def test_heads_of_a_distilled_network_are_one_product():
    config = small_config()
    head = next(step for step in plan_of(UNEVEN, config) if step.name == "head")
    assert head.linears == ("head", "head_dist") and head["source_stride"] == 1 and head["norm_rows"] == 2
    tiles = head.inputs.reshape(-1, 2, config.rows)  # (tiles of features, tokens, R)
    np.testing.assert_array_equal(tiles[0], [[0, 1, 2, 3], [15, 16, 17, 18]])
    np.testing.assert_array_equal(tiles[3], [[12, 13, 14, -1], [27, 28, 29, -1]])


def test_keys_are_turned_in_time():
    """Where each pass gives totals, a pass of KEY takes a multiple of R cycles."""
    config = small_config(16, 8)
    for shape, expected in ((UNEVEN, 16), (SMALLEST, 16)):
        keys = [step for step in plan_of(shape, config) if step["destination"] == Destination.KEY]
        assert {step["pass_length"] for step in keys} == {expected}
    keys = [step for step in plan_of(UNEVEN, small_config()) if step["destination"] == Destination.KEY]
    assert {step["pass_length"] for step in keys} == {11}
    config = small_config(16, 4, kernel="softmax")  # of C, for softmax
    keys = [step for step in plan_of(UNEVEN, config) if step["destination"] == Destination.KEY]
    assert {step["pass_length"] for step in keys} == {12}


@pytest.mark.parametrize("kernel", ("taylor", "softmax"))
def test_fields_fit_the_registers_that_hold_them(kernel):
    """The accelerator is built for just the network, or for more; its fields are as wide as they have to be."""
    for rows, columns in ((4, 4), (5, 3), (16, 8)):
        for shape in (UNEVEN, SMALLEST):
            config = small_config(
                rows,
                columns,
                kernel=kernel,
                max_tokens=shape.tokens,
                max_width=shape.width,
                max_hidden=shape.mlp_ratio * shape.width,
                max_patch=shape.channels * shape.patch_size**2,
                max_classes=shape.classes,
                max_heads=shape.heads,
                max_head_dim=shape.head_dim,
            )
            widths = field_widths(config)
            steps = [step for step in plan_of(shape, config) if step.opcode == Opcode.PRODUCT]
            for name, bits in widths.items():
                assert max(step[name] for step in steps).bit_length() <= bits, (name, rows, columns)
            # No field is much wider than it must be.
            assert max(step["input_tiles"] for step in steps).bit_length() >= widths["input_tiles"] - 1
            assert max(step["length"] for step in steps).bit_length() == widths["length"]


def test_each_layer_norm_and_table_comes_once():
    steps = plan_of(UNEVEN, small_config())
    norms = [step.norm for step in steps if Flag.NORM in step.flags]
    assert norms == ["blocks.0.norm1", "blocks.0.norm2", "blocks.1.norm1", "blocks.1.norm2", "norm"]
    assert [step.following for step in steps if step.following] == norms
    assert [step.table for step in steps if step.table] == ["blocks.0.gelu", "blocks.1.gelu"]

"""Which products wait for which."""

import pytest

from taylorvit.compiler.plan import plan_of
from taylorvit.compiler.waiting import MOST_UNFINISHED, waits_of
from taylorvit.golden.network.vit import VitShape
from taylorvit.rtl.network.command import Destination, Flag, Opcode, Source, Stationary

from .networks import small_config

CONFIG = small_config()


def product(destination=Destination.ACTIVATION, **fields):
    sizes = {"length": 5, "input_tiles": 2, "output_tiles": 2, "source_stride": 5, "destination_stride": 5}
    return {"destination": destination, "source": Source.ACTIVATION} | sizes | fields


def last_wait(*products):
    """How many of the products before the last one may be unfinished, besides the first."""
    return waits_of([product(source=Source.IMAGE, destination_base=1000), *products], CONFIG)[-1]


def test_reading_what_another_writes():
    writer = product(source=Source.IMAGE, destination_base=100)  # 100 to 109
    assert last_wait(writer, product(source_base=100, destination_base=200)) == 0
    assert last_wait(writer, product(source_base=109, destination_base=200)) == 0
    assert last_wait(writer, product(source_base=90, destination_base=200)) == 2
    assert last_wait(writer, product(source_base=110, destination_base=200)) == 2
    # Products finish in order, so what is before the writer is finished, too.
    assert last_wait(writer, writer, product(source_base=100, destination_base=200)) == 0
    assert last_wait(writer, product(destination_base=300), product(source_base=100, destination_base=200)) == 1


def test_overwriting():
    assert last_wait(product(destination_base=100), product(destination_base=109)) == 0
    assert last_wait(product(source_base=50, destination_base=100), product(destination_base=59)) == 0
    assert last_wait(product(source_base=50, destination_base=100), product(destination_base=60)) == 2


def test_buffers_are_apart():
    value = product(Destination.VALUE, source=Source.IMAGE)
    key = product(Destination.KEY, source=Source.IMAGE)
    assert last_wait(value, key) == 2
    assert last_wait(value, value) == 0
    g = product(
        Destination.KERNEL_0, source=Source.KERNEL, stationary=Stationary.KERNEL_0, stationary_stride=5,
        stationary_limit=5,
    )  # fmt: skip
    assert last_wait(key, product(source=Source.IMAGE), g) == 1
    assert last_wait(value, product(source=Source.IMAGE), g) == 1


def test_division():
    z = product(
        Destination.KERNEL_1, source_base=500, stationary=Stationary.KERNEL_1, stationary_stride=5,
        stationary_limit=5, destination_base=600,
    )  # fmt: skip
    elsewhere = product(source=Source.IMAGE, destination_base=900)
    assert last_wait(z, elsewhere) == 0  # both write activations
    assert last_wait(elsewhere, z) == 2  # what is divided comes later
    assert last_wait(z, z) == 2  # rows are divided in their order
    value = product(Destination.VALUE, source=Source.IMAGE)
    assert last_wait(z, value) == 0  # its biases are those of z
    assert last_wait(z, value | {"destination_base": 10}) == 2  # those of the other head


def test_additions_to_the_residual_stream_follow_each_other():
    fields = {"source": Source.IMAGE, "output_tiles": 1}
    addition = product(Destination.RESIDUAL, **fields)
    assert last_wait(addition, product(Destination.RESIDUAL, destination_base=5, first_token=5, **fields)) == 0


def test_blocks_wait_for_each_other():
    """For the hidden features before; where there is room for those of two blocks, fc1 begins while fc2 ends."""
    # 10 tokens, 2 tiles of features: Q and Z of a head take 3 tiles of places; the hidden features of a token take 8.
    shape = VitShape(image_size=3, patch_size=1, channels=1, classes=3, depth=2, width=8, heads=2, mlp_ratio=4)
    sizes = {"max_tokens": 10, "max_width": 8, "max_hidden": 32, "max_heads": 2, "max_head_dim": 4}

    def waits(mlp_tokens):
        steps = plan_of(shape, small_config(mlp_tokens=mlp_tokens, **sizes))
        return [step["wait"] for step in steps if step.name.startswith("blocks.0.fc")]

    assert waits(5) == [0, 0, 0, 0]
    assert waits(2) == [0, 0, 1, 0, 1, 0, 1, 0, 1, 0]


def test_softmax():
    constants = {"opcode": Opcode.CONSTANTS, "kernel": 1, "key_stride": 8}
    key = product(Destination.KEY, source=Source.IMAGE, destination_base=16)  # two tiles of C tokens
    value = product(Destination.VALUE, source=Source.IMAGE)
    scores = product(
        Destination.KERNEL_0, source_base=500, stationary=Stationary.KERNEL_1, stationary_stride=8,
        stationary_limit=8, destination_base=50,
    )  # fmt: skip
    divided = product(
        Destination.KERNEL_1, source=Source.KERNEL, source_base=50, stationary=Stationary.KERNEL_0,
        stationary_limit=5, destination_base=600,
    )  # fmt: skip
    assert last_wait(constants, key, scores | {"stationary_base": 24}) == 0
    assert last_wait(constants, key, scores | {"stationary_base": 32}) == 2
    assert last_wait(constants, scores, key) == 2  # the half that is not read
    assert last_wait(constants, scores | {"stationary_base": 16}, key) == 0
    assert last_wait(constants, scores, value, divided) == 0
    assert last_wait(constants, value, scores, divided | {"source_base": 0}) == 1
    # Scores have left their banks before others come; V is not needed for the division.
    assert last_wait(constants, divided, scores) == 2
    assert last_wait(constants, divided, value | {"destination_base": 10}) == 2
    assert last_wait(constants, divided, product(source=Source.IMAGE, destination_base=900)) == 0


def test_layer_norm_waits_for_all():
    norm = product(flags=Flag.NORM, destination_base=700, source_base=0)
    assert last_wait(product(source=Source.IMAGE, destination_base=900), norm) == 0
    # What it normalizes is there before its last pass.
    assert waits_of([norm, product(source_base=0, destination_base=900)], CONFIG) == [0, 1]


def test_the_largest_number():
    many = [product(source=Source.IMAGE, destination_base=20 * index) for index in range(30)]
    assert waits_of(many, CONFIG)[-1] == MOST_UNFINISHED == 15


def test_the_order_of_attention_hides_what_it_waits_for():
    shape = VitShape(image_size=4, patch_size=1, channels=1, classes=3, depth=1, width=20, heads=5)
    products = [step for step in plan_of(shape, CONFIG) if step.opcode == Opcode.PRODUCT]
    waits = {step.name.removeprefix("blocks.0."): step["wait"] for step in products}
    order = """
        k[0] v[0] q[0] k[1] v[1] g[0] q[1] z[0] k[2] v[2] g[1] q[2] z[1] k[3] v[3] g[2] q[3] z[2]
        k[4] v[4] g[3] g[4] q[4] z[3] z[4]
    """.split()
    assert [name for name in waits if "[" in name] == order
    # No product of attention but the first one waits for the one right before it.
    assert all(waits[name] > 0 for name in order[1:])
    assert {name for name, wait in waits.items() if wait == 0} == {"patch_embed", "k[0]", "proj", "fc1", "fc2", "head"}


@pytest.mark.parametrize("block", [0, 6, 3])
def test_the_order_of_softmax_hides_what_it_waits_for(block):
    shape = VitShape(image_size=4, patch_size=1, channels=1, classes=3, depth=2, width=20, heads=5)
    steps = plan_of(shape, small_config(kernel="softmax", query_block=block))
    layer = [step for step in steps if step.layer == 0 and "[" in step.name]
    assert len(layer) == 5 * (3 + 2 * (1 if not block else 18 // block))
    assert all(step["wait"] > 0 for step in layer[1:])

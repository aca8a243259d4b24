"""What does not fit is refused, with the field that is too small and what would do."""

import dataclasses

import numpy as np
import pytest

from taylorvit.compiler import FitError, compile_network
from verif.golden.network.models import changed

from .networks import UNEVEN, network, small_config

CONFIG = small_config()


def refusal(vit, **fields) -> str:
    config = dataclasses.replace(CONFIG, **fields)
    with pytest.raises(FitError) as error:
        compile_network(vit, config)
    return str(error.value)


@pytest.fixture(scope="module")
def vit():
    return network(1, CONFIG, shape=UNEVEN)


@pytest.mark.parametrize(
    "field, least, why",
    [
        ("max_tokens", 11, "tokens of an image"),
        ("max_width", 15, "features of a token"),
        ("max_hidden", 45, "hidden features of the MLP"),
        ("max_patch", 18, "pixels of a patch"),
        ("max_classes", 7, "classes"),
        ("max_heads", 3, "heads"),
        ("max_head_dim", 5, "features of a head"),
    ],
)
def test_sizes(vit, field, least, why):
    smaller = {"max_width": {"max_heads": 4, "max_head_dim": 5}}.get(field, {})
    compile_network(vit, dataclasses.replace(CONFIG, **{field: least}, **smaller))
    text = f"network does not fit small-4x4: {field} must be at least {least} ({why}), not {least - 1}"
    assert refusal(vit, **{field: least - 1}, **smaller) == text


def test_kernels(vit):
    text = "attention of layer 0 must be one that small-4x4 has, softmax, not taylor: "
    assert refusal(vit, kernel="softmax").startswith(text + "choose another one (--attention 0=softmax), or ")
    softmax = network(1, small_config(kernel="softmax"), shape=UNEVEN)
    assert refusal(softmax).startswith("attention of layer 0 must be one that small-4x4 has, taylor, not softmax: ")
    both = {"kernel": "taylor+softmax"}
    for model in (vit, softmax):
        compile_network(model, dataclasses.replace(CONFIG, **both))
    for field, least in (("score_width", 12), ("exponential_width", 11), ("exponential_entries", 1024)):
        other = {"exponential_entries": 512}.get(field, least - 1)
        wanted = f"{field} of small-4x4 must be that of the model, {least}, not {other}"
        assert refusal(softmax, kernel="softmax", **{field: other}).startswith(wanted)
        compile_network(vit, dataclasses.replace(CONFIG, **both, **{field: other}))  # has no softmax


def test_all_fields_are_named(vit):
    text = refusal(vit, max_tokens=10, max_classes=1)
    assert "max_tokens must be at least 11" in text and "; max_classes must be at least 7 (classes), not 1" in text


def test_formats(vit):
    assert refusal(vit, residual_width=11).startswith(
        "residual_width of small-4x4 must be that of the model, 12, not 11"
    )
    assert refusal(vit, mean_fraction=2).startswith("mean_fraction of small-4x4 must be that of the model, 3, not 2")


def test_widths(vit):
    text = refusal(vit, sum_width=16)
    assert (
        text.startswith("network does not fit small-4x4: sum_width must be at least ") and "bits of the sums of" in text
    )
    least = int(text.split("at least ")[1].split()[0])
    compile_network(vit, dataclasses.replace(CONFIG, sum_width=least))
    assert f"sum_width must be at least {least} " in refusal(vit, sum_width=least - 1)

    text = refusal(vit, aligned_width=24)
    assert "aligned_width must be at least " in text
    least = int(text.split("aligned_width must be at least ")[1].split()[0])
    compile_network(vit, dataclasses.replace(CONFIG, aligned_width=least))
    assert "as it is rounded), not" in refusal(vit, aligned_width=least - 1)


@pytest.mark.parametrize("field", ["stream_shift_max", "left_shift_max", "branch_shift_max", "right_shift_max"])
def test_shifts(vit, field):
    if field == "branch_shift_max":  # what multiplies is shifted left
        vit = changed(vit, "blocks.0.q", vit.exponents["blocks.0.qkv"] - 1)
        vit = changed(vit, "blocks.0.qkv.weight_shift", 0, slice(None))
    text = refusal(vit, **{field: 0})
    assert f"{field} must be at least " in text
    least = int(text.split(f"{field} must be at least ")[1].split()[0])
    compile_network(vit, dataclasses.replace(CONFIG, **{field: least}))
    assert f"{field} must be at least {least} " in refusal(vit, **{field: least - 1})


def test_registers(vit):
    registers = [dataclasses.replace(vit.registers[0], shift_z=-8), *vit.registers[1:]]
    text = refusal(dataclasses.replace(vit, registers=registers), shift_z_min=-7)
    assert text == "network does not fit small-4x4: in layer 0, shift_z must be -7 to 31, not -8"


def test_layer_norms(vit):
    far = changed(vit, "norm", vit.exponents["norm.gamma"] - 12 + 64)
    assert refusal(far) == "right shift of norm must be 0 to 63, not 64"
    near = changed(vit, "norm", vit.exponents["norm.gamma"] - 12 - 1)
    assert refusal(near) == "right shift of norm must be 0 to 63, not -1"
    fine = dataclasses.replace(vit, exponents={name: each - 30 for name, each in vit.exponents.items()})
    assert "epsilon of blocks.0.norm1 must fit 47 bits in the scale of the variance, not need " in refusal(fine)
    assert "epsilon of blocks.0.norm1 must fit 2 bits " in refusal(vit, epsilon_width=2)
    assert "must be 17 to 31, not " in refusal(far, norm_shift_min=17)
    compile_network(vit, dataclasses.replace(CONFIG, norm_shift_min=17, epsilon_width=16))


def test_memory_on_the_chip(vit):
    length = len(compile_network(vit, CONFIG).tape)
    assert length % 4 == 0
    memory = {"tape_source": "memory", "tape_memory_bytes": length}
    assert len(compile_network(vit, dataclasses.replace(CONFIG, **memory)).tape) == length
    text = refusal(vit, tape_source="memory", tape_memory_bytes=length - 4)
    assert f"tape_memory_bytes must be at least {length} (bytes of the tape, in whole words)" in text


def test_products_before_their_bias_is_added(vit):
    tensors = {name: np.zeros_like(each) if "weight" in name else each for name, each in vit.tensors.items()}
    tensors = {name: each // 64 if name.endswith(".bias") else each for name, each in tensors.items()}
    tensors["blocks.0.fc2.weight"][:, :16] = -128
    tensors["blocks.0.fc2.bias"] = np.full(15, -1000)
    vit = dataclasses.replace(vit, tensors=tensors)
    # 16 * 128^2 needs 20 bits; with the bias, up to 16 * 128^2 - 1000, 19.
    assert vit.widths()["blocks.0.fc2"] == 19
    assert "sum_width must be at least 20 " in refusal(vit, sum_width=19)

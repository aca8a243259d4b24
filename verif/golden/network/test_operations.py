"""Every walk over the network handles every operation, and an operation that it does not know is refused."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
import pytest
import torch

from taylorvit.golden.network import float_steps, integer_network, quantize
from taylorvit.golden.network.operations import (
    LARGEST_LEFT_SHIFT,
    LARGEST_WEIGHT_SHIFT,
    PIXELS,
    Attention,
    Embedding,
    Linear,
    Operation,
    Parameter,
    Rounded,
)
from taylorvit.golden.network.program import Program, network_of
from verif.golden.network.models import SHAPES, float_model, images_of, pixels_of, quantized


def test_every_operation_is_in_the_programs_that_the_walks_are_tested_with():
    """With `SHAPES` each walk is compared with its equations: a new operation is compared where one of them has it."""
    in_programs = {type(operation) for shape in SHAPES for operation in network_of(shape)}
    assert in_programs == set(get_args(Operation))


@dataclass(frozen=True, kw_only=True)
class Pool(Rounded):
    """An operation that no walk knows."""

    source: str = "residual.1"

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.source,)

    @property
    def exponents(self) -> tuple[str, ...]:
        return ()


def with_pool(*arguments, **options) -> Program:
    return Program((*network_of(*arguments, **options), Pool(name="pool", rows=1, features=3)))


@pytest.mark.parametrize("walk", ["integer run", "widths", "float steps", "quantization"])
def test_an_unknown_operation_is_refused(walk, monkeypatch):
    vit, pixels = quantized(SHAPES[1]), pixels_of(SHAPES[1])
    for module in (float_steps, integer_network, quantize):
        monkeypatch.setattr(module, "network_of", with_pool)
    walks = {
        "integer run": lambda: vit(pixels),
        "widths": lambda: vit.widths(),
        "float steps": lambda: float_steps.float_steps(float_model(SHAPES[1]), images_of(SHAPES[1], 1)),
        "quantization": lambda: quantized(SHAPES[1]),
    }
    with pytest.raises(TypeError, match=r"^operation must be one that this walk knows, not Pool\(name='pool', "):
        walks[walk]()


# What operations say of themselves


def test_parameters_are_signed_integers_of_their_bits():
    assert Parameter.signed((2, 3), 8) == Parameter((2, 3), 8, -128, 127)
    assert Parameter.signed((2,), 12) == Parameter((2,), 16, -2048, 2047)
    layer = Linear(name="fc", source="x", rows=5, inputs=3, features=2, module="fc", float_weight="fc.weight")
    assert layer.parameters == {
        "fc.weight": ((2, 3), 8, -128, 127),
        "fc.weight_shift": ((2,), 8, 0, LARGEST_WEIGHT_SHIFT),
        "fc.bias": ((2,), 32, -(2**31), 2**31 - 1),
    }
    assert layer.exponents == ("fc.weight", "fc") and layer.sources == ("x",) and layer.shape == (5, 2)


def test_a_head_has_one_token_and_no_shifts():
    head = Linear(
        name="head", source="x", rows=1, token=1, inputs=3, features=2, by_channel=False, module="fc",
        float_weight="fc.weight",
    )  # fmt: skip
    assert head.shape == (2,) and list(head.parameters) == ["head.weight", "head.bias"]


def test_the_stream_has_a_left_shift_for_each_channel():
    first = Embedding(name="embedding", rows=5, features=6, prefix=2, branch="patch_embed", width=10)
    assert first.sources == () and first.parameters == {
        "embedding.left_shift": ((6,), 8, 0, LARGEST_LEFT_SHIFT),
        "embedding": ((5, 6), 16, -512, 511),
    }


def test_attention_divides_its_features_among_its_heads():
    attention = Attention(
        name="z", layer=2, q="q", k="k", v="v", kernel="taylor", rows=5, features=12, heads=3,
        denominator_errors="errors", width=6,
    )  # fmt: skip
    assert attention.shape == (3, 5, 4) and attention.sources == ("q", "k", "v") and attention.width == 6


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_those_of_the_steps(shape):
    steps = quantized(shape).steps(pixels_of(shape))
    for operation in network_of(shape):
        images = 1 if isinstance(operation, Embedding) else len(pixels_of(shape))
        assert steps[operation.name].shape == (images, *operation.shape), operation.name


@pytest.mark.parametrize("shape", SHAPES[:2])
def test_widths_are_those_of_the_steps(shape):
    """No activation exceeds its width, and some reach it."""
    steps = quantized(shape).steps(pixels_of(shape))
    reached = 0
    for operation in network_of(shape):
        if isinstance(operation, Rounded):
            limit, step = 1 << (operation.width - 1), steps[operation.name]
            assert -limit <= step.min() and step.max() < limit, operation.name
            reached += int(np.abs(step).max() > limit // 2)
    assert reached > len(steps) // 4


def test_modules_and_weights_are_those_of_the_float_model():
    for shape in SHAPES:
        model = float_model(shape)
        for operation in network_of(shape):
            if isinstance(operation, Linear):
                weight = model.get_parameter(operation.float_weight)
                assert weight.flatten(1).shape == (operation.features, operation.inputs)
                assert isinstance(model.get_submodule(operation.module), torch.nn.Module)
    assert network_of(SHAPES[0])["patches"].sources == (PIXELS,)

"""Float steps are those of the float model, with Taylor attention, and can be rounded on their way."""

import pytest
import torch

from taylorvit.golden.network.float_steps import float_steps
from taylorvit.golden.network.operations import Embedding, Rounded
from taylorvit.golden.network.program import network_of
from taylorvit.golden.network.vit import VisionTransformer, VitShape

SHAPE = VitShape(image_size=6, patch_size=2, channels=2, classes=5, depth=2, width=12, heads=3, mlp_ratio=2)


def float_model(attention="taylor", **changes) -> VisionTransformer:
    """Random weights, float64."""
    torch.manual_seed(0)
    model = VisionTransformer(VitShape(**SHAPE.__dict__ | changes), attention).double().eval()
    for parameter in model.requires_grad_(False).parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@pytest.fixture
def inputs() -> torch.Tensor:
    return torch.randn(6, 2, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("distilled", [False, True])
def test_steps_are_those_of_the_model(inputs, distilled):
    model = float_model(distilled=distilled)
    steps = float_steps(model, inputs)
    captured = []
    torch.testing.assert_close(steps["logits"], model(inputs, captured))
    for layer, head_tensors in enumerate(captured):
        for name, tensor in zip("qkv", head_tensors, strict=True):
            torch.testing.assert_close(steps[f"blocks.{layer}.{name}"], tensor)
    torch.testing.assert_close(steps["residual.0"], model.embed(inputs))
    scores = [steps[name] for name in ("head", "head_dist")[: 1 + distilled]]
    torch.testing.assert_close(scores, list(model.scores_of_heads(inputs)))


def test_they_have_taylor_attention_whatever_the_model_has(inputs):
    wanted = float_steps(float_model("taylor"), inputs)["logits"]
    torch.testing.assert_close(float_steps(float_model("softmax"), inputs)["logits"], wanted, rtol=0, atol=0)


def test_steps_have_the_shapes_of_their_operations(inputs):
    model = float_model(distilled=True)
    program = network_of(model.shape)
    for name, step in float_steps(model, inputs).items():
        images = 1 if isinstance(program[name], Embedding) else 6
        assert step.shape == (images, *program[name].shape), name


def test_what_is_rounded_is_what_later_operations_read(inputs):
    model = float_model()
    asked = []

    def rounded(name, x):
        asked.append(name)
        return torch.zeros_like(x) if name == "blocks.1.gelu" else x

    steps, plain = float_steps(model, inputs, rounded), float_steps(model, inputs)
    assert asked == [operation.name for operation in network_of(SHAPE) if isinstance(operation, Rounded)]
    assert torch.equal(steps["blocks.1.hidden"], plain["blocks.1.hidden"]) and not steps["blocks.1.gelu"].any()
    wanted = plain["residual.3"] + model.blocks[1].mlp.fc2.bias
    torch.testing.assert_close(steps["residual.4"], wanted)

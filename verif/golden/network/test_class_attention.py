"""Where the class token looks is what the float maps say of the integer queries and keys."""

import numpy as np
import pytest

from taylorvit.golden.attention.float_attention import softmax_attention, taylor_attention
from taylorvit.golden.network.class_attention import class_attention

from .models import SHAPES, mixed, quantized


@pytest.mark.parametrize("shape", SHAPES)
def test_maps_are_those_of_the_attention(shape):
    """A map times V is Z: found from one-hot values of V, which do not go through a map."""
    kernels = mixed(shape)
    vit = quantized(shape, kernels=kernels)
    pixels = np.random.default_rng(1).integers(0, 256, (2, shape.channels, shape.image_size, shape.image_size))
    steps = vit.steps(pixels)
    side = shape.image_size // shape.patch_size
    for image in range(2):
        found = class_attention(vit, pixels[image])
        assert np.array_equal(found.logits, vit(pixels)[image])
        assert [layer.kernel for layer in found.layers] == list(kernels)
        for index, layer in enumerate(found.layers):
            q, k = (vit.real(f"blocks.{index}.{name}", steps[f"blocks.{index}.{name}"])[image] for name in "qk")
            for token in range(shape.extra_tokens, shape.tokens):
                v = np.zeros_like(k)
                v[:, token] = 1
                row, column = divmod(token - shape.extra_tokens, side)
                assert np.isclose(layer.softmax[row, column], softmax_attention(q, k, v)[:, 0, 0].mean())
                assert np.isclose(layer.taylor[row, column], taylor_attention(q, k, v).z[:, 0, 0].mean())


def test_wrong_pixels():
    vit = quantized(SHAPES[0])
    with pytest.raises(ValueError, match="^pixels must be of shape "):
        class_attention(vit, np.zeros((1, 5, 6), dtype=np.int64))
    with pytest.raises(TypeError, match="^pixels must be integers"):
        class_attention(vit, np.zeros((1, 6, 6)))

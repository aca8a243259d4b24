"""Random layers of softmax attention for the engine of `verif.rtl.network.kernel_bench`, and what they give."""

from __future__ import annotations

import random

import numpy as np

from taylorvit.golden.arithmetic.number_format import SoftmaxFormat
from taylorvit.golden.attention.integer_softmax import SoftmaxConstants, integer_softmax_attention
from taylorvit.golden.attention.kernels.softmax import SoftmaxKernel
from taylorvit.rtl.network.config import NetworkConfig
from verif.regression.jobs import random_operands
from verif.rtl.network.kernel_bench import SoftmaxLayer

__all__ = ["random_softmax_layer", "softmax_format", "softmax_z"]


def softmax_format(config: NetworkConfig) -> SoftmaxFormat:
    """The number format of softmax attention on an accelerator."""
    names = SoftmaxFormat.__dataclass_fields__
    return SoftmaxFormat(**{name: getattr(config.attention, name) for name in names})


def random_softmax_layer(generator: random.Random, config: NetworkConfig, number: int) -> SoftmaxLayer:
    """A layer of some heads, with constants that fit it, or any, or extreme ones."""
    numpy = np.random.default_rng(generator.getrandbits(64))
    tokens = generator.choice((1, 2, config.max_tokens, generator.randint(1, config.max_tokens)))
    head_dim = generator.choice((config.max_head_dim, generator.randint(1, config.max_head_dim)))
    q, k, v = random_operands(numpy, config.attention, generator.randint(1, 5), tokens, head_dim)
    number_format = softmax_format(config)
    if number % 3 == 0:
        constants = SoftmaxKernel().choose_scales(q, k, v, 0, 0, 0, number_format).constants
    else:
        most = number_format.exponential_max
        drawn = [generator.choice((0, most, generator.randint(0, most))) for _ in range(config.exponential_entries)]
        ranges = SoftmaxConstants.ranges(number_format).values()
        constants = SoftmaxConstants(*(generator.randint(*limits) for limits in ranges), (max(1, drawn[0]), *drawn[1:]))
    rows = generator.choice((tokens, tokens, generator.randint(1, tokens)))
    return SoftmaxLayer(
        config=config,
        generator=generator,
        q=q[:, :rows],
        k=k,
        v=v,
        constants=constants,
        ahead=generator.random() < 0.5,
    )


def softmax_z(layer: SoftmaxLayer) -> np.ndarray:
    """Z of each head."""
    q = np.zeros_like(layer.k)
    q[:, : layer.rows] = layer.q
    number_format = softmax_format(layer.config)
    return integer_softmax_attention(q, layer.k, layer.v, layer.constants, number_format).z[:, : layer.rows]

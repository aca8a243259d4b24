"""Random layers of Taylor attention for the engine of `verif.rtl.network.kernel_bench`, and what they give."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np

from taylorvit.golden.attention.integer_attention import integer_taylor_attention
from taylorvit.jobs import format_of
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.network.config import NetworkConfig
from verif.regression.jobs import fitting_constants, random_constants, random_operands
from verif.rtl.network.kernel_bench import TaylorLayer

__all__ = ["random_taylor_layer", "taylor_z"]


def _attention(config: NetworkConfig) -> AcceleratorConfig:
    """The configuration of Taylor attention, if another kernel is there besides."""
    return replace(config, kernel="taylor").attention


def random_taylor_layer(generator: random.Random, config: NetworkConfig, number: int) -> TaylorLayer:
    """A layer of some heads, with constants that fit it, any, or a c_d so small that rows have no divisor."""
    attention = _attention(config)
    numpy = np.random.default_rng(generator.getrandbits(64))
    tokens = generator.choice((1, 2, config.max_tokens, generator.randint(1, config.max_tokens)))
    head_dim = generator.choice((config.max_head_dim, generator.randint(1, config.max_head_dim)))
    heads = generator.randint(1, 5)
    q, k, v = random_operands(numpy, attention, heads, tokens, head_dim)
    kind = number % 4
    fits = kind != 2
    constants = fitting_constants(numpy, attention, q, k, v) if fits else random_constants(attention, numpy)
    if kind == 3:
        constants = replace(constants, c_d=0 if number == 3 else generator.getrandbits(config.constant_fraction + 4))
    rows = generator.choice((tokens, tokens, generator.randint(1, tokens)))
    return TaylorLayer(
        config=config,
        generator=generator,
        q=q[:, :rows],
        k=k,
        v=v,
        constants=constants,
        ahead=generator.random() < 0.5,
    )


def taylor_z(layer: TaylorLayer) -> tuple[np.ndarray, int]:
    """Z of each head, and rows without a divisor."""
    q = np.zeros_like(layer.k)
    q[:, : layer.rows] = layer.q
    number_format = format_of(_attention(layer.config))
    steps = integer_taylor_attention(q, layer.k, layer.v, layer.constants, number_format)
    invalid = np.count_nonzero(steps.t_d[:, : layer.rows] <= 0)
    return steps.z[:, : layer.rows], int(invalid)

"""Tokens for tests of LayerNorm: from the smallest to the largest variance that a configuration can have."""

from __future__ import annotations

import random

import numpy as np

__all__ = ["layer_norm_inputs"]


def layer_norm_inputs(config, generator: random.Random, tokens=None, features=None):
    """Features in the residual stream, (tokens, features), left shifts of the channels, and epsilon."""
    width = config.residual_width
    low, high = -(1 << width - 1), (1 << width - 1) - 1
    features = features or generator.choice((1, config.max_width, generator.randint(1, config.max_width)))
    tokens = tokens or generator.choice((1, config.max_tokens, generator.randint(1, config.max_tokens)))
    shifts = generator.choice(((0,), (config.left_shift_max,), tuple(range(config.left_shift_max + 1))))
    left_shifts = np.array([generator.choice(shifts) for _ in range(features)])
    numbers = np.random.default_rng(generator.getrandbits(32))

    def token():
        size = generator.randrange(width)
        largest = 1 << size
        x = numbers.integers(max(low, -largest), min(high, largest), size=features, endpoint=True)
        match generator.randrange(7):
            case 0:
                x[:] = generator.choice((low, high, 0, 1, -1, generator.randint(low, high)))  # epsilon alone is left
            case 1:
                x = np.where(numbers.integers(2, size=features) == 1, low, high)
            case 2:
                x[:] = generator.choice((low, 0, high))
                x[generator.randrange(features)] = generator.choice((low, -1, 1, high))
            case 3:
                x = np.where(np.arange(features) % 2 == 1, low, high)  # the largest variance
        return x

    largest = (1 << config.epsilon_width) - 1
    epsilon = generator.choice((1, 2, generator.randint(1, 1000), generator.randint(1, largest), largest))
    return np.array([token() for _ in range(tokens)]), left_shifts, epsilon

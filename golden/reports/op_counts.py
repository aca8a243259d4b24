"""How many operations attention takes, step by step, from the shapes alone.

For one head of n tokens and d features, sums of m terms taking m - 1 additions:

| softmax attention          | multiplications | additions   | divisions | exponentials |
|----------------------------|-----------------|-------------|-----------|--------------|
| Q K^T                      | n^2 d           | n^2 (d - 1) |           |              |
| softmax                    |                 | n (n - 1)   | n^2       | n^2          |
| map V                      | n^2 d           | n (n - 1) d |           |              |

| Taylor attention, by step of Algorithm 1 | multiplications | additions               | divisions |
|------------------------------------------|-----------------|-------------------------|-----------|
| 1: k_sum, k_mean, K^                     |                 | (n - 1) d + n d         | d         |
| 2: G = K^^T V                            | n d^2           | (n - 1) d^2             |           |
| 3: k^_sum, v_sum                         |                 | 2 (n - 1) d             |           |
| 4: t_D                                   | n d             | n (d - 1) + n           |           |
| 5: T_N                                   | n d^2 + d       | n d (d - 1) + n d       |           |
| 6: Z                                     |                 |                         | n d       |

The factor 1/sqrt(d) of the logits is not counted: it can be in the weights. Subtracting the maximum of a row before its
exponentials, which softmax needs in practice, is not counted either.
"""

from typing import NamedTuple

from taylorvit.golden.network.vit import VitShape

__all__ = ["OperationCount", "attention_operations", "linear_operations"]


class OperationCount(NamedTuple):
    """Operations of one step."""

    multiplications: int = 0
    additions: int = 0
    divisions: int = 0
    exponentials: int = 0

    def times(self, count: int) -> "OperationCount":
        """All of it so many times."""
        return OperationCount(*(count * each for each in self))

    def plus(self, other: "OperationCount") -> "OperationCount":
        """Both."""
        return OperationCount(*(one + another for one, another in zip(self, other)))


def attention_operations(attention: str, shape: VitShape) -> dict[str, OperationCount]:
    """Step -> operations of all heads of one layer, for `softmax` or `taylor` attention."""
    n, d = shape.tokens, shape.head_dim
    steps = {
        "softmax": {
            "Q K^T": OperationCount(n * n * d, n * n * (d - 1)),
            "softmax": OperationCount(0, n * (n - 1), n * n, n * n),
            "map V": OperationCount(n * n * d, n * (n - 1) * d),
        },
        "taylor": {
            "1: k_sum, k_mean, K^": OperationCount(0, (n - 1) * d + n * d, d),
            "2: G": OperationCount(n * d * d, (n - 1) * d * d),
            "3: k^_sum, v_sum": OperationCount(0, 2 * (n - 1) * d),
            "4: t_D": OperationCount(n * d, n * (d - 1) + n),
            "5: T_N": OperationCount(n * d * d + d, n * d * (d - 1) + n * d),
            "6: Z": OperationCount(0, 0, n * d),
        },
    }
    if attention not in steps:
        raise ValueError(f"attention must be one of {', '.join(steps)}, not {attention!r}")
    return {step: count.times(shape.heads) for step, count in steps[attention].items()}


def linear_operations(shape: VitShape) -> dict[str, OperationCount]:
    """Step -> operations of what surrounds attention in a layer: its products, each output with its bias."""
    n, width, hidden = shape.tokens, shape.width, shape.mlp_ratio * shape.width
    sizes = {"qkv": (width, 3 * width), "proj": (width, width), "fc1": (width, hidden), "fc2": (hidden, width)}
    return {name: OperationCount(n * inputs * outputs, n * inputs * outputs)
            for name, (inputs, outputs) in sizes.items()}  # fmt: skip

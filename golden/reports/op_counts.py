"""How many operations attention takes, step by step, from the shapes alone.

    table = operations_table("deit_tiny")
    total_attention_operations("taylor", SHAPES["deit_tiny"]).multiplications

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

The factor 1/sqrt(d) of the logits is not counted: it can be folded into the weights. Nor is the subtraction of a row's
maximum before its exponentials, which softmax needs in practice.
"""

from typing import NamedTuple

from rich.table import Table

from taylorvit.golden.network.operations import Linear
from taylorvit.golden.network.program import network_of
from taylorvit.golden.network.vit import SHAPES, VitShape

__all__ = [
    "COMPARED",
    "OperationCount",
    "attention_operations",
    "linear_operations",
    "operations_table",
    "total_attention_operations",
]

# The linear layers of a block, in their order.
_LINEARS = ("qkv", "proj", "fc1", "fc2")

#: The attentions whose operations are counted.
COMPARED = ("softmax", "taylor")


class OperationCount(NamedTuple):
    """Operations of one step.

    Attributes:
        multiplications (int): products of two numbers.
        additions (int): sums and differences of two numbers.
        divisions (int): quotients.
        exponentials (int): values of exp.
    """

    multiplications: int = 0
    additions: int = 0
    divisions: int = 0
    exponentials: int = 0

    def times(self, count: int) -> "OperationCount":
        """The operations of `count` such steps."""
        return OperationCount(*(count * each for each in self))

    def plus(self, other: "OperationCount") -> "OperationCount":
        """The operations of this step and another one."""
        return OperationCount(*(one + another for one, another in zip(self, other)))


def attention_operations(attention: str, shape: VitShape) -> dict[str, OperationCount]:
    """Counts the operations of all heads of one layer, by step.

    Args:
        attention (str): one of `COMPARED`.
        shape (VitShape): sizes of the model.

    Raises:
        ValueError: the attention is another one.
    """
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
    """Counts the operations of the four linear layers around attention in one layer, by step, biases included."""
    layers = [operation for operation in network_of(shape) if isinstance(operation, Linear) and operation.layer == 0]
    products = [layer.rows * layer.inputs * layer.features for layer in layers]
    return {step: OperationCount(count, count) for step, count in zip(_LINEARS, products, strict=True)}


def total_attention_operations(attention: str, shape: VitShape) -> OperationCount:
    """Counts the operations of attention in all layers of a model, for one of `COMPARED`."""
    total = OperationCount()
    for count in attention_operations(attention, shape).values():
        total = total.plus(count)
    return total.times(shape.depth)


def operations_table(model: str) -> Table:
    """Tabulates the operations of one layer by step, and of attention in all layers.

    Args:
        model (str): a name of `golden.network.vit.SHAPES`.

    Raises:
        ValueError: there is no shape of this name.
    """
    if model not in SHAPES:
        raise ValueError(f"model must be one of {', '.join(SHAPES)}, not {model!r}")
    shape = SHAPES[model]
    table = Table(
        title=f"{model}: {shape.tokens} tokens, {shape.depth} layers of {shape.heads} heads of "
        f"{shape.head_dim}; operations of a layer, of all heads"
    )
    table.add_column("step")
    for heading in OperationCount._fields:
        table.add_column(heading, justify="right")
    for attention in COMPARED:
        for step, count in attention_operations(attention, shape).items():
            table.add_row(f"{attention} {step}", *(f"{each:,}" for each in count))
        table.add_section()
    for step, count in linear_operations(shape).items():
        table.add_row(step, *(f"{each:,}" for each in count))
    table.add_section()
    for attention in COMPARED:
        total = total_attention_operations(attention, shape)
        table.add_row(f"{attention} attention, all layers", *(f"{each / 1e6:.1f} M" for each in total))
    return table

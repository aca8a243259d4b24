"""The operations that a Vision Transformer is made of, as typed data without numbers.

    Patches        pixels of an image to patches
    Linear         products with weights, and a bias: sums
    Embedding      prefix tokens and positions, the same for every image
    Norm           LayerNorm of the residual stream
    Requantize     columns of sums to an activation
    Attention      queries, keys and values to Z, by a kernel
    LookUp         an activation to another one, by a table
    Add            the residual stream plus the sums of a branch
    Logits         sums of the heads to the scores

An operation gives one step, which has its name. It says which steps it reads (`sources`), the shape of its step for one
image (`shape`), which integers the file of an integer model holds for it (`parameters`) and which of its quantities
have an exponent (`exponents`). `golden.network.program` puts operations in order.

There are two kinds of steps. `Rounded` operations give activations: integers of `width` bits, in an exponent that
quantization chooses. `Linear` and `Logits` give sums, as wide as `golden.network.integer_widths` proves, in the
exponent that follows from those of their operands.

A new operation is a class here, a member of `Operation`, and a case in each walk over the operations; mypy and
`verif/golden/network/test_operations.py` find a walk that lacks it.
"""

from dataclasses import dataclass
from typing import NamedTuple, Never

__all__ = [
    "LARGEST_LEFT_SHIFT",
    "LARGEST_OFFSET",
    "LARGEST_WEIGHT_SHIFT",
    "PIXELS",
    "Add",
    "Attention",
    "Embedding",
    "Linear",
    "Logits",
    "LookUp",
    "Norm",
    "Operation",
    "Parameter",
    "Patches",
    "Requantize",
    "Rounded",
    "Stream",
    "unknown_operation",
]

#: The step that no operation gives: the image.
PIXELS = "pixels"

#: Largest left shift of a channel of the residual stream.
LARGEST_LEFT_SHIFT = 3

#: Largest left shift of an output channel of a weight.
LARGEST_WEIGHT_SHIFT = 7

#: Largest offset of what is looked up in a table, and of its entries.
LARGEST_OFFSET = 127

# Bits of everything but the operands and the result of attention and the residual stream, which have those of the
# accelerator.
_ACTIVATION_BITS = 8
_WEIGHT_BITS = 8
_GAMMA_BITS = 16
_BIAS_BITS = 32


class Parameter(NamedTuple):
    """Integers that the file of an integer model holds.

    Attributes:
        shape (tuple[int, ...]): shape of the array.
        bits (int): bits of the signed type in which they are stored: 8, 16 or 32.
        low (int): smallest value.
        high (int): largest value.
    """

    shape: tuple[int, ...]
    bits: int
    low: int
    high: int

    @classmethod
    def signed(cls, shape: tuple[int, ...], width: int) -> "Parameter":
        """Integers of a width, 1 to 32 bits, in the narrowest type that holds them."""
        return cls(
            shape, min(bits for bits in (8, 16, 32) if bits >= width), -(1 << (width - 1)), (1 << (width - 1)) - 1
        )


@dataclass(frozen=True, kw_only=True)
class _Operation:
    """What all operations have.

    Attributes:
        name (str): the step that it gives.
        layer (int | None): index of the block, from 0; None before the first block and after the last one.
        rows (int): tokens of the step.
        features (int): features of a token.
    """

    name: str
    layer: int | None = None
    rows: int
    features: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the step for one image."""
        return (self.rows, self.features)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The integers that the model's file holds for it, by name, in the order in which they are used."""
        return {}

    @property
    def exponents(self) -> tuple[str, ...]:
        """Names of what has an exponent: its weights, if there are any, and its step."""
        return (self.name,)


@dataclass(frozen=True, kw_only=True)
class _OfOneStep(_Operation):
    """An operation that reads one step.

    Attributes:
        source (str): the step that it reads.
    """

    source: str

    @property
    def sources(self) -> tuple[str, ...]:
        """The step that it reads."""
        return (self.source,)


@dataclass(frozen=True, kw_only=True)
class Rounded(_Operation):
    """An operation that gives an activation: integers that are rounded and saturated.

    Attributes:
        width (int): bits of each integer, signed.
    """

    width: int = _ACTIVATION_BITS


@dataclass(frozen=True, kw_only=True)
class Stream(Rounded):
    """An operation that gives the residual stream.

    Each channel has a left shift besides the exponent of the step: real = integer << left_shift * 2^exponent.
    """

    @property
    def left_shift(self) -> str:
        """Name of the left shifts of the channels."""
        return f"{self.name}.left_shift"

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The left shifts."""
        return {self.left_shift: Parameter((self.features,), 8, 0, LARGEST_LEFT_SHIFT)}


@dataclass(frozen=True, kw_only=True)
class Patches(_OfOneStep):
    """Cuts an image into patches, (rows, pixels of a patch), and subtracts 128 from each pixel to make it signed.

    The first rows are zeros: the prefix tokens have no patch.

    Attributes:
        prefix (int): rows of zeros in front of the patches.
        channels (int): colours of a pixel.
        patch_size (int): pixels of a side of a patch.
        side (int): patches of a side of the image.
        width (int): bits of a pixel.
    """

    prefix: int
    channels: int
    patch_size: int
    side: int
    width: int = 8

    @property
    def exponents(self) -> tuple[str, ...]:
        """Nothing: the exponent of pixels is 0."""
        return ()


@dataclass(frozen=True, kw_only=True)
class Linear(_OfOneStep):
    """Products of a step's features with weights, summed, and a bias.

    Each output channel of the weight has a left shift besides the exponent (real = integer << shift * 2^exponent), and
    so have its sums and its bias. Layers whose sums are compared or added as they are have none.

    Attributes:
        inputs (int): features that it reads of each token.
        heads (int | None): heads of the source, which it reads side by side in a row; None if the source has none.
        token (int | None): the only token of the source that it reads, and then its step has no tokens; all if None.
        by_channel (bool): whether each output channel has a left shift.
        module (str): module of the float model that computes it.
        float_weight (str): name of its weight in the float model.
    """

    inputs: int
    heads: int | None = None
    token: int | None = None
    by_channel: bool = True
    module: str
    float_weight: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the step for one image."""
        return (self.rows, self.features) if self.token is None else (self.features,)

    @property
    def weight(self) -> str:
        """Name of the weights."""
        return f"{self.name}.weight"

    @property
    def weight_shift(self) -> str:
        """Name of the left shifts of the output channels."""
        return f"{self.name}.weight_shift"

    @property
    def bias(self) -> str:
        """Name of the biases, which are in the exponents of the sums."""
        return f"{self.name}.bias"

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Weights, (features, inputs), the left shifts if there are any, and biases."""
        shifts = {self.weight_shift: Parameter((self.features,), 8, 0, LARGEST_WEIGHT_SHIFT)}
        return {
            self.weight: Parameter.signed((self.features, self.inputs), _WEIGHT_BITS),
            **(shifts if self.by_channel else {}),
            self.bias: Parameter.signed((self.features,), _BIAS_BITS),
        }

    @property
    def exponents(self) -> tuple[str, ...]:
        """Weights and sums."""
        return (self.weight, self.name)


@dataclass(frozen=True, kw_only=True)
class Embedding(Stream):
    """A residual stream that is the same for every image: the prefix tokens and the positions of all tokens.

    The patch embedding is added to it. That gives the rows of the prefix tokens its bias, which these rows make up for.

    Attributes:
        prefix (int): rows of prefix tokens: the class token, and the distillation token if there is one.
        branch (str): the sums of the patch embedding.
    """

    prefix: int
    branch: str

    @property
    def sources(self) -> tuple[str, ...]:
        """Nothing: it is a constant."""
        return ()

    @property
    def integers(self) -> str:
        """Name of its integers."""
        return self.name

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The left shifts, and its integers."""
        return super().parameters | {self.integers: Parameter.signed((self.rows, self.features), self.width)}


@dataclass(frozen=True, kw_only=True)
class Norm(_OfOneStep, Rounded):
    """LayerNorm of the residual stream, of its first `rows` tokens.

    Attributes:
        module (str): module of the float model that computes it.
    """

    module: str

    @property
    def gamma(self) -> str:
        """Name of the factors of the channels."""
        return f"{self.name}.gamma"

    @property
    def beta(self) -> str:
        """Name of the summands of the channels, which are in the exponent of the products with gamma."""
        return f"{self.name}.beta"

    @property
    def total(self) -> str:
        """Name of the sum over the features."""
        return f"{self.name}.total"

    @property
    def variance(self) -> str:
        """Name of the variance, scaled as `golden.network.integer_layers.layer_norm` says."""
        return f"{self.name}.variance"

    @property
    def reciprocal(self) -> str:
        """Name of the reciprocal of the standard deviation."""
        return f"{self.name}.reciprocal"

    @property
    def product(self) -> str:
        """Name of the centred features times the reciprocal."""
        return f"{self.name}.product"

    @property
    def normalized(self) -> str:
        """Name of the normalized features."""
        return f"{self.name}.normalized"

    @property
    def unrounded(self) -> str:
        """Name of the products with gamma, plus beta, before the bits below the step's exponent are dropped."""
        return f"{self.name}.unrounded"

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Gamma and beta."""
        return {
            self.gamma: Parameter.signed((self.features,), _GAMMA_BITS),
            self.beta: Parameter.signed((self.features,), _BIAS_BITS),
        }

    @property
    def exponents(self) -> tuple[str, ...]:
        """Gamma, and the step."""
        return (self.gamma, self.name)


@dataclass(frozen=True, kw_only=True)
class Requantize(_OfOneStep, Rounded):
    """Brings `features` columns of a linear layer's sums to an activation.

    Attributes:
        first (int): first column of the sums.
        heads (int | None): heads among which the columns are divided; None if the step has no heads.
    """

    first: int = 0
    heads: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the step for one image: (heads, rows, features of a head), or (rows, features)."""
        if self.heads is None:
            return (self.rows, self.features)
        return (self.heads, self.rows, self.features // self.heads)

    @property
    def unrounded(self) -> str:
        """Name of the sums before the bits below the step's exponent are dropped; one name for all of their readers."""
        return f"{self.source}.unrounded"


@dataclass(frozen=True, kw_only=True)
class Attention(Rounded):
    """Attention of all heads of a layer, by one kernel, with one set of registers.

    Attributes:
        layer (int): index of the block, from 0.
        q (str): the queries.
        k (str): the keys.
        v (str): the values.
        kernel (str): name of the attention kernel.
        heads (int): attention heads, among which the features are divided.
        denominator_errors (str): name of the number of rows whose denominator is not positive.
    """

    layer: int
    q: str
    k: str
    v: str
    kernel: str
    heads: int
    denominator_errors: str

    @property
    def sources(self) -> tuple[str, ...]:
        """Queries, keys and values."""
        return (self.q, self.k, self.v)

    @property
    def head_dim(self) -> int:
        """Features of a head."""
        return self.features // self.heads

    @property
    def scores(self) -> str:
        """Name of the products of queries and keys, with half of the last bit that stays (softmax)."""
        return f"{self.name}.scores.unrounded"

    @property
    def numerator(self) -> str:
        """Name of the numerators of the quotients (softmax)."""
        return f"{self.name}.numerator"

    @property
    def denominator(self) -> str:
        """Name of the denominators of the quotients (softmax)."""
        return f"{self.name}.denominator"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the step for one image."""
        return (self.heads, self.rows, self.head_dim)


@dataclass(frozen=True, kw_only=True)
class LookUp(_OfOneStep, Rounded):
    """A function by a table of all values of its operand.

    Both its operand and its result have an offset besides their exponent: real = (integer + offset) * 2^exponent. So
    values that lie mostly on one side of 0 use all of their bits. Nothing is computed for it: the biases of the linear
    layers before and behind take the offsets up.

    Attributes:
        function (str): name of the function, one of `golden.network.float_steps.FUNCTIONS`.
        source_width (int): bits of the activation that is looked up.
    """

    function: str
    source_width: int = _ACTIVATION_BITS

    @property
    def table(self) -> str:
        """Name of the table, whose first entry is that of the most negative value."""
        return f"{self.name}.table"

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The table."""
        return {self.table: Parameter.signed((1 << self.source_width,), self.width)}


@dataclass(frozen=True, kw_only=True)
class Add(Stream):
    """Adds the sums of a branch to the residual stream.

    Attributes:
        stream (str): the residual stream before.
        branch (str): the sums of the branch's last linear layer.
    """

    stream: str
    branch: str

    @property
    def sources(self) -> tuple[str, ...]:
        """The residual stream, and the branch."""
        return (self.stream, self.branch)

    @property
    def sum(self) -> str:
        """Name of the sum of both, in the finer one of their exponents, by channel."""
        return f"{self.name}.sum"

    @property
    def unrounded(self) -> str:
        """Name of the sum before the bits below the step's exponent are dropped."""
        return f"{self.sum}.unrounded"


@dataclass(frozen=True, kw_only=True)
class Logits(_Operation):
    """The scores of the classes: those of a head, or the mean of two, as their sum in half of the exponent.

    Attributes:
        heads (tuple[str, ...]): the sums of the heads, one or two, which have one exponent.
    """

    heads: tuple[str, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """The sums of the heads."""
        return self.heads

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the step for one image."""
        return (self.features,)


Operation = Patches | Linear | Embedding | Norm | Requantize | Attention | LookUp | Add | Logits


def unknown_operation(operation: Never) -> TypeError:
    """Makes the error of a walk that does not know an operation.

    The parameter is of the type `Never`, so that mypy refuses a walk that lacks a case for a member of `Operation`.
    """
    return TypeError(f"operation must be one that this walk knows, not {operation!r}")

"""The operations of a Vision Transformer with the integers that quantization filled in: numbers, exponents, shifts.

Every tensor is integers with a power-of-two exponent, real = integer * 2^exponent, so that going from one exponent to
another is a shift with rounding. All shifts follow from the exponents, here, for each operation that has one. Together
with `tensors`, by the names that the operations give, they are all numbers that a compiler needs:

    Linear       tensors[weight], tensors[bias]
    Requantize   requantizing_shift
    Norm         left_shifts(source), epsilon, tensors[gamma], tensors[beta], norm_shift
    Attention    registers[layer], of the class that the layer's kernel has
    LookUp       tensors[table]
    Add          add_shifts; where its stream is an Embedding, tensors[integers]
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from taylorvit.golden.arithmetic.number_format import NetworkFormat, check_integer
from taylorvit.golden.attention.constants import Constants
from taylorvit.golden.attention.kernels import kernel_of

from .integer_layers import NORMALIZED_FRACTION
from .operations import LARGEST_OFFSET, Add, Linear, Logits, Norm, Parameter, Requantize, Stream
from .program import Program, network_of
from .vit import EPSILON, VitShape

__all__ = ["IntegerNetwork"]

# 4^500 still is a number of double precision; no model comes near to it.
_EXPONENT_LIMIT = 500


@dataclass
class IntegerNetwork:
    """A program and its numbers.

    Attributes:
        shape (VitShape): sizes.
        tensors (dict[str, np.ndarray]): integers by name, int64: the `parameters` of the program.
        exponents (dict[str, int]): by name: the `exponents` of the program.
        offsets (dict[str, int]): by name: the `offsets` of the program.
        registers (Sequence[Constants]): constants of attention in each layer; their class says which kernel it has.
        number_format (NetworkFormat): number format of the accelerator that computes the network.

    Raises:
        TypeError: a tensor, an exponent or an offset is not of integers; or constants are of no kernel.
        ValueError: tensors, exponents, offsets or registers are missing, too many, of another shape or out of range;
            heads differ in their exponents; or the residual stream is finer than both of what it is the sum of.
    """

    shape: VitShape
    tensors: dict[str, np.ndarray]
    exponents: dict[str, int]
    offsets: dict[str, int]
    registers: Sequence[Constants]
    number_format: NetworkFormat = field(default_factory=NetworkFormat)

    def __post_init__(self) -> None:
        if len(self.registers) != self.shape.depth:
            raise ValueError(f"registers must be of {self.shape.depth} layers, not {len(self.registers)}")
        for registers in self.registers:
            registers.check(self.number_format)
        parameters = self.program.parameters
        _check_names("tensors", self.tensors, parameters)
        for name, parameter in parameters.items():
            _check_tensor(name, self.tensors[name], parameter)
        _check_names("exponents", self.exponents, self.program.exponents)
        for name, exponent in self.exponents.items():
            check_integer(f"exponent of {name}", exponent, -_EXPONENT_LIMIT, _EXPONENT_LIMIT)
        _check_names("offsets", self.offsets, self.program.offsets)
        for name, offset in self.offsets.items():
            check_integer(f"offset of {name}", offset, 0, LARGEST_OFFSET)
        for operation in self.program:
            if isinstance(operation, Logits):
                self._check_heads(operation)
            if isinstance(operation, Add):
                self._check_add(operation)

    @property
    def kernels(self) -> tuple[str, ...]:
        """The attention kernel of each layer."""
        return tuple(kernel_of(registers) for registers in self.registers)

    @property
    def program(self) -> Program:
        """The operations, in their order."""
        return network_of(self.shape, self.number_format, kernels=self.kernels)

    @property
    def linears(self) -> list[str]:
        """The steps that are sums of products of the network's weights."""
        return [operation.name for operation in self.program if isinstance(operation, Linear)]

    def left_shifts(self, name: str) -> np.ndarray:
        """The left shift of each channel of a step, (channels,), int64.

        Of the residual stream, and of the sums of a linear layer whose channels have shifts; otherwise 0, ().
        """
        match self.program[name]:
            case Stream() as operation:
                return self.tensors[operation.left_shift]
            case Linear(by_channel=True) as operation:
                return self.tensors[operation.weight_shift]
            case _:
                return np.zeros((), dtype=np.int64)

    def scale(self, name: str) -> np.ndarray:
        """The exponents of a step: one for each channel, (channels,), or one for all, ()."""
        return np.asarray(self.exponents[name] + self.left_shifts(name))

    def requantizing_shift(self, operation: Requantize) -> np.ndarray:
        """The right shift from the sums to the step, by channel, (features,), int64; negative ones multiply."""
        columns = slice(operation.first, operation.first + operation.features)
        return self.exponents[operation.name] - self.scale(operation.source)[columns]

    def epsilon(self, operation: Norm) -> int:
        """What is added to the variance: epsilon in its scale, rounded, at least 1."""
        scaled = EPSILON * operation.features**2 * 2.0 ** (-2 * self.exponents[operation.source])
        return max(round(scaled), 1)

    def norm_shift(self, operation: Norm) -> int:
        """The right shift from the products with gamma to the step."""
        return self.exponents[operation.name] - (self.exponents[operation.gamma] - NORMALIZED_FRACTION)

    def add_shifts(self, operation: Add) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Left shifts of the stream and of the branch, and the right shift of their sum, by channel.

        The sum of a channel is in the finer one of the exponents of both, so that one of the left shifts is 0. None of
        the shifts is negative.

        Returns:
            Three arrays (features,), int64.
        """
        stream, branch = self.scale(operation.stream), self.scale(operation.branch)
        finest = np.minimum(stream, branch)
        return stream - finest, branch - finest, self.scale(operation.name) - finest

    def _check_heads(self, operation: Logits) -> None:
        first, *others = (self.program[head] for head in operation.heads)
        for other in others:
            for one, another in zip(first.exponents, other.exponents, strict=True):
                wanted, found = self.exponents[one], self.exponents[another]
                if found != wanted:
                    raise ValueError(f"exponent of {another} must be that of {one}, {wanted}, not {found}")

    def _check_add(self, operation: Add) -> None:
        _of_stream, _of_branch, of_sum = self.add_shifts(operation)
        channel = int(of_sum.argmin())
        if of_sum[channel] < 0:
            found = self.scale(operation.name)[channel]
            raise ValueError(
                f"exponent of channel {channel} of {operation.name} must be at least {found - of_sum[channel]}, the "
                f"finer one of those of {operation.stream} and {operation.branch}, not {found}"
            )


def _check_names(what: str, given: dict, expected) -> None:
    if missing := sorted(set(expected) - set(given)):
        raise ValueError(f"{what} must be those of the shape, and lack {missing[0]}")
    if unknown := sorted(set(given) - set(expected)):
        raise ValueError(f"{what} must be those of the shape, and have {unknown[0]}")


def _check_tensor(name: str, tensor: np.ndarray, parameter: Parameter) -> None:
    if not np.issubdtype(tensor.dtype, np.integer):
        raise TypeError(f"{name} must be integers, not {tensor.dtype}")
    if tensor.shape != parameter.shape:
        raise ValueError(f"{name} must be of shape {parameter.shape!r}, not {tensor.shape!r}")
    for value in (int(tensor.min()), int(tensor.max())):
        check_integer(name, value, parameter.low, parameter.high)

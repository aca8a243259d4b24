"""The operations of a Vision Transformer with the integers that quantization filled in: numbers, exponents, shifts.

Every tensor is integers with a power-of-two exponent, real = integer * 2^exponent, so that going from one exponent to
another is a shift with rounding. All shifts follow from the exponents, here, for each operation that has one.
"""

from dataclasses import dataclass, field

import numpy as np

from taylorvit.golden.arithmetic.number_format import NumberFormat, check_integer
from taylorvit.golden.attention.integer_attention import JobConstants

from .integer_layers import NORMALIZED_FRACTION
from .operations import Add, Linear, Logits, Norm, Parameter, PrefixTokens, Requantize, Stream
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
        registers (list[JobConstants]): registers of attention in each layer.
        number_format (NumberFormat): number format of the accelerator that computes attention.

    Raises:
        TypeError: a tensor or an exponent is not of integers.
        ValueError: tensors, exponents or registers are missing, too many, of another shape or out of range.
    """

    shape: VitShape
    tensors: dict[str, np.ndarray]
    exponents: dict[str, int]
    registers: list[JobConstants]
    number_format: NumberFormat = field(default_factory=NumberFormat)

    def __post_init__(self) -> None:
        parameters = self.program.parameters
        _check_names("tensors", self.tensors, parameters)
        for name, parameter in parameters.items():
            _check_tensor(name, self.tensors[name], parameter)
        _check_names("exponents", self.exponents, self.program.exponents)
        for name, exponent in self.exponents.items():
            check_integer(f"exponent of {name}", exponent, -_EXPONENT_LIMIT, _EXPONENT_LIMIT)
        if len(self.registers) != self.shape.depth:
            raise ValueError(f"registers must be of {self.shape.depth} layers, not {len(self.registers)}")
        for registers in self.registers:
            registers.check(self.number_format)

    @property
    def program(self) -> Program:
        """The operations, in their order."""
        return network_of(self.shape, self.number_format)

    @property
    def linears(self) -> list[str]:
        """The steps that are sums of products of the network's weights."""
        return [operation.name for operation in self.program if isinstance(operation, Linear)]

    def left_shifts(self, name: str) -> np.ndarray:
        """The left shift of each channel of a step, (channels,), if it is the residual stream; otherwise 0, ()."""
        operation = self.program[name]
        return self.tensors[operation.left_shift] if isinstance(operation, Stream) else np.zeros((), dtype=np.int64)

    def scale(self, name: str) -> np.ndarray:
        """The exponents of a step: one for each channel, (channels,), or one for all, ()."""
        return np.asarray(self.exponents[name] + self.left_shifts(name))

    def requantizing_shift(self, operation: PrefixTokens | Requantize) -> np.ndarray:
        """The right shift from the sums to the step, by channel or one for all."""
        return np.asarray(self.scale(operation.name) - self.scale(operation.source))

    def epsilon(self, operation: Norm) -> int:
        """What is added to the variance: epsilon in its scale, rounded, at least 1."""
        scaled = EPSILON * operation.features**2 * 2.0 ** (-2 * self.exponents[operation.source])
        return max(round(scaled), 1)

    def norm_shift(self, operation: Norm) -> int:
        """The right shift from the products with gamma to the step."""
        return self.exponents[operation.name] - (self.exponents[operation.gamma] - NORMALIZED_FRACTION)

    def add_shifts(self, operation: Add) -> tuple[np.ndarray, int, np.ndarray]:
        """Left shifts of the stream, by channel, and of the branch; then the right shift of their sum, by channel.

        The sum is in the finest of the exponents of both.
        """
        stream, branch = self.scale(operation.stream), self.exponents[operation.branch]
        finest = min(branch, int(stream.min()))
        return stream - finest, branch - finest, self.scale(operation.name) - finest

    def logit_shifts(self, operation: Logits) -> list[int]:
        """The left shift of each head to the finest of their exponents."""
        exponents = [self.exponents[head] for head in operation.heads]
        return [exponent - min(exponents) for exponent in exponents]


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

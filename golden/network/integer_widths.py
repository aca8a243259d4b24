"""How many bits each sum of a network can need, for any image: interval arithmetic over its weights."""

import math

import numpy as np

from taylorvit.golden.attention.integer_softmax import SoftmaxConstants

from .integer_layers import NORMALIZED_FRACTION, RECIPROCAL_FRACTION, VARIANCE_BITS, bits_of
from .integer_network import IntegerNetwork
from .operations import (
    Add,
    Attention,
    Embedding,
    Linear,
    Logits,
    LookUp,
    Norm,
    Operation,
    Patches,
    Requantize,
    Rounded,
    unknown_operation,
)

__all__ = ["widths_of"]

_SUM_BITS = 32
_WORD_BITS = 64


def widths_of(network: IntegerNetwork) -> dict[str, int]:
    """Bounds each sum: step -> bits of a signed integer.

    Besides steps there are those inside of some, NORM.product and STEP.unrounded: what a step is before requantization
    drops bits of it, with half of the last one that stays, or shifted left. Of softmax attention there are the scores
    likewise, and numerators and denominators of the quotients; the sums of Taylor attention have the widths that the
    configuration of the hardware gives them, whatever the model.

    Args:
        network (IntegerNetwork): the model.

    Raises:
        OverflowError: a sum of products could need more than 32 bits, or another step more than 64.
    """
    bounds = _Bounds(network)
    for operation in network.program:
        bounds.add(operation)
    for name, bits in bounds.widths.items():
        limit = _SUM_BITS if name in network.linears else _WORD_BITS
        if bits > limit:
            raise OverflowError(f"{name} must fit {limit} bits, and can need {bits}")
    return bounds.widths


class _Bounds:
    """The bounds of the operations so far."""

    def __init__(self, network: IntegerNetwork) -> None:
        self.network = network
        self.widths: dict[str, int] = {}
        self.largest: dict[str, np.ndarray] = {}  # magnitudes of the sums of each channel, Python ints

    def add(self, operation: Operation) -> None:
        match operation:
            case Patches() | Embedding() | LookUp():
                pass  # activations alone: their width is known
            case Attention():
                self._attention(operation)
            case Linear():
                self._linear(operation)
            case Requantize():
                columns = slice(operation.first, operation.first + operation.features)
                shifts = self.network.requantizing_shift(operation)
                self._requantized(operation.unrounded, self.largest[operation.source][columns], shifts)
            case Norm():
                self._norm(operation)
            case Add():
                self._sum(operation)
            case Logits():
                self._symmetric(operation.name, max(map(sum, zip(*(self.largest[head] for head in operation.heads)))))
            case _:
                raise unknown_operation(operation)

    def _symmetric(self, name: str, largest: int) -> None:
        """The width of what has this largest magnitude; of a name that comes several times, the widest."""
        self.widths[name] = max(bits_of(-largest, largest), self.widths.get(name, 0))

    def _magnitude(self, name: str) -> int:
        """The largest magnitude of an activation."""
        operation = self.network.program[name]
        if not isinstance(operation, Rounded | Patches):
            raise TypeError(f"{name} must be an activation, not {operation!r}")
        return 1 << (operation.width - 1)

    def _linear(self, operation: Linear) -> None:
        weight, bias = self.network.tensors[operation.weight], self.network.tensors[operation.bias]
        magnitude = self._magnitude(operation.source)
        low, high = -magnitude, magnitude - 1
        positive, negative = weight.clip(min=0).sum(axis=1), weight.clip(max=0).sum(axis=1)  # (features,)
        least, most = positive * low + negative * high + bias, positive * high + negative * low + bias  # (features,)
        self.widths[operation.name] = bits_of(int(least.min()), int(most.max()))
        self.largest[operation.name] = np.maximum(-least, most).astype(object)

    def _requantized(self, name: str, largest: np.ndarray, shifts: np.ndarray) -> None:
        """What a sum becomes before its bits are dropped: with half of the last one that stays, or shifted left."""
        pairs = zip(largest.tolist(), shifts.tolist(), strict=True)
        self._symmetric(
            name, max((each << -shift) if shift <= 0 else each + (1 << (shift - 1)) for each, shift in pairs)
        )

    def _attention(self, operation: Attention) -> None:
        constants = self.network.registers[operation.layer]
        if not isinstance(constants, SoftmaxConstants):
            return
        q, k, v = (self._magnitude(source) for source in operation.sources)
        shift = constants.shift_s
        self._symmetric(operation.scores, operation.head_dim * q * k + (1 << shift >> 1))
        largest = operation.rows * max(constants.exponentials)
        self._symmetric(operation.numerator, largest * v)
        self.widths[operation.denominator] = bits_of(0, largest)

    def _norm(self, operation: Norm) -> None:
        features, tensors = operation.features, self.network.tensors
        shifts = np.broadcast_to(self.network.left_shifts(operation.source), (features,))
        largest = self._magnitude(operation.source) << shifts  # (features,)
        total = int(largest.sum())
        self._symmetric(operation.total, total)
        centred = features * int(largest.max()) + total
        variance = features * int((largest * largest).sum()) + self.network.epsilon(operation)
        self.widths[operation.variance] = bits_of(0, variance)
        # The reciprocal is at most 2^15; the half that rounding adds grows with the variance.
        scaled = max((variance.bit_length() - VARIANCE_BITS + 1) >> 1, 0)
        product = (centred << 15) + (1 << (RECIPROCAL_FRACTION - NORMALIZED_FRACTION + scaled - 1))
        self._symmetric(operation.product, product)
        # No feature is further than sqrt(D) standard deviations from the mean; the reciprocal errs by less than 2^-13.
        normalized = math.ceil(math.sqrt(features) * (1 + 2**-13) * 2**NORMALIZED_FRACTION) + 1
        self._symmetric(operation.normalized, normalized)
        affine = normalized * np.abs(tensors[operation.gamma]) + np.abs(tensors[operation.beta])  # (features,)
        shift = np.full(features, self.network.norm_shift(operation))
        self._requantized(operation.unrounded, affine, shift)

    def _sum(self, operation: Add) -> None:
        of_stream, of_branch, of_sum = self.network.add_shifts(operation)
        stream = self._magnitude(operation.stream) << of_stream.astype(object)
        largest = (self.largest[operation.branch] << of_branch.astype(object)) + stream  # (features,)
        self._symmetric(operation.sum, largest.max())
        self._requantized(operation.unrounded, largest, of_sum)

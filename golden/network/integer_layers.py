"""What an integer Vision Transformer consists of besides attention: products, sums, LayerNorm, a table for GELU.

Every function takes and gives integers (numpy int64) and does what its docstring says, nothing in floating point that
could round: matrix products go through float64 only where every partial sum is below 2^53, and are then exact.

    matmul              sums of products, exact
    requantize          to another exponent, rounding half up, and saturation
    integer_sqrt        floor of a square root
    layer_norm          (x - mean) / standard deviation, times gamma, plus beta
    look_up             a table of all values of 8 bits

Real values are integer * 2^exponent throughout; which exponents, `golden.network.integer_vit` says.
"""

from typing import NamedTuple

import numpy as np

from taylorvit.golden.arithmetic.number_format import saturate, shift_right_round_half_up

__all__ = [
    "LayerNormSteps",
    "bits_of",
    "integer_sqrt",
    "layer_norm",
    "look_up",
    "matmul",
    "requantize",
]

#: Fractional bits of LayerNorm's normalized value.
NORMALIZED_FRACTION = 12

#: Fractional bits of LayerNorm's reciprocal. The variance is brought to 30 bits or 29 before its root is taken, from
#: 2^28 to below 2^30, so that the reciprocal is from 2^14 to 2^15.
RECIPROCAL_FRACTION = 29
VARIANCE_BITS = 30


def bits_of(low: int, high: int) -> int:
    """Bits of a signed integer that holds everything from ``low`` to ``high``."""
    return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0) + 1


def matmul(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """x, (..., inputs), times weight, (outputs, inputs), transposed: (..., outputs), exactly.

    Raises:
        OverflowError: a sum could reach 2^53.
    """
    # Integers from 2^53 on may be rounded here, but never to one below it.
    x, weight = x.astype(np.float64), weight.astype(np.float64)
    largest = int(np.abs(x).max(initial=0)) * int(np.abs(weight).sum(axis=1).max(initial=0))
    if largest >= 1 << 53:
        raise OverflowError(f"sums of products must stay below 2^53, not reach {largest}")
    return (x @ weight.T).astype(np.int64)


def requantize(x: np.ndarray, shift, width: int) -> np.ndarray:
    """saturate(round_half_up(x / 2^shift)) to ``width`` bits.

    Args:
        shift: an int, or one for each element of the last dimension; negative shifts multiply.
    """
    shift = np.asarray(shift)
    if shift.ndim == 0:
        return saturate(shift_right_round_half_up(x, shift.item()), width)
    shift = np.broadcast_to(shift, x.shape[-1:])
    result = np.empty(x.shape, dtype=np.int64)
    for each in np.unique(shift):
        result[..., shift == each] = saturate(shift_right_round_half_up(x[..., shift == each], each.item()), width)
    return result


def integer_sqrt(x: np.ndarray) -> np.ndarray:
    """floor(sqrt(x)) of integers 0 <= x < 2^62, bit by bit from the top, as a serial circuit does it."""
    x = np.asarray(x, dtype=np.int64)
    root = np.zeros_like(x)
    for bit in reversed(range(31)):
        candidate = root | (1 << bit)
        root = np.where(candidate * candidate <= x, candidate, root)
    return root


class LayerNormSteps(NamedTuple):
    """Every step of an integer LayerNorm over ``width`` features."""

    aligned: np.ndarray  # (..., width): all features in one exponent
    total: np.ndarray  # (..., 1): their sum
    centred: np.ndarray  # (..., width): width * x - sum
    variance: np.ndarray  # (..., 1): width * sum of squares - square of the sum, and epsilon
    reciprocal: np.ndarray  # (..., 1): of the root of the scaled variance, 29 fractional bits
    normalized: np.ndarray  # (..., width): NORMALIZED_FRACTION fractional bits
    output: np.ndarray  # (..., width)


def layer_norm(
    x: np.ndarray, left_shifts: np.ndarray, epsilon: int, gamma: np.ndarray, beta: np.ndarray, shift: int, width: int
) -> LayerNormSteps:
    """LayerNorm in integers.

    With D features and X = x << left_shifts, both mean and variance without a division:

        centred    = D X - sum(X)                                 D times the distance from the mean
        variance   = D sum(X^2) - sum(X)^2 + epsilon              D^2 times the variance
        normalized = centred / sqrt(variance)

    The reciprocal root: variance is shifted right by an even number 2 m (left, if m is negative) to 29 or 30 bits, and
    reciprocal = floor(sqrt(floor(2^58 / that))), an error below 2^-13 of it. Then

        normalized = round_half_up(centred * reciprocal / 2^(29 + m - 12))
        output     = saturate(round_half_up((normalized * gamma + beta) / 2^shift))

    Args:
        x: (..., D). left_shifts: (D,), the power-of-two factor of each channel (P2-ViT, FQ-ViT's PTF).
        epsilon: D^2 eps in the scale of the variance, at least 1.
        gamma: (D,), integers. beta: (D,), in the scale of the products.
        shift: of the output; width: its bits.
    """
    features = x.shape[-1]
    aligned = x << left_shifts
    total = aligned.sum(axis=-1, keepdims=True)
    centred = features * aligned - total
    variance = features * (aligned * aligned).sum(axis=-1, keepdims=True) - total * total + epsilon
    half_shift = (_bit_length(variance) - VARIANCE_BITS + 1) >> 1  # m: ceil((bits - 30) / 2)
    scaled = np.where(half_shift >= 0, variance >> np.maximum(2 * half_shift, 0),
                      variance << np.maximum(-2 * half_shift, 0))  # fmt: skip
    reciprocal = integer_sqrt((1 << 2 * RECIPROCAL_FRACTION) // scaled)
    normalized = _round_by(centred * reciprocal, RECIPROCAL_FRACTION - NORMALIZED_FRACTION + half_shift)
    output = requantize(normalized * gamma + beta, shift, width)
    return LayerNormSteps(aligned, total, centred, variance, reciprocal, normalized, output)


def look_up(x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The entry of each x of 8 bits, signed, in a table of 256, the first of which is that of -128."""
    return table[x + 128]


def _bit_length(x: np.ndarray) -> np.ndarray:
    """Bits of positive integers below 2^62."""
    bits = np.zeros_like(x)
    for step in (32, 16, 8, 4, 2, 1):
        large = (x >> step) > 0
        bits += np.where(large, step, 0)
        x = np.where(large, x >> step, x)
    return bits + 1


def _round_by(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """round_half_up(x / 2^shift) for shifts, at least 1, that differ by row."""
    return (x + (1 << (shift - 1))) >> shift

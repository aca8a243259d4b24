"""The integer arithmetic of a Vision Transformer besides attention: products, LayerNorm, a table for GELU.

    matmul              sums of products, exact
    requantize          another exponent, with rounding half up and saturation
    integer_sqrt        floor of a square root
    layer_norm          (x - mean) / standard deviation, times gamma, plus beta
    look_up             a table of all values of 8 bits

Every function takes and returns integers (numpy int64). Nothing is rounded in floating point: matrix products go
through float64 only where every partial sum is below 2^53, and are then exact. Real values are integer * 2^exponent;
`golden.network.integer_network` holds the exponents.
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

#: Fractional bits of LayerNorm's reciprocal. The variance is shifted to 29 or 30 bits before its root is taken, that is
#: from 2^28 to below 2^30, so that the reciprocal is from 2^14 to 2^15.
RECIPROCAL_FRACTION = 29
VARIANCE_BITS = 30


def bits_of(low: int, high: int) -> int:
    """Bits of a signed integer that holds every value from `low` to `high`."""
    return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0) + 1


def matmul(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Multiplies exactly.

    Args:
        x (np.ndarray): integers, (..., inputs).
        weight (np.ndarray): integers, (outputs, inputs).

    Returns:
        x times the transposed weight, (..., outputs).

    Raises:
        OverflowError: a sum could reach 2^53.
    """
    # Integers from 2^53 on may be rounded here, but never to one below 2^53.
    x, weight = x.astype(np.float64), weight.astype(np.float64)
    largest = int(np.abs(x).max(initial=0)) * int(np.abs(weight).sum(axis=1).max(initial=0))
    if largest >= 1 << 53:
        raise OverflowError(f"sums of products must stay below 2^53, not reach {largest}")
    return (x @ weight.T).astype(np.int64)


def requantize(x: np.ndarray, shift, width: int) -> np.ndarray:
    """Computes saturate(round_half_up(x / 2^shift)).

    Args:
        x (np.ndarray): integers, (..., channels).
        shift (int | np.ndarray): right shift, one for all or one for each channel; a negative shift multiplies.
        width (int): bits of the signed result.
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
    """Computes floor(sqrt(x)) of integers 0 <= x < 2^62, bit by bit from the top, as a serial circuit does."""
    x = np.asarray(x, dtype=np.int64)
    root = np.zeros_like(x)
    for bit in reversed(range(31)):
        candidate = root | (1 << bit)
        root = np.where(candidate * candidate <= x, candidate, root)
    return root


class LayerNormSteps(NamedTuple):
    """Every step of an integer LayerNorm over D features.

    Attributes:
        aligned (np.ndarray): the features in one exponent, (..., D).
        total (np.ndarray): their sum, (..., 1).
        centred (np.ndarray): D times the distance from the mean, (..., D).
        variance (np.ndarray): D^2 times the variance, plus epsilon, (..., 1).
        reciprocal (np.ndarray): reciprocal root of the scaled variance, with `RECIPROCAL_FRACTION` fractional bits,
            (..., 1).
        normalized (np.ndarray): normalized features, with `NORMALIZED_FRACTION` fractional bits, (..., D).
        output (np.ndarray): the result, (..., D).
    """

    aligned: np.ndarray
    total: np.ndarray
    centred: np.ndarray
    variance: np.ndarray
    reciprocal: np.ndarray
    normalized: np.ndarray
    output: np.ndarray


def layer_norm(
    x: np.ndarray, left_shifts: np.ndarray, epsilon: int, gamma: np.ndarray, beta: np.ndarray, shift: int, width: int
) -> LayerNormSteps:
    """Computes LayerNorm in integers.

    With D features and X = x << left_shifts, mean and variance need no division:

        centred    = D X - sum(X)                                 D times the distance from the mean
        variance   = D sum(X^2) - sum(X)^2 + epsilon              D^2 times the variance
        normalized = centred / sqrt(variance)

    For the reciprocal root, the variance is shifted right by an even number 2 m (left if m is negative) to 29 or 30
    bits, and reciprocal = floor(sqrt(floor(2^58 / shifted variance))), whose relative error is below 2^-13. Then

        normalized = round_half_up(centred * reciprocal / 2^(29 + m - 12))
        output     = saturate(round_half_up((normalized * gamma + beta) / 2^shift))

    Args:
        x (np.ndarray): integers, (..., D).
        left_shifts (np.ndarray): log2 of the power-of-two factor of each channel, (D,) (PTF of FQ-ViT, P2-ViT).
        epsilon (int): D^2 eps in the scale of the variance, at least 1.
        gamma (np.ndarray): factor of each channel, integers, (D,).
        beta (np.ndarray): summand of each channel in the scale of the products, integers, (D,).
        shift (int): right shift of the output; a negative shift multiplies.
        width (int): bits of the signed output.
    """
    features = x.shape[-1]
    aligned = x << left_shifts
    total = aligned.sum(axis=-1, keepdims=True)
    centred = features * aligned - total
    variance = features * (aligned * aligned).sum(axis=-1, keepdims=True) - total * total + epsilon
    half_shift = (_bit_length(variance) - VARIANCE_BITS + 1) >> 1  # m: ceil((bits - 30) / 2)
    scaled = np.where(
        half_shift >= 0, variance >> np.maximum(2 * half_shift, 0), variance << np.maximum(-2 * half_shift, 0)
    )
    reciprocal = integer_sqrt((1 << 2 * RECIPROCAL_FRACTION) // scaled)
    normalized = _round_by(centred * reciprocal, RECIPROCAL_FRACTION - NORMALIZED_FRACTION + half_shift)
    output = requantize(normalized * gamma + beta, shift, width)
    return LayerNormSteps(aligned, total, centred, variance, reciprocal, normalized, output)


def look_up(x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Looks up each x, signed and of 8 bits, in a table of 256 entries, whose first one belongs to -128."""
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
    """round_half_up(x / 2^shift) for shifts of at least 1, one for each row."""
    return (x + (1 << (shift - 1))) >> shift

"""Tensors as the bytes of stream beats, and back.

A beat has `stream_bytes` bytes and `stream_lanes` elements, each sign-extended to whole bytes, the first lane in the
lowest byte. Each token begins a new beat; the lanes of its last beat beyond the head dimension are 0 on the way in and
ignored on the way out. Instead of the accelerator's `HostView`, its configuration will do.
"""

import numpy as np

from taylorvit.fpga.protocol import Stream, tensor_packet

__all__ = ["check_operands", "head_packets", "matrix_bytes", "matrix_from_bytes", "result_bytes"]

_ORDER = (Stream.K, Stream.V, Stream.Q)  # of a head: K and V are what the first product needs


def check_operands(operands, view):
    """Checks operands against the limits of the accelerator.

    Args:
        operands (Mapping[str, np.ndarray]): "q", "k" and "v".
        view (HostView): the accelerator.

    Raises:
        TypeError: an operand is no array of integers.
        ValueError: its shape, its sizes or its values are out of range.
    """
    low, high = -(1 << view.data_width - 1), (1 << view.data_width - 1) - 1
    for name, array in operands.items():
        if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.integer):
            kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(f"{name} must be an array of integers, not {kind}")
        if array.ndim != 3 or 0 in array.shape:
            raise ValueError(f"{name} must be of shape (heads, tokens, head_dim), none of them 0, not {array.shape!r}")
        if array.shape != operands["q"].shape:
            raise ValueError(f"{name} must be of the shape of q, {operands['q'].shape}, not {array.shape!r}")
        for value in (array.min(), array.max()):
            if not low <= value <= high:
                raise ValueError(f"{name} must be {low} to {high} ({view.data_width} bits), not {int(value)!r}")
    _heads, tokens, head_dim = operands["q"].shape
    for name, value, limit in (("tokens", tokens, view.max_tokens), ("head_dim", head_dim, view.max_head_dim)):
        if value > limit:
            raise ValueError(f"{name} must be at most {limit} on {view.name}, not {value!r}")


def head_packets(q, k, v, view):
    """The packets of one head, in the order in which they are sent.

    Args:
        q (np.ndarray): integers (tokens, head_dim).
        k (np.ndarray): of the same shape.
        v (np.ndarray): of the same shape.
        view (HostView): the accelerator.

    Returns:
        bytes: the packets of K, V and Q.
    """
    matrices = {Stream.Q: q, Stream.K: k, Stream.V: v}
    return b"".join(tensor_packet(stream, matrix_bytes(matrices[stream], view)) for stream in _ORDER)


def matrix_bytes(matrix, view, noise=None):
    """The beats of a matrix.

    Args:
        matrix (np.ndarray): integers (tokens, head_dim).
        view (HostView): the accelerator.
        noise (np.random.Generator | None): fills the bits without data: the lanes of a token's last beat beyond the
            head dimension, and the bits of an element beyond `data_width`. None fills them with 0 and the sign.

    Returns:
        bytes: the beats.
    """
    tokens, head_dim = matrix.shape
    padded = np.zeros((tokens, _row_elements(head_dim, view)), dtype=np.int64)
    padded[:, :head_dim] = matrix
    if noise is not None:
        mask = (1 << view.data_width) - 1
        bits = noise.integers(0, 1 << view.element_width, padded.shape)
        padded = (padded & mask) | (bits & ~mask)
        padded[:, head_dim:] = bits[:, head_dim:]
    return padded.astype(_container(view)).tobytes()


def matrix_from_bytes(data, tokens, head_dim, view):
    """The matrix of beats, the inverse of `matrix_bytes`.

    Args:
        data (bytes): the beats.
        tokens (int): rows of the matrix.
        head_dim (int): columns of the matrix.
        view (HostView): the accelerator.

    Returns:
        np.ndarray: int64 (tokens, head_dim).

    Raises:
        ValueError: the number of bytes is another.
    """
    size = result_bytes(tokens, head_dim, view)
    if len(data) != size:
        raise ValueError(f"matrix of {tokens} x {head_dim} must have {size} bytes, not {len(data)!r}")
    rows = np.frombuffer(data, dtype=_container(view)).reshape(tokens, _row_elements(head_dim, view))
    return rows[:, :head_dim].astype(np.int64)


def result_bytes(tokens, head_dim, view):
    """The size of a matrix in beats.

    Args:
        tokens (int): rows of the matrix.
        head_dim (int): columns of the matrix.
        view (HostView): the accelerator.

    Returns:
        int: bytes.
    """
    return tokens * _row_elements(head_dim, view) * view.element_width // 8


def _container(view):
    return np.dtype(f"<i{view.element_width // 8}")


def _row_elements(head_dim, view):
    """Elements of the whole beats of one token."""
    return -(-head_dim // view.stream_lanes) * view.stream_lanes

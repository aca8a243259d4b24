"""What a network accelerator has written into the residual stream, beside the golden model.

A product whose totals are added to the residual stream (destination RESIDUAL) is one of the network's additions, in
their order, or the part of one that belongs to a block of tokens. Each column writes the features of its own, tile by
tile, token by token; of the first addition, the embedding is written before the sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from taylorvit.rtl.network.command import (
    COMMAND_BYTES,
    CONSTANTS_FIELDS,
    EXPONENTIAL_BYTES,
    FIELDS,
    HEADER_BYTES,
    KERNELS,
    Destination,
    Flag,
    Opcode,
)
from taylorvit.rtl.network.config import NetworkConfig

if TYPE_CHECKING:
    from taylorvit.golden.network.integer_vit import IntegerVit

__all__ = ["Difference", "first_difference", "residual_streams"]

_TABLE_BYTES = 256


class Difference(NamedTuple):
    """The first element of an image's residual streams that differs.

    Attributes:
        image (int): index of the image.
        step (str): name of the addition.
        branch (str): the linear layer whose sums it adds.
        token (int): the token.
        channel (int): the feature.
        got (int): what the hardware has written.
        expected (int): what the golden model says.
        differing (int): how many elements of this step differ.
        size (int): elements of the step that are compared.
    """

    image: int
    step: str
    branch: str
    token: int
    channel: int
    got: int
    expected: int
    differing: int
    size: int

    def __str__(self) -> str:
        """One line."""
        return (
            f"image {self.image}: {self.step} (the residual stream plus {self.branch}) is the first that differs, in "
            f"{self.differing:,} of {self.size:,} elements; first token {self.token}, channel {self.channel}: got "
            f"{self.got}, expected {self.expected}"
        )


def first_difference(
    writes: np.ndarray, tape: bytes, config: NetworkConfig, vit: IntegerVit, pixels: np.ndarray
) -> tuple[Difference | None, int]:
    """Compares every residual stream with the golden model.

    Args:
        writes (np.ndarray): of `taylorvit.simulation.network.NetworkRun`.
        tape (bytes): the tape.
        config (NetworkConfig): the accelerator.
        vit (IntegerVit): the integer model.
        pixels (np.ndarray): of the images, (images, channels, size, size).

    Returns:
        tuple[Difference | None, int]: the first difference, if there is one; and how many elements were compared.

    Raises:
        ValueError: not everything was written, or the tape is of another model.
    """
    from taylorvit.golden.network.operations import Add

    additions = [operation for operation in vit.program if isinstance(operation, Add)]
    streams = residual_streams(writes, tape, config, vit.shape.width)
    compared = 0
    for image in range(len(pixels)):
        steps = vit.steps(pixels[image : image + 1])
        for operation in additions:
            got = next(streams, None)
            if got is None:
                raise ValueError(f"residual stream of image {image} must be written up to {operation.name}, and is not")
            expected = steps[operation.name][0][: len(got)]
            compared += got.size
            wrong = np.argwhere(got != expected)
            if len(wrong):
                token, channel = map(int, wrong[0])
                found = Difference(
                    image, operation.name, operation.branch, token, channel, int(got[token, channel]),
                    int(expected[token, channel]), len(wrong), got.size,
                )  # fmt: skip
                return found, compared
    return None, compared


def residual_streams(writes: np.ndarray, tape: bytes, config: NetworkConfig, width: int) -> Iterator[np.ndarray]:
    """The residual stream after each of its additions, image after image: int64, (tokens that were written, width)."""
    columns = [writes[writes[:, 0] == column, 1:].astype(np.int64) for column in range(config.columns)]
    banks = np.zeros((config.columns, config.residual_depth), dtype=np.int64)
    sign = 1 << (config.residual_width - 1)
    products = list(_additions(tape, config))
    position = 0
    while True:
        for product, following in zip(products, products[1:] + products[:1], strict=True):
            end = position + product.writes
            if any(len(of_column) < end for of_column in columns):
                return
            for bank, of_column in zip(banks, columns):
                addresses, words = of_column[position:end].T
                bank[addresses] = (words ^ sign) - sign  # of equal addresses, the last write counts
            position = end
            if following.first_token:
                continue  # another block of the same addition
            tokens = product.first_token + product.tokens
            tiles = np.arange(product.tiles)[:, None] * product.stride + np.arange(tokens)
            stream = banks[:, product.base - product.first_token + tiles]  # (columns, tiles, tokens)
            yield stream.transpose(2, 1, 0).reshape(tokens, -1)[:, :width].copy()


class _Addition(NamedTuple):
    base: int
    stride: int
    tiles: int
    tokens: int
    first_token: int
    writes: int  # of each column


def _additions(tape: bytes, config: NetworkConfig) -> Iterator[_Addition]:
    """The products of a tape that are added to the residual stream."""

    def rows(size: int) -> int:
        return ceil(size / config.columns) * config.columns

    place = rows(HEADER_BYTES)
    while place + COMMAND_BYTES <= len(tape):
        begin = place
        command = {
            name: int.from_bytes(tape[place + field.place : place + field.place + field.bytes], "little")
            for name, field in FIELDS.items()
        }
        place += rows(COMMAND_BYTES)
        if command["opcode"] == Opcode.END:
            return
        if command["opcode"] == Opcode.CONSTANTS:
            kernel = tape[begin + CONSTANTS_FIELDS["kernel"].place]
            if KERNELS[kernel] == "softmax":
                place += rows(EXPONENTIAL_BYTES * config.exponential_entries)
            continue
        place += command["payload"] * config.columns + (rows(_TABLE_BYTES) if command["flags"] & Flag.TABLE else 0)
        if command["destination"] == Destination.RESIDUAL:
            tiles, tokens = command["output_tiles"], command["length"]
            twice = 2 if command["flags"] & Flag.EMBEDDING else 1
            yield _Addition(
                command["destination_base"], command["destination_stride"], tiles, tokens, command["first_token"],
                twice * tiles * tokens,
            )  # fmt: skip
    raise ValueError("tape must end with the command END, and does not")

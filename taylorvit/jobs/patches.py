"""Images as the network accelerator takes them: patch by patch or row by row, in beats of some pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from taylorvit.golden.network.vit import VitShape

__all__ = ["check_raster", "image_beats", "image_beats_by_row"]


def image_beats(pixels: np.ndarray, shape: VitShape, lanes: int) -> np.ndarray:
    """The beats of images that come patch by patch: packets of the stream `s_axis_image`.

    Patches come row by row, the pixels of a patch by channel, row, column. The last beat of a patch is filled up with
    zeros.

    Args:
        pixels (np.ndarray): 0 to 255, (images, channels, size, size).
        shape (VitShape): sizes of the model.
        lanes (int): pixels of a beat, `image_lanes` of the accelerator.

    Returns:
        np.ndarray: uint8, (images, beats, lanes).
    """
    images, channels, size, patch = len(pixels), shape.channels, shape.image_size, shape.patch_size
    side = size // patch
    cut = pixels.reshape(images, channels, side, patch, side, patch)
    cut = cut.transpose(0, 2, 4, 1, 3, 5)  # (images, rows, columns, channels, patch, patch)
    patches = cut.reshape(images, side * side, channels * patch * patch)
    beats = -(-patches.shape[2] // lanes)
    padded = np.zeros((images, side * side, beats * lanes), dtype=np.uint8)
    padded[:, :, : patches.shape[2]] = patches
    return padded.reshape(images, side * side * beats, lanes)


def image_beats_by_row(pixels: np.ndarray, shape: VitShape, lanes: int) -> np.ndarray:
    """The beats of images that come row by row (raster order).

    In a row, neighbouring pixels come in one beat, the beats of their channels one after another; with one lane these
    are the bytes of an uncompressed picture.

    Args:
        pixels (np.ndarray): 0 to 255, (images, channels, height, width).
        shape (VitShape): sizes of the model.
        lanes (int): pixels of a beat, `image_lanes` of the accelerator.

    Returns:
        np.ndarray: uint8, (images, beats, lanes).

    Raises:
        ValueError: a row of a patch is not of whole beats.
    """
    check_raster(shape, lanes)
    images, channels, height, width = pixels.shape
    beats = pixels.reshape(images, channels, height, width // lanes, lanes).transpose(0, 2, 3, 1, 4)
    return np.ascontiguousarray(beats.reshape(images, -1, lanes), dtype=np.uint8)


def check_raster(shape: VitShape, lanes: int) -> None:
    """Checks that images of a model can come row by row.

    Args:
        shape (VitShape): sizes of the model.
        lanes (int): pixels of a beat, `image_lanes` of the accelerator.

    Raises:
        ValueError: a row of a patch is not of whole beats.
    """
    if shape.patch_size % lanes:
        raise ValueError(
            f"patch_size must be a multiple of the {lanes} pixels of a beat for images in raster order, "
            f"not {shape.patch_size!r}"
        )

"""Images as the network accelerator takes them: patch by patch, in beats of some pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from taylorvit.golden.network.vit import VitShape

__all__ = ["image_beats"]


def image_beats(pixels: np.ndarray, shape: VitShape, lanes: int) -> np.ndarray:
    """The beats of images: packets of the stream `s_axis_image`.

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

"""Images as packets of the link, and logits from its results."""

import numpy as np

from taylorvit.fpga.protocol import PACKET_BYTES_MAX, Stream, tensor_packet

__all__ = ["check_images", "image_packet", "logits_from_bytes"]

LOGIT_BYTES = 4


def check_images(images, view, *, patches, patch_pixels, raster):
    """Checks that images have the beats that a job needs.

    Args:
        images (np.ndarray): uint8, (images, beats, image_lanes).
        view (NetworkView): the accelerator.
        patches (int): patches of an image.
        patch_pixels (int): pixels of a patch, colours counted.
        raster (tuple[int, int] | None): for images row by row, pixels of a side of a patch, and patches beside each
            other.

    Raises:
        TypeError: they are no array of bytes.
        ValueError: their shape is another, or they cannot be in raster order.
    """
    lanes = view.image_lanes
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        kind = images.dtype if isinstance(images, np.ndarray) else type(images).__name__
        raise TypeError(f"images must be an array of uint8, not {kind}")
    if raster is None:
        beats = patches * -(-patch_pixels // lanes)
    else:
        side, across = raster
        if side < 1 or side % lanes or patch_pixels % (side * side) or across < 1 or patches % across:
            raise ValueError(
                f"images in raster order must have patches whose side is a multiple of the {lanes} pixels of a beat, "
                f"in whole rows, not {patches} patches of {patch_pixels} pixels with side and patches a row {raster!r}"
            )
        beats = patches * patch_pixels // lanes
    if images.ndim != 3 or not len(images) or images.shape[1:] != (beats, lanes):
        raise ValueError(
            f"images must be of shape (images, {beats}, {lanes}), at least one of them: {patches} patches of "
            f"{patch_pixels} pixels in beats of {lanes}; not {images.shape!r}"
        )
    if beats * lanes > PACKET_BYTES_MAX:
        raise ValueError(f"image must have at most {PACKET_BYTES_MAX} bytes, not {beats * lanes!r}")


def image_packet(beats):
    """The packet of an image.

    Args:
        beats (np.ndarray): uint8, (beats, image_lanes).

    Returns:
        bytes: the packet.
    """
    return tensor_packet(Stream.IMAGE, np.ascontiguousarray(beats).tobytes())


def logits_from_bytes(data, classes):
    """The logits of images.

    Args:
        data (bytes): results of the link, of whole images.
        classes (int): logits of an image.

    Returns:
        np.ndarray: int64, (images, classes).
    """
    return np.frombuffer(bytes(data), dtype="<i4").astype(np.int64).reshape(-1, classes)

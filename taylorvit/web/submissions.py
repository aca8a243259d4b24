"""What a browser sends, to pixels of the model's size.

Whatever is wrong with it is refused in one sentence. It is one of

    the content of an image file    decoded, cut and resized as `taylorvit simulate --images` does
    a drawing                       {"strokes": [[[x, y], ...], ...]}, x and y from 0 to 1, y downwards
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from taylorvit.boundary.reading import parse_json
from taylorvit.golden.network.vit import VitShape
from taylorvit.golden.training.image_files import decode_pixels
from taylorvit.jobs.images import fitted

from .drawing import Point, Style, drawn

__all__ = ["FORMATS", "MOST_BYTES", "MOST_PIXELS", "pixels_of_drawing", "pixels_of_image"]

#: Formats of image files, by Pillow's names: those that browsers show, whose decoders start no other program.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
#: Bytes of what is sent, and pixels of an image: a photograph of a telephone, and 400 MB while it is resized.
MOST_BYTES, MOST_PIXELS = 16 << 20, 16_000_000
#: Bytes of a drawing: some ten thousand points.
MOST_DRAWING_BYTES = 256 << 10

_DRAWING = {"strokes": [[[float]]]}


def pixels_of_image(content: bytes, shape: VitShape, *, inverted: bool = False) -> np.ndarray:
    """The image in the content of a file.

    Args:
        content (bytes): the content.
        shape (VitShape): sizes of the model.
        inverted (bool): whether black becomes white: ink on paper, for models of white on black.

    Returns:
        np.ndarray: uint8, (channels, size, size).

    Raises:
        ValueError: it is no image, is damaged, too large, or the model takes no images that files have.
    """
    if shape.channels not in (1, 3):
        raise ValueError(f"channels of the model must be 1 or 3 for image files, not {shape.channels!r}")
    image = decode_pixels(content, shape.channels, name="file", formats=FORMATS, most_pixels=MOST_PIXELS)
    return fitted(1 - image if inverted else image, shape)


def pixels_of_drawing(content: bytes, style: Style) -> np.ndarray:
    """The image of a drawing.

    Args:
        content (bytes): the drawing.
        style (Style): of the data set that the model was trained on.

    Returns:
        np.ndarray: uint8, (1, size, size).

    Raises:
        ValueError: it is no drawing, or an empty one.
    """
    if len(content) > MOST_DRAWING_BYTES:
        raise ValueError(f"drawing must have at most {MOST_DRAWING_BYTES:,} bytes, not {len(content):,}")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError("drawing must be JSON in UTF-8, not other bytes") from None
    strokes = parse_json(text, "drawing", what="JSON of strokes", schema=_DRAWING)["strokes"]
    _check(strokes)
    return drawn(strokes, style)


def _check(strokes: Sequence[Sequence[Point]]) -> None:
    if not strokes or not all(strokes):
        raise ValueError("drawing must have a stroke, and each stroke a point")
    for stroke in strokes:
        for point in stroke:
            if len(point) != 2 or not all(0 <= value <= 1 for value in point):
                raise ValueError(f"points of the drawing must be x and y in 0..1, not {point!r}"[:200])

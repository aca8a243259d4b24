"""Strokes of a pen as the image that a model was trained on: their size, their width, their place.

A drawing may be small, large or in a corner; the digits of the data sets are not. MNIST fits each into 20 x 20 pixels
and puts its centre of mass in the middle of 28 x 28. UCI's digits fill the height of 8 x 8 and about 6 columns. The pen
is as wide as theirs, whatever the size of the drawing, so strokes come as points, not as pixels. The brightest pixel of
each is white.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["STYLES", "Point", "Style", "drawn"]

Point = Sequence[float]  # x, y

_FINE = 16  # fine pixels along a side of a pixel, for smooth edges
_ENLARGED = 8  # at most: a dot stays one


class Style(NamedTuple):
    """How a data set shows what somebody has drawn: white on black.

    Attributes:
        size (int): pixels of a side of the image.
        box (tuple[float, float]): width and height, in pixels, that a drawing is fitted into, its pen included.
        pen (float): width of a stroke in pixels.
        by_mass (bool): whether the centre of mass comes into the middle of the image; otherwise that of the box.
    """

    size: int
    box: tuple[float, float]
    pen: float
    by_mass: bool


#: The data sets that one can draw for.
STYLES = {
    "mnist5k": Style(28, (20, 20), 2.2, True),
    "digits": Style(8, (6.4, 8), 1.3, False),
}


def drawn(strokes: Sequence[Sequence[Point]], style: Style) -> np.ndarray:
    """Draws strokes.

    Args:
        strokes (Sequence[Sequence[Point]]): at least one point each, in any unit, y downwards. There is at least one.
        style (Style): of the data set.

    Returns:
        np.ndarray: uint8, (1, size, size).
    """
    from PIL import Image, ImageDraw

    points = [np.asarray(stroke, dtype=np.float64).reshape(-1, 2) for stroke in strokes]
    every = np.concatenate(points)
    low, high = every.min(axis=0), every.max(axis=0)
    extent = np.maximum(high - low, 1e-9)
    room = np.array(style.box) - style.pen  # of the points
    scale = min(*(room / extent), _ENLARGED * style.size)
    middle = np.full(2, style.size / 2)
    side = style.size * _FINE
    fine = Image.new("L", (side, side))
    for _again in range(2):
        fine.paste(0, (0, 0, side, side))
        pencil = ImageDraw.Draw(fine)
        for stroke in points:
            _stroke(pencil, ((stroke - (low + high) / 2) * scale + middle) * _FINE, style.pen * _FINE)
        if not style.by_mass:
            break
        middle += style.size / 2 - _centre_of_mass(np.asarray(fine)) / _FINE
    image = np.asarray(fine.reduce(_FINE), dtype=np.float64)
    return np.round(image * (255 / image.max())).astype(np.uint8)[np.newaxis]


def _stroke(pencil, path: np.ndarray, width: float) -> None:
    for x, y in path:
        radius = width / 2
        pencil.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    if len(path) > 1:
        pencil.line([tuple(point) for point in path], fill=255, width=round(width))


def _centre_of_mass(image: np.ndarray) -> np.ndarray:
    """Its x and y."""
    mass = image.sum(dtype=np.float64)
    places = np.arange(len(image)) + 0.5
    return np.array([image.sum(axis=0) @ places, image.sum(axis=1) @ places]) / mass

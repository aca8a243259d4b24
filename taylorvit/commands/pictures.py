"""Images as characters, for a terminal or a file: five shades of grey."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["picture", "side_by_side"]

_SHADES = " ░▒▓█"
_LARGEST = 32  # pixels of a side; larger images are shrunk
_DOUBLED = 16  # pixels of a side up to which a pixel is two characters wide, so that it looks square


def picture(pixels: np.ndarray) -> list[str]:
    """Lines of characters that show an image. A character is about twice as high as it is wide.

    Args:
        pixels (np.ndarray): 0 to 255, (channels, size, size).

    Returns:
        list[str]: lines of the same length.
    """
    grey = pixels.mean(axis=0)  # (size, size)
    step = -(-len(grey) // _LARGEST)
    size = len(grey) // step * step
    grey = _averaged(grey[:size, :size], step, step)
    if len(grey) <= _DOUBLED:
        grey = grey.repeat(2, axis=1)
    else:
        grey = _averaged(np.pad(grey, ((0, len(grey) % 2), (0, 0))), 2, 1)
    shades = (grey * len(_SHADES) / 256).astype(int)
    return ["".join(_SHADES[shade] for shade in row) for row in shades]


def _averaged(grey: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The means of blocks of so many rows and columns, which divide those of the image."""
    height, width = grey.shape
    return grey.reshape(height // rows, rows, width // columns, columns).mean(axis=(1, 3))


def side_by_side(pictures: Sequence[Sequence[str]], captions: Sequence[str], width: int) -> list[str]:
    """Lines that show pictures in rows, each above its caption.

    Args:
        pictures (Sequence[Sequence[str]]): of `picture`, all of one size.
        captions (Sequence[str]): one for each.
        width (int): characters of a line, at most, unless one picture is wider.
    """
    column = max(len(pictures[0][0]), *map(len, captions)) + 2
    each = max(width // column, 1)
    lines: list[str] = []
    for first in range(0, len(pictures), each):
        block = [*zip(*pictures[first : first + each]), captions[first : first + each]]
        lines += ["".join(f"{part:{column}}" for part in parts).rstrip() for parts in block]
        lines.append("")
    return lines

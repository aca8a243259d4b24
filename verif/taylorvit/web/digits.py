"""Digits as somebody draws them: strokes in a square of side 1, y downwards."""

import numpy as np

__all__ = ["STROKES"]


def _arc(x, y, width, height, first, last):
    """Points of an ellipse between two angles, in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(first, last, 17))
    return [(x + width * np.cos(angle), y + height * np.sin(angle)) for angle in angles]


STROKES = {
    0: [_arc(0.5, 0.5, 0.25, 0.38, -90, 270)],
    1: [[(0.5, 0.1), (0.5, 0.9)]],
    2: [[*_arc(0.5, 0.32, 0.25, 0.22, 180, 390), (0.25, 0.9), (0.78, 0.9)]],
    3: [[*_arc(0.47, 0.3, 0.22, 0.2, 200, 450), *_arc(0.47, 0.7, 0.26, 0.2, -90, 160)]],
    4: [[(0.6, 0.1), (0.22, 0.6), (0.8, 0.6)], [(0.6, 0.1), (0.6, 0.92)]],
    5: [[(0.75, 0.1), (0.32, 0.1), (0.3, 0.45), *_arc(0.47, 0.65, 0.26, 0.24, -110, 150)]],
    6: [[(0.62, 0.08), (0.42, 0.3), (0.3, 0.55), *_arc(0.5, 0.68, 0.2, 0.2, 180, 540)]],
    7: [[(0.22, 0.12), (0.78, 0.12), (0.45, 0.92)], [(0.35, 0.55), (0.75, 0.55)]],  # a bar, as most of UCI's have
    8: [[*_arc(0.5, 0.3, 0.18, 0.19, 90, 450), *_arc(0.5, 0.7, 0.22, 0.21, -90, 270)]],
    9: [[*_arc(0.5, 0.32, 0.2, 0.2, 0, 360), (0.7, 0.32), (0.66, 0.6), (0.56, 0.92)]],
}

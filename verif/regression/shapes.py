"""Shapes of jobs for each array of the regression, that with its largest sizes first."""

from __future__ import annotations

from taylorvit.rtl.config import AcceleratorConfig

__all__ = ["SHAPES", "shapes_of"]

#: Configuration -> heads, tokens, head dimension of its jobs.
SHAPES = {
    "tiny-4x4": [(2, 64, 16), (3, 1, 1), (2, 2, 8), (3, 7, 12), (4, 16, 16), (2, 50, 8), (5, 3, 3), (1, 63, 15)],
    "array-8x4": [(2, 50, 12), (20, 1, 1), (3, 2, 12), (2, 7, 8), (3, 16, 1), (2, 49, 11), (4, 8, 4), (3, 9, 5)],
    "array-5x3": [(2, 198, 13), (9, 1, 8), (2, 197, 8), (3, 2, 1), (3, 7, 12), (2, 16, 13), (2, 50, 1), (3, 5, 3)],
    "array-16x8-d6": [(3, 12, 6), (20, 1, 1), (4, 2, 6), (5, 7, 3), (3, 11, 5)],
    "array-20x9": [(3, 3, 2), (20, 1, 1), (3, 3, 1), (3, 2, 2), (3, 1, 2), (3, 2, 1)],
    "array-2x1": [(1, 1, 1)] * 20,
    "array-2x2-w16": [(3, 7, 5), (20, 1, 1), (3, 2, 5), (4, 6, 4), (3, 7, 1), (3, 3, 3)],
    "edge-16x8": [(1, 256, 64), (2, 197, 8), (3, 16, 64), (3, 50, 12), (4, 7, 1)],
    "edge-16x16": [(2, 198, 64), (3, 50, 32), (3, 1, 64), (3, 2, 12), (2, 197, 17), (3, 16, 16), (2, 256, 8)],
}


def shapes_of(config: AcceleratorConfig) -> list[tuple[int, int, int]]:
    """Those of `SHAPES`, or some that follow from the limits and the array of a configuration that is not there."""
    if config.name in SHAPES:
        return SHAPES[config.name]
    tokens, head_dim = config.max_tokens, config.max_head_dim
    shapes = [
        (2, tokens, head_dim), (3, 1, 1), (1, tokens - 1, head_dim - 1), (3, config.rows + 1, config.columns + 1),
        (4, config.rows, config.columns), (2, 2, head_dim), (3, tokens // 2, 1),
    ]  # fmt: skip
    return [(min(heads, config.max_heads), min(max(n, 1), tokens), min(max(d, 1), head_dim)) for heads, n, d in shapes]

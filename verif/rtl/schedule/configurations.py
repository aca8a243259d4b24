"""Sizes of accelerators for the tests of the pass scheduler and its engines."""

from __future__ import annotations

from taylorvit.rtl.config import AcceleratorConfig

__all__ = ["CONFIGS"]

CONFIGS = {
    name: AcceleratorConfig(name="passes", **sizes)
    for name, sizes in {
        "array_4x4": {"rows": 4, "columns": 4, "max_tokens": 64, "max_head_dim": 16},
        "array_5x3": {"rows": 5, "columns": 3, "max_tokens": 50, "max_head_dim": 13, "stream_width": 8,
                      "memory_pipeline": 1},
        "array_8x4": {"rows": 8, "columns": 4, "max_tokens": 16, "max_head_dim": 32},
        "array_16x8": {"rows": 16, "columns": 8, "max_tokens": 198, "max_head_dim": 64, "memory_pipeline": 2},
        "array_16x16": {"rows": 16, "columns": 16, "data_width": 12, "max_tokens": 256, "max_head_dim": 64},
        # Numbers of rows, and of columns, with more bits than the positions in a job.
        "array_20x2": {"rows": 20, "columns": 2, "max_tokens": 3, "max_head_dim": 2, "stream_width": 8},
        "array_2x9": {"rows": 2, "columns": 9, "max_tokens": 3, "max_head_dim": 2, "stream_width": 8},
        "array_2x1": {"rows": 2, "columns": 1, "max_tokens": 1, "max_head_dim": 1, "stream_width": 8},
    }.items()
}  # fmt: skip

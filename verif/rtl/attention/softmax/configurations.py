"""Sizes of accelerators for the tests of the blocks of softmax attention."""

from __future__ import annotations

from taylorvit.rtl.config import AcceleratorConfig

__all__ = ["CONFIGS"]

CONFIGS = {
    name: AcceleratorConfig(name="blocks", kernel="softmax", exponential_entries=16, **sizes)
    for name, sizes in {
        "array_4x4": {"rows": 4, "columns": 4, "max_tokens": 40, "max_head_dim": 16, "memory_pipeline": 1},
        "array_5x3": {"rows": 5, "columns": 3, "max_tokens": 23, "max_head_dim": 13, "stream_width": 8,
                      "query_block": 6, "memory_pipeline": 2},
        "array_8x4": {"rows": 8, "columns": 4, "max_tokens": 16, "max_head_dim": 32, "query_block": 1},
        "array_3x8": {"rows": 3, "columns": 8, "max_tokens": 30, "max_head_dim": 9, "stream_width": 8,
                      "query_block": 7, "memory_pipeline": 1},
        "array_2x1": {"rows": 2, "columns": 1, "max_tokens": 1, "max_head_dim": 1, "stream_width": 8},
    }.items()
}  # fmt: skip

"""Configurations of the network accelerator for tests of its blocks: widths, memories and arrays of every kind."""

from __future__ import annotations

from taylorvit.rtl.network.config import NetworkConfig

__all__ = ["CONFIGURATIONS", "IN_CELLS", "SHARED", "SHARED_IN_CELLS", "config_of"]

_BASE = {
    "max_tokens": 17,
    "max_width": 24,
    "max_hidden": 48,
    "max_patch": 12,
    "max_classes": 10,
    "max_heads": 3,
    "max_head_dim": 8,
    "tape_queue_rows": 32,
}
CONFIGURATIONS = {
    "default": {"rows": 4, "columns": 4},
    # A bank wraps inside of a tile, the residual stream has 8 bits and shifts by channel, other shifts have less range.
    "odd": {"rows": 5, "columns": 3, "residual_width": 8, "left_shift_max": 3, "memory_pipeline": 1,
            "norm_interval": 4, "max_width": 23, "max_classes": 8, "right_shift_max": 15, "norm_shift_min": 17,
            "epsilon_width": 12},
    "wide": {"rows": 8, "columns": 2, "residual_width": 16, "left_shift_max": 7, "sum_width": 32, "aligned_width": 48,
             "stream_shift_max": 31, "branch_shift_max": 15, "memory_pipeline": 2, "max_width": 500,
             "norm_interval": 16, "max_tokens": 5, "max_hidden": 8},
    "smallest": {"rows": 3, "columns": 1, "max_tokens": 2, "max_width": 1, "max_hidden": 1, "max_patch": 1,
                 "max_classes": 1, "max_heads": 1, "max_head_dim": 1, "left_shift_max": 0, "stream_shift_max": 0,
                 "branch_shift_max": 0, "sum_width": 16, "aligned_width": 16, "residual_width": 8, "norm_interval": 55,
                 "tape_queue_rows": 8, "memory_pipeline": 1},
}  # fmt: skip


SHARED = {
    "pairs": CONFIGURATIONS["default"] | {"norm_lanes": 2},
    "one_lane": CONFIGURATIONS["odd"] | {"norm_lanes": 1},
    "wide_lane": CONFIGURATIONS["wide"] | {"columns": 8, "norm_lanes": 1},
}
"""Configurations whose columns share LayerNorm lanes."""

IN_CELLS = {f"{name}_in_cells": CONFIGURATIONS[name] | {"multiplier": "ecp5"} for name in ("default", "odd", "wide")}
SHARED_IN_CELLS = {f"{name}_in_cells": SHARED[name] | {"multiplier": "ecp5"} for name in ("pairs", "one_lane")}
"""The same with products in DSP cells: without registers behind memories and with them, of factors of several parts."""


def config_of(name: str) -> NetworkConfig:
    return NetworkConfig(name="network", **(_BASE | (CONFIGURATIONS | SHARED | IN_CELLS | SHARED_IN_CELLS)[name]))

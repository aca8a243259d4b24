"""The accelerators that the regression builds: few, since each costs compilation, but every parameter varies.

Those of Taylor attention differ in everything else, and each test names the few that it needs. One of another kernel is
there for its kernel, and joins every test (`and_other_kernels`).
"""

from __future__ import annotations

from functools import cache

from taylorvit.gen.presets import load_preset, preset_names
from taylorvit.gen.verilog import emit
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import Build, build
from taylorvit.simulation.dsp_cells import with_dsp_models

__all__ = ["CONFIGURATIONS", "and_other_kernels", "build_accelerator"]

_DIFFERENT = (
    # Small beats, no pipeline, no fraction of the mean, rows divided every cycle, sizes that are no powers of two.
    {"name": "array-8x4", "rows": 8, "columns": 4, "data_width": 6, "mean_fraction": 0, "pe_pipeline": 0,
     "max_tokens": 50, "max_head_dim": 12, "stream_width": 16, "divider_interval": 1, "max_heads": 20},
    # Nothing divides anything; elements of 12 bits in containers of 16.
    {"name": "array-5x3", "rows": 5, "columns": 3, "data_width": 12, "mean_fraction": 1, "pe_pipeline": 3,
     "memory_pipeline": 2, "max_tokens": 198, "max_head_dim": 13, "stream_width": 16, "divider_interval": 4,
     "max_heads": 9},
    # An array larger than any job; a divider lane that is one serial divider; narrow shifts and counters.
    {"name": "array-16x8-d6", "rows": 16, "columns": 8, "data_width": 4, "mean_fraction": 2, "pe_pipeline": 2,
     "max_tokens": 12, "max_head_dim": 6, "stream_width": 8, "divider_interval": 7, "max_heads": 20,
     "shift_z_min": -2, "shift_z_max": 12, "counter_width": 25},
    # Sizes as above for elements of 8 bits in the default number format, to run the same jobs as the presets.
    {"name": "array-8x4-w8", "rows": 8, "columns": 4, "pe_pipeline": 0, "memory_pipeline": 1, "max_tokens": 64,
     "max_head_dim": 17, "stream_width": 16, "divider_interval": 12},
    {"name": "array-5x3-w8", "rows": 5, "columns": 3, "pe_pipeline": 2, "max_tokens": 99, "max_head_dim": 16,
     "stream_width": 8},
    # Multipliers of both kinds in one array: DSP cells, and LUTs in half of the columns.
    {"name": "array-6x6-ecp5", "rows": 6, "columns": 6, "pe_pipeline": 2, "multiplier": "ecp5", "booth_columns": 3,
     "memory_pipeline": 1, "max_tokens": 64, "max_head_dim": 16, "stream_width": 16},
    # Rows and columns have more bits than the sizes of a job, on both sides.
    {"name": "array-20x9", "rows": 20, "columns": 9, "data_width": 5, "max_tokens": 3, "max_head_dim": 2,
     "stream_width": 8, "max_heads": 20, "shift_z_max": 3},
    # The smallest that can be built, and the widest: constants and sums of more than 64 bits.
    {"name": "array-2x1", "rows": 2, "columns": 1, "data_width": 2, "mean_fraction": 0, "constant_fraction": 0,
     "max_tokens": 1, "max_head_dim": 1, "stream_width": 8, "max_heads": 1, "shift_z_min": 0, "shift_z_max": 0},
    {"name": "array-2x2-w16", "rows": 2, "columns": 2, "data_width": 16, "mean_fraction": 8, "constant_fraction": 16,
     "max_tokens": 7, "max_head_dim": 5, "stream_width": 32, "pe_pipeline": 4, "max_heads": 20},
    # Softmax attention: all queries of a head in one block, in the default number format.
    {"name": "softmax-4x4", "kernel": "softmax", "rows": 4, "columns": 4, "max_tokens": 48, "max_head_dim": 16,
     "stream_width": 16, "exponential_entries": 128, "memory_pipeline": 1},
    # Blocks of queries; columns that take turns; no pipeline, rows divided every cycle.
    {"name": "softmax-8x4", "kernel": "softmax", "rows": 8, "columns": 4, "data_width": 6, "max_tokens": 70,
     "max_head_dim": 12, "stream_width": 16, "pe_pipeline": 0, "divider_interval": 1, "query_block": 20,
     "score_width": 9, "exponential_width": 7, "exponential_entries": 64, "max_heads": 20},
    # Nothing divides anything; a table longer than any difference of scores.
    {"name": "softmax-5x3", "kernel": "softmax", "rows": 5, "columns": 3, "data_width": 12, "max_tokens": 38,
     "max_head_dim": 13, "stream_width": 16, "pe_pipeline": 3, "memory_pipeline": 2, "divider_interval": 4,
     "query_block": 7, "score_width": 4, "exponential_width": 5, "exponential_entries": 32, "max_heads": 15},
    # More columns than rows; the widest numbers.
    {"name": "softmax-3x8", "kernel": "softmax", "rows": 3, "columns": 8, "data_width": 16, "max_tokens": 21,
     "max_head_dim": 9, "stream_width": 16, "pe_pipeline": 4, "query_block": 5, "score_width": 16,
     "exponential_width": 16, "exponential_entries": 4, "max_heads": 20, "shift_z_min": 0, "shift_z_max": 7},
)  # fmt: skip

CONFIGURATIONS: dict[str, AcceleratorConfig] = {
    **{name: load_preset(name) for name in ("tiny-4x4", "edge-16x8", "edge-16x16", "edge-16x16-softmax")},
    **{fields["name"]: AcceleratorConfig.from_mapping(fields) for fields in _DIFFERENT},
}


def and_other_kernels(*names: str) -> list[str]:
    """These names, and those of all `CONFIGURATIONS` of another kernel than Taylor attention; presets are too large."""
    others = [name for name, config in CONFIGURATIONS.items() if config.kernel != "taylor"]
    return [*names, *(name for name in others if name not in preset_names())]


@cache  # a worker of pytest runs many tests on one array
def build_accelerator(name: str) -> Build:
    """The simulation of one of `CONFIGURATIONS`."""
    return build(with_dsp_models(emit(Accelerator(CONFIGURATIONS[name]))), "taylorvit")

"""The network accelerators that the regression builds: few, since each costs compilation, but every parameter varies.

All but the last have the same number format, so that one model fits them all.
"""

from __future__ import annotations

from functools import cache

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.accelerator import NetworkAccelerator
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import Build, build

__all__ = ["CONFIGURATIONS", "SAME_FORMAT", "SIZES", "build_accelerator"]

SIZES = {
    "max_tokens": 11,
    "max_width": 12,
    "max_hidden": 48,
    "max_patch": 12,
    "max_classes": 4,
    "max_heads": 4,
    "max_head_dim": 6,
}
"""Fields of all of them: what the networks of `models.drawn` need."""

_DIFFERENT = (
    {"name": "axi-4x4", "rows": 4, "columns": 4, "tape_width": 32, "image_lanes": 2},
    # Nothing divides anything: words of three bytes, five pixels a beat, tiles that wrap in the banks.
    {"name": "stream-5x3", "rows": 5, "columns": 3, "tape_source": "stream", "tape_width": 24, "image_lanes": 5,
     "memory_pipeline": 1, "norm_interval": 4, "norm_lanes": 1, "pe_pipeline": 0, "mlp_tokens": 3,
     "kernel": "taylor+softmax", "query_block": 4, "image_banks": "activations"},
    {"name": "memory-8x4", "rows": 8, "columns": 4, "tape_source": "memory", "tape_memory_bytes": 1 << 15,
     "tape_width": 16, "image_lanes": 4, "memory_pipeline": 1, "divider_interval": 3, "kernel": "taylor+softmax",
     "command_queue": 0,
     "tape_memory": "huge", "image_memory": "huge", "residual_memory": "block", "partial_sum_memory": "distributed"},
    # A tile holds more classes than there can be; one burst at a time; half of the columns multiply without DSPs.
    {"name": "axi-16x8", "rows": 16, "columns": 8, "tape_width": 64, "image_lanes": 8, "norm_interval": 4,
     "norm_lanes": 2, "axi_outstanding": 1, "tape_queue_rows": 32, "booth_columns": 4, "pe_pipeline": 2,
     "mlp_tokens": 5},
    # The narrowest ports and the widest residual stream; narrow counters; hidden features of one token; no Taylor
    # attention, and scores of a query or two at once.
    {"name": "axi-8x4", "rows": 8, "columns": 4, "tape_width": 8, "image_lanes": 1, "memory_pipeline": 2,
     "norm_interval": 16, "tape_queue_rows": 16, "axi_outstanding": 16, "residual_width": 16, "left_shift_max": 7,
     "aligned_width": 48, "stream_shift_max": 31, "branch_shift_max": 15, "counter_width": 12, "input_timeout": 4000,
     "error_count_width": 2, "mlp_tokens": 1, "kernel": "softmax", "query_block": 2, "score_width": 9,
     "exponential_width": 7, "exponential_entries": 64},
)  # fmt: skip

CONFIGURATIONS: dict[str, NetworkConfig] = {
    fields["name"]: NetworkConfig.from_mapping(SIZES | fields) for fields in _DIFFERENT
}

SAME_FORMAT = tuple(CONFIGURATIONS)[:-1]
"""Those with the default number format."""


@cache  # a worker of pytest runs many tests on one accelerator
def build_accelerator(name: str) -> Build:
    """The simulation of one of `CONFIGURATIONS`."""
    accelerator = NetworkAccelerator(CONFIGURATIONS[name])
    return build(emit(accelerator), accelerator.module_name)

"""What is built of each family in the tests: small, with sizes that are no powers of two, and the family's multipliers.

An accelerator has buffers of either kind, block RAM and distributed. Blocks side by side are those that compute, in
sizes that no accelerator here has.
"""

from __future__ import annotations

from dataclasses import asdict, replace

from taylorvit.gen.presets import load_preset
from taylorvit.golden.network.vit import SHAPES as VIT_SHAPES
from taylorvit.rtl.array.multiplier import FORMS
from taylorvit.rtl.array.requantizer import Requantizer
from taylorvit.rtl.array.systolic_array import SystolicArray
from taylorvit.rtl.attention.divider_lane import DividerLane
from taylorvit.rtl.attention.taylor.adder_array import CentringAdder, DenominatorAdder, NumeratorAdder
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.network.config import NetworkConfig
from verif.regression.network.models import TINY
from verif.rtl.harness import SideBySide
from verif.taylorvit.compiler.networks import SMALLEST

__all__ = ["ACCELERATORS", "LEAN_NETWORK", "LEAN_NETWORKS", "NETWORK", "NETWORKS", "ON_BOARDS", "SHAPES", "SOFTMAX",
           "arithmetic_blocks"]  # fmt: skip

#: Fewer cells where nothing is to be seen: each of these is simulated gate by gate.
_NARROW = {"counter_width": 16, "input_timeout": 60000, "error_count_width": 4}

ACCELERATORS = {
    config["name"]: AcceleratorConfig.from_mapping(_NARROW | config)
    for config in (
        # Columns of DSP cells and of LUTs.
        {"name": "ecp5", "rows": 2, "columns": 2, "data_width": 5, "mean_fraction": 1, "constant_fraction": 2,
         "max_tokens": 100, "max_head_dim": 5, "stream_width": 8, "max_heads": 5, "multiplier": "ecp5",
         "booth_columns": 1, "shift_z_min": -1, "shift_z_max": 12},
        # For a device without DSP cells.
        {"name": "ice40", "rows": 2, "columns": 1, "data_width": 4, "mean_fraction": 0, "constant_fraction": 0,
         "max_tokens": 40, "max_head_dim": 3, "stream_width": 8, "max_heads": 5, "shift_z_min": -1, "shift_z_max": 9},
        {"name": "gowin", "rows": 3, "columns": 2, "data_width": 6, "mean_fraction": 2, "constant_fraction": 1,
         "max_tokens": 50, "max_head_dim": 5, "stream_width": 8, "max_heads": 5, "multiplier": "gowin"},
    )
}  # fmt: skip

#: An accelerator with softmax attention, for ECP5: blocks of queries, columns that take turns, banks of both kinds.
SOFTMAX = AcceleratorConfig.from_mapping(
    _NARROW
    | {"name": "softmax", "kernel": "softmax", "rows": 4, "columns": 2, "data_width": 4, "max_tokens": 40,
       "max_head_dim": 5, "query_block": 16, "score_width": 6, "exponential_width": 5, "exponential_entries": 32,
       "stream_width": 8, "max_heads": 5, "multiplier": "ecp5", "booth_columns": 1, "shift_z_min": -1, "shift_z_max": 5}
)  # fmt: skip

#: The accelerator for a board of each family. TIMEOUT has to outlast a pause on the line, which takes a wider counter.
#: The boards of iCE40 are small, and have DSP cells.
ON_BOARDS = {
    "ecp5": replace(ACCELERATORS["ecp5"], name="ecp5-board", counter_width=22),
    "ice40": replace(
        ACCELERATORS["ice40"], name="ice40-board", multiplier="ice40", max_heads=3, shift_z_min=0, shift_z_max=7,
        divider_interval=5, error_count_width=1, counter_width=21,
    ),
}  # fmt: skip

#: Jobs of each accelerator: heads, tokens, head dimension.
SHAPES = {
    "ecp5": [(2, 100, 5), (3, 7, 3)],
    "ice40": [(2, 40, 3), (4, 3, 1)],
    "gowin": [(2, 50, 5), (3, 4, 4)],
    "softmax": [(2, 40, 5), (3, 7, 3)],
}

#: The network accelerator that takes the least time to synthesize.
NETWORK = load_preset("vit-tiny-4x4")

#: What it computes: shapes, and how active its channels are. The last one is that of the bundled model of 8 x 8 digits.
NETWORKS = [
    (asdict(shape), activity)
    for shape, activity in ((SMALLEST, "random"), (TINY, "random"), (VIT_SHAPES["vit_8"], "always"))
]

#: A network accelerator that is routed in minutes, for ECP5: lean in most ways that there are, with its tape on the
#: chip, a column of DSP cells and one of LUTs. No iCE40 holds one: with 2 x 1 PEs and everything narrower than here, it
#: takes 8,845 look-up tables and 7,097 registers, and the largest that nextpnr knows has 7,680 of each.
LEAN_NETWORK = NetworkConfig(
    name="lean-network", rows=2, columns=2, max_tokens=6, max_width=4, max_hidden=4, max_patch=4, max_classes=3,
    max_heads=2, max_head_dim=2, norm_shift_min=17, right_shift_max=31, epsilon_width=24, norm_interval=64,
    norm_lanes=1, divider_interval=6, multiplier="ecp5", booth_columns=1, tape_width=8, tape_source="memory",
    tape_memory_bytes=4096, command_queue=0, tape_queue_rows=4, image_lanes=2, image_banks="activations",
    counters="cycles", counter_width=24, input_timeout=60000, error_count_width=4,
)  # fmt: skip

#: What it computes: the logits of the first and the last depend on the image, by their seeds, 0 and 2.
LEAN_NETWORKS = [(asdict(TINY), activity) for activity in ("always", "random", "random")]


def arithmetic_blocks(family: str) -> SideBySide:
    """The blocks that compute, with the multipliers of the family and those of LUTs."""
    widths = {"ecp5": (11, 7, 21), "ice40": (13, 9, 25), "gowin": (9, 5, 17)}[family]
    streamed_width, stationary_width, sum_width = widths
    multipliers = {
        f"{form}_{pipeline}": FORMS[form](
            streamed_width=streamed_width + pipeline, stationary_width=stationary_width, pipeline=pipeline
        )
        for form, pipeline in (("inferred", 0), ("inferred", 2), ("booth", 1), ("booth", 3), (family, 1), (family, 2))
    }
    return SideBySide({
        **multipliers,
        "array": SystolicArray(
            rows=3, columns=2, streamed_width=streamed_width, stationary_width=stationary_width, sum_width=sum_width,
            diagonal_width=stationary_width - 2, diagonal_sum_width=sum_width - 3, pipeline=1, multiplier=family,
            booth_columns=1,
        ),
        "requantizer": Requantizer(i_width=sum_width, o_width=stationary_width, shift_max=sum_width - 1),
        "divider": DividerLane(
            numerator_width=2 * streamed_width, divisor_width=sum_width, data_width=stationary_width,
            mean_width=stationary_width + 2, interval=3,
        ),
        "centring": CentringAdder(data_width=stationary_width, fraction=3),
        "numerator": NumeratorAdder(
            product_width=sum_width, fraction=3, shift_max=5, bias_width=sum_width + 4, k_sum_width=streamed_width
        ),
        "denominator": DenominatorAdder(
            product_width=sum_width, fraction=3, c_d_width=sum_width, denominator_width=sum_width + 5, shift_max=5,
            tokens_width=7, tokens_shift=stationary_width - 1, divisor_width=sum_width + 10,
        ),
    })  # fmt: skip

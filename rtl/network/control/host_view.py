"""What a host knows of a network accelerator (`rtl.control.register_view`): sizes, limits, what tapes it takes."""

from dataclasses import dataclass

from taylorvit.rtl.attention import KERNELS, NETWORK_KERNELS
from taylorvit.rtl.control.register_view import Place, RegisterView, in_range
from taylorvit.rtl.network.config import COUNTERS, JobLimits, NetworkConfig

from .registers import TAPE_SOURCES, register_map

__all__ = ["LAYOUT", "VIEW_REGISTERS", "NetworkView"]

LAYOUT = register_map(
    NetworkConfig(
        name="any",
        rows=4,
        columns=4,
        max_tokens=2,
        max_width=1,
        max_hidden=1,
        max_patch=1,
        max_classes=1,
        max_heads=1,
        max_head_dim=1,
        tape_source="memory",
        tape_memory_bytes=1024,
    )
)
"""Where registers and their fields are, those that some accelerators lack among them; ranges and resets are of any one.
"""

_PLACES = {
    "rows": Place("ARRAY_SIZE", "ROWS", 2),
    "columns": Place("ARRAY_SIZE", "COLUMNS"),
    "data_width": Place("NUMBER_FORMAT", "DATA_WIDTH", 8, 8),
    "residual_width": Place("NUMBER_FORMAT", "RESIDUAL_WIDTH", 8, 16),
    "sum_width": Place("NUMBER_FORMAT", "SUM_WIDTH", 16, 32),
    "max_tokens": Place("MAX_SIZES", "MAX_TOKENS", 2),
    "max_patch": Place("MAX_SIZES", "MAX_PATCH"),
    "max_width": Place("MAX_LAYERS", "MAX_WIDTH"),
    "max_hidden": Place("MAX_LAYERS", "MAX_HIDDEN"),
    "max_heads": Place("MAX_HEADS", "MAX_HEADS"),
    "max_head_dim": Place("MAX_HEADS", "MAX_HEAD_DIM"),
    "max_classes": Place("MAX_CLASSES", "MAX_CLASSES"),
    "image_lanes": Place("STREAM", "IMAGE_LANES"),
    "tape_bytes": Place("STREAM", "TAPE_BYTES"),
    "tape_format": Place("TAPE", "FORMAT"),
    "tape_memory_bytes": Place("TAPE_MEMORY", "TAPE_MEMORY", 0),
    "counter_width": Place("COUNTER_WIDTHS", "COUNTER_WIDTH", 8, 32),
    "error_count_width": Place("COUNTER_WIDTHS", "ERROR_COUNT_WIDTH", 0, 16),
    "input_timeout": Place("TIMEOUT", "TIMEOUT"),
}

_KERNELS = tuple(KERNELS | NETWORK_KERNELS)

# What is told by its number in a list.
_CHOICES = {
    "kernel": (Place("NUMBER_FORMAT", "KERNEL", 0, len(_KERNELS) - 1), _KERNELS),
    "tape_source": (Place("TAPE", "SOURCE", 0, len(TAPE_SOURCES) - 1), TAPE_SOURCES),
    "counters": (Place("COUNTER_WIDTHS", "COUNTERS", 0, len(COUNTERS) - 1), COUNTERS),
}

VIEW_REGISTERS = (*dict.fromkeys(place.register for place in _PLACES.values()), "TAPE_HASH_0", "TAPE_HASH_1")
"""Names of the registers that a view is read from, after a reset."""


@dataclass(frozen=True, kw_only=True)
class NetworkView(RegisterView, JobLimits):
    """Sizes and limits of a network accelerator as its registers tell them; `NetworkConfig` describes them.

    `register_map` takes a view as it takes the configuration itself. Only a tape that names `tape_hash` and is of
    version `tape_format` runs on it.

    Attributes:
        name (str): a label, which is in no register.
    """

    name: str
    rows: int
    columns: int
    kernel: str
    data_width: int
    residual_width: int
    sum_width: int
    max_tokens: int
    max_patch: int
    max_width: int
    max_hidden: int
    max_heads: int
    max_head_dim: int
    max_classes: int
    image_lanes: int
    tape_bytes: int
    tape_source: str
    tape_format: int
    tape_hash: int
    tape_memory_bytes: int
    counters: str
    counter_width: int
    error_count_width: int
    input_timeout: int

    layout = LAYOUT
    places = _PLACES
    labels = {name: place.field for name, (place, _names) in _CHOICES.items()} | {"tape_hash": "TAPE_HASH"}

    @classmethod
    def decoded(cls, words, values):
        """What is chosen from a list, and the hash; a memory for tapes is there if they come from it, with room."""
        chosen = {name: names[place.read(words, LAYOUT)] for name, (place, names) in _CHOICES.items()}
        size = values["tape_memory_bytes"]
        if chosen["tape_source"] == "memory":
            in_range(size, "TAPE_MEMORY", "TAPE_MEMORY", 1, None)
        else:
            in_range(size, "TAPE_MEMORY", "TAPE_MEMORY", 0, 0)
        return chosen | {"tape_hash": words["TAPE_HASH_1"] << 32 | words["TAPE_HASH_0"]}

"""Random configurations: every field over the whole of its range, but arrays that are built in seconds.

Limits and what lies beside them are where faults are, so half of all draws are those; and since the fields bind each
other, a draw is repeated until `AcceleratorConfig` accepts it.
"""

from __future__ import annotations

import random

from rtl.config import AcceleratorConfig, ConfigError
from rtl.multiplier import FORMS

__all__ = ["FIELDS", "draw", "draws"]

MOST_BYTES = 1 << 19

# Values of each field that are drawn: its limits and special values, and a range for the others. Rows and columns are
# the exception: small, or all would take long; the limits of their range are built as presets.
FIELDS = {
    "rows": ((2, 3, 4), (2, 9)),
    "columns": ((1, 2, 4), (1, 9)),
    "data_width": ((2, 3, 8, 9, 16), (2, 16)),
    "mean_fraction": ((0, 1, 3, 8), (0, 8)),
    "constant_fraction": ((0, 1, 8, 16), (0, 16)),
    "max_tokens": ((1, 2, 3, 65535), (1, 300)),
    "max_head_dim": ((1, 2, 3, 4096), (1, 80)),
    "max_heads": ((1, 2, 4095, 65535), (1, 65535)),
    "pe_pipeline": ((0, 1, 4), (0, 4)),
    "multiplier": (tuple(FORMS), None),
    "memory_pipeline": ((0, 1, 2), None),
    "divider_interval": ((0, 1, 2), (0, 25)),
    "shift_z_min": ((-8, 0), (-8, 0)),
    "shift_z_max": ((0, 1, 31), (0, 31)),
    "counter_width": ((8, 32), (8, 32)),
    "input_timeout": ((1, 255, (1 << 32) - 1), (1, 255)),
    "error_count_width": ((1, 16), (1, 16)),
}


def draw(generator: random.Random, most_bytes: int = MOST_BYTES, **fixed) -> AcceleratorConfig:
    """A configuration that is accepted, its buffers small, its fields random but for those that are `fixed`."""
    while True:
        fields = {name: _draw(generator, *values) for name, values in FIELDS.items()} | fixed
        fields.setdefault("booth_columns", generator.choice((0, 0, 1, fields["columns"])))
        element_width = 8 if fields["data_width"] <= 8 else 16
        lanes = generator.choice([lanes for lanes in range(1, 10)
                                  if fields["rows"] % lanes == fields["columns"] % lanes == 0])  # fmt: skip
        fields.setdefault("stream_width", lanes * element_width)
        try:
            config = AcceleratorConfig(name="drawn", **fields)
        except ConfigError:
            continue
        if sum(config.buffer_bytes.values()) <= most_bytes:
            return config


def draws(seed: int, count: int) -> list[AcceleratorConfig]:
    """`count` configurations; one seed gives the same ones everywhere, whatever the count."""
    return [draw(random.Random(f"{seed}-{number}")) for number in range(count)]


def _draw(generator, special, interval):
    if interval is None or generator.random() < 0.5:
        return generator.choice(special)
    return generator.randint(*interval)

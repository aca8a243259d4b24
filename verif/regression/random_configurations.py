"""Random configurations: every field over the whole of its range, but arrays that are built in seconds.

Limits and what lies beside them are where faults are, so about half of the values are those. Fields bind each other: a
range follows from the fields that were drawn before, and a draw that `AcceleratorConfig` refuses all the same is made
anew, as is one with buffers so large that they would take long.
"""

from __future__ import annotations

import random

from taylorvit.rtl.array.multiplier import FORMS
from taylorvit.rtl.attention import KERNELS
from taylorvit.rtl.config import AcceleratorConfig, ConfigError

__all__ = ["INTERVALS", "draw", "draws"]

# The exceptions: rows and columns are few; their largest numbers are those of a preset, and of `test_config`.
MOST_ROWS = MOST_COLUMNS = 9
MOST_BYTES = 1 << 19  # of buffers
LANES = (1, 1, 1, 1, 2, 2, 3, 4, 8)
INTERVALS = 26  # of the divider, with that of the default: more than chance would find


def draws(seed: int, numbers) -> list[AcceleratorConfig]:
    """The configurations of those numbers; one seed gives the same ones everywhere."""
    return [draw(seed, number) for number in numbers]


def draw(seed: int, number: int) -> AcceleratorConfig:
    """A configuration that is accepted. Every other number has the next interval of the divider."""
    generator = random.Random(f"configuration {number} of {seed}")
    interval = None if number % 2 else number // 2 % INTERVALS
    # From a generator of its own, so that another kernel leaves the other fields as they are.
    of_kernel = random.Random(f"kernel of configuration {number} of {seed}")
    # Only the divider of Taylor attention has more than 17 iterations.
    kernel = "taylor" if interval and interval > 17 else of_kernel.choice([*KERNELS])
    while True:
        fields = _fields(generator, interval)
        if kernel == "softmax":
            fields |= _softmax_fields(of_kernel, fields["max_tokens"])
        try:
            config = AcceleratorConfig(name=f"drawn-{seed}-{number}", kernel=kernel, **fields)
        except ConfigError:
            continue
        if sum(config.buffer_bytes.values()) <= MOST_BYTES:
            return config


def _softmax_fields(generator: random.Random, max_tokens: int) -> dict:
    """Fields of softmax attention alone."""
    return {
        "score_width": generator.choice((4, generator.randint(4, 16), 12, 16)),
        "exponential_width": generator.choice((4, generator.randint(4, 16), 11, 16)),
        "exponential_entries": 1 << generator.choice((1, generator.randint(1, 16), 10)),
        "query_block": generator.choice((0, 1, generator.randint(0, max_tokens), max_tokens)),
    }


def _fields(generator: random.Random, interval: int | None) -> dict:
    def value(least: int, most: int, *special: int) -> int:
        """A limit or a special value, or any between the limits; of large ranges small ones as often as large ones."""
        if generator.random() < 0.5:
            return generator.choice((least, most, *special))
        return (
            min(most, max(least, int(2 ** generator.uniform(0, most.bit_length()))))
            if most > 300
            else (generator.randint(least, most))
        )

    lanes = generator.choice(LANES)
    rows, columns = (-(-value(*limits) // lanes) * lanes for limits in ((2, MOST_ROWS), (1, MOST_COLUMNS)))
    least_iterations = interval or 0
    data_width = value(max(2, least_iterations - 9), 16, *((8, 9) if least_iterations < 9 else ()))
    mean_fraction = value(max(0, least_iterations - 1 - data_width), 8)
    iterations = data_width + mean_fraction + 1
    multiplier = generator.choice((*FORMS,))
    booth_columns = generator.choice((0, 0, 1, columns))
    counter_width = value(8, 32)
    forms = (multiplier, "booth") if booth_columns else (multiplier,)
    return {
        "rows": rows,
        "columns": columns,
        "data_width": data_width,
        "mean_fraction": mean_fraction,
        "constant_fraction": value(0, 16, 8),
        "max_tokens": value(1, 65535, 2, 197),
        "max_head_dim": value(1, 4096, 2, 64),
        "max_heads": value(1, 65535, 2),
        "pe_pipeline": value(max(FORMS[form].least_pipeline for form in forms), 4),
        "multiplier": multiplier,
        "booth_columns": booth_columns,
        "memory_pipeline": value(0, min(2, rows - 2)),
        "divider_interval": value(0, iterations, 1, 2) if interval is None else interval,
        "shift_z_min": value(-8, 0),
        "shift_z_max": value(0, 31, 1, data_width - 1, data_width),
        "stream_width": lanes * (8 if data_width <= 8 else 16),
        "input_timeout": value(1, (1 << counter_width) - 1),
        "counter_width": counter_width,
        "error_count_width": value(1, 16),
        "prefix": generator.choice(("", "", "a_", "x1__y_" + "z" * 25 + "_")),
    }

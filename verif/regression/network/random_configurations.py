"""Random configurations of the network accelerator that hold the networks of `models.drawn`, and are built in seconds.

What does not change the numbers of a network is drawn over the whole of its range, limits as often as all between: the
shape of the array, ports, queues, kinds of memory, lanes, blocks, series of roots and quotients, counters. A draw that
`NetworkConfig` refuses is made anew.
"""

from __future__ import annotations

import random

from taylorvit.rtl.array.multiplier import FORMS
from taylorvit.rtl.attention import KERNELS, NETWORK_KERNELS
from taylorvit.rtl.common.memory_kinds import ONE_PORT_KINDS, TWO_PORT_KINDS
from taylorvit.rtl.config import ConfigError
from taylorvit.rtl.network.config import COUNTERS, NetworkConfig

from .configurations import SIZES

__all__ = ["draw", "draws"]

MOST_ROWS = 9
KERNEL_NAMES = (*KERNELS, *NETWORK_KERNELS)


def draws(seed: int, numbers) -> list[NetworkConfig]:
    """The configurations of those numbers; one seed gives the same ones everywhere."""
    return [draw(seed, number) for number in numbers]


def draw(seed: int, number: int) -> NetworkConfig:
    """A configuration that is accepted."""
    generator = random.Random(f"network configuration {number} of {seed}")
    while True:
        try:
            return NetworkConfig(name=f"network-{seed}-{number}", **SIZES, **_fields(generator))
        except ConfigError:
            continue


def _divisors(number: int) -> list[int]:
    return [each for each in range(1, number + 1) if number % each == 0]


def _fields(generator: random.Random) -> dict:
    choice = generator.choice
    rows = choice((2, 3, 4, 5, 8, MOST_ROWS))
    columns = choice((1, rows, generator.choice((3, 4, 6, 8)), generator.randint(1, rows)))
    columns = min(columns, rows)
    tape_bytes = choice((columns, choice(_divisors(columns))))
    source = choice(("axi", "stream", "memory"))
    multiplier = choice(tuple(FORMS))
    booth_columns = choice((0, 0, 1, columns))
    forms = (multiplier, "booth") if booth_columns else (multiplier,)
    counter_width = choice((16, 32))
    image_banks = choice(("own", "activations"))
    any_kind = TWO_PORT_KINDS + ONE_PORT_KINDS
    return {
        "rows": rows,
        "columns": columns,
        "kernel": choice(KERNEL_NAMES),
        "mlp_tokens": choice((0, 1, generator.randint(1, SIZES["max_tokens"]))),
        "query_block": choice((0, 1, generator.randint(1, SIZES["max_tokens"]))),
        # 16 < n < `serial_root_cycles` is refused, and drawn anew.
        "norm_interval": choice((1, 16, generator.randint(1, 16), generator.randint(17, 128), 128)),
        "norm_lanes": choice((0, choice(_divisors(columns)), choice(_divisors(columns)))),
        "divider_interval": choice((0, 1, generator.randint(0, 12))),
        "tape_width": 8 * tape_bytes,
        "tape_source": source,
        "tape_queue_rows": choice((1, 2, 8)) << (2 * rows - 1).bit_length(),
        "command_queue": choice((0, 2)),
        "tape_memory_bytes": 1 << 16 if source == "memory" else 0,
        "axi_outstanding": choice((1, 4, 16)),
        "image_lanes": choice(_divisors(rows)),
        "image_banks": image_banks,
        "image_memory": choice(any_kind) if image_banks == "own" else "auto",
        "tape_memory": choice(any_kind) if source == "memory" else "auto",
        "activation_memory": choice(TWO_PORT_KINDS),
        "residual_memory": choice(TWO_PORT_KINDS),
        "kernel_memory": choice(TWO_PORT_KINDS),
        "partial_sum_memory": choice(TWO_PORT_KINDS),
        "tape_queue_memory": choice(TWO_PORT_KINDS),
        "pe_pipeline": generator.randint(max(FORMS[form].least_pipeline for form in forms), 4),
        "multiplier": multiplier,
        "booth_columns": booth_columns,
        "memory_pipeline": generator.randint(0, min(2, rows - 2)),
        "input_timeout": (1 << counter_width) - 1,
        "counters": choice(COUNTERS),
        "counter_width": counter_width,
        "error_count_width": choice((0, 1, 16)),
        "prefix": choice(("", "", "x1__")),
    }

"""Jobs for the regression of the whole accelerator: random, extreme and captured ones.

Random operands are integers of the full range. Constants are drawn so that every stage is in the middle of its range: G
saturates now and then, t_D stays positive, both terms of T_N matter, and the quotients fill their width and sometimes
exceed it; for another kernel than Taylor attention they are those that its quantizer finds, or as often any within
their ranges that leave every row a divisor. Captured tensors come through the quantizer.
"""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np

from taylorvit.golden import workloads
from taylorvit.golden.attention.constants import Constants
from taylorvit.golden.attention.integer_attention import JobConstants, exact_g_sum, integer_taylor_attention
from taylorvit.jobs import Job, format_of, golden_steps, quantize
from taylorvit.jobs.golden import golden_kernel
from taylorvit.rtl.config import AcceleratorConfig

__all__ = ["EXTREMES", "captured_job", "describe", "extreme_job", "fitting_constants", "limits_of_constants",
           "random_constants", "random_job", "random_operands"]  # fmt: skip

EXTREMES = ("minimum", "maximum", "opposite", "alternating", "equal", "zero")


def random_job(
    generator: np.random.Generator, config: AcceleratorConfig, heads: int, tokens: int, head_dim: int
) -> Job:
    """Random operands with constants that fit them."""
    q, k, v = random_operands(generator, config, heads, tokens, head_dim)
    if config.kernel == "taylor":
        return Job(q, k, v, fitting_constants(generator, config, q, k, v), kernel=config.kernel)
    exponents = (int(exponent) for exponent in generator.integers(-config.data_width, 1, 3))
    fitting = golden_kernel(config).scales(q, k, v, *exponents, format_of(config)).constants
    job = Job(q, k, v, fitting, kernel=config.kernel)
    if generator.random() < 0.5:
        drawn = replace(job, constants=random_constants(config, generator))
        if not golden_steps(drawn, config).denominator_errors:
            return drawn
    return job


def random_constants(config: AcceleratorConfig, generator: np.random.Generator) -> Constants:
    """Constants anywhere within their ranges, of any kernel; of long ranges small values as often as large ones."""
    integers = random.Random(int(generator.integers(1 << 63)))

    def drawn(least: int, most: int) -> int:
        bits = integers.randrange((most - least).bit_length() + 1)
        few = most - least < 300
        return integers.randint(least, most) if few else min(least + integers.getrandbits(bits), most)

    def table(entries: int, most: int) -> list[int]:
        numbers = [drawn(0, most) for _entry in range(entries)]
        return [max(numbers[0], 1), *numbers[1:]]

    kind = golden_kernel(config).constants
    limits = format_of(config)
    return kind(
        **{name: drawn(*ends) for name, ends in kind.ranges(limits).items()},
        **{name: table(*sizes) for name, sizes in kind.table_ranges(limits).items()},
    )


def random_operands(
    generator: np.random.Generator, config: AcceleratorConfig, heads: int, tokens: int, head_dim: int
) -> np.ndarray:
    """Q, K and V, (3, heads, tokens, head_dim), over the whole range; K and V off centre by a random feature mean."""
    low, high = _limits(config)
    operands = generator.integers(low, high + 1, (3, heads, tokens, head_dim))
    offset = generator.integers(low, high + 1, (3, heads, 1, head_dim)) // 2
    return np.clip(operands + offset, low, high)


def fitting_constants(
    generator: np.random.Generator, config: AcceleratorConfig, q: np.ndarray, k: np.ndarray, v: np.ndarray
) -> JobConstants:
    """Random constants for operands, each within about two bits of what uses the widths best; every t_D > 0."""
    number_format = format_of(config)
    width, fraction = config.data_width, config.constant_fraction
    largest_g = _magnitude(exact_g_sum(k, v, config.mean_fraction))
    shift_g = largest_g.bit_length() - (width - 1) + int(generator.integers(-2, 2))
    shift_g = min(max(shift_g, 0), config.shift_g_max)
    steps = integer_taylor_attention(q, k, v, JobConstants(shift_g, max(0, config.shift_z_min), 0, 0), number_format)

    stray = _magnitude(steps.t_d)
    c_d = stray + 1 + int(generator.integers(0, 4 * stray + (1 << (fraction + width))))
    c_d = min(c_d, number_format.c_d_max)
    share = (_magnitude(steps.t_n) + 1) / (_magnitude(steps.v_sum) + 1)
    c_v = int(share * 4 ** generator.uniform(-1, 1)) + int(generator.integers(1, 2 << fraction))
    c_v = min(c_v, number_format.c_v_max)

    t_n = _magnitude(steps.t_n + c_v * steps.v_sum.astype(object)[:, np.newaxis, :])  # may exceed int64
    shift_z = (width - 1) + c_d.bit_length() - t_n.bit_length() + int(generator.integers(-1, 2))
    shift_z = min(max(shift_z, config.shift_z_min), config.shift_z_max)
    return JobConstants(shift_g, shift_z, c_v, c_d)


def limits_of_constants(config: AcceleratorConfig) -> list:
    """Constants at their limits, one or several at a time."""
    limits = format_of(config)
    if config.kernel != "taylor":
        kind = golden_kernel(config).constants
        ranges = kind.ranges(limits)
        lowest, highest = ({name: limit[side] for name, limit in ranges.items()} for side in (0, 1))
        at_most = [lowest | {name: highest[name]} for name in ranges]
        at_least = [highest | {name: lowest[name]} for name in ranges]
        smallest, largest = (
            {
                name: [max(most * side, 1)] + [most * side] * (entries - 1)
                for name, (entries, most) in kind.table_ranges(limits).items()
            }
            for side in (0, 1)
        )
        sides = (smallest, largest) if smallest else (smallest,)
        return [kind(**values, **tables) for values in (lowest, highest, *at_most, *at_least) for tables in sides]
    low, high, top, width = limits.shift_z_min, limits.shift_z_max, limits.shift_g_max, config.data_width
    c_v, c_d = limits.c_v_max, limits.c_d_max
    return [
        JobConstants(0, 0, 0, 1),
        JobConstants(0, high, c_v, c_d),
        JobConstants(0, low, c_v, c_d),
        JobConstants(0, high, 0, c_d),
        JobConstants(0, high, c_v, 1),
        JobConstants(0, low, 0, 1),
        JobConstants(0, low, c_v, 1),
        JobConstants(top, high, 0, c_d),
        JobConstants(top, high, 1, c_d),
        JobConstants(top - 1, 0, c_v, c_d),
        JobConstants(width, min(width - 1, high), c_v >> width, c_d >> width),
        JobConstants(width, min(width, high), 0, 0),
    ]


def extreme_job(
    kind: str, config: AcceleratorConfig, heads: int, tokens: int, head_dim: int, constants: Constants
) -> Job:
    """Operands at the edges of their range: the largest sums, the largest differences, no difference at all."""
    low, high = _limits(config)
    shape = (heads, tokens, head_dim)
    alternating = np.where(np.indices(shape).sum(axis=0) % 2, low, high)
    lowest, highest, ones, zeros = (np.full(shape, value, dtype=np.int64) for value in (low, high, 1, 0))
    operands = {
        "minimum": (lowest, lowest, lowest),
        "maximum": (highest, highest, highest),
        "opposite": (lowest, alternating, highest),
        "alternating": (alternating, alternating, alternating),
        "equal": (ones, ones, ones),
        "zero": (zeros, zeros, zeros),
    }
    return Job(*operands[kind], constants, kernel=config.kernel)


def captured_job(
    name: str, heads: slice, config: AcceleratorConfig, tokens: int | None = None, head_dim: int | None = None
) -> Job:
    """Heads of a captured workload, the first tokens and features of each, quantized for `config`."""
    workload = workloads.load(name)
    operands = (getattr(workload, operand)[heads, :tokens, :head_dim] for operand in "qkv")
    return quantize(*operands, config)


def describe(job: Job) -> str:
    """Shape and constants, for a message."""
    heads, tokens, head_dim = job.shape
    registers = ", ".join(f"{name.lower()} {value}" for name, value in job.registers.items())
    return f"{heads} x {tokens} x {head_dim}, {registers}"


def _limits(config: AcceleratorConfig) -> tuple[int, int]:
    return -(1 << (config.data_width - 1)), (1 << (config.data_width - 1)) - 1


def _magnitude(values: np.ndarray) -> int:
    return int(np.max(np.abs(values)))

"""Bytes of a column's constants: each set takes effect when it is told to, while the next one comes in."""

from __future__ import annotations

import random

import cocotb

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.bundles import LoadKind
from taylorvit.rtl.network.column_constants import ColumnConstants
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, Timeline, drive, integers, on_every_block
from verif.rtl.network.configurations import CONFIGURATIONS, config_of

THINGS = 200
CONSTANTS = ("bias", "stream_shift", "branch_shift", "right_shift", "left_shift")
NORM = ("tile", "gamma", "beta", "left_shift")


def blocks():
    return {name: ColumnConstants(config_of(name)) for name in CONFIGURATIONS}


def little_endian(*numbers_and_sizes):
    return b"".join((number % (1 << 8 * size)).to_bytes(size, "little") for number, size in numbers_and_sizes)


async def check(view, name, seed):
    """Things of three kinds in any order; other rows, and bytes that are not valid, between."""
    config, generator = config_of(name), random.Random(seed)
    block = ColumnConstants(config)
    timeline = Timeline(block, generator, ("valid", "take"))
    in_effect, norms, embeddings = {}, {}, {}
    cycle, waiting, taken = 0, None, -1  # the cycle in which the latest constants took effect

    def send(data, kind, place):
        """The bytes; returns the cycle of the last one."""
        nonlocal cycle
        for number, byte in enumerate(data):
            while generator.random() < 0.2:
                other = generator.choice((LoadKind.TAPE_TILE, LoadKind.KERNEL_0, LoadKind.KERNEL_1))
                timeline.set(cycle, valid=generator.getrandbits(1), kind=other)
                cycle += 1
            if kind == LoadKind.CONSTANT and number == 7:
                cycle = max(cycle, taken)
            timeline.set(cycle, valid=1, kind=kind, number=number, place=place, data=byte)
            cycle += 1
        return cycle - 1

    def take():
        """What waits takes effect, in the next cycle or later."""
        nonlocal waiting, taken
        if waiting is not None:
            taken = max(cycle, taken + 1) + generator.choice((0, 0, 3, 12))
            timeline.set(taken, take=1)
            in_effect[taken + 1] = waiting
            waiting = None

    for _ in range(THINGS):
        kind = generator.choice((LoadKind.CONSTANT, LoadKind.NORM_CONSTANT, LoadKind.EMBEDDING))
        if kind == LoadKind.CONSTANT:
            take()
            [bias] = integers(generator, config.sum_width, 1)
            limits = (
                config.stream_shift_max, config.branch_shift_max, config.right_shift_limit, config.left_shift_max
            )  # fmt: skip
            shifts = [generator.choice((0, most, generator.randint(0, most))) for most in limits]
            send(little_endian((bias, 4), *((shift, 1) for shift in shifts)), kind, 0)
            waiting = (bias, *shifts)
        elif kind == LoadKind.NORM_CONSTANT:
            tile, left_shift = generator.randrange(config.residual_tiles), generator.randint(0, config.left_shift_max)
            [gamma], [beta] = integers(generator, config.gamma_width, 1), integers(generator, config.beta_width, 1)
            end = send(little_endian((gamma, 2), (beta, 4), (left_shift, 1), (0, 1)), kind, tile)
            norms[end] = (tile, gamma % (1 << config.gamma_width), beta % (1 << config.beta_width), left_shift)
        else:
            place, [feature] = generator.randrange(config.residual_depth), integers(generator, config.residual_width, 1)
            end = send(little_endian((feature, 2)), kind, place)
            embeddings[end + block.embedding_latency] = (place, feature % (1 << config.residual_width))
    take()

    inputs = timeline.inputs()
    outputs = [
        *(f"constants__{member}" for member in CONSTANTS),
        "norm__valid",
        *(f"norm__{member}" for member in NORM),
    ]
    outputs += ["embedding_valid", "embedding_address", "embedding"]
    got = await drive(view, inputs, outputs, extra=2)
    cycles = len(got["norm__valid"])
    begins = sorted(in_effect)
    for begin, end in zip(begins, [*begins[1:], cycles]):
        for member, number in zip(CONSTANTS, in_effect[begin]):
            words = got[f"constants__{member}"][begin:end]
            seen = [word.to_signed() if member == "bias" else int(word) for word in words]
            expect_equal(f"{member} from cycle {begin} on", seen, [number] * len(seen))
    for valid, ports, expected in (
        ("norm__valid", [f"norm__{member}" for member in NORM], norms),
        ("embedding_valid", ["embedding_address", "embedding"], embeddings),
    ):
        found = [cycle for cycle in range(cycles) if int(got[valid][cycle])]
        expect_equal(f"cycles of {valid}", found, sorted(expected))
        for cycle, numbers in expected.items():
            expect_equal(f"{ports} in cycle {cycle}", [int(got[port][cycle]) for port in ports], list(numbers))
    assert min(len(in_effect), len(norms), len(embeddings)) > THINGS // 6


@cocotb.test()
async def bytes_become_constants(dut):
    """Blocks of all configurations, at once."""
    await on_every_block(dut, blocks(), check)


def test_column_constants():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared > 10 * THINGS * len(CONFIGURATIONS)

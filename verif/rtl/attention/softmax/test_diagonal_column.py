"""Diagonal column: ones, divisors, and the chains for the largest score of each row."""

from __future__ import annotations

import random

import cocotb

from taylorvit.gen.verilog import emit
from taylorvit.rtl.attention.softmax.array_column import ArrayColumn
from taylorvit.rtl.attention.softmax.bundles import Phase
from taylorvit.rtl.attention.softmax.diagonal_column import DiagonalColumn
from taylorvit.rtl.attention.softmax.row_maximum import least_score
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import PASSED_ON, SideBySide, Timeline, bits, drive, on_every_block, ports_of

from .configurations import CONFIGS

STROBES = ("accumulate_in__valid", "divide_in__start")
PASSES, QUERIES = 40, 6


def delays_of(config):
    column = ArrayColumn(config)
    return {
        "load_latency": column.load_latency,
        "score_latency": column.kept_latency,
        "divisor_delay": column.divisor_delay,
    }


def blocks():
    return {name: DiagonalColumn(config, **delays_of(config)) for name, config in CONFIGS.items()}


@cocotb.test()
async def sums_become_divisors(dut):
    """Sums of exponentials over one or two tiles are aligned; without any there is no divisor."""
    await on_every_block(dut, blocks(), check)


async def check(view, name, seed):
    config, block, generator = CONFIGS[name], blocks()[name], random.Random(seed)
    delays = delays_of(config)
    queries = min(QUERIES, config.longest_block)
    shift = generator.randint(0, config.divisor_shift_max)
    timeline = Timeline(block, generator, STROBES)
    stationary, maxima, divisors, errors = {}, {}, {}, []
    cycle = queue = 0
    accumulate = block.accumulator.latency
    for _pass in range(PASSES):
        phase, tiles, half = generator.choice([*Phase]), generator.randint(1, 2), generator.getrandbits(1)
        most = (1 << config.exponential_sum_width) - 1
        sums = [
            [generator.choice((0, generator.randint(0, most // 2))) for _tile in range(tiles)]
            for _query in range(queries)
        ]
        for tile in range(tiles):
            begin = cycle
            for query in range(queries):
                last = tile == tiles - 1
                place = queue % config.row_queue_depth
                members = {"valid": 1, "first": int(tile == 0), "last": int(last), "phase": phase, "index": query,
                           "address": place}  # fmt: skip
                timeline.set(cycle, **{f"accumulate_in__{member}": int(value) for member, value in members.items()})
                timeline.set(cycle + block.accumulator.sum_delay, partial_sum=sums[query][tile])
                blank = generator.random() < 0.3
                timeline.set(cycle, load_in__blank=int(blank))
                stationary[cycle + PASSED_ON + delays["load_latency"] - 1] = int(not blank)
                if last and phase == Phase.SCORES:
                    first, finish, left = (
                        generator.getrandbits(1),
                        generator.getrandbits(1),
                        generator.randint(1, config.columns),
                    )
                    for member, value in (("half", half), ("first", first), ("finish", finish), ("left", left)):
                        timeline.set(cycle, **{f"score_tile__{member}": value})
                    index = half << bits(config.longest_block) | query
                    maxima[cycle + PASSED_ON + delays["score_latency"]] = index, first, finish, left
                elif last:
                    total = sum(sums[query])
                    start = cycle + accumulate + 1
                    timeline.set(start, divide_in__start=1, divide_in__queue_address=place)
                    divisors[start + PASSED_ON + delays["divisor_delay"]] = total << shift, int(total == 0)
                    if total == 0:
                        errors.append(start + PASSED_ON + delays["divisor_delay"] - 1)
                    queue += 1
                cycle += 1
            cycle = max(cycle, begin + config.rows)
    outputs = [port for port, (_width, incoming) in ports_of(block).items() if not incoming]
    got = await drive(view, timeline.inputs(divisor_shift=shift), outputs, extra=20)
    expect_equal(
        f"stationary of {name}", [got["stationary"][at].to_signed() for at in stationary], [*stationary.values()]
    )
    valid = [at for at, value in enumerate(got["maximum_out__valid"]) if value]
    expect_equal(f"cycles with a score of {name}", valid, [*maxima])
    names = ("index", "first", "finish", "left")
    seen = [tuple(int(got[f"maximum_out__{member}"][at]) for member in names) for at in maxima]
    expect_equal(f"chains of {name}", seen, [*maxima.values()])
    least = [got["maximum_out__maximum"][at].to_signed() for at in maxima]
    expect_equal(f"first maximum of {name}", least, [least_score(config.kept_score_width)] * len(maxima))
    seen = [(int(got["divisor_out"][at]), int(got["invalid_out"][at])) for at in divisors]
    expect_equal(f"divisors of {name}", seen, [*divisors.values()])
    found = [at for at, value in enumerate(got["denominator_error"]) if value]
    expect_equal(f"denominator_error of {name}", found, errors)


def test_diagonal_column():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared > 2000

"""Array column: stationary keys and values, scores and the largest of them, quotients, each in its cycle."""

from __future__ import annotations

import random

import cocotb

from taylorvit.gen.verilog import emit
from taylorvit.golden.arithmetic.number_format import divide_round_half_up, saturate, shift_right_round_half_up
from taylorvit.rtl.attention.softmax.array_column import ArrayColumn
from taylorvit.rtl.attention.softmax.bundles import Phase, score_address_width
from taylorvit.simulation import build, expect_equal, pack, run
from verif.rtl.harness import SideBySide, Timeline, bits, drive, integers, on_every_block, ports_of, tile_bits

from .configurations import CONFIGS

STROBES = ("k_in__valid", "v_in__valid", "accumulate_in__valid", "divide_in__start", "write_back_in__write")
PASSES, QUERIES = 40, 6


def blocks():
    return {name: ArrayColumn(config) for name, config in CONFIGS.items()}


def outputs_of(block):
    return [port for port, (_width, incoming) in ports_of(block).items() if not incoming]


@cocotb.test()
async def tiles_of_keys_and_values(dut):
    """Of a key the feature in its lane, of a value the element, zeros where the row is blank."""

    async def check(view, name, seed):
        config, block, generator = CONFIGS[name], blocks()[name], random.Random(seed)
        width, lanes = config.data_width, config.stream_lanes
        k_words = 2 ** (1 + tile_bits(config.key_tiles) + tile_bits(config.max_beats_per_row))
        v_words = 2 ** (1 + tile_bits(config.column_tiles) + bits(config.max_tokens))
        timeline = Timeline(block, generator, STROBES)
        keys, values = {}, {}
        for cycle, address in enumerate(generator.sample(range(k_words), min(50, k_words))):
            keys[address] = integers(generator, width, lanes)
            timeline.set(
                cycle, k_in__valid=1, k_in__offset=0, k_in__address=address, k_in__data=pack(keys[address], width)
            )
        for cycle, address in enumerate(generator.sample(range(v_words), min(50, v_words))):
            word = integers(generator, width, lanes)
            values[address] = word[0]  # of its neighbours the others
            timeline.set(cycle, v_in__valid=1, v_in__offset=0, v_in__address=address, v_in__data=pack(word, width))
        expected = {}
        for cycle in range(60, 260):
            phase, blank, lane = generator.choice([*Phase]), generator.random() < 0.2, generator.randrange(lanes)
            address = generator.choice([*(keys if phase == Phase.SCORES else values)])
            members = {"phase": phase, "address": address, "lane": lane, "blank": blank}
            timeline.set(cycle, **{f"load_in__{member}": int(value) for member, value in members.items()})
            word = keys[address][lane] if phase == Phase.SCORES else values[address]
            expected[cycle + block.load_latency] = 0 if blank else word
        got = await drive(view, timeline.inputs(), ["stationary"], extra=block.load_latency)
        seen = [got["stationary"][cycle].to_signed() for cycle in expected]
        expect_equal(f"stationary of {name}", seen, [*expected.values()])

    await on_every_block(dut, blocks(), check)


@cocotb.test()
async def scores_and_quotients(dut):
    """Totals over one or two tiles: as scores to rows and chain, or through the queue and the divider."""
    await on_every_block(dut, blocks(), check_totals)


async def check_totals(view, name, seed):
    config, block, generator = CONFIGS[name], blocks()[name], random.Random(seed)
    queries = min(QUERIES, config.longest_block)
    shift_s = generator.randint(0, config.score_sum_width // 2)
    numerator_shift = generator.randint(0, 3)
    timeline = Timeline(block, generator, STROBES)
    scores, maxima, z = {}, {}, {}
    cycle = queue = 0
    spacing = max(config.divider_row_interval, 1)
    divided = 0
    for _pass in range(PASSES):
        phase, tiles = generator.choice([*Phase]), generator.randint(1, 2)
        width = config.score_sum_width if phase == Phase.SCORES else config.value_sum_width
        sums = [integers(generator, width - 1, tiles) for _query in range(queries)]
        for tile in range(tiles):
            begin = cycle
            for query in range(queries):
                last = tile == tiles - 1
                members = {"valid": 1, "first": int(tile == 0), "last": int(last), "phase": phase, "index": query}
                total = sum(sums[query]) if last else 0
                if last and phase == Phase.SCORES:
                    address = generator.randrange(2 ** score_address_width(config))
                    part = generator.randrange(config.score_turns)
                    members |= {"address": address, "part": part}
                    score = int(saturate(shift_right_round_half_up(total, shift_s), config.kept_score_width))
                    at = cycle + block.kept_latency
                    scores[at] = address, part, score
                    left = generator.randint(0, config.columns)
                    before = generator.choice(integers(generator, config.kept_score_width, 1))
                    timeline.set(at, maximum_in__left=left, maximum_in__maximum=before)
                    maxima[at + 1] = max(0, left - 1), max(before, score) if left else before
                elif last:
                    place = queue % config.row_queue_depth
                    members |= {"address": place}
                    divisor = generator.randint(1, (1 << config.exponential_sum_width) - 1) << config.divisor_shift_max
                    start = max(cycle + block.accumulator.latency + 1, divided + spacing)
                    timeline.set(start, divide_in__start=1, divide_in__queue_address=place)
                    timeline.set(start + block.divisor_delay, divisor_in=divisor, invalid_in=0)
                    quotient = divide_round_half_up(total << numerator_shift + config.data_width - 1, divisor)
                    z_address = queue % 2 ** (1 + tile_bits(config.column_tiles) + bits(config.max_tokens))
                    at = start + block.write_back_delay
                    timeline.set(at, write_back_in__write=1, write_back_in__address=z_address)
                    timeline.set(at + 1, z_address=z_address)
                    z[at + 1 + block.z_latency] = int(saturate(quotient, config.data_width))
                    divided, queue = start, queue + 1
                timeline.set(cycle, **{f"accumulate_in__{member}": int(value) for member, value in members.items()})
                timeline.set(cycle + block.sum_delay, partial_sum=sums[query][tile])
                cycle += 1
            cycle = max(cycle, begin + config.rows)  # a pass takes that many cycles
        if phase == Phase.VALUES:  # no more rows than the queue has places
            cycle = max(cycle, divided)
    inputs = timeline.inputs(shift_s_in=shift_s, numerator_shift_in=numerator_shift)
    got = await drive(view, inputs, outputs_of(block), extra=block.z_latency + 2)
    valid = [cycle for cycle, value in enumerate(got["score__valid"]) if value]
    expect_equal(f"cycles with a score of {name}", valid, [*scores])
    seen = [
        (int(got["score__address"][at]), int(got["score__part"][at]), got["score__score"][at].to_signed())
        for at in scores
    ]
    expect_equal(f"scores of {name}", seen, [*scores.values()])
    seen = [(int(got["maximum_out__left"][at]), got["maximum_out__maximum"][at].to_signed()) for at in maxima]
    expect_equal(f"largest scores of {name}", seen, [*maxima.values()])
    expect_equal(f"z of {name}", [got["z_data"][at].to_signed() for at in z], [*z.values()])


def test_array_column():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.tests == 2 and result.compared > 2000

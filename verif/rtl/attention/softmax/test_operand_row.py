"""Operand row: queries and exponentials in their cycles, scores that find their banks, a table that no reset stops."""

from __future__ import annotations

import random

import cocotb

from taylorvit.gen.verilog import emit
from taylorvit.rtl.attention.softmax.bundles import Phase, score_address_width
from taylorvit.rtl.attention.softmax.operand_row import OperandRow
from taylorvit.simulation import build, expect_equal, pack, run
from verif.rtl.harness import (
    PASSED_ON,
    SideBySide,
    Timeline,
    bits,
    drive,
    expect_handed_on,
    expect_passed_on,
    integers,
    on_every_block,
    ports_of,
    tile_bits,
)

from .configurations import CONFIGS

ELEMENTS = 300
TABLE = tuple(f"table_write_in__{name}" for name in ("valid", "entry", "data"))


def blocks():
    return {name: OperandRow(config) for name, config in CONFIGS.items()}


@cocotb.test()
async def row_streams_queries_and_exponentials(dut):
    """Words of both kinds of banks, written while others are read, come out in their cycles."""
    await on_every_block(dut, blocks(), check)


async def check(view, name, seed):
    config, block, generator = CONFIGS[name], blocks()[name], random.Random(seed)
    width, score_width, lanes = config.data_width, config.kept_score_width, config.stream_lanes
    banks, turns = config.score_banks, config.score_turns
    q_words = 2 ** (1 + tile_bits(config.row_tiles) + bits(config.max_tokens))
    score_words = 2 ** score_address_width(config)
    table = integers(generator, config.exponential_width, config.exponential_entries, signed=False)
    own_turns = [generator.randrange(turns) for _bank in range(banks)]
    strobes = ("q_in__valid", "table_write_in__valid", *(f"scores__{bank}__valid" for bank in range(banks)))
    timeline = Timeline(block, generator, (*strobes, "control_in__swap"))

    # All words of the banks that will be read, one a cycle, with scores of other turns between.
    addresses = generator.sample(range(q_words), min(q_words, 60))
    queries = dict(zip(addresses, integers(generator, width, len(addresses))))
    for cycle, (address, query) in enumerate(queries.items()):
        others = integers(generator, width, lanes - 1)
        timeline.set(
            cycle, q_in__valid=1, q_in__offset=0, q_in__address=address, q_in__data=pack([query, *others], width)
        )
    addresses = generator.sample(range(score_words), min(score_words, 60))
    scores = [dict(zip(addresses, integers(generator, score_width, len(addresses)))) for _bank in range(banks)]
    for bank, words in enumerate(scores):
        for cycle, (address, score) in enumerate(words.items()):
            members = {"valid": 1, "part": own_turns[bank], "address": address, "score": score}
            timeline.set(cycle, **{f"scores__{bank}__{member}": value for member, value in members.items()})
            if turns > 1:  # of another turn: it is not for this bank
                members |= {"part": (own_turns[bank] + 1) % turns, "score": ~score}
                timeline.set(100 + cycle, **{f"scores__{bank}__{member}": value for member, value in members.items()})
    for entry, value in enumerate(table):
        timeline.set(entry, **dict(zip(TABLE, (1, entry, value))))

    expected = {}
    for index in range(ELEMENTS):
        cycle = 200 + index
        phase = generator.choice([*Phase])
        bank, address = generator.randrange(banks), generator.choice(addresses)
        swap = generator.getrandbits(1)
        if phase == Phase.SCORES:
            address = generator.choice([*queries])
            streamed = queries[address]
        else:
            score = scores[bank][address]
            maximum = min(score + generator.choice((0, 1, 5, 100)), (1 << (score_width - 1)) - 1)
            timeline.set(cycle + block.memory_latency, maximum_in=maximum)
            below = maximum - score
            streamed = table[below] if below < config.exponential_entries else 0
        timeline.set(cycle, control_in__phase=phase, control_in__address=address, control_in__swap=swap)
        timeline.set(cycle, control_in__bank=bank)
        expected[cycle + block.latency] = streamed, swap
    constants = {f"turn__{bank}": turn for bank, turn in enumerate(own_turns)}
    inputs = timeline.inputs(**constants)
    outputs = [port for port, (_bits, incoming) in ports_of(block).items() if not incoming]
    got = await drive(view, inputs, outputs, extra=block.latency)
    cycles = [*expected]
    expect_equal(
        f"streamed of {name}",
        [got["streamed"][cycle].to_signed() for cycle in cycles],
        [e[0] for e in expected.values()],
    )
    expect_equal(f"swap of {name}", [int(got["swap"][cycle]) for cycle in cycles], [e[1] for e in expected.values()])
    chained = [port for port in inputs if port.startswith(("control_in", "maximum_in", "table_write_in"))]
    length = min(len(inputs[port]) for port in chained)
    expect_passed_on(got, inputs, chained, length, f" of {name}")
    expect_handed_on(block, "q", got, inputs, length, shares=lanes, registers=config.chain_registers)


@cocotb.test()
async def no_reset_stops_the_table(dut):
    """An entry that comes in during a reset goes on to the row below."""

    async def reset(view, name, seed):
        block, generator = blocks()[name], random.Random(seed)
        widths = [ports_of(block)[port][0] for port in TABLE]
        entries = [[generator.getrandbits(width) for _cycle in range(20)] for width in widths]
        outputs = [port.replace("_in", "_out") for port in TABLE]
        got = await drive(view, dict(zip(TABLE, entries)), outputs)
        for port, values in zip(outputs, entries):
            expect_equal(f"{port} of {name}", [int(value) for value in got[port][PASSED_ON:]], values[:-PASSED_ON])

    async def all_in_reset(view, name, seed):
        view.rst.value = 1
        await reset(view, name, seed)

    await on_every_block(dut, blocks(), all_in_reset)


def test_operand_row():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.tests == 2 and result.compared > 5000

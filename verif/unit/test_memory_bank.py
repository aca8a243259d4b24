"""Memory bank against a list."""

from __future__ import annotations

import random

import cocotb

from gen.verilog import emit
from rtl.memory_bank import MemoryBank
from verif.bench import build, expect_equal, run, start
from verif.unit.harness import SideBySide, View, drive, idle_inputs, integers

SIZES = {"one_word": (1, 8), "odd": (5, 12), "small": (16, 4), "large": (512, 6), "wide": (256, 75)}
ACCESSES = 3000
READ_LATENCY = 1


def blocks():
    return {name: MemoryBank(depth=depth, width=width) for name, (depth, width) in SIZES.items()}


@cocotb.test()
async def words_are_kept(dut):
    await start(dut, **idle_inputs(SideBySide(blocks())))
    tasks = [
        cocotb.start_soon(check(View(dut, name), *size, f"{cocotb.RANDOM_SEED}-{name}")) for name, size in SIZES.items()
    ]
    for task in tasks:
        await task


async def check(view, depth, width, seed):
    generator = random.Random(seed)
    # All words are read before the first write; later reads often meet the word being written.
    read_address = [*range(depth), *(generator.randrange(depth) for _ in range(ACCESSES))]
    write_enable = [0] * depth + [generator.getrandbits(1) for _ in range(ACCESSES)]
    write_address = [generator.choice((address, generator.randrange(depth))) for address in read_address]
    write_data = integers(generator, width, len(read_address), signed=False)

    words = [0] * depth
    expected = []
    for cycle, address in enumerate(read_address):
        expected.append(words[address])
        if write_enable[cycle]:
            words[write_address[cycle]] = write_data[cycle]

    inputs = {
        "read_address": read_address, "write_enable": write_enable, "write_address": write_address,
        "write_data": write_data,
    }  # fmt: skip
    got = await drive(view, inputs, ["read_data"], extra=READ_LATENCY)
    expect_equal("read_data", [word.to_unsigned() for word in got["read_data"][READ_LATENCY:]], expected, width=width)


def test_memory_bank():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared == sum(depth + ACCESSES for depth, _width in SIZES.values())

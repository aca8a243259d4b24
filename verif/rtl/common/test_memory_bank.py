"""Memory bank against a list."""

from __future__ import annotations

import random

import cocotb
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.common.memory_bank import memory_bank
from taylorvit.simulation import build, expect_equal, run, start
from verif.rtl.harness import SideBySide, View, drive, idle_inputs, integers

# Words, their bits, registers behind the memory, its kind, what the first words are at power-up.
SIZES = {
    "one_word": (1, 8, 0, "auto"),
    "odd": (5, 12, 1, "auto"),
    "small": (16, 4, 2, "distributed"),
    "large": (512, 6, 0, "block"),
    "wide": (256, 75, 1, "auto"),
    "deep": (33, 9, 3, "auto"),
    "split": (37, 12, 1, "split"),
    "split_evenly": (64, 3, 0, "split"),
    "split_off": (33, 5, 0, "split"),
    "huge": (40, 16, 1, "huge"),
    "huge_word": (1, 3, 0, "huge"),
    "filled": (20, 7, 1, "auto", tuple(range(101, 121))),
    "begun": (33, 9, 0, "distributed", (1, 500, 3)),
    "split_begun": (37, 12, 0, "split", tuple(range(4000, 4034))),
    "split_twice": (6181, 13, 1, "split", tuple(range(1000, 7100))),  # 4,096 and 2,048 words, and 37
    "split_without_rest": (12288, 2, 0, "split"),  # 8,192 and 4,096
}
ACCESSES = 3000


def blocks():
    return {
        name: memory_bank(
            depth=depth, width=width, pipeline=pipeline, kind=kind, contents=contents[0] if contents else ()
        )
        for name, (depth, width, pipeline, kind, *contents) in SIZES.items()
    }


@cocotb.test()
async def words_are_kept(dut):
    """A word that is read is the one that was written last; before the first write, what was told, or zero."""
    banks = blocks()
    await start(dut, **idle_inputs(SideBySide(blocks())))
    tasks = [
        cocotb.start_soon(check(View(dut, name), bank, f"{cocotb.RANDOM_SEED}-{name}")) for name, bank in banks.items()
    ]
    for task in tasks:
        await task


async def check(view, bank, seed):
    generator = random.Random(seed)
    # All words are read before the first write; later reads often follow a write of their word.
    read_address = [*range(bank.depth), *(generator.randrange(bank.depth) for _ in range(ACCESSES))]
    write_enable = [0] * bank.depth + [generator.getrandbits(1) for _ in range(ACCESSES)]
    write_address = [
        generator.choice((*read_address[cycle + 1 : cycle + 3], generator.randrange(bank.depth)))
        for cycle in range(len(read_address))
    ]
    write_data = integers(generator, bank.width, len(read_address), signed=False)

    words = [None if bank.one_port else 0] * bank.depth
    words[: len(bank.contents)] = bank.contents
    on_its_way = [None] * bank.latency  # None: nothing in particular
    expected = []  # what `read_data` shows at the end of each cycle
    for cycle, address in enumerate(read_address):
        written = write_enable[cycle] and (bank.one_port or write_address[cycle] == address)
        on_its_way = [None if written else words[address], *on_its_way[:-1]]
        expected.append(on_its_way[-1])
        if write_enable[cycle]:
            words[write_address[cycle]] = write_data[cycle]

    inputs = {
        "read_address": read_address,
        "write_enable": write_enable,
        "write_address": write_address,
        "write_data": write_data,
    }
    got = (await drive(view, inputs, ["read_data"], extra=1))["read_data"][1:]
    known = [(word.to_unsigned(), right) for word, right in zip(got, expected) if right is not None]
    expect_equal("read_data", [word for word, _right in known], [right for _word, right in known], width=bank.width)
    assert len(known) > 0.4 * len(expected)


def test_memory_bank():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared > 0.4 * ACCESSES * len(SIZES)


def test_contents_that_cannot_be():
    with pytest.raises(ValueError, match="^contents must have at most depth = 2 words, not 3$"):
        memory_bank(depth=2, width=8, kind="auto", contents=(1, 2, 3))
    with pytest.raises(ValueError, match="^kind must be one of memory with contents at power-up, not 'huge'$"):
        memory_bank(depth=2, width=8, kind="huge", contents=(1,))


def test_banks_of_other_contents_are_other_modules():
    names = {memory_bank(depth=4, width=8, kind="auto", contents=words).module_name for words in ((), (1,), (2,))}
    assert len(names) == 3

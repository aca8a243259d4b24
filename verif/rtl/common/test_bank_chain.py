"""A chain of banks: each word ends up in the banks that it is meant for, and in no other."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import Out, Signature

from taylorvit.rtl.common.bank_chain import BankWrite, bank_write
from verif.rtl.harness import simulate

WORDS = 60
PORT = Signature({"write_enable": Out(1), "write_address": Out(3), "write_data": Out(4)})


@pytest.mark.parametrize("registers", [0, 1])
@pytest.mark.parametrize(("banks", "shares"), [(1, 1), (4, 1), (6, 2), (8, 4)])
def test_words_reach_their_banks(banks, shares, registers):
    m = Module()
    word = BankWrite(banks=banks, address_width=3, data_width=4 * shares)
    ways = [word.create(path=(f"way_{bank}",)) for bank in range(banks + 1)]
    ports = [PORT.create(path=(f"bank_{bank}",)) for bank in range(banks)]
    for port, source, target in zip(ports, ways, ways[1:]):
        bank_write(m, port, source, target, shares=shares, registers=registers)
    generator = random.Random(f"{banks} {shares} {registers}")
    expected, written = [], []

    async def bench(context):
        for cycle in range(WORDS + banks + 1):
            valid = cycle < WORDS and generator.random() < 0.7
            first = shares * generator.randrange(banks // shares)  # destination
            address, elements = generator.randrange(8), [generator.randrange(16) for _ in range(shares)]
            context.set(ways[0].valid, valid)
            context.set(ways[0].offset, -first % (1 << len(ways[0].offset)))
            context.set(ways[0].address, address)
            context.set(ways[0].data, sum(element << 4 * share for share, element in enumerate(elements)))
            if valid:
                expected.extend(
                    (cycle + registers * (bank + 1), bank, address, element)
                    for bank, element in enumerate(elements, first)
                )
            written.extend(
                (cycle, bank, context.get(port.write_address), context.get(port.write_data))
                for bank, port in enumerate(ports)
                if context.get(port.write_enable)
            )
            await context.tick()

    simulate(m, bench)
    assert sorted(written) == sorted(expected)
    assert len(written) > WORDS // 2

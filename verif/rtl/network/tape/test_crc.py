"""CRC of whole words against that of zlib, for words of every width."""

from __future__ import annotations

import random
import zlib

import pytest
from amaranth.hdl import Module, Signal

from taylorvit.rtl.network.tape.crc import FINAL, INITIAL, state_part, word_part
from verif.rtl.harness import simulate


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 16, 32, 128])
def test_the_crc_is_that_of_zlib(size):
    content = random.Random(size).randbytes(size * 12)
    m = Module()
    word, state = Signal(8 * size), Signal(32, init=INITIAL)
    m.d.sync += state.eq(state_part(state, 8 * size) ^ word_part(word))

    async def bench(context):
        for first in range(0, len(content), size):
            context.set(word, int.from_bytes(content[first : first + size], "little"))
            await context.tick()
            assert context.get(state) ^ FINAL == zlib.crc32(content[: first + size])

    simulate(m, bench)

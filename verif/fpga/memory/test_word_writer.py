"""Words become bursts on AXI4, one after the other, whoever pauses."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.fpga.memory.word_writer import WordWriter
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, parameters, run, start

ADDRESS_WIDTH = 12
WORDS = 60
LIMIT = 4000


@cocotb.test()
async def words_are_written(dut):
    """Each word arrives whole, at its address, before the next is taken."""
    width = parameters()["width"]
    generator, edge = random.Random(cocotb.RANDOM_SEED), RisingEdge(dut.clk)
    words = [(4 * generator.getrandbits(30), generator.getrandbits(32)) for _ in range(WORDS)]
    await start(dut, write_valid=0, write_address=0, write_data=0, m_awready=0, m_wready=0, m_bvalid=0, m_bresp=0)
    addresses, beats, sent, answered, waits = [], [], 0, 0, 0
    for _cycle in range(LIMIT):
        dut.write_valid.value = sent < WORDS and generator.random() < 0.5 or int(dut.write_valid.value)
        if sent < WORDS:
            dut.write_address.value, dut.write_data.value = words[sent]
        dut.m_awready.value, dut.m_wready.value = generator.random() < 0.4, generator.random() < 0.4
        complete = len(addresses) > answered and len(beats) == (answered + 1) * (32 // width)
        waits = waits + 1 if complete else 0
        dut.m_bvalid.value = complete and waits > 3
        await edge
        if int(dut.m_awvalid.value) and int(dut.m_awready.value):
            addresses.append(int(dut.m_awaddr.value))
            shape = [int(getattr(dut, f"m_aw{name}").value) for name in ("len", "size", "burst")]
            expect_equal("burst", shape, [32 // width - 1, (width // 8).bit_length() - 1, 1])
        if int(dut.m_wvalid.value) and int(dut.m_wready.value):
            beats.append(int(dut.m_wdata.value))
            expect_equal("last", int(dut.m_wlast.value), int(len(beats) % (32 // width) == 0))
            expect_equal("all bytes", int(dut.m_wstrb.value), (1 << width // 8) - 1)
        if int(dut.m_bvalid.value) and int(dut.m_bready.value):
            answered += 1
        if int(dut.write_valid.value) and int(dut.write_ready.value):
            expect_equal("words before this one are written", answered, sent)
            sent += 1
            dut.write_valid.value = 0
        if answered == WORDS:
            break
    expect_equal("addresses", addresses, [address % (1 << ADDRESS_WIDTH) for address, _word in words])
    expected = [word >> at & ((1 << width) - 1) for _address, word in words for at in range(0, 32, width)]
    expect_equal("beats", beats, expected)


@pytest.mark.parametrize("width", [16, 32])
def test_words_are_written(width):
    block = WordWriter(address_width=ADDRESS_WIDTH, data_width=width)
    run(build(emit(block), block.module_name), __name__, parameters={"width": width})

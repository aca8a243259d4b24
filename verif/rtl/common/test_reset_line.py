"""Reset line and copied register: what goes in comes out, as many cycles later as they say."""

from __future__ import annotations

import random

import cocotb
from cocotb.triggers import RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.common.copied_register import CopiedRegister
from taylorvit.rtl.common.reset_line import ResetLine
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, on_every_block

CYCLES = 200
BLOCKS = {"line": (ResetLine, ResetLine.latency), "copy": (CopiedRegister, 1)}


def blocks():
    return {name: block() for name, (block, _latency) in BLOCKS.items()}


@cocotb.test()
async def what_goes_in_comes_out(dut):
    """The output is the input, `latency` cycles later, and 1 until then."""

    async def job(view, name, seed):
        generator = random.Random(seed)
        edge = RisingEdge(view.clk)
        _block, latency = BLOCKS[name]
        sent = []
        for cycle in range(CYCLES):
            sent.append(generator.getrandbits(1))
            view.i.value = sent[-1]
            await edge
            if cycle >= latency:
                expect_equal("o", view.o.value, sent[cycle - latency])

    await on_every_block(dut, blocks(), job)


def test_reset_line():
    block = SideBySide(blocks())
    assert run(build(emit(block), block.module_name), __name__).compared > 2 * (CYCLES - 5)


def test_a_reset_line_resets_from_power_up_on():
    verilog = emit(ResetLine())
    assert verilog.count("= 1'b1") == ResetLine.latency  # initial values

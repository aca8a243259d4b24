"""Resets begin with their causes, and end when they should."""

from __future__ import annotations

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from taylorvit.fpga.reset_generator import ResetGenerator
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, run, start


@cocotb.test()
async def resets_follow_their_causes(dut):
    """Reset lasts `reset_cycles` after the last cause; the accelerator's also follows the host's request."""
    generator = ResetGenerator()
    dut.locked.value = 0
    dut.button.value = 0
    dut.request.value = 0
    await start(dut)

    async def cycles_of_reset():
        count = 0
        while int(dut.reset.value):
            await FallingEdge(dut.clk)
            count += 1
            assert count < 2 * generator.reset_cycles, "reset must end"
        return count

    for _ in range(20):
        await FallingEdge(dut.clk)
        assert int(dut.reset.value) == int(dut.accelerator_reset.value) == 1
    dut.locked.value = 1
    lasted = await cycles_of_reset()
    expect_equal("reset lasts its cycles", lasted >= generator.reset_cycles, True)

    dut.request.value = 1
    await RisingEdge(dut.clk)
    await FallingEdge(dut.clk)
    expect_equal("only the accelerator is reset", (int(dut.reset.value), int(dut.accelerator_reset.value)), (0, 1))
    dut.request.value = 0
    await RisingEdge(dut.clk)
    await FallingEdge(dut.clk)
    expect_equal("for as long as it is asked", int(dut.accelerator_reset.value), 0)

    for cause, value in ((dut.button, 1), (dut.locked, 0)):
        cause.value = value
        for _ in range(4):
            await FallingEdge(dut.clk)
        expect_equal("a cause resets", int(dut.reset.value), 1)
        cause.value = 1 - value
        expect_equal("and reset lasts", await cycles_of_reset() >= generator.reset_cycles, True)


def test_reset_generator():
    run(build(emit(ResetGenerator()), "reset_generator"), __name__, testcase="resets_follow_their_causes")

"""Commands from power-up to a chip that is ready, and after a reset."""

from __future__ import annotations

from dataclasses import replace

import cocotb
from cocotb.triggers import RisingEdge

from taylorvit.fpga.memory.chips import CHIPS, SdramTiming
from taylorvit.fpga.memory.initializer import SdramCode, SdramInitializer
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, run, start

TIMING = SdramTiming(replace(CHIPS["AS4C32M16"], name="impatient", start=1000), 80_000_000)
BLOCK = SdramInitializer(TIMING)
#: Cycle, command and address; a refresh takes 63 ns, closing a row 21, all at 12.5 ns.
EXPECTED = [
    (80, SdramCode.PRECHARGE, 1 << 10),
    *((82 + 6 * number, SdramCode.REFRESH, 0) for number in range(8)),
    (130, SdramCode.SET_MODE, 2 << 4),
]


async def commands(dut):
    """The commands until the chip is ready, each with the cycles since the first wait began; and the last cycle."""
    found = []
    for cycle in range(BLOCK.cycles + 20):
        await RisingEdge(dut.clk)
        if not int(dut.command__cs_n.value):
            code = (
                int(dut.command__ras_n.value) | int(dut.command__cas_n.value) << 1 | int(dut.command__we_n.value) << 2
            )
            found.append((cycle, SdramCode(code), int(dut.command__address.value)))
        if int(dut.done.value):
            return found, cycle
    raise AssertionError("chip must be ready in time")


@cocotb.test()
async def commands_come_in_order(dut):
    """After power-up there is a long wait; a chip that has been initialized keeps its contents, and waits little."""
    await start(dut)
    found, end = await commands(dut)
    first = found[0][0] - 80
    expect_equal("cycles", [cycle - first for cycle, _code, _address in found], [each[0] for each in EXPECTED])
    expect_equal("commands", [list(each[1:]) for each in found], [[int(code), at] for _, code, at in EXPECTED])
    expect_equal("ready", (first, end), (1, BLOCK.cycles))
    dut.rst.value = 1
    await RisingEdge(dut.clk)
    dut.rst.value = 0
    again, _end = await commands(dut)
    expect_equal(
        "commands after a reset", [int(code) for _, code, _at in again], [int(code) for _, code, _at in EXPECTED]
    )
    expect_equal("a shorter wait", 16 <= again[0][0] <= 20, True)
    steps = [after[0] - before[0] for before, after in zip(again, again[1:])]
    expect_equal("steps", steps, [after[0] - before[0] for before, after in zip(EXPECTED, EXPECTED[1:])])


def test_commands_come_in_order():
    run(build(emit(BLOCK), BLOCK.module_name), __name__)

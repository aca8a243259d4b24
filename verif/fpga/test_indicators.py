"""Indicators: the LEDs of a board show what happens."""

from __future__ import annotations

import cocotb
from cocotb.triggers import FallingEdge

from taylorvit.fpga.indicators import Indicators
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, run, start

CLOCK_HZ = 500  # nine bits: a tick every 16 cycles, a heartbeat of 512


@cocotb.test()
async def leds_show_what_happens(dut):
    """The LEDs show a heartbeat, activity, moving tensors and the interrupt."""
    await start(dut, activity=0, moving=0, interrupt=0)
    lit = []
    for cycle in range(1200):
        dut.activity.value = cycle in range(100, 140)
        dut.moving.value = cycle == 300
        dut.interrupt.value = cycle in range(700, 705)
        await FallingEdge(dut.clk)
        lit.append(int(dut.led.value))
    columns = [[value >> bit & 1 for value in lit] for bit in range(5)]
    beats = sum(before != after for before, after in zip(columns[0], columns[0][1:]))
    expect_equal("heartbeats in 1200 cycles of 512", beats, 4)
    expect_equal("activity", sum(columns[1]), 40)
    # One beat is shown for one to two ticks, from the cycle after it has come in on.
    shown = [cycle for cycle, on in enumerate(columns[2]) if on]
    expect_equal("begin of moving", shown[0] - Indicators.input_latency in range(300, 303), True)
    expect_equal("moving is seen", 16 <= len(shown) <= 33 and shown == list(range(shown[0], shown[-1] + 1)), True)
    expect_equal("interrupt", sum(columns[3]), 5)
    expect_equal("LEDs beyond the fourth stay off", sum(columns[4]), 0)


def test_indicators():
    run(build(emit(Indicators(count=5, clock_hz=CLOCK_HZ)), "indicators"), __name__)

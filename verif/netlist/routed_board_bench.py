"""The bench of a board's netlist: that of the board's pins, and no difference from the RTL."""

from __future__ import annotations

import cocotb

from verif.fpga.board_pins import Bench

from .bench import expect_no_differences


@cocotb.test()
async def board_equals_golden_and_rtl(dut):
    """Two jobs on the routed board equal the golden model, and its pins those of the RTL."""
    bench = await Bench.start(dut)
    await bench.run_job()
    await bench.run_job()
    expect_no_differences(dut)

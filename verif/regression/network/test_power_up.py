"""A tape in the bitstream: the accelerator classifies from power-up on, and no host has loaded anything."""

from __future__ import annotations

import zlib
from dataclasses import replace

import cocotb

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.accelerator import NetworkAccelerator
from taylorvit.simulation import build, expect_equal, run
from taylorvit.simulation.register_host import CHECK

from .checks import expect_events, run_and_check
from .configurations import CONFIGURATIONS
from .host import NetworkHost
from .models import TINY, network_of

CONFIG = replace(
    CONFIGURATIONS["memory-8x4"], name="loaded-4x2", rows=4, columns=2, tape_memory="auto", image_memory="auto",
    tape_memory_bytes=1 << 13, counters="cycles", error_count_width=0, image_lanes=2,
)  # fmt: skip


def loaded():
    return network_of(TINY, 8, CONFIG)


@cocotb.test()
async def classifies_from_power_up_on(dut):
    """CHECK finds the tape, images come out right, after resets too; another tape takes its place."""
    host, network = await NetworkHost.start(dut, CONFIG), loaded()
    tape = network.tape + bytes(-len(network.tape) % 4)
    # What the host would not write again, since it is there.
    host.stored = {place: int.from_bytes(tape[place : place + 4], "little") for place in range(0, len(tape), 4)}
    unwritten = dict(host.stored)
    for reset in (None, host.soft_reset, host.hard_reset):
        if reset is not None:
            await reset()
        host.next_base = 0
        await host.set_up(network, 1)
        await host.write_checked("CONTROL", CHECK)
        expect_events("a check", await host.finish(network, 1), "DONE")
        expect_equal("sum", await host.read("TAPE_SUM"), zlib.crc32(network.tape))
        host.next_base = 0
        await run_and_check(host, network, 3)
    assert host.stored == unwritten
    expect_equal("TAPE_ADDRESS, where nothing was written", await host.read("TAPE_ADDRESS"), 0)
    await run_and_check(host, network_of(TINY, 9, CONFIG), 2)


def test_power_up():
    accelerator = NetworkAccelerator(CONFIG, tape=loaded().tape)
    run(build(emit(accelerator), accelerator.module_name, optimized=False), __name__)

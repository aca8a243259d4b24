"""The test of a memory finds what is wrong with one."""

from __future__ import annotations

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.fpga.memory.memory_test import MemoryTest
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, parameters, pattern, run, start

ADDRESS_WIDTH, DATA_WIDTH = 11, 8  # 2048 beats of a byte, so that the pattern has to mix the bits above its width
FAULTS = {  # name -> (address that a write or read reaches, byte that is kept)
    "none": (lambda address: address, lambda address, byte: byte),
    "address line": (lambda address: address & ~(1 << 9), lambda address, byte: byte),
    "low address line": (lambda address: address | 4, lambda address, byte: byte),
    "data line": (lambda address: address, lambda address, byte: byte | 0x20),
    "last cell": (lambda address: address, lambda address, byte: byte ^ (address == (1 << ADDRESS_WIDTH) - 1)),
    "one cell": (lambda address: address, lambda address, byte: byte ^ (0x80 if address == 1234 else 0)),
}


async def memory(dut, place, kept):
    """An AXI4 slave for bursts of 256 beats, with pauses, which takes addresses late and is long in writing."""
    cells = {}
    writes, reads, beats, answers = [], [], 0, []  # of answers: cycles until each
    active = pattern("random", "memory")
    seldom = pattern("rare", "addresses")
    edge = RisingEdge(dut.clk)
    dut.write_bvalid.value = dut.read_rvalid.value = 0
    while True:
        # A burst is taken only when the beats of the one before have come.
        dut.write_awready.value, dut.write_wready.value = not writes and next(seldom), next(active)
        dut.read_arready.value = next(active)
        if reads:
            dut.read_rdata.value = cells[place(reads[0])]
        dut.read_rvalid.value = bool(reads)
        answers = [max(left - 1, 0) for left in answers]
        dut.write_bvalid.value = bool(answers) and answers[0] == 0
        await edge
        if int(dut.write_awvalid.value) and int(dut.write_awready.value):
            first = int(dut.write_awaddr.value)
            writes += range(first, first + int(dut.write_awlen.value) + 1)
        if int(dut.write_bvalid.value) and int(dut.write_bready.value):
            answers.pop(0)
        if int(dut.write_wvalid.value) and int(dut.write_wready.value):
            expect_equal("a beat comes with or after its address", bool(writes), True)
            address = writes.pop(0)
            cells[place(address)] = kept(place(address), int(dut.write_wdata.value))
            beats += 1
            expect_equal("last", int(dut.write_wlast.value), int(beats % 256 == 0))
            if int(dut.write_wlast.value):
                answers.append(40)
        if int(dut.read_rvalid.value) and int(dut.read_rready.value):
            reads.pop(0)
        if int(dut.read_arvalid.value) and int(dut.read_arready.value):
            expect_equal("writes that are under way when one is read", len(answers) + len(writes), 0)
            first = int(dut.read_araddr.value)
            reads += range(first, first + int(dut.read_arlen.value) + 1)


def bad_beats(place, kept):
    """The beats that come back wrong, by the definition of the pattern."""
    cells = {}
    for address in range(1 << ADDRESS_WIDTH):
        cells[place(address)] = kept(place(address), expected(address))
    return [address for address in range(1 << ADDRESS_WIDTH) if cells[place(address)] != expected(address)]


def expected(beat):
    high = beat >> 8
    return (beat ^ high ^ (high ^ 7) << 3 ^ high << 6) & 0xFF


@cocotb.test()
async def errors_are_counted(dut):
    """Bad beats are counted, and the first is told, test after test."""
    place, kept = FAULTS[parameters()["fault"]]
    bad = bad_beats(place, kept)
    await start(dut, start=0, read_rresp=0, read_rlast=0, write_bresp=0)
    cocotb.start_soon(memory(dut, place, kept))
    for _ in range(2):
        dut.start.value = 1
        await RisingEdge(dut.clk)
        dut.start.value = 0
        await RisingEdge(dut.clk)
        for _cycle in range(30_000):
            await RisingEdge(dut.clk)
            if not int(dut.busy.value):
                break
        await RisingEdge(dut.clk)
        await RisingEdge(dut.clk)
        found = (int(dut.busy.value), int(dut.errors.value), int(dut.first.value))
        expect_equal("errors and the first", found, (0, len(bad), bad[0] if bad else 0))


@pytest.fixture(scope="module")
def simulation():
    return build(emit(MemoryTest(address_width=ADDRESS_WIDTH, data_width=DATA_WIDTH)), "memory_test")


@pytest.mark.parametrize("fault", FAULTS)
def test_errors_are_counted(simulation, fault):
    assert bool(bad_beats(*FAULTS[fault])) == (fault != "none")
    run(simulation, __name__, parameters={"fault": fault})

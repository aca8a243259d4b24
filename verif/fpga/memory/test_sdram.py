"""The controller of a board's SDRAM against a model of the chip that refuses what a chip would not bear."""

from __future__ import annotations

import random
from dataclasses import replace

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from taylorvit.fpga.families.ecp5.sdram_pads import Ecp5SdramPads
from taylorvit.fpga.memory.chips import CHIPS, SdramTiming
from taylorvit.fpga.memory.sdram import SdramController
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, pattern, record, run, start, wait_until
from taylorvit.simulation.dsp_cells import with_dsp_models
from taylorvit.simulation.sdram import with_sdram
from verif.tools.lint import verilator_warnings

# Eight rows in each bank; everything else as it is in the chip that boards have.
SMALL = replace(CHIPS["MT48LC16M16"], name="small", row_bits=3, start=2000)
BURST = 64
LIMIT = 5000


class Bench:
    def __init__(self, dut, seed):
        self.dut = dut
        self.generator = random.Random(seed)
        self.edge = RisingEdge(dut.clk)

    async def begin(self):
        names = ("read_araddr", "read_arlen", "read_arvalid", "read_rready", "write_valid", "write_address")
        await start(self.dut, read_arsize=1, read_arburst=1, write_data=0, test=0, **dict.fromkeys(names, 0))
        await wait_until(self.dut, lambda: int(self.dut.initialized.value), what="a chip that is ready", limit=LIMIT)

    async def write(self, address, data):
        """Words, as the host sends them."""
        dut = self.dut
        for offset in range(0, len(data), 4):
            dut.write_valid.value = 1
            dut.write_address.value = address + offset
            dut.write_data.value = int.from_bytes(data[offset : offset + 4], "little")
            await self.edge
            while not int(dut.write_ready.value):
                await self.edge
            dut.write_valid.value = 0
        await wait_until(dut, lambda: int(dut.write_ready.value), what="the last word", limit=LIMIT)

    async def ask(self, bursts):
        dut = self.dut
        for address, beats in bursts:
            dut.read_arvalid.value, dut.read_araddr.value, dut.read_arlen.value = 1, address, beats - 1
            await self.edge
            while not int(dut.read_arready.value):
                await self.edge
        dut.read_arvalid.value = 0

    async def read(self, bursts, activity="always"):
        """What bursts bring: the bytes, and the cycle of each beat, counted from the address of the first burst."""
        dut, beats, cycles = self.dut, [], []
        total = sum(count for _address, count in bursts)
        asking = cocotb.start_soon(self.ask(bursts))
        active = pattern(activity, self.generator.getrandbits(32))
        ends = {sum(count for _address, count in bursts[: index + 1]) for index in range(len(bursts))}
        cycle = 0
        while len(beats) < total:
            dut.read_rready.value = next(active)
            await self.edge
            cycle += 1
            if int(dut.read_rvalid.value) and int(dut.read_rready.value):
                beats.append(int(dut.read_rdata.value))
                cycles.append(cycle)
                expect_equal("last beat of a burst", int(dut.read_rlast.value), int(len(beats) in ends))
            if cycle > 50 * total + LIMIT:
                raise AssertionError(f"{total} beats must come, not {len(beats)}")
        dut.read_rready.value = 0
        await asking
        return b"".join(beat.to_bytes(2, "little") for beat in beats), cycles


@cocotb.test()
async def what_is_written_is_read(dut):
    """Words go where they should, over all rows and banks, and come back in bursts, whoever pauses."""
    bench = Bench(dut, cocotb.RANDOM_SEED)
    await bench.begin()
    size = SMALL.bytes
    contents = bytearray(size)
    for _ in range(40):
        length = 4 * bench.generator.randint(1, 12)
        address = bench.generator.randrange(0, size - length, 4)
        data = bench.generator.randbytes(length)
        await bench.write(address, data)
        contents[address : address + length] = data
    for activity in ("always", "random", "bursts"):
        bursts = []
        for _ in range(12):
            beats = bench.generator.choice((1, 2, BURST, bench.generator.randint(1, BURST)))
            bursts.append((2 * bench.generator.randrange(0, size // 2 - beats), beats))
        expected = b"".join(contents[address : address + 2 * beats] for address, beats in bursts)
        found, _cycles = await bench.read(bursts, activity)
        expect_equal("what is read", list(found), list(expected))


@cocotb.test()
async def reads_are_fast(dut):
    """A tape is read in order: how long until the first beat, and how many cycles a beat takes."""
    bench = Bench(dut, cocotb.RANDOM_SEED)
    await bench.begin()
    await ClockCycles(dut.clk, 37)
    bursts = [(address, BURST) for address in range(0, SMALL.bytes, 2 * BURST)]
    _data, cycles = await bench.read(bursts)
    gaps = [after - before - 1 for before, after in zip(cycles, cycles[1:])]
    record("first", cycles[0])
    record("beats", len(cycles))
    record("cycles", cycles[-1] - cycles[0] + 1)
    record("longest_gap", max(gaps))
    expect_equal("beats", len(cycles), SMALL.bytes // 2)


@cocotb.test()
async def the_memory_is_tested(dut):
    """A test waits for the reads that are under way, finds no error, and leaves its pattern; then all goes on."""
    bench = Bench(dut, cocotb.RANDOM_SEED)
    await bench.begin()
    await bench.write(0, bytes(range(64)))
    reading = cocotb.start_soon(bench.read([(0, 32)], "rare"))
    await ClockCycles(dut.clk, 20)
    dut.test.value = 1
    await bench.edge
    dut.test.value = 0
    expect_equal("what is read when a test begins", list((await reading)[0]), list(range(64)))
    cycles = await wait_until(dut, lambda: not int(dut.testing.value), what="the end of the test", limit=50_000)
    record("cycles", cycles)
    expect_equal("errors", (int(dut.errors.value), int(dut.first.value)), (0, 0))
    found, _cycles = await bench.read([(SMALL.bytes - 128, 64)])
    beats = SMALL.bytes // 2
    expect_equal("pattern", list(found[::2]), [number & 0xFF for number in range(beats - 64, beats)])
    await bench.write(100, b"good")
    expect_equal("what is written", list((await bench.read([(100, 2)]))[0]), list(b"good"))


@pytest.fixture(scope="module")
def simulation():
    timing = SdramTiming(SMALL, 75_000_000)
    block = SdramController(timing, Ecp5SdramPads)
    verilog, top = with_sdram(with_dsp_models(emit(block)), block, timing)
    return build(verilog, top)


@pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)
def test_verilog_is_clean(tmp_path, chip):
    block = SdramController(SdramTiming(chip, 75_000_000, 1), Ecp5SdramPads)
    (tmp_path / f"{block.module_name}.v").write_text(emit(block))
    assert verilator_warnings(tmp_path, block.module_name) == []


def test_what_is_written_is_read(simulation):
    run(simulation, __name__, testcase="what_is_written_is_read")


def test_reads_are_fast(simulation):
    """What docs/fpga.md says of reads in order."""
    figures = run(simulation, __name__, testcase="reads_are_fast").measurements
    assert figures["first"] == 16
    assert figures["longest_gap"] <= 16  # a refresh
    assert figures["beats"] / figures["cycles"] > 0.96


def test_the_memory_is_tested(simulation):
    beats = SMALL.bytes // 2
    assert run(simulation, __name__, testcase="the_memory_is_tested").measurements["cycles"] < 2.3 * beats

"""Registers of the network accelerator: what the core tells them, and what they tell the core.

How registers are read and written is tested with those of the attention accelerator, which are built by the same block.
"""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.control.control_status import CORE_EVENTS, COUNTED, NetworkControlStatus
from taylorvit.rtl.network.control.registers import EVENTS, KIND_COUNTERS, register_map
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, on_every_block
from verif.rtl.network.configurations import config_of

LEVELS = ("array_busy", "stall_tape", "stall_image", "stall_output", "stall_data")
VARIANTS = {
    "axi": {"tape_source": "axi"},
    "stream": {"tape_source": "stream", "counter_width": 8, "input_timeout": 255, "error_count_width": 2},
    "memory": {"tape_source": "memory", "tape_memory_bytes": 512},
    "lean": {"tape_source": "memory", "tape_memory_bytes": 512, "counters": "none", "error_count_width": 0},
    "cycles": {"tape_source": "stream", "counters": "cycles"},
}
JOB = (
    *("images", "patches", "patch_pixels", "image_order", "patch_size", "patches_a_row"),
    *("classes", "tape_length", "tape_base"),
)


def configuration(name):
    return NetworkConfig.from_mapping(config_of("default").to_mapping() | VARIANTS[name])


def blocks():
    return {name: NetworkControlStatus(configuration(name)) for name in VARIANTS}


class Host:
    def __init__(self, view, name, seed):
        self.view, self.name, self.config = view, name, configuration(name)
        self.generator = random.Random(seed)
        self.map = register_map(self.config)
        dut = view._dut
        self.axil = AxiLiteMaster(AxiLiteBus.from_prefix(dut, f"{name}_s_axil"), dut.clk, dut.rst)

    async def read(self, name):
        result = await with_timeout(self.axil.read(self.map[name].offset, 4), 20_000, "ns")
        expect_equal(f"response to {name}", result.resp, AxiResp.OKAY)
        return int.from_bytes(result.data, "little")

    async def write(self, name, value, response=AxiResp.OKAY):
        result = await with_timeout(self.axil.write(self.map[name].offset, value.to_bytes(4, "little")), 20_000, "ns")
        expect_equal(f"response to {name} = {value:#x}", result.resp, response)

    async def expect(self, name, value):
        most = self.map[name].mask
        expect_equal(name, await self.read(name), min(value, most))


@cocotb.test()
async def constants_and_resets(dut):
    """Every register reads as the map says, after a reset."""

    async def job(view, name, seed):
        host = Host(view, name, seed)
        for register in host.map:
            await host.expect(register.name, 0 if register.name == "CONTROL" else register.reset)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def a_job_starts_with_its_parameters(dut):
    """START takes over the parameters; what is out of range is refused."""

    async def job(view, name, seed):
        host = Host(view, name, seed)
        parameters = [parameter for parameter in JOB if hasattr(NetworkControlStatus(host.config), parameter)]
        for _ in range(3):
            values = {}
            for parameter in parameters:
                field = host.map[parameter.upper()].fields[0]
                values[parameter] = host.generator.randint(field.minimum, min(field.maximum, 1 << 30))
                await host.write(parameter.upper(), values[parameter])
                for wrong in (field.minimum - 1, field.maximum + 1):
                    if 0 <= wrong < 1 << 32:
                        await host.write(parameter.upper(), wrong, AxiResp.SLVERR)
            await host.write("CONTROL", 1)
            await ClockCycles(view.clk, 3)
            got = [int(getattr(view, parameter).value) for parameter in parameters]
            expect_equal("parameters", got, list(values.values()))

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def a_check_is_a_job_of_one_tape(dut):
    """CHECK starts a job for one tape, not beside SOFT_RESET or another job, and TAPE_SUM is what the core tells."""

    async def job(view, name, seed):
        host = Host(view, name, seed)
        started, told = [], host.generator.getrandbits(32)

        async def watch():
            while True:
                await RisingEdge(view.clk)
                if view.start.value:
                    started.append((int(view.check.value), int(view.images.value)))

        cocotb.start_soon(watch())
        view.tape_sum.value = told
        await host.write("IMAGES", 7)
        for written, expected in ((1, [(0, 7)]), (4, [(1, 1)]), (5, [(1, 1)]), (6, []), (7, []), (1, [(0, 7)])):
            await host.write("CONTROL", written)
            await ClockCycles(view.clk, 4)
            expect_equal(f"jobs started by {written}", started, expected)
            started.clear()
        view.busy.value = 1
        await host.write("CONTROL", 4, AxiResp.SLVERR)
        await ClockCycles(view.clk, 4)
        expect_equal("jobs, and their sort", (len(started), int(view.check.value)), (0, 0))
        view.busy.value = 0
        await host.expect("EVENTS", 1 << EVENTS["START_WHILE_BUSY"][0])
        await host.expect("CONTROL", 0)
        await host.expect("TAPE_SUM", told)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def events_are_kept_and_counted(dut):
    """Every event of the core sets its bit, is counted, and raises the interrupt if it is enabled."""

    async def job(view, name, seed):
        host = Host(view, name, seed)
        for event in CORE_EVENTS:
            bit = 1 << EVENTS[event][0]
            port = getattr(view, f"events__{event.lower()}")
            await host.write("INTERRUPT_ENABLE", bit)
            await RisingEdge(view.clk)
            expect_equal("interrupt", view.interrupt.value, 0)
            port.value = 1
            await ClockCycles(view.clk, 2)
            port.value = 0
            await host.expect("EVENTS", bit)
            expect_equal(f"interrupt of {event}", view.interrupt.value, 1)
            await host.write("EVENTS", bit)
            await host.expect("EVENTS", 0)
            if f"COUNT_{event}" in [register.name for register in host.map]:
                await host.expect(f"COUNT_{event}", 2)
        await host.write("CONTROL", 1)
        view.busy.value = 1
        await host.write("CONTROL", 1, AxiResp.SLVERR)
        view.busy.value = 0
        await host.expect("EVENTS", 1 << EVENTS["START_WHILE_BUSY"][0])

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def cycles_are_counted(dut):
    """Counters of a job: cycles, by reason and by part of the network, images, and cycles from image to image."""

    async def job(view, name, seed):
        host = Host(view, name, seed)
        generator = host.generator
        for cycles in (180, 90):
            await host.write("CONTROL", 1)
            await ClockCycles(view.clk, 3)
            counts = dict.fromkeys(("CYCLES", "IMAGES_DONE", *map(str.upper, LEVELS), *KIND_COUNTERS), 0)
            drive = {port: getattr(view, port) for port in (*COUNTED, "image_sent", "busy") if hasattr(view, port)}
            dones = []
            for cycle in range(cycles):
                kind = generator.randrange(8)
                driven = {"busy": 1, "kind": kind}
                counts["CYCLES"] += 1
                counts[KIND_COUNTERS[kind]] += 1
                for level in LEVELS:
                    bit = generator.getrandbits(1)
                    driven[level] = bit
                    counts[level.upper()] += bit
                sent, done = generator.random() < 0.05, cycle % 40 == 25 or generator.random() < 0.02
                driven |= {"image_sent": sent, "image_done": done}
                for port, handle in drive.items():
                    handle.value = driven[port]
                counts["IMAGES_DONE"] += sent
                if done:
                    dones.append(cycle)
                await RisingEdge(view.clk)
            for port in {"busy", "image_sent", "image_done"} & set(drive):
                drive[port].value = 0
            counts["IMAGE_CYCLES"] = dones[-1] - dones[-2]
            for counter in host.map.counters:
                await host.expect(counter, counts[counter])
        await host.write("CONTROL", 1)
        for counter in host.map.counters:
            await host.expect(counter, 0)

    await on_every_block(dut, blocks(), job)


@cocotb.test()
async def words_for_the_memory(dut):
    """TAPE_DATA goes to TAPE_ADDRESS and the words behind it, up to the end of the memory."""

    async def job(view, name, seed):
        if VARIANTS[name]["tape_source"] != "memory":
            return
        host = Host(view, name, seed)
        got = []

        async def watch():
            while True:
                await RisingEdge(view.clk)
                if view.tape_write__valid.value:
                    got.append((int(view.tape_write__address.value), int(view.tape_write__data.value)))

        cocotb.start_soon(watch())
        last = host.config.tape_memory_bytes // 4 - 1
        for first, count in ((0, 3), (17, 1), (last - 1, 2)):
            words = [host.generator.getrandbits(32) for _ in range(count)]
            await host.write("TAPE_ADDRESS", 4 * first + host.generator.randrange(4))
            for word in words:
                await host.write("TAPE_DATA", word)
            expect_equal("words", got, [(first + place, word) for place, word in enumerate(words)])
            got.clear()
        expect_equal("events before", await host.read("EVENTS"), 0)
        await host.write("TAPE_DATA", 1, AxiResp.SLVERR)
        expect_equal("words behind the end", len(got), 0)
        expect_equal("event behind the end", await host.read("EVENTS"), 1 << EVENTS["BAD_VALUE"][0])
        await host.expect("TAPE_DATA", 0)

    await on_every_block(dut, blocks(), job)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize(
    "testcase",
    [
        "constants_and_resets",
        "a_job_starts_with_its_parameters",
        "a_check_is_a_job_of_one_tape",
        "events_are_kept_and_counted",
        "cycles_are_counted",
        "words_for_the_memory",
    ],
)
def test_control_status(simulation, testcase):
    run(simulation, __name__, testcase=testcase)

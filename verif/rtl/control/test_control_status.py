"""Control and status registers, driven through AXI4-Lite by an independent master (cocotbext-axi)."""

from __future__ import annotations

import logging
import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from taylorvit.gen.verilog import emit
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.control_status import ControlStatus
from taylorvit.rtl.control.description import Access
from taylorvit.rtl.control.registers import register_map
from taylorvit.simulation import build, expect_equal, parameters, pattern, run, start

ACCESS_LIMIT_NS = 20_000
UNKNOWN_OFFSETS = (0x02C, 0x03C, 0x050, 0x0AC, 0x0D4, 0x128, 0x200, 0xFFC)
QUIET = dict.fromkeys(
    ("busy", "done", "head_done", "tlast_early", "tlast_late", "input_timeout", "denominator_error", "array_busy",
     "stall_input", "stall_output", "s_axil_awvalid", "s_axil_wvalid", "s_axil_bready", "s_axil_arvalid",
     "s_axil_rready", "s_axil_awaddr", "s_axil_awprot", "s_axil_wdata", "s_axil_wstrb", "s_axil_araddr",
     "s_axil_arprot"), 0)  # fmt: skip

COUNTERS = ("CYCLES", "ARRAY_BUSY", "STALL_INPUT", "STALL_OUTPUT", "HEADS_DONE")

EVENT_INPUTS = {  # EVENTS bit -> (input of the block, its value)
    0: ("done", 1), 1: ("input_timeout", 1), 2: ("denominator_error", 1),
    8: ("tlast_early", 1), 9: ("tlast_early", 2), 10: ("tlast_early", 4),
    16: ("tlast_late", 1), 17: ("tlast_late", 2), 18: ("tlast_late", 4),
}  # fmt: skip


# Benches: run inside the simulator.


class Host:
    """The registers by name, over AXI4-Lite, with pauses on all five channels."""

    def __init__(self, dut):
        self.dut = dut
        self.config = AcceleratorConfig.from_mapping(parameters()["config"])
        self.map = register_map(self.config)
        logging.getLogger("cocotb.control_status").setLevel(logging.WARNING)
        self.axi = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.channels = (self.axi.write_if.aw_channel, self.axi.write_if.w_channel, self.axi.write_if.b_channel,
                         self.axi.read_if.ar_channel, self.axi.read_if.r_channel)  # fmt: skip
        for number, channel in enumerate(self.channels):
            activity = pattern(parameters()["pattern"], cocotb.RANDOM_SEED + number)
            channel.set_pause_generator(not active for active in activity)

    @classmethod
    async def start(cls, dut):
        """A host and the block, out of reset."""
        host = cls(dut)
        await start(dut, **QUIET)
        await ClockCycles(dut.clk, 2)
        return host

    async def write_at(self, offset, data):
        """Writes bytes; returns the response."""
        return (await with_timeout(self.axi.write(offset, data), ACCESS_LIMIT_NS, "ns")).resp

    async def read_at(self, offset):
        """Reads a word; returns value and response."""
        result = await with_timeout(self.axi.read(offset, 4), ACCESS_LIMIT_NS, "ns")
        return int.from_bytes(result.data, "little"), result.resp

    async def write_strobed(self, offset, word, strobe):
        """Writes with any WSTRB, address and data each when its channel comes to it; returns the response."""
        address_channel, data_channel, response_channel = self.channels[:3]
        address, data = address_channel._transaction_obj(), data_channel._transaction_obj()
        address.awaddr, address.awprot, data.wdata, data.wstrb = offset, 0, word, strobe
        await address_channel.send(address)
        await data_channel.send(data)
        return AxiResp(int((await with_timeout(response_channel.recv(), ACCESS_LIMIT_NS, "ns")).bresp))

    async def write(self, name, value, response=AxiResp.OKAY):
        """Writes a register and compares the response."""
        got = await self.write_at(self.map[name].offset, (value & 0xFFFFFFFF).to_bytes(4, "little"))
        expect_equal(f"response to {name} = {value:#x}", got, response)

    async def expect(self, name, value):
        """Reads a register and compares the value, that of a counter with its maximum where it is beyond it."""
        if name in COUNTERS or name.startswith("COUNT_"):
            value = min(value, self.map[name].mask)
        got, response = await self.read_at(self.map[name].offset)
        expect_equal(f"response to a read of {name}", response, AxiResp.OKAY)
        expect_equal(name, got, value & 0xFFFFFFFF, width=32)

    def limits(self):
        """Name -> (minimum, maximum) of every parameter, from the configuration."""
        config = self.config

        def words(name, width, count):
            bits = [min(max(width - 32 * index, 0), 32) for index in range(count)]
            return {f"{name}_{index}": (0, (1 << bits[index]) - 1) for index in range(count)}

        return {
            "TOKENS": (1, config.max_tokens),
            "HEAD_DIM": (1, config.max_head_dim),
            "HEADS": (1, config.max_heads),
            "SHIFT_G": (0, config.shift_g_max),
            "SHIFT_Z": (config.shift_z_min, config.shift_z_max),
            **words("C_V", config.c_v_width, 2),
            **words("C_D", config.c_d_width, 3),
            "TIMEOUT": (1, (1 << config.counter_width) - 1),
        }


class Core:
    """Stands in for the core: busy for `busy_cycles` cycles after a start; counts pulses and checks their length."""

    def __init__(self, dut, busy_cycles=0):
        self.dut = dut
        self.busy_cycles = busy_cycles
        self.starts = 0
        self.soft_resets = 0
        self.task = cocotb.start_soon(self._run())

    async def _run(self):
        remaining = 0
        while True:
            await RisingEdge(self.dut.clk)
            if self.dut.soft_reset.value:
                self.soft_resets += 1
                remaining = 0
            if self.dut.start.value:
                self.starts += 1
                remaining = self.busy_cycles
            self.dut.busy.value = int(remaining > 0)
            remaining = max(0, remaining - 1)


@cocotb.test()
async def registers_read_their_reset_values(dut):
    """Every register reads its reset value, and the identification that of the configuration."""
    host = await Host.start(dut)
    for register in host.map:
        await host.expect(register.name, register.reset)
    config = host.config
    await host.expect("ID", 0x5441594C)
    await host.expect("ARRAY_SIZE", config.columns << 16 | config.rows)
    await host.expect("TOKENS", config.max_tokens)
    await host.expect("HEAD_DIM", config.max_head_dim)
    await host.expect("HEADS", 1)
    await host.expect("TIMEOUT", config.input_timeout)
    expect_equal("interrupt", dut.interrupt.value, 0)
    expect_equal("timeout", dut.timeout.value, config.input_timeout)


@cocotb.test()
async def parameters_keep_to_their_range(dut):
    """A parameter takes every value of its range; any other is refused, counted, and changes nothing."""
    host = await Host.start(dut)
    generator = random.Random(cocotb.RANDOM_SEED)
    refused = 0
    for name, (low, high) in host.limits().items():
        for value in (low, high, generator.randint(low, high)):
            await host.write(name, value)
            await host.expect(name, value)
        lowest, highest = (-(1 << 31), (1 << 31) - 1) if low < 0 else (0, (1 << 32) - 1)
        illegal = [value for value in (low - 1, high + 1, lowest, highest) if lowest <= value <= highest]
        for wrong in illegal:
            if not low <= wrong <= high:
                await host.write(name, wrong, AxiResp.SLVERR)
                await host.expect(name, value)
                refused += 1
                await host.expect("COUNT_BAD_VALUE", refused)
                await host.expect("EVENTS", 1 << 3)
                await host.write("EVENTS", 1 << 3)
    expect_equal("some were refused", refused > 10, True)


@cocotb.test()
async def written_bytes_are_merged_before_the_check(dut):
    """Bytes that are not strobed keep their value, and the merged word is what is checked."""
    host = await Host.start(dut)
    generator = random.Random(cocotb.RANDOM_SEED)
    limits = host.limits()
    values = {name: host.map[name].reset for name in limits}
    refused = 0
    for _ in range(120):
        name = generator.choice(list(limits))
        low, high = limits[name]
        strobe = generator.randrange(16)
        mask = sum(0xFF << (8 * byte) for byte in range(4) if strobe >> byte & 1)
        word = generator.choice((generator.getrandbits(32), generator.getrandbits(8), generator.randint(low, high)))
        merged = (values[name] & ~mask | word & mask) & 0xFFFFFFFF
        number = merged - (1 << 32) if low < 0 and merged >> 31 else merged
        if low <= number <= high:
            values[name] = merged
        else:
            refused += 1
        offset = host.map[name].offset + generator.randrange(4)
        response = await host.write_strobed(offset, word & 0xFFFFFFFF, strobe)
        expect_equal(f"response to {name}", response, AxiResp.OKAY if low <= number <= high else AxiResp.SLVERR)
        await host.expect(name, values[name])
    await host.expect("COUNT_BAD_VALUE", refused)
    expect_equal("some were refused", refused > 10, True)


@cocotb.test()
async def what_cannot_be_written_is_refused(dut):
    """Writes to constants, to read-only registers and to unknown offsets are answered SLVERR and change nothing."""
    host = await Host.start(dut)
    for register in host.map:
        if register.access in (Access.CONSTANT, Access.READ_ONLY):
            await host.write(register.name, 0xFFFFFFFF, AxiResp.SLVERR)
            await host.expect(register.name, register.reset)
    for offset in UNKNOWN_OFFSETS:
        expect_equal(f"write to {offset:#x}", await host.write_at(offset, b"\xff" * 4), AxiResp.SLVERR)
        expect_equal(f"read of {offset:#x}", await host.read_at(offset), (0, AxiResp.SLVERR))
    for register in host.map:
        await host.expect(register.name, register.reset)


@cocotb.test()
async def address_and_data_may_come_in_any_order(dut):
    """A write waits for the later one of its address and its data."""
    host = await Host.start(dut)
    address_channel, data_channel = host.channels[:2]
    for channel in host.channels:
        channel.clear_pause_generator()
        channel.pause = False
    for second in (data_channel, address_channel):
        for value in (1, host.config.max_tokens):
            second.pause = True
            writing = cocotb.start_soon(host.write_strobed(host.map["TOKENS"].offset, value, 0xF))
            await ClockCycles(dut.clk, 20)
            expect_equal("waits for the other half", dut.s_axil_bvalid.value, 0)
            second.pause = False
            expect_equal("response", await writing, AxiResp.OKAY)
            await host.expect("TOKENS", value)


@cocotb.test()
async def accesses_take_their_stated_cycles(dut):
    """The responses come after `read_latency` and `write_latency` cycles, and wait until they are taken."""
    await start(dut, **QUIET)
    edge = RisingEdge(dut.clk)
    await edge
    for valid, latency, response in (
        ("s_axil_arvalid", ControlStatus.read_latency, dut.s_axil_rvalid),
        ("s_axil_awvalid", ControlStatus.write_latency, dut.s_axil_bvalid),
    ):
        getattr(dut, valid).value = 1
        dut.s_axil_wvalid.value = int("aw" in valid)
        await edge
        getattr(dut, valid).value = 0
        dut.s_axil_wvalid.value = 0
        for cycle in range(1, latency + 1):
            await edge
            expect_equal(f"response {cycle} cycles after {valid}", response.value, cycle == latency)
        await ClockCycles(dut.clk, 5)
        expect_equal("the response waits", response.value, 1)
        dut.s_axil_rready.value = dut.s_axil_bready.value = 1
        await edge
        await edge
        expect_equal("the response goes once taken", response.value, 0)
        dut.s_axil_rready.value = dut.s_axil_bready.value = 0


@cocotb.test()
async def reads_and_writes_side_by_side(dut):
    """Reads and writes that overlap do not disturb each other."""
    host = await Host.start(dut)
    writes = [cocotb.start_soon(host.write("HEADS", value)) for value in range(1, 9)]
    reads = [cocotb.start_soon(host.expect("ID", 0x5441594C)) for _ in range(8)]
    for task in (*writes, *reads):
        await task
    await host.expect("HEADS", 8)


@cocotb.test()
async def a_job_starts_with_its_parameters(dut):
    """START takes over the parameters, which stay as they are until the next job, and is refused while busy."""
    host = await Host.start(dut)
    core = Core(dut, busy_cycles=10_000)
    generator = random.Random(cocotb.RANDOM_SEED)

    async def set_parameters():
        limits = host.limits()
        job = {name: generator.randint(*limits[name]) for name in limits if name != "TIMEOUT"}
        for name, value in job.items():
            await host.write(name, value)
        for constant, count in (("C_V", 2), ("C_D", 3)):
            job[constant] = sum(job.pop(f"{constant}_{index}") << (32 * index) for index in range(count))
        return {name.lower(): value for name, value in job.items()}

    def job_ports(job):
        return {
            name: port.to_signed() if name == "shift_z" else port.to_unsigned()
            for name, port in ((name, getattr(dut, name).value) for name in job)
        }

    for number in range(1, 4):
        job = await set_parameters()
        await host.write("CONTROL", 1)
        await ClockCycles(dut.clk, 2)
        expect_equal("starts", core.starts, number)
        expect_equal("job", list(job_ports(job).values()), list(job.values()))
        await host.expect("STATUS", 1)
        await set_parameters()
        await host.write("CONTROL", 1, AxiResp.SLVERR)
        await host.expect("EVENTS", 1 << 4)
        await host.write("EVENTS", 1 << 4)
        await host.expect("COUNT_START_WHILE_BUSY", number)
        expect_equal("starts, still", core.starts, number)
        expect_equal("job, still", list(job_ports(job).values()), list(job.values()))
        await host.write("CONTROL", 2)
        await ClockCycles(dut.clk, 2)
        expect_equal("soft resets", core.soft_resets, number)
        await host.expect("STATUS", 0)


@cocotb.test()
async def a_second_start_right_after_one_is_refused(dut):
    """Of two writes of START in a row only the first starts a job."""
    host = await Host.start(dut)
    core = Core(dut, busy_cycles=1_000)
    tasks = [cocotb.start_soon(host.write("CONTROL", 1, response)) for response in (AxiResp.OKAY, AxiResp.SLVERR)]
    for task in tasks:
        await task
    expect_equal("starts", core.starts, 1)
    await host.expect("COUNT_START_WHILE_BUSY", 1)


@cocotb.test()
async def soft_reset_keeps_the_registers(dut):
    """SOFT_RESET leaves parameters, events and counts as they are, and takes precedence over START."""
    host = await Host.start(dut)
    core = Core(dut, busy_cycles=1_000)
    await host.write("TOKENS", 1)
    await host.write("INTERRUPT_ENABLE", 1 << 3)
    await host.write("HEAD_DIM", 0, AxiResp.SLVERR)
    await host.write("CONTROL", 3)
    await ClockCycles(dut.clk, 5)
    expect_equal("soft resets and starts", (core.soft_resets, core.starts), (1, 0))
    await host.expect("TOKENS", 1)
    await host.expect("EVENTS", 1 << 3)
    await host.expect("COUNT_BAD_VALUE", 1)
    expect_equal("interrupt", dut.interrupt.value, 1)
    await host.write("CONTROL", 1)
    await ClockCycles(dut.clk, 5)
    expect_equal("starts", core.starts, 1)


@cocotb.test()
async def events_are_kept_counted_and_raise_the_interrupt(dut):
    """Every event sets its bit until that is cleared, is counted, and raises the interrupt if enabled."""
    host = await Host.start(dut)
    names = {field.low: field.name for field in host.map["EVENTS"].fields}
    for bit, (port, value) in EVENT_INPUTS.items():
        for enabled in (False, True):
            await host.write("INTERRUPT_ENABLE", 1 << bit if enabled else 0xFFFFFFFF & ~(1 << bit))
            await RisingEdge(dut.clk)
            getattr(dut, port).value = value
            await ClockCycles(dut.clk, 3)
            getattr(dut, port).value = 0
            await host.expect("EVENTS", 1 << bit)
            expect_equal(f"interrupt of {names[bit]}", dut.interrupt.value, enabled)
            await host.write("EVENTS", host.map["EVENTS"].mask & ~(1 << bit))
            await host.expect("EVENTS", 1 << bit)
            await host.write("EVENTS", 1 << bit)
            await host.expect("EVENTS", 0)
            await RisingEdge(dut.clk)
            expect_equal("interrupt is gone", dut.interrupt.value, 0)
        if bit:
            await host.expect(f"COUNT_{names[bit]}", 6)
            await host.write(f"COUNT_{names[bit]}", 123)
            await host.expect(f"COUNT_{names[bit]}", 0)
    await host.expect("INTERRUPT_ENABLE", 1 << 18)


@cocotb.test()
async def an_event_while_its_bit_is_cleared_is_kept(dut):
    """An event in the cycle in which its bit is cleared is not lost."""
    host = await Host.start(dut)
    dut.denominator_error.value = 1
    await host.write("EVENTS", 0xFFFFFFFF)
    dut.denominator_error.value = 0
    await host.expect("EVENTS", 1 << 2)


@cocotb.test()
async def an_error_while_its_count_is_cleared_is_counted(dut):
    """An error in the cycle in which its count is cleared is counted."""
    host = await Host.start(dut)
    name = "COUNT_DENOMINATOR"
    dut.denominator_error.value = 1
    committed = None
    writing = cocotb.start_soon(host.write(name, 0))
    cycle = 0
    while not writing.done():
        await RisingEdge(dut.clk)
        cycle += 1
        if dut.s_axil_bvalid.value and committed is None:
            committed = cycle
    dut.denominator_error.value = 0
    # The count restarts with the pulse of the committing cycle, one before B is valid.
    await host.expect(name, cycle - committed + 2)


@cocotb.test()
async def error_counts_stop_at_their_maximum(dut):
    """A count of errors does not wrap."""
    host = await Host.start(dut)
    dut.input_timeout.value = 1
    await ClockCycles(dut.clk, (1 << 16) + 10)
    dut.input_timeout.value = 0
    await host.expect("COUNT_INPUT_TIMEOUT", (1 << 16) - 1)


@cocotb.test()
async def counters_count_the_cycles_of_a_job(dut):
    """Performance counters count the cycles and heads of a job, and START clears them."""
    host = await Host.start(dut)
    generator = random.Random(cocotb.RANDOM_SEED)
    levels = {"ARRAY_BUSY": dut.array_busy, "STALL_INPUT": dut.stall_input, "STALL_OUTPUT": dut.stall_output}

    async def toggle(cycles, busy):
        counts = dict.fromkeys((*levels, "HEADS_DONE"), 0)
        for _ in range(cycles):
            dut.busy.value = int(busy)
            for name, port in levels.items():
                level = generator.getrandbits(1)
                port.value = level
                counts[name] += level
            head_done = busy and generator.random() < 0.1
            dut.head_done.value = int(head_done)
            counts["HEADS_DONE"] += head_done
            await RisingEdge(dut.clk)
        for port in (dut.busy, dut.head_done, *levels.values()):
            port.value = 0
        return counts

    for cycles in (300, 150):
        await toggle(20, busy=False)
        await host.write("CONTROL", 1)
        await toggle(2, busy=False)  # `start` is then past
        counts = await toggle(cycles, busy=True)
        await toggle(20, busy=False)
        await host.expect("CYCLES", cycles)
        for name, count in counts.items():
            await host.expect(name, count)
    await host.write("CONTROL", 1)
    await host.expect("CYCLES", 0)


# Tests: run by pytest.

CONFIGURATIONS = {
    "c_d in two words": {"name": "a", "rows": 4, "columns": 4, "max_tokens": 64, "max_head_dim": 16},
    "c_d in one word": {"name": "b", "rows": 5, "columns": 3, "data_width": 4, "max_tokens": 13, "max_head_dim": 7,
                        "max_heads": 9, "stream_width": 8, "input_timeout": 77},
    "c_d in three words": {"name": "c", "rows": 256, "columns": 256, "data_width": 16, "mean_fraction": 8,
                           "constant_fraction": 16, "max_tokens": 65535, "max_head_dim": 4096, "max_heads": 65535},
    "no fraction": {"name": "d", "rows": 2, "columns": 2, "data_width": 2, "mean_fraction": 0,
                    "constant_fraction": 0, "max_tokens": 8, "max_head_dim": 8, "max_heads": 8, "stream_width": 8},
    "counters that reach their maximum": {"name": "e", "rows": 2, "columns": 1, "stream_width": 8, "counter_width": 8,
                                          "error_count_width": 1, "input_timeout": 255},
}  # fmt: skip


@pytest.mark.parametrize("activity", ["always", "random"])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_control_status(name, activity):
    block = ControlStatus(AcceleratorConfig.from_mapping(CONFIGURATIONS[name]))
    result = run(
        build(emit(block), block.module_name),
        __name__,
        parameters={"config": CONFIGURATIONS[name], "pattern": activity},
    )
    assert result.tests == 15
    assert result.compared > 500


def test_configurations_need_different_numbers_of_words():
    widths = [AcceleratorConfig.from_mapping(mapping).c_d_width for mapping in CONFIGURATIONS.values()]
    assert [(width + 31) // 32 for width in widths] == [2, 1, 3, 1, 2]

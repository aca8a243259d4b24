"""Register master against an AXI4-Lite slave that takes its time on every channel."""

from __future__ import annotations

import random

import cocotb
from cocotb.triggers import RisingEdge

from taylorvit.fpga.link.register_master import RegisterMaster
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, run, start
from verif.rtl.harness import idle_inputs

ACCESSES = 60


@cocotb.test()
async def accesses_are_carried_out(dut):
    """Reads and writes are carried out on AXI4-Lite, whatever the pace of its channels."""
    await start(dut, **idle_inputs(RegisterMaster()))
    generator = random.Random(cocotb.RANDOM_SEED)
    edge = RisingEdge(dut.clk)
    for _ in range(ACCESSES):
        write, address, data = generator.getrandbits(1), generator.getrandbits(12), generator.getrandbits(32)
        error, answer = generator.getrandbits(1), generator.getrandbits(32)
        dut.access_write.value, dut.access_address.value, dut.access_write_data.value, dut.access_start.value = (
            write,
            address,
            data,
            1,
        )
        await edge
        dut.access_start.value = 0
        channels = ("aw", "w") if write else ("ar",)
        waiting = {channel: generator.choice((0, 0, 1, 5)) for channel in channels}
        while waiting:
            for channel in ("aw", "w", "ar"):
                getattr(dut, f"m_axil_{channel}ready").value = waiting.get(channel) == 0
            await edge
            for channel in ("aw", "w", "ar"):
                valid = getattr(dut, f"m_axil_{channel}valid").value
                expect_equal(f"{channel}valid", valid, channel in waiting)
            if "aw" in waiting:
                expect_equal("awaddr", dut.m_axil_awaddr.value, address)
            if "w" in waiting:
                expect_equal("wdata", dut.m_axil_wdata.value, data)
                expect_equal("wstrb", dut.m_axil_wstrb.value, 0xF)
            if "ar" in waiting:
                expect_equal("araddr", dut.m_axil_araddr.value, address)
            expect_equal("done", dut.access_done.value, 0)
            waiting = {channel: cycles - 1 for channel, cycles in waiting.items() if cycles}
        for channel in ("aw", "w", "ar"):
            getattr(dut, f"m_axil_{channel}ready").value = 0
        for _ in range(generator.choice((0, 1, 4))):
            await edge
            expect_equal("done", dut.access_done.value, 0)
        name = "b" if write else "r"
        getattr(dut, f"m_axil_{name}valid").value = 1
        getattr(dut, f"m_axil_{name}resp").value = 2 * error
        dut.m_axil_rdata.value = answer
        await edge  # a register lies between
        expect_equal("done", dut.access_done.value, 0)
        for _ in range(generator.choice((1, 3))):
            await edge
            expect_equal("done", dut.access_done.value, 1)
            expect_equal("error", dut.access_error.value, error)
            expect_equal("response is kept", getattr(dut, f"m_axil_{name}ready").value, 0)
            if not write:
                expect_equal("read_data", dut.access_read_data.value, answer)
        dut.access_taken.value = 1
        await edge
        dut.access_taken.value = 0
        await edge
        expect_equal("response is taken", getattr(dut, f"m_axil_{name}ready").value, 1)
        expect_equal("done with an answer that is gone", dut.access_done.value, 0)
        getattr(dut, f"m_axil_{name}valid").value = 0
        await edge
        expect_equal("done with an answer that is gone", dut.access_done.value, 0)


def test_register_master():
    run(build(emit(RegisterMaster()), RegisterMaster.module_name), __name__)

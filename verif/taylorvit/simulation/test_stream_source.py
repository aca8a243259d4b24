"""The source that sleeps does in every cycle what the library's source does, which looks at ready in each."""

from __future__ import annotations

import random

import cocotb
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSource

from taylorvit.simulation import build, expect_equal, pattern, run, start
from taylorvit.simulation.stream_source import StreamSource

CYCLES = 600

VERILOG = """module two_streams (
    input wire clk, input wire rst, input wire ready,
    input wire [7:0] ours_tdata, input wire ours_tvalid, input wire ours_tlast, output reg ours_tready,
    input wire [7:0] theirs_tdata, input wire theirs_tvalid, input wire theirs_tlast, output reg theirs_tready
);
    always @(posedge clk) ours_tready <= ready;
    always @(posedge clk) theirs_tready <= ready;
endmodule
"""


@cocotb.test()
async def same_beats_in_the_same_cycles(dut):
    """Packets with gaps between them, back-pressure of every kind, a reset now and then."""
    await start(dut, ready=0)
    generator, edge = random.Random(cocotb.RANDOM_SEED), RisingEdge(dut.clk)
    sources = {
        name: kind(AxiStreamBus.from_prefix(dut, name), dut.clk, dut.rst)
        for name, kind in (("ours", StreamSource), ("theirs", AxiStreamSource))
    }
    taken = 0
    for activity in ("always", "random", "rare", "bursts"):
        ready = pattern(activity, generator.random())
        for _cycle in range(CYCLES):
            dut.ready.value = next(ready)
            dut.rst.value = generator.random() < 0.005
            packet = generator.randbytes(generator.randint(1, 9)) if generator.random() < 0.1 else b""
            for source in sources.values():
                if packet:
                    source.send_nowait(AxiStreamFrame(packet))
            await edge
            ports = [
                [int(getattr(dut, f"{name}_{port}").value) for port in ("tvalid", "tready", "tdata", "tlast")]
                for name in sources
            ]
            seen = [port if port[0] else port[:1] for port in ports]
            expect_equal("valid, ready, data and last of the two", seen[0], seen[1])
            taken += ports[0][:2] == [1, 1]
    expect_equal("beats taken are many", taken > CYCLES // 4, True)


def test_stream_source():
    run(build(VERILOG, "two_streams"), __name__)

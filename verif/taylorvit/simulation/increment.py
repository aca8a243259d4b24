"""A block that adds one to each lane of a stream: its Verilog, its simulation, and benches that pass, fail or hang."""

from __future__ import annotations

import os
import random
from pathlib import Path

import cocotb
from cocotb.triggers import RisingEdge

from taylorvit.simulation import (
    Sink,
    Source,
    build,
    expect_equal,
    pack,
    parameters,
    pattern,
    record,
    start,
    unpack,
    wait_until,
)

__all__ = ["LANES", "VERILOG", "simulation", "vectors"]

LANES, WIDTH = 4, 8

# One register of LANES lanes with valid and ready, adding one to each lane.
VERILOG = """
module increment(input clk, input rst, input i_valid, output i_ready, input [31:0] i_payload,
                 output reg o_valid, input o_ready, output reg [31:0] o_payload);
  assign i_ready = ~o_valid | o_ready;
  always @(posedge clk) begin
    if (i_ready) begin
      o_valid <= i_valid;
      if (i_valid) begin
        o_payload[7:0] <= i_payload[7:0] + 8'd1;
        o_payload[15:8] <= i_payload[15:8] + 8'd1;
        o_payload[23:16] <= i_payload[23:16] + 8'd1;
        o_payload[31:24] <= i_payload[31:24] + 8'd1;
      end
    end
    if (rst) o_valid <= 1'b0;
  end
endmodule
"""


def simulation():
    """The block, built."""
    return build(VERILOG, "increment")


def vectors(count: int = 40) -> dict:
    """Parameters of the bench `increments_every_lane`."""
    generator = random.Random(7)
    given = [[generator.randrange(-128, 127) for _ in range(LANES)] for _ in range(count)]
    return {
        "vectors": given,
        "expected": [[value + 1 for value in vector] for vector in given],
        "input": "always",
        "output": "always",
    }


# Benches: run inside the simulator.


@cocotb.test()
async def increments_every_lane(dut):
    """Every lane leaves incremented, whatever the pace of source and sink."""
    given = parameters()
    await start(dut, i_valid=0, i_payload=0, o_ready=0)
    source = Source(dut, "i", pattern(given["input"], cocotb.RANDOM_SEED))
    sink = Sink(dut, "o", pattern(given["output"], cocotb.RANDOM_SEED + 1))
    cocotb.start_soon(source.send([pack(vector, WIDTH) for vector in given["vectors"]]))
    words = await sink.receive(len(given["vectors"]))
    await sink.expect_nothing(10)
    expect_equal("incremented", [unpack(word, WIDTH, LANES) for word in words], given["expected"], width=WIDTH)
    record("cycles", int(cocotb.utils.get_sim_time("ns")) // 10)


@cocotb.test()
async def compares_nothing(dut):
    """A bench that compares nothing, which is a failure."""
    await start(dut, i_valid=0, i_payload=0, o_ready=0)
    expect_equal("nothing", [], [])


@cocotb.test()
async def waits_in_vain(dut):
    """A bench that waits for what never comes."""
    await start(dut, i_valid=0, i_payload=0, o_ready=0)
    await wait_until(dut, lambda: bool(dut.o_valid.value), what="o_valid", limit=50)


@cocotb.test()
async def runs_for_ever(dut):
    """A bench that does not end on its own."""
    await start(dut, i_valid=0, i_payload=0, o_ready=0)
    if "numbers" in parameters():
        Path(parameters()["numbers"]).write_text(f"{os.getpid()}\n", encoding="utf-8")
    while True:
        await RisingEdge(dut.clk)


@cocotb.test()
async def kills_its_simulator(dut):
    """A bench whose simulator breaks off."""
    await start(dut, i_valid=0, i_payload=0, o_ready=0)
    expect_equal("one", 1, 1)
    os._exit(0)


@cocotb.test()
async def records_random_numbers(dut):
    """A bench that records what random numbers it drew."""
    await start(dut, i_valid=0, i_payload=0, o_ready=0)
    expect_equal("one", 1, 1)
    record("numbers", [random.getrandbits(32) for _ in range(4)])
    record("pattern", [next(active) for active in [pattern("bursts", cocotb.RANDOM_SEED)] for _ in range(40)])

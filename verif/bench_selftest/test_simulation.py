"""The simulation tools pass a right bench, and fail wrong, empty, crashing and hanging ones."""

from __future__ import annotations

import os
import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from verif.bench import (
    PATTERNS,
    SimulationError,
    Sink,
    Source,
    ToolError,
    build,
    expect_equal,
    pack,
    parameters,
    pattern,
    record,
    run,
    start,
    unpack,
    wait_until,
)

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


# Benches: run inside the simulator.


@cocotb.test()
async def increments_every_lane(dut):
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
    await start(dut, i_valid=0, i_payload=0, o_ready=0)
    expect_equal("nothing", [], [])


@cocotb.test()
async def waits_in_vain(dut):
    await start(dut, i_valid=0, i_payload=0, o_ready=0)
    await wait_until(dut, lambda: bool(dut.o_valid.value), what="o_valid", limit=50)


@cocotb.test()
async def runs_for_ever(dut):
    await start(dut, i_valid=0, i_payload=0, o_ready=0)
    while True:
        await RisingEdge(dut.clk)


@cocotb.test()
async def kills_its_simulator(dut):
    await start(dut, i_valid=0, i_payload=0, o_ready=0)
    expect_equal("one", 1, 1)
    os._exit(0)


@cocotb.test()
async def records_random_numbers(dut):
    await start(dut, i_valid=0, i_payload=0, o_ready=0)
    expect_equal("one", 1, 1)
    record("numbers", [random.getrandbits(32) for _ in range(4)])
    record("pattern", [next(active) for active in [pattern("bursts", cocotb.RANDOM_SEED)] for _ in range(40)])


# Tests: run by pytest.


def simulation():
    return build(VERILOG, "increment")


def vectors(count: int = 40) -> dict:
    generator = random.Random(7)
    given = [[generator.randrange(-128, 127) for _ in range(LANES)] for _ in range(count)]
    return {"vectors": given, "expected": [[value + 1 for value in vector] for vector in given],
            "input": "always", "output": "always"}


@pytest.mark.parametrize("output_pattern", PATTERNS)
@pytest.mark.parametrize("input_pattern", PATTERNS)
def test_right_bench_passes(input_pattern, output_pattern):
    result = run(simulation(), __name__, testcase="increments_every_lane",
                 parameters=vectors() | {"input": input_pattern, "output": output_pattern})
    assert result.tests == 1
    assert result.compared == 40 * LANES


def test_one_wrong_value_fails():
    given = vectors()
    given["expected"][17][2] ^= 1
    problem = r"incremented at index \[17, 2\]: got .* 1 of 160 compared differ"
    with pytest.raises(SimulationError, match=problem) as error:
        run(simulation(), __name__, testcase="increments_every_lane", parameters=given)
    assert "WAVES=1 SEED=1" in str(error.value)


def test_bench_that_compares_nothing_fails():
    with pytest.raises(SimulationError, match="the bench compared nothing"):
        run(simulation(), __name__, testcase="compares_nothing")


def test_bounded_wait_fails_and_names_what_did_not_come():
    with pytest.raises(SimulationError, match="o_valid did not come within 50 cycles"):
        run(simulation(), __name__, testcase="waits_in_vain")


def test_hanging_bench_is_stopped():
    with pytest.raises(SimulationError, match="stopped after 2 s"):
        run(simulation(), __name__, testcase="runs_for_ever", timeout_s=2)


def test_bench_whose_simulator_dies_fails():
    with pytest.raises(SimulationError, match="broke off with exit status 0"):
        run(simulation(), __name__, testcase="kills_its_simulator")


def test_unknown_testcase_fails():
    with pytest.raises(SimulationError, match=r"no test ran|broke off"):
        run(simulation(), __name__, testcase="increments_no_lane")


def test_unknown_module_fails():
    with pytest.raises(SimulationError, match="broke off"):
        run(simulation(), "verif.no_such_bench")


def test_same_seed_gives_the_same_run():
    first, second, other = (run(simulation(), __name__, testcase="records_random_numbers", seed=seed).measurements
                            for seed in (5, 5, 6))
    assert first == second
    assert first != other


def test_waveform_is_recorded():
    result = run(build(VERILOG, "increment", waves=True), __name__, testcase="increments_every_lane",
                 parameters=vectors())
    assert "o_payload" in result.waves.read_text()


def test_build_is_made_once():
    assert simulation().directory == simulation().directory
    assert simulation().seconds == 0
    changed = build(VERILOG.replace("8'd1", "8'd2"), "increment")
    assert changed.directory != simulation().directory
    with pytest.raises(SimulationError, match="160 of 160 compared differ"):
        run(changed, __name__, testcase="increments_every_lane", parameters=vectors())


def test_verilog_with_an_error_is_refused():
    with pytest.raises(ToolError, match=r"design\.v"):
        build("module broken(input clk); assign = ; endmodule", "broken")
    with pytest.raises(ValueError, match="top must be a module of the Verilog, not 'absent'"):
        build(VERILOG, "absent")
    with pytest.raises(ValueError, match="simulator must be one of verilator, icarus, not 'other'"):
        build(VERILOG, "increment", simulator="other")


@pytest.mark.parametrize("value", ["-1", "one"])
def test_seed_must_be_a_number(monkeypatch, value):
    monkeypatch.setenv("SEED", value)
    with pytest.raises(ValueError, match=f"SEED must be a number or 'random', not '{value}'"):
        run(simulation(), __name__, testcase="records_random_numbers")

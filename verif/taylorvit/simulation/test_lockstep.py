"""The helpers that drive ports: packing, patterns, and streams whose other side breaks the rules."""

from __future__ import annotations

from itertools import islice

import cocotb
import pytest

from taylorvit.simulation import (
    PATTERNS,
    SimulationError,
    Sink,
    Source,
    build,
    expect_equal,
    pack,
    parameters,
    pattern,
    run,
    start,
    unpack,
    wait_until,
)

# A block that misbehaves as `fault` says: 1 never ready, 2 never valid, 3 takes a word back, 4 changes a word before
# it is taken, 5 offers words that nobody asked for; 0 offers the cycle count, and is ready in every second cycle.
VERILOG = """
module faulty(input clk, input rst, input [2:0] fault, input i_valid, output i_ready, input [7:0] i_payload,
              output o_valid, input o_ready, output [7:0] o_payload);
  reg [7:0] count = 0;
  reg [7:0] word = 0;
  always @(posedge clk) begin
    count <= rst ? 8'd0 : count + 8'd1;
    if (o_ready) word <= word + 8'd1;
  end
  assign i_ready = fault != 1 && count[0];
  assign o_valid = fault != 2 && (fault != 3 || count[1]);
  assign o_payload = fault == 4 ? count : word;
endmodule
"""


@cocotb.test()
async def streams_to_a_faulty_block(dut):
    """Words go through a block that may break a rule of the stream, which the bench has to notice."""
    await start(dut, fault=parameters()["fault"], i_valid=0, i_payload=0, o_ready=0)
    source = Source(dut, "i", limit=20)
    sink = Sink(dut, "o", pattern("random", 3), limit=20)
    sent = cocotb.start_soon(source.send([1, 2, 3]))
    first, *_ = words = await sink.receive(8)
    await sent
    expect_equal("words", words, list(range(first, first + 8)))
    if parameters()["fault"] == 5:
        await sink.expect_nothing(5)


@cocotb.test()
async def counts_cycles_waited(dut):
    """A wait tells how many cycles it took."""
    await start(dut, fault=0, i_valid=0, i_payload=0, o_ready=0)
    # The count rises by one at each edge after reset, and the first edge sees 0.
    expect_equal("cycles", await wait_until(dut, lambda: dut.o_payload.value == 0, what="word", limit=1), 0)
    expect_equal("cycles", await wait_until(dut, lambda: dut.i_ready.value == 1, what="i_ready", limit=2), 0)


def simulation():
    return build(VERILOG, "faulty")


def test_well_behaved_block_passes():
    assert run(simulation(), __name__, testcase="streams_to_a_faulty_block", parameters={"fault": 0}).compared == 8


@pytest.mark.parametrize(
    "fault, message",
    [
        (1, "i_ready did not come within 20 cycles for word 0"),
        (2, "o_valid did not come within 20 cycles for word 0 of 8"),
        (3, "o_valid fell before the word .* was taken"),
        (4, "o changed from .* to .* before it was taken"),
        (5, "o_valid came with .* where no word was expected"),
    ],
)
def test_broken_rule_is_found(fault, message):
    with pytest.raises(SimulationError, match=message):
        run(simulation(), __name__, testcase="streams_to_a_faulty_block", parameters={"fault": fault})


def test_wait_tells_how_long_it_took():
    run(simulation(), __name__, testcase="counts_cycles_waited")


@pytest.mark.parametrize(
    "width, values, word",
    [
        (8, [1, -1, -128, 127], 0x7F80FF01),
        (4, [15, -8], 0x8F),
        (12, [-1], 0xFFF),
        (1, [1, 0, 1], 0b101),
    ],
)
def test_pack_puts_element_0_lowest(width, values, word):
    assert pack(values, width) == word
    mask = (1 << width) - 1
    assert unpack(word, width, len(values), signed=False) == [value & mask for value in values]


def test_unpack_inverts_pack():
    for width in (2, 5, 8, 17):
        values = [-(1 << (width - 1)), -1, 0, 1, (1 << (width - 1)) - 1]
        assert unpack(pack(values, width), width, len(values)) == values


def test_pack_and_unpack_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="element 1 must be an integer of 8 bits, not 256"):
        pack([0, 256], 8)
    with pytest.raises(ValueError, match="element 0 must be an integer of 8 bits, not -129"):
        pack([-129], 8)
    with pytest.raises(ValueError, match="word must be an unsigned integer of 16 bits, not 65536"):
        unpack(1 << 16, 8, 2)


@pytest.mark.parametrize(
    "kind, low, high", [("always", 1, 1), ("random", 0.4, 0.6), ("rare", 0.08, 0.17), ("bursts", 0.35, 0.65)]
)
def test_pattern_is_as_active_as_it_says(kind, low, high):
    activity = list(islice(pattern(kind, 1), 4000))
    assert low <= sum(activity) / len(activity) <= high
    assert activity == list(islice(pattern(kind, 1), 4000))


def test_every_pattern_is_tested_and_others_are_refused():
    assert set(PATTERNS) == {"always", "random", "rare", "bursts"}
    with pytest.raises(ValueError, match="kind must be one of always, random, rare, bursts, not 'never'"):
        pattern("never", 1)

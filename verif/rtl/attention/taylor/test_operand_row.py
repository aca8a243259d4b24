"""One row's operand buffers and its centring adder, against lists in place of the banks."""

from __future__ import annotations

import random

import cocotb
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.attention.taylor.operand_row import OperandRow
from taylorvit.rtl.common.bundles import Phase
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import build, expect_equal, pack, parameters, run, start, unpack
from verif.rtl.harness import (
    drive,
    expect_handed_on,
    expect_passed_on,
    idle_inputs,
    integers,
    passed_to,
    ports_of,
)

ACCESSES = 3000
CONFIGURATIONS = {
    "default": {"rows": 4, "columns": 4, "max_tokens": 64, "max_head_dim": 16},
    "one_lane": {"rows": 5, "columns": 3, "data_width": 6, "mean_fraction": 0, "max_tokens": 7, "max_head_dim": 12,
                 "stream_width": 8, "memory_pipeline": 2},
    "wide": {"rows": 16, "columns": 8, "data_width": 12, "mean_fraction": 1, "max_tokens": 198, "max_head_dim": 32,
             "memory_pipeline": 1},
    "narrow": {"rows": 8, "columns": 4, "data_width": 4, "mean_fraction": 2, "max_tokens": 1, "max_head_dim": 1,
               "stream_width": 16},
}  # fmt: skip


def config_of(name):
    return AcceleratorConfig(name="row", **CONFIGURATIONS[name])


@cocotb.test()
async def operands_are_streamed(dut):
    """A row streams Q or the centred K of its banks, while they are written, and passes on what it gets."""
    config = config_of(parameters()["name"])
    row = OperandRow(config)
    generator = random.Random(cocotb.RANDOM_SEED)
    await start(dut, **idle_inputs(row))
    ports = ports_of(row)
    widths = {port: width for port, (width, _incoming) in ports.items()}
    width, lanes = config.data_width, config.stream_lanes

    # First every word of both banks is written, then they are read and overwritten at random.
    words = {bank: 1 << widths[f"{bank}_in__address"] for bank in "qk"}
    shares = {"q": lanes, "k": 1}
    writes = max(words.values())
    cycles = writes + ACCESSES
    inputs = {port: [generator.getrandbits(widths[port]) for _ in range(cycles)] for port in idle_inputs(row)}
    inputs["control_in__lane"] = [generator.randrange(lanes) for _ in range(cycles)]
    for bank in words:
        inputs[f"{bank}_in__data"] = [pack(integers(generator, width, lanes), width) for _ in range(cycles)]
        near = [generator.randrange(shares[bank]) for _ in range(cycles)]
        inputs[f"{bank}_in__offset"] = [
            generator.choice((offset, anywhere)) for offset, anywhere in zip(near, inputs[f"{bank}_in__offset"])
        ]
    means = integers(generator, config.mean_width, cycles)
    inputs["mean_in"] = [0] * row.memory_latency + [pack([mean], config.mean_width) for mean in means]
    for bank, count in words.items():
        inputs[f"{bank}_in__valid"][:writes] = [1] * writes
        inputs[f"{bank}_in__offset"][:writes] = [0] * writes
        inputs[f"{bank}_in__address"][:writes] = [word % count for word in range(writes)]

    banks = {bank: [0] * count for bank, count in words.items()}
    expected = []
    for cycle in range(cycles):
        address = inputs["control_in__address"][cycle]
        if inputs["control_in__phase"][cycle] == Phase.QG:
            word = banks["q"][address % len(banks["q"])]
            expected.append(unpack(word, width, 1)[0])
        else:
            word = banks["k"][address % len(banks["k"])]
            key = unpack(word, width, lanes)[inputs["control_in__lane"][cycle]]
            expected.append(key * 2**config.mean_fraction - means[cycle])
        arriving = cycle - config.chain_registers
        for bank, contents in banks.items():
            valid, offset, address, data = (
                inputs[f"{bank}_in__{part}"][max(0, arriving)] for part in ("valid", "offset", "address", "data")
            )
            if arriving >= 0 and valid and offset < shares[bank]:
                contents[address] = data if bank == "k" else data & ((1 << width) - 1)

    chained = [port for port in inputs if port.partition("_in__")[0] in words]
    passed = [port for port in inputs if port.startswith("control_in__")]
    outputs = ["streamed", "swap", *map(passed_to, [*passed, "mean_in", *chained])]
    got = await drive(dut, inputs, outputs, extra=row.latency)
    seen = [value.to_signed() for value in got["streamed"][row.latency :][:cycles]]
    expect_equal("streamed", seen, expected)
    swaps = [int(value) for value in got["swap"][row.latency :][:cycles]]
    expect_equal("swap", swaps, inputs["control_in__swap"])
    expect_passed_on(got, inputs, [*passed, "mean_in"], cycles)
    for bank in words:
        expect_handed_on(row, bank, got, inputs, cycles, shares=shares[bank], registers=config.chain_registers)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_operand_row(name):
    block = OperandRow(config_of(name))
    result = run(build(emit(block), block.module_name), __name__, parameters={"name": name})
    assert result.compared > 14 * ACCESSES

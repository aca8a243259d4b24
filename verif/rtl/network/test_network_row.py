"""One row's buffers, with Taylor attention's part of the row behind them, against lists in place of the banks."""

from __future__ import annotations

import random

import cocotb
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.command import Source
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.kernel import network_kernel
from taylorvit.rtl.network.network_row import NetworkRow, writing_columns
from taylorvit.simulation import build, expect_equal, pack, run, unpack
from verif.rtl.harness import (
    SideBySide,
    bits,
    drive,
    expect_passed_on,
    integers,
    on_every_block,
    passed_to,
    ports_of,
    wrapped,
)

from .products import CONFIGS as SCHEDULER_CONFIGS

ACCESSES = 400  # of each row
WRITTEN = 2  # cycles from an activation or a pixel to the first read that finds it
FEED_WRITTEN = 2  # likewise, from a feature of K
CONFIGS = SCHEDULER_CONFIGS | {
    # Two columns write to a row, and the image's lanes are no power of two.
    "array_6x4": NetworkConfig(name="row", rows=6, columns=4, max_tokens=9, max_width=12, max_hidden=24, max_patch=12,
                               max_classes=4, max_heads=2, max_head_dim=5, image_lanes=3),
    # The image lies in the activation banks, and needs more of them than activations do, or less.
    "large_image": NetworkConfig(name="row", rows=4, columns=2, max_tokens=9, max_width=4, max_hidden=4, max_patch=50,
                                 max_classes=4, max_heads=1, max_head_dim=4, image_banks="activations"),
    "small_image": NetworkConfig(name="row", rows=4, columns=4, max_tokens=9, max_width=12, max_hidden=24, max_patch=12,
                                 max_classes=4, max_heads=2, max_head_dim=5, image_lanes=2, memory_pipeline=1,
                                 image_banks="activations"),
}  # fmt: skip


def blocks():
    return {name: NetworkRow(config, kernel_row=network_kernel(config).row) for name, config in CONFIGS.items()}


# Benches: run inside the simulator.


def bank_writes(generator, depth, cycles, begin=0):
    """(cycle, address) of writes: each address once, one a cycle from one on, then any at random."""
    filled = begin + depth
    writes = list(zip(range(begin, filled), range(depth)))
    return writes + [(cycle, generator.randrange(depth)) for cycle in range(filled, cycles) if generator.random() < 0.5]


def fill_inputs(config, generator, row, inputs, cycles):
    """Random writes for row `row`, and for others, in `inputs`; returns bank -> cycle -> (address, data) of its own."""
    own = {"activation": {}, "image": {}, "key": {}}
    widths, width = {"activations": bits(config.rows)}, config.data_width
    columns = len(writing_columns(config, row))
    for index in range(columns):
        for name in ("valid", "bank"):
            inputs[f"activations__{index}__{name}"] = [0] * cycles
    for cycle in range(cycles):
        for index in range(columns):
            if generator.random() < 0.5:
                # For another row, or for none: those numbers are not used where R is no power of two.
                inputs[f"activations__{index}__valid"][cycle] = 1
                others = [bank for bank in range(1 << widths["activations"]) if bank != row]
                inputs[f"activations__{index}__bank"][cycle] = generator.choice(others)
            elif generator.random() < 0.5:
                inputs[f"activations__{index}__bank"][cycle] = row  # not valid
    shared = config.shares_image_banks
    begin = config.activation_depth if shared else 0
    image_writes = bank_writes(generator, config.image_depth, cycles, begin)
    taken = {cycle for cycle, _address in image_writes} if shared else set()
    for cycle, address in bank_writes(generator, config.activation_depth, cycles):
        if cycle in taken:
            continue
        index = generator.randrange(columns)
        (data,) = integers(generator, width, 1)
        values = {"valid": 1, "bank": row, "address": address, "data": pack([data], width)}
        for name, value in values.items():
            inputs[f"activations__{index}__{name}"][cycle] = value
        own["activation"][cycle] = address, data

    inputs["image__valid"] = [generator.getrandbits(1) for _ in range(cycles)]
    groups = config.rows // config.image_lanes
    group, lane = divmod(row, config.image_lanes)
    inputs["image__group"] = [generator.choice([g for g in range(1 << bits(groups)) if g != group])
                              for _ in range(cycles)]  # fmt: skip
    for cycle, address in image_writes:
        pixels = integers(generator, width, config.image_lanes)
        inputs["image__valid"][cycle], inputs["image__group"][cycle] = 1, group
        inputs["image__address"][cycle], inputs["image__data"][cycle] = address, pack(pixels, width)
        own["image"][cycle] = address, pixels[lane]

    inputs["feed__begin"] = [0] * cycles
    cycle, address = 0, 0
    while cycle + config.columns < cycles:
        inputs["feed__begin"][cycle], inputs["feed__address"][cycle] = 1, address
        for feature in range(config.columns):
            (data,) = integers(generator, width, 1)
            inputs["feed__data"][cycle + feature] = pack([data], width)
            own["key"][cycle + feature] = address + feature, data
        cycle += config.columns
        address += config.columns
        if cycle >= config.key_depth:
            cycle += generator.choice((0, 0, 1, 5))
            address = generator.randrange(config.key_depth // config.columns) * config.columns
    return own


async def one_row(view, block, config, generator, row):
    """What a row streams, while its banks are written; first every word of them is."""
    depths = {"activation": config.activation_depth, "image": config.image_depth, "key": config.key_depth}
    shared = config.shares_image_banks
    filled = (sum if shared else max)(depths.values()) + WRITTEN + config.columns
    cycles = filled + ACCESSES
    ports = {port: width for port, (width, incoming) in ports_of(block).items() if incoming}
    inputs = {port: [generator.getrandbits(width) for _ in range(cycles)] for port, width in ports.items()}
    inputs["row"] = [row] * cycles
    own = fill_inputs(config, generator, row, inputs, cycles)
    names = {Source.ACTIVATION: "activation", Source.IMAGE: "image", Source.KERNEL: "key"}
    inputs["control_in__source"] = [generator.choice(list(Source)) for _ in range(cycles)]
    inputs["control_in__address"] = [
        generator.randrange(depths[names[source]]) for source in inputs["control_in__source"]
    ]
    means = integers(generator, config.attention.mean_width, cycles)
    mean_width = config.attention.mean_width
    inputs["kernel_in__mean"] = [0] * block.memory_latency + [pack([mean], mean_width) for mean in means]

    banks = {name: [None] * depth for name, depth in depths.items()}
    if shared:
        banks["activation"] = banks["image"] = [None] * config.activation_bank_depth
    expected = []
    for cycle in range(cycles):
        for name, delay in (("activation", WRITTEN), ("image", WRITTEN), ("key", FEED_WRITTEN)):
            if cycle - delay in own[name]:
                address, data = own[name][cycle - delay]
                banks[name][address] = data
        source, address = inputs["control_in__source"][cycle], inputs["control_in__address"][cycle]
        word = banks[names[source]][address]
        if inputs["control_in__blank"][cycle]:
            expected.append(0)
        elif word is None:
            expected.append(None)  # not written yet
        elif source == Source.KERNEL:
            value = (word << config.mean_fraction) - means[cycle]
            expected.append(wrapped(value, config.streamed_width))
        else:
            expected.append(word)
    compared = [cycle for cycle, value in enumerate(expected) if value is not None]
    expect_equal("every word is written first", all(cycle in set(compared) for cycle in range(filled, cycles)), True)

    passed = [port for port in inputs if port.startswith("control_in__")]
    outputs = ["streamed", "swap", *map(passed_to, [*passed, "kernel_in__mean"])]
    got = await drive(view, inputs, outputs, extra=block.latency)
    seen = [
        unpack(got["streamed"][cycle + block.latency].to_unsigned(), config.streamed_width, 1)[0] for cycle in compared
    ]
    expect_equal(f"streamed of row {row}", seen, [expected[cycle] for cycle in compared])
    swaps = [int(value) for value in got["swap"][block.latency :][:cycles]]
    expect_equal("swap", swaps, inputs["control_in__swap"])
    expect_passed_on(got, inputs, [*passed, "kernel_in__mean"], cycles)


@cocotb.test()
async def operands_are_streamed(dut):
    """A row streams activations, pixels, centred keys or zeros, while its banks are written."""
    sizes = blocks()

    async def jobs(view, name, seed):
        config, generator = CONFIGS[name], random.Random(seed)
        for row in sorted({generator.randrange(config.rows - 1), config.rows - 1}):
            await one_row(view, sizes[name], config, generator, row)

    await on_every_block(dut, blocks(), jobs)


# Tests: run by pytest.


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


def test_writing_columns_are_all_whose_activations_can_come():
    for config in CONFIGS.values():
        for row in range(config.rows):
            banks = {
                (place * config.columns + column) % config.rows: column
                for place in range(config.rows)
                for column in range(config.columns)
            }
            assert set(banks) == set(range(config.rows))
            columns = {
                column
                for place in range(config.rows)
                for column in range(config.columns)
                if (place * config.columns + column) % config.rows == row
            }
            assert writing_columns(config, row) == sorted(columns)


def test_network_row(simulation):
    result = run(simulation, __name__, testcase="operands_are_streamed")
    assert result.compared > 2 * ACCESSES * len(CONFIGS)

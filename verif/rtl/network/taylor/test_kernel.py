"""Taylor attention behind the seam: layers of heads through the four blocks and the array, against the golden model."""

from __future__ import annotations

import random

import cocotb
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import build, expect_equal, parameters, record, run, start
from verif.rtl.harness import idle_inputs
from verif.rtl.network.kernel_bench import Engine, KernelTop

from .layers import random_taylor_layer, taylor_z

LAYERS = 12  # a configuration
SIZES = {"max_tokens": 17, "max_width": 24, "max_hidden": 48, "max_patch": 12, "max_classes": 10, "max_heads": 3}
CONFIGURATIONS = {
    "square": {"rows": 4, "columns": 4, "max_head_dim": 13},
    "odd": {"rows": 5, "columns": 3, "max_head_dim": 7, "memory_pipeline": 2, "mean_fraction": 1},
    "wide": {"rows": 8, "columns": 4, "max_head_dim": 6, "max_tokens": 40, "memory_pipeline": 1, "pe_pipeline": 2},
    "slow": {"rows": 4, "columns": 2, "max_head_dim": 4, "max_tokens": 30, "divider_interval": 12},
    "fast": {"rows": 7, "columns": 4, "max_head_dim": 9, "divider_interval": 1, "shift_z_min": 0, "shift_z_max": 9},
    "smallest": {"rows": 2, "columns": 1, "max_head_dim": 1, "max_tokens": 2, "max_width": 3},
}  # fmt: skip


def config_of(name):
    return NetworkConfig(name=name, **SIZES | CONFIGURATIONS[name])


@cocotb.test()
async def layers_equal_the_model(dut):
    """Z of every head of every layer, and the rows without a divisor."""
    config = config_of(parameters()["name"])
    generator = random.Random(cocotb.RANDOM_SEED)
    await start(dut, **idle_inputs(KernelTop(config)))
    engine = Engine(dut, config, generator)
    without = 0
    for number in range(LAYERS):
        if generator.random() < 0.2:
            await engine.abandon(random_taylor_layer(generator, config, number), generator.randint(1, 400))
        layer = random_taylor_layer(generator, config, number)
        z, invalid = taylor_z(layer)
        got = await engine.run(layer)
        what = f"layer {number} of {layer.heads} heads, {layer.rows}/{layer.tokens} tokens, {layer.head_dim} features"
        for head, (seen, right) in enumerate(zip(got, z, strict=True)):
            expect_equal(f"z of head {head}, {what}", seen, right)
        # Each column tile divides the row anew.
        tiles = -(-layer.head_dim // config.columns)
        expect_equal(f"rows without a divisor, {what}", engine.errors, invalid * tiles)
        without += invalid
    record("rows without a divisor", without)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_kernel(name):
    top = KernelTop(config_of(name))
    result = run(build(emit(top), top.module_name), __name__, parameters={"name": name})
    assert result.compared > LAYERS
    assert result.measurements["rows without a divisor"] > 0

"""Softmax attention behind the seam: layers of heads through four blocks and the array, against the golden model."""

from __future__ import annotations

import cocotb
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import build, parameters, run
from verif.rtl.network.kernel_engine import compare_layers
from verif.rtl.network.kernel_top import KernelTop

from .layer import SoftmaxLayer

LAYERS = 12  # a configuration
SIZES = {"max_tokens": 17, "max_width": 24, "max_hidden": 48, "max_patch": 12, "max_classes": 10, "max_heads": 3,
         "kernel": "softmax", "exponential_entries": 64}  # fmt: skip
CONFIGURATIONS = {
    "square": {"rows": 4, "columns": 4, "max_head_dim": 13, "query_block": 6},
    "odd": {"rows": 5, "columns": 3, "max_head_dim": 7, "memory_pipeline": 2, "query_block": 7, "score_width": 9},
    "wide": {"rows": 8, "columns": 4, "max_head_dim": 6, "max_tokens": 40, "memory_pipeline": 1, "pe_pipeline": 2,
             "query_block": 16, "exponential_width": 12, "exponential_entries": 256},
    "slow": {"rows": 4, "columns": 2, "max_head_dim": 4, "max_tokens": 30, "divider_interval": 9},
    "fast": {"rows": 7, "columns": 4, "max_head_dim": 9, "divider_interval": 1, "shift_z_min": 0, "shift_z_max": 9,
             "query_block": 1, "exponential_width": 4, "exponential_entries": 2},
    "smallest": {"rows": 2, "columns": 1, "max_head_dim": 1, "max_tokens": 2, "max_width": 3, "score_width": 16},
}  # fmt: skip


def config_of(name):
    return NetworkConfig(name=name, **SIZES | CONFIGURATIONS[name])


@cocotb.test()
async def layers_equal_the_model(dut):
    """Z of every head of every layer."""
    await compare_layers(dut, config_of(parameters()["name"]), LAYERS, SoftmaxLayer.random)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_kernel(name):
    top = KernelTop(config_of(name))
    result = run(build(emit(top), top.module_name), __name__, parameters={"name": name})
    assert result.compared > LAYERS

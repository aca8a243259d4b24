"""Taylor attention behind the seam: layers of heads through the four blocks and the array, against the golden model."""

from __future__ import annotations

import cocotb
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import build, parameters, record, run
from verif.rtl.network.kernel_engine import compare_layers
from verif.rtl.network.kernel_top import KernelTop

from .layer import TaylorLayer

LAYERS = 12  # a configuration
SIZES = {"max_tokens": 17, "max_width": 24, "max_hidden": 48, "max_patch": 12, "max_classes": 10, "max_heads": 3}
CONFIGURATIONS = {
    "square": {"rows": 4, "columns": 4, "max_head_dim": 13},
    "odd": {"rows": 5, "columns": 3, "max_head_dim": 7, "memory_pipeline": 2, "mean_fraction": 1},
    "wide": {"rows": 8, "columns": 4, "max_head_dim": 6, "max_tokens": 40, "memory_pipeline": 1, "pe_pipeline": 2},
    "slow": {"rows": 4, "columns": 2, "max_head_dim": 4, "max_tokens": 30, "divider_interval": 12,
             "c_v_bits": 14, "c_d_bits": 28, "shift_z_min": 7, "shift_z_max": 12},
    "fast": {"rows": 7, "columns": 4, "max_head_dim": 9, "divider_interval": 1, "shift_z_min": 0, "shift_z_max": 9},
    "smallest": {"rows": 2, "columns": 1, "max_head_dim": 1, "max_tokens": 2, "max_width": 3},
}  # fmt: skip


def config_of(name):
    return NetworkConfig(name=name, **SIZES | CONFIGURATIONS[name])


@cocotb.test()
async def layers_equal_the_model(dut):
    """Z of every head of every layer, and the rows without a divisor."""
    compared = await compare_layers(dut, config_of(parameters()["name"]), LAYERS, TaylorLayer.random)
    record("rows without a divisor", sum(without for _layer, without in compared))


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_kernel(name):
    top = KernelTop(config_of(name))
    result = run(build(emit(top), top.module_name), __name__, parameters={"name": name})
    assert result.compared > LAYERS
    assert result.measurements["rows without a divisor"] > 0

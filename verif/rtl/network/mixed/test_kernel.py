"""Both kernels behind the seam: layers of either through the four blocks and the array, against the golden models."""

from __future__ import annotations

import cocotb
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import build, parameters, record, run
from verif.rtl.network.kernel_engine import compare_layers
from verif.rtl.network.kernel_top import KernelTop
from verif.rtl.network.softmax.layer import SoftmaxLayer
from verif.rtl.network.taylor.layer import TaylorLayer

LAYERS = 28  # a configuration
SIZES = {"max_tokens": 17, "max_width": 24, "max_hidden": 48, "max_patch": 12, "max_classes": 10, "max_heads": 3,
         "kernel": "taylor+softmax", "exponential_entries": 64}  # fmt: skip
CONFIGURATIONS = {
    "square": {"rows": 4, "columns": 4, "max_head_dim": 13, "query_block": 6},
    "odd": {"rows": 5, "columns": 3, "max_head_dim": 7, "memory_pipeline": 2, "query_block": 7, "score_width": 7},
    # Taylor attention needs wider operands, or softmax attention does.
    "fine": {"rows": 8, "columns": 4, "max_head_dim": 6, "memory_pipeline": 1, "exponential_width": 6,
             "mean_fraction": 5, "constant_fraction": 0},
    # The last tile of tokens has more columns than there are rows left, and the last token of K comes to a column from
    # which it is turned around.
    "coarse": {"rows": 7, "columns": 5, "max_head_dim": 9, "divider_interval": 1, "shift_z_min": 0, "shift_z_max": 9,
               "query_block": 6, "exponential_width": 12, "mean_fraction": 0, "max_tokens": 14},
}  # fmt: skip


def config_of(name):
    return NetworkConfig(name=name, **SIZES | CONFIGURATIONS[name])


def _random_layer(generator, config, number):
    return generator.choice((TaylorLayer, SoftmaxLayer)).random(generator, config, number)


@cocotb.test()
async def layers_equal_the_model(dut):
    """Z of every head of every layer, and the rows without a divisor; the kernel changes from layer to layer."""
    compared = await compare_layers(dut, config_of(parameters()["name"]), LAYERS, _random_layer)
    kernels = [layer.kernel for layer, _without in compared]
    record("changes of the kernel", sum(one != other for one, other in zip(kernels, kernels[1:])))


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_kernel(name):
    top = KernelTop(config_of(name))
    result = run(build(emit(top), top.module_name), __name__, parameters={"name": name})
    assert result.compared > LAYERS
    assert result.measurements["changes of the kernel"] > 2

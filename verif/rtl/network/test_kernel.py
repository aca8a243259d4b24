"""The seam of attention kernels in the network accelerator: how a configuration finds its kernel."""

from __future__ import annotations

import pytest

from taylorvit.rtl.attention.taylor.spec import TaylorSpec
from taylorvit.rtl.config import ConfigError
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.kernel import network_kernel
from taylorvit.rtl.network.taylor.kernel import TaylorNetworkKernel
from verif.regression.mean_kernel import MEAN, registered

SIZES = {"rows": 4, "columns": 4, "max_tokens": 5, "max_width": 8, "max_hidden": 8, "max_patch": 4, "max_classes": 3,
         "max_heads": 2, "max_head_dim": 4}  # fmt: skip


def test_the_specification_names_the_kernel(monkeypatch):
    assert type(network_kernel(NetworkConfig(name="seam", **SIZES))) is TaylorNetworkKernel
    monkeypatch.setattr(TaylorSpec, "network_hardware", f"{__name__}:OtherKernel")
    assert type(network_kernel(NetworkConfig(name="seam", **SIZES))) is OtherKernel


class OtherKernel(TaylorNetworkKernel):
    pass


@pytest.mark.parametrize("pipeline", [0, 1, 2])
@pytest.mark.parametrize("kernel", ["taylor", "softmax", "taylor+softmax"])
def test_the_row_takes_a_cycle_more_than_a_memory_or_longer(pipeline, kernel):
    built = network_kernel(NetworkConfig(name="seam", kernel=kernel, memory_pipeline=pipeline, **SIZES))
    assert built.column.memory_latency == pipeline + 1
    assert built.diagonal.load_latency == pipeline + 2
    longer = {"taylor": 0, "softmax": pipeline + 2, "taylor+softmax": pipeline + 3}
    assert built.row.latency == pipeline + 2 + longer[kernel]


def test_a_kernel_without_hardware_for_networks_is_named():
    with registered(), pytest.raises(ConfigError, match=f"kernel must be one that a network .*, not '{MEAN}'"):
        NetworkConfig(name="seam", kernel=MEAN, **SIZES)

"""Any configuration of the network accelerator that is accepted generates, without a warning, and computes to the bit.

Random configurations (`verif.regression.network.random_configurations`). One of them is simulated every day; all are a
test of the night, `make nightly`, and `SEED=random` draws others.
"""

from __future__ import annotations

import cocotb
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.accelerator import NetworkAccelerator
from taylorvit.rtl.network.config import COUNTERS, NetworkConfig
from taylorvit.simulation import build, parameters, run
from taylorvit.simulation.dsp_cells import with_dsp_models
from taylorvit.simulation.settings import DEFAULT_SEED, selected_seed
from verif.tools.lint import verilator_warnings

from .checks import run_and_check
from .host import NetworkHost
from .models import drawn
from .random_configurations import KERNEL_NAMES, draw, draws

CONFIGURATIONS = 32
SEEDS = range(3)


@cocotb.test()
async def networks(dut):
    """Plain and extreme networks, in either order of their pixels."""
    config = NetworkConfig.from_mapping(parameters()["config"])
    host = await NetworkHost.start(dut, config)
    for seed in SEEDS:
        network = drawn(seed, config)
        await run_and_check(host, network.row_by_row() if seed % 2 else network, images=1 + seed % 3)


def check(number, folder):
    config = draw(selected_seed(), number)
    print(config)  # shown if it fails
    accelerator = NetworkAccelerator(config)
    verilog, top = emit(accelerator), accelerator.module_name
    (folder / f"{top}.v").write_text(verilog, encoding="utf-8")
    assert verilator_warnings(folder, top) == []
    simulation = build(with_dsp_models(verilog), top)
    run(simulation, __name__, testcase="networks", parameters={"config": config.to_mapping()})


def test_one(tmp_path):
    check(0, tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("number", range(1, CONFIGURATIONS))
def test_random_configurations(number, tmp_path):
    check(number, tmp_path)


def test_corners_are_among_them():
    drawn = draws(DEFAULT_SEED, range(CONFIGURATIONS))

    def values(field):
        return {getattr(config, field) for config in drawn}

    reached = {
        "kernel": KERNEL_NAMES, "counters": COUNTERS, "tape_source": ("axi", "stream", "memory"), "rows": (2, 9),
        "columns": (1,), "command_queue": (0, 2), "image_banks": ("own", "activations"), "mlp_tokens": (0, 1),
        "query_block": (0, 1), "has_serial_root": (False, True), "error_count_width": (0,),
        "activation_memory": ("split",), "image_memory": ("auto", "huge"),
    }  # fmt: skip
    for field, some in reached.items():
        assert set(some) <= values(field), field
    assert any(config.tape_bytes & (config.tape_bytes - 1) for config in drawn)
    assert any(config.norm_lanes and config.columns_per_lane > 1 for config in drawn)
    assert any(config.image_lanes > 1 and config.image_banks == "activations" for config in drawn)

"""Networks of any shape, one after another, give the logits of the integer model."""

from __future__ import annotations

import cocotb
import pytest

from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import parameters, record, run

from .checks import run_and_check
from .configurations import CONFIGURATIONS, build_accelerator
from .host import NetworkHost
from .models import drawn

SEEDS = range(6)


@cocotb.test()
async def one_after_another(dut):
    """Plain and extreme networks; none leaves anything behind that the next one sees."""
    config = NetworkConfig.from_mapping(parameters()["config"])
    host = await NetworkHost.start(dut, config)
    for seed in parameters()["seeds"]:
        outcome = await run_and_check(host, drawn(seed, config), images=1 + seed % 3 // 2)
        record(f"network {seed}", outcome.counters)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_networks(name):
    config = CONFIGURATIONS[name]
    run(build_accelerator(name), __name__, parameters={"config": config.to_mapping(), "seeds": list(SEEDS)})

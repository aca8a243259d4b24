"""Networks of any shape, one after another, give the logits of the integer model."""

from __future__ import annotations

import cocotb
import pytest

from taylorvit.golden.network.vit import VitShape
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import parameters, record, run

from .checks import run_and_check
from .configurations import CONFIGURATIONS, build_accelerator
from .host import NetworkHost
from .models import drawn, network_of

SEEDS = range(6)
# Patches in a row, and whether the model is distilled: 2, 3, 5, 6 and 11 tokens.
SIDES = ((1, False), (1, True), (2, False), (2, True), (3, True))
IN_BLOCKS = [name for name, config in CONFIGURATIONS.items() if config.mlp_tokens]


@cocotb.test()
async def one_after_another(dut):
    """Plain and extreme networks, whose images come in either order; none leaves anything that the next one sees."""
    config = NetworkConfig.from_mapping(parameters()["config"])
    host = await NetworkHost.start(dut, config)
    by_row = 0
    for seed in parameters()["seeds"]:
        network = drawn(seed, config)
        if seed % 3 != 1:
            network = network.row_by_row()
            by_row += network.by_row
        outcome = await run_and_check(host, network, images=1 + seed % 3 // 2)
        record(f"network {seed}", outcome.counters)
    if config.image_lanes <= 2 and by_row < 2:
        raise AssertionError(f"networks whose images come row by row must be 2 or more, not {by_row}")


@cocotb.test()
async def blocks_of_tokens(dut):
    """As many tokens as a block has, one more, fewer, and several blocks, images back to back."""
    config = NetworkConfig.from_mapping(parameters()["config"])
    host = await NetworkHost.start(dut, config)
    for seed, (side, distilled) in enumerate(SIDES):
        shape = VitShape(image_size=side, patch_size=1, channels=1, classes=3, depth=2, width=6, heads=2, mlp_ratio=3,
                         distilled=distilled)  # fmt: skip
        await run_and_check(host, network_of(shape, seed, config, extreme=seed % 2 == 1), images=2)


def test_blocks_are_of_every_size():
    """One token, fewer than all, all but one, all, and more than an image has."""
    tokens = [side * side + 1 + distilled for side, distilled in SIDES]
    beyond = {each - CONFIGURATIONS[name].mlp_tokens for name in IN_BLOCKS for each in tokens}
    assert {0, 1} <= beyond and min(beyond) < 0 and max(beyond) > 1
    assert {1, 3} <= {CONFIGURATIONS[name].mlp_tokens for name in IN_BLOCKS}


@pytest.mark.parametrize("name", IN_BLOCKS)
def test_blocks(name):
    parameters = {"config": CONFIGURATIONS[name].to_mapping()}
    run(build_accelerator(name), __name__, testcase="blocks_of_tokens", parameters=parameters)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_networks(name):
    config = CONFIGURATIONS[name]
    parameters = {"config": config.to_mapping(), "seeds": list(SEEDS)}
    run(build_accelerator(name), __name__, testcase="one_after_another", parameters=parameters)

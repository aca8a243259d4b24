"""One golden model, many hardwares: the same models and images give the same logits on every accelerator."""

from __future__ import annotations

from dataclasses import replace

import cocotb
import numpy as np
import pytest

from taylorvit.compiler import compile_network
from taylorvit.golden.network.integer_vit import IntegerVit
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import expect_equal, parameters, run
from verif.taylorvit.compiler.networks import patches_of

from .configurations import CONFIGURATIONS, SAME_FORMAT, build_accelerator
from .host import NetworkHost
from .models import Network, drawn

SEEDS = (21, 22, 24)
IMAGES = 2


def shared(seed: int) -> tuple[IntegerVit, np.ndarray]:
    """A model and images that do not depend on an accelerator."""
    vit = drawn(seed, CONFIGURATIONS[SAME_FORMAT[0]]).vit
    size = (IMAGES, vit.shape.channels, vit.shape.image_size, vit.shape.image_size)
    return vit, np.random.default_rng(seed).integers(0, 256, size)


@cocotb.test()
async def expected_logits(dut):
    """The logits are those that the test computed beforehand, the same for every hardware."""
    config = NetworkConfig.from_mapping(parameters()["config"])
    host = await NetworkHost.start(dut, config)
    for seed, logits in zip(SEEDS, parameters()["logits"], strict=True):
        vit, pixels = shared(seed)
        network = Network(compile_network(vit, config), seed)
        outcome = await host.run(network, [patches_of(vit, image) for image in pixels])
        expect_equal(f"logits of model {seed}", outcome.logits, logits)


@pytest.fixture(scope="module")
def logits():
    return [vit(pixels).tolist() for vit, pixels in map(shared, SEEDS)]


@pytest.mark.parametrize("name", SAME_FORMAT)
def test_one_golden_many_hardwares(name, logits):
    config = CONFIGURATIONS[name]
    run(build_accelerator(name), __name__, parameters={"config": config.to_mapping(), "logits": logits})


def test_tapes_of_different_hardwares_are_different():
    """So that no tape can be taken for that of another array; ports and memories make no difference."""
    tapes = {compile_network(shared(SEEDS[0])[0], CONFIGURATIONS[name]).tape for name in SAME_FORMAT}
    assert len(tapes) == len(SAME_FORMAT)
    config = CONFIGURATIONS["axi-4x4"]
    other = replace(config, tape_source="stream", memory_pipeline=2, image_lanes=4, norm_lanes=2)
    assert compile_network(shared(SEEDS[0])[0], other).tape == compile_network(shared(SEEDS[0])[0], config).tape

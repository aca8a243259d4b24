"""Networks of few tokens and few features: what follows a product is there a few cycles later."""

from __future__ import annotations

import cocotb
import pytest

from taylorvit.golden.network.vit import VitShape
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation import parameters, record, run

from .checks import run_and_check
from .configurations import CONFIGURATIONS, build_accelerator
from .host import NetworkHost
from .models import network_of

# Patches in a row, and whether the model is distilled: 2, 3 and 5 tokens.
SIDES = ((1, False), (1, True), (2, False))
# Features and hidden ones: one tile of each on most arrays, or few.
WIDTHS = ((2, 1), (4, 1), (4, 3), (12, 4))


def shapes() -> list[VitShape]:
    """All of them with one layer, and the smallest with two."""
    one = [
        VitShape(image_size=side, patch_size=1, channels=1, classes=2, depth=1, width=width, heads=2, mlp_ratio=ratio,
                 distilled=distilled)
        for side, distilled in SIDES
        for width, ratio in WIDTHS
    ]  # fmt: skip
    two = VitShape(image_size=1, patch_size=1, channels=1, classes=1, depth=2, width=2, heads=1, mlp_ratio=1)
    return [*one, two]


@cocotb.test()
async def few_tokens(dut):
    """Three images back to back, each of which has but a few elements in each pass."""
    config = NetworkConfig.from_mapping(parameters()["config"])
    host = await NetworkHost.start(dut, config)
    for number, shape in enumerate(shapes()):
        seed = parameters()["seed"] + number
        network = network_of(shape, seed, config, extreme=seed % 3 == 1)
        outcome = await run_and_check(host, network, images=3)
        record(f"{shape.tokens} tokens, {shape.width} features", outcome.counters)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_few_tokens(name):
    run(build_accelerator(name), __name__, parameters={"config": CONFIGURATIONS[name].to_mapping(), "seed": 700})

"""Sizes: every array with jobs of many shapes, one after the other without a reset."""

from __future__ import annotations

import cocotb
import numpy as np
import pytest

from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import parameters, run
from taylorvit.simulation.host import AcceleratorHost

from .checks import expect_errors, expect_result
from .configurations import CONFIGURATIONS, build_accelerator
from .jobs import describe, random_job


@cocotb.test()
async def jobs_equal_golden(dut):
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config)
    generator = np.random.default_rng(cocotb.RANDOM_SEED)
    for heads, tokens, head_dim in parameters()["shapes"]:
        job = random_job(generator, config, heads, tokens, head_dim)
        result = await host.run(job)
        dut._log.info("%s: %s, z from %d to %d", describe(job), result.counters, result.z.min(), result.z.max())
        expect_result(job, result, config)
        await expect_errors(host, {})


# Heads, tokens, head dimension of the jobs. The maximum of each array is among them, and its first job.
SHAPES = {
    "tiny-4x4": [(2, 64, 16), (3, 1, 1), (2, 2, 8), (3, 7, 12), (4, 16, 16), (2, 50, 8), (5, 3, 3), (1, 63, 15)],
    "array-8x4": [(2, 50, 12), (20, 1, 1), (3, 2, 12), (2, 7, 8), (3, 16, 1), (2, 49, 11), (4, 8, 4), (3, 9, 5)],
    "array-5x3": [(2, 198, 13), (9, 1, 8), (2, 197, 8), (3, 2, 1), (3, 7, 12), (2, 16, 13), (2, 50, 1), (3, 5, 3)],
    "array-16x8-d6": [(3, 12, 6), (20, 1, 1), (4, 2, 6), (5, 7, 3), (3, 11, 5)],
    "array-20x9": [(3, 3, 2), (20, 1, 1), (3, 3, 1), (3, 2, 2), (3, 1, 2), (3, 2, 1)],
    "array-2x1": [(1, 1, 1)] * 20,
    "array-2x2-w16": [(3, 7, 5), (20, 1, 1), (3, 2, 5), (4, 6, 4), (3, 7, 1), (3, 3, 3)],
    "edge-16x8": [(1, 256, 64), (2, 197, 8), (3, 16, 64), (3, 50, 12), (4, 7, 1)],
    "edge-16x16": [(2, 198, 64), (3, 50, 32), (3, 1, 64), (3, 2, 12), (2, 197, 17), (3, 16, 16), (2, 256, 8)],
}


@pytest.mark.parametrize("name", SHAPES)
def test_sizes(name):
    config = CONFIGURATIONS[name]
    shapes = SHAPES[name]
    assert shapes[0][1:] == (config.max_tokens, config.max_head_dim) or name == "edge-16x16"
    run(build_accelerator(name), __name__, parameters={"config": config.to_mapping(), "shapes": shapes})

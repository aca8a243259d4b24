"""Sizes: every array with jobs of many shapes, one after the other without a reset."""

from __future__ import annotations

import cocotb
import numpy as np
import pytest

from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import parameters, run
from taylorvit.simulation.host import AcceleratorHost

from .checks import expect_errors, expect_result
from .configurations import CONFIGURATIONS, and_other_kernels, build_accelerator
from .jobs import describe, random_job
from .shapes import SHAPES, shapes_of


@cocotb.test()
async def jobs_equal_golden(dut):
    """Jobs of many shapes, one after the other, equal the golden model."""
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config)
    generator = np.random.default_rng(cocotb.RANDOM_SEED)
    for heads, tokens, head_dim in parameters()["shapes"]:
        job = random_job(generator, config, heads, tokens, head_dim)
        result = await host.run(job)
        dut._log.info("%s: %s, z from %d to %d", describe(job), result.counters, result.z.min(), result.z.max())
        expect_result(job, result, config)
        await expect_errors(host, {})


@pytest.mark.parametrize("name", dict.fromkeys(and_other_kernels(*SHAPES)))
def test_sizes(name):
    config = CONFIGURATIONS[name]
    shapes = shapes_of(config)
    assert shapes[0][1:] == (config.max_tokens, config.max_head_dim) or name == "edge-16x16"
    run(build_accelerator(name), __name__, parameters={"config": config.to_mapping(), "shapes": shapes})

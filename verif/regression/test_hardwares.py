"""One golden, many hardwares: captured and random tensors give the same bits on every array."""

from __future__ import annotations

import cocotb
import numpy as np
import pytest

from taylorvit.jobs import Job, golden_steps, quantize
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import expect_equal, parameters, run
from taylorvit.simulation.host import AcceleratorHost

from .checks import expect_errors, expect_result
from .configurations import CONFIGURATIONS, build_accelerator
from .jobs import captured_job

# A slice of a captured head that the smallest of the arrays can hold, which has the narrowest registers as well.
SMALLEST = CONFIGURATIONS["tiny-4x4"]


@cocotb.test()
async def jobs_give_the_expected_bits(dut):
    """Jobs give the bits that the test computed beforehand, the same for every hardware."""
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config)
    for mapping, z in zip(parameters()["jobs"], parameters()["z"], strict=True):
        job = Job.from_mapping(mapping)
        result = await host.run(job)
        expect_result(job, result, config)
        expect_equal("z", result.z, np.array(z))
    await expect_errors(host, {})


def shared_jobs():
    """Jobs that every 8-bit array runs: captured ones and random ones."""
    jobs = [
        captured_job("mnist_vit", slice(0, 4), SMALLEST, head_dim=16),
        captured_job("photos_deit_tiny", slice(0, 2), SMALLEST, tokens=64, head_dim=15),
    ]
    generator = np.random.default_rng(2023)
    for scale in (0.5, 3.0):
        jobs.append(quantize(*generator.normal(0, scale, (3, 2, 33, 11)), SMALLEST))
    return jobs


@pytest.mark.parametrize("name", [
    "tiny-4x4", "array-5x3-w8", "array-8x4-w8", "array-6x6-ecp5", "edge-16x8", "edge-16x16",
])  # fmt: skip
def test_one_golden_many_hardwares(name):
    jobs = shared_jobs()
    # Once, from the golden, for all arrays: what follows from the array's own configuration plays no part.
    expected = [golden_steps(job, SMALLEST).z for job in jobs]
    config = CONFIGURATIONS[name]
    run(
        build_accelerator(name),
        __name__,
        parameters={"config": config.to_mapping(), "jobs": [job.to_mapping() for job in jobs], "z": expected},
    )


@pytest.mark.parametrize(
    "name, workload, heads",
    [
        ("edge-16x8", "mnist_vit", slice(8, 24)),
        ("edge-16x16", "mnist_vit", slice(0, 64, 3)),
        ("edge-16x16", "photos_deit_tiny", slice(None)),
    ],
)
def test_captured_heads(name, workload, heads):
    config = CONFIGURATIONS[name]
    job = captured_job(workload, heads, config)
    assert np.unique(golden_steps(job, config).z).size > 100  # a result worth comparing
    run(
        build_accelerator(name),
        __name__,
        parameters={"config": config.to_mapping(), "jobs": [job.to_mapping()], "z": [golden_steps(job, config).z]},
    )

"""The whole accelerator against the integer golden, through its AXI ports."""

from __future__ import annotations

import cocotb
import numpy as np
import pytest

from gen.verilog import emit
from golden.quantizer import quantize_job
from rtl.accelerator import Accelerator
from rtl.config import AcceleratorConfig
from verif.bench import build, expect_equal, parameters, run
from verif.bench.accelerator import AcceleratorHost, Job, format_of


@cocotb.test()
async def jobs_equal_golden(dut):
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config, parameters().get("patterns"))
    generator = np.random.default_rng(cocotb.RANDOM_SEED)
    for heads, tokens, head_dim in parameters()["shapes"]:
        q, k, v = generator.standard_normal((3, heads, tokens, head_dim))
        quantized = quantize_job(q, k, v, format_of(config))
        job = Job(quantized.q, quantized.k, quantized.v, quantized.constants)
        result = await host.run(job, head_by_head=parameters().get("head_by_head", False))
        dut._log.info("%s %s %s", job.shape, result.counters, result.head_cycles)
        expect_equal(f"z of {job.shape}", result.z, job.golden(config).z)


CONFIG = AcceleratorConfig(name="t", rows=4, columns=4, max_tokens=64, max_head_dim=16)


@pytest.mark.parametrize("shapes", [[(1, 7, 5)], [(3, 16, 16), (2, 50, 12)], [(4, 1, 1), (2, 64, 16)]])
def test_jobs(shapes):
    simulation = build(emit(Accelerator(CONFIG)), "taylorvit")
    run(simulation, __name__, testcase="jobs_equal_golden", parameters={"config": CONFIG.to_mapping(), "shapes": shapes})

"""The bench that runs on a netlist beside its RTL: the jobs of the regression, with the golden model's results."""

from __future__ import annotations

import cocotb
import numpy as np

from rtl.config import AcceleratorConfig
from verif.accelerator.checks import expect_errors, expect_result
from verif.accelerator.jobs import random_job
from verif.bench import expect_equal, parameters
from verif.bench.accelerator import AcceleratorHost


@cocotb.test()
async def netlist_equals_golden_and_rtl(dut):
    """Random jobs of each of the shapes, first with all channels always active, then with each idle at random."""
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config)
    generator = np.random.default_rng(cocotb.RANDOM_SEED)
    for heads, tokens, head_dim in parameters()["shapes"]:
        for activity in ("always", "random"):
            host.set_patterns(dict.fromkeys(host.channels, activity))
            job = random_job(generator, config, heads, tokens, head_dim)
            expect_result(job, await host.run(job), config)
            await expect_errors(host, {})
    expect_equal("cycles in which the netlist's outputs are not the RTL's", int(dut.differences.value), 0)

"""Any configuration that is accepted generates, without a warning of any tool, and computes to the bit.

Random configurations (`verif.accelerator.random_configurations`). Here is a handful of them; all are a test of the
night, `make nightly`, where `SEED=random` draws others than those that the corners below are sure to be among.
"""

from __future__ import annotations

import cocotb
import numpy as np

from gen.verilog import emit
from rtl.accelerator import Accelerator
from rtl.config import AcceleratorConfig
from verif.accelerator.checks import run_and_check
from verif.accelerator.jobs import EXTREMES, extreme_job, limits_of_constants, random_job, random_operands
from verif.accelerator.random_configurations import draw
from verif.bench import build, parameters, run
from verif.bench.accelerator import AcceleratorHost, Job
from verif.bench.running import selected_seed
from verif.netlist.dsp_cells import with_dsp_models

GENERATED, SIMULATED = 200, 40
HANDFUL = (2, 3)  # of those that are generated only, and that are simulated too
LONGEST = 10_000  # cycles of array work of a job


@cocotb.test()
async def jobs_at_the_limits(dut):
    config = AcceleratorConfig.from_mapping(parameters()["config"])
    host = await AcceleratorHost.start(dut, config)
    await host.wait_for_ever()
    generator = np.random.default_rng(cocotb.RANDOM_SEED)
    tokens, head_dim = min(config.max_tokens, 9), min(config.max_head_dim, 5)
    heads = min(config.max_heads, 2)
    for number, constants in enumerate(limits_of_constants(config)):
        kind = EXTREMES[number % len(EXTREMES)]
        await run_and_check(host, extreme_job(kind, config, 1, tokens, head_dim, constants))
        await run_and_check(host, Job(*random_operands(generator, config, heads, tokens, head_dim), constants))
    most_tokens, most_features = largest_sizes(config)
    for shape in ((most_tokens, most_features), (most_tokens, 1), (1, most_features), (1, 1)):
        await run_and_check(host, random_job(generator, config, heads, *shape))
    for kind in EXTREMES:
        constants = limits_of_constants(config)[1]
        await run_and_check(host, extreme_job(kind, config, 1, most_tokens, most_features, constants))


def largest_sizes(config):
    """Most tokens and features of a job that does not take long."""
    tokens, head_dim = config.max_tokens, config.max_head_dim
    while config.array_cycles(tokens, head_dim) > LONGEST:
        tokens, head_dim = (tokens, head_dim // 2) if head_dim > tokens else (tokens // 2, head_dim)
    return tokens, head_dim


def check(number, *, simulated):
    config = draw(selected_seed(), number)
    print(config)  # of a failure
    verilog = emit(Accelerator(config))
    if simulated:
        run(build(with_dsp_models(verilog), "taylorvit"), __name__, parameters={"config": config.to_mapping()})

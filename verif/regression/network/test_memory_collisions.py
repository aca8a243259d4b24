"""Memories of a network accelerator: no result depends on a word that is read in the cycle in which it is written.

Networks of few tokens and features read what they have written after the fewest cycles, also in the accelerator whose
sums of tokens are written as late as its rows allow (`PartialSumAccumulator.return_delay`).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.accelerator import NetworkAccelerator
from taylorvit.simulation import build, run
from taylorvit.simulation.dsp_cells import with_dsp_models
from verif.regression.test_memory_collisions import poisoned

from .configurations import CONFIGURATIONS

LATE = replace(CONFIGURATIONS["stream-5x3"], name="late-5x3", memory_pipeline=2, multiplier="ecp5", pe_pipeline=3)


@pytest.mark.nightly
@pytest.mark.parametrize("config", [CONFIGURATIONS["axi-4x4"], LATE], ids=lambda config: config.name)
def test_memory_collisions(config):
    accelerator = NetworkAccelerator(config)
    simulation = build(poisoned(with_dsp_models(emit(accelerator))), accelerator.module_name)
    run(
        simulation,
        "verif.regression.network.test_few_tokens",
        testcase="few_tokens",
        parameters={"config": config.to_mapping(), "seed": 900},
    )

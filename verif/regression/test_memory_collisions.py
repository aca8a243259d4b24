"""Memories: no result depends on a word that is read in the cycle in which it is written.

Block RAM of different families answers such a read differently, and the memory banks tell synthesis not to care
(`rtl.common.memory_bank`). Here they answer with the complement of the word, and every job must still equal the golden.
"""

from __future__ import annotations

import re

import pytest

from taylorvit.gen.verilog import emit
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.simulation import build, run

from .configurations import CONFIGURATIONS, and_other_kernels
from .shapes import shapes_of

READ = re.compile(r"(\w+) <= memory\[read_address\];")
COLLIDING = r"\1 <= write_enable && write_address == read_address ? ~memory[read_address] : memory[read_address];"


def poisoned(verilog: str) -> str:
    """The Verilog with every memory bank wrong wherever its two addresses meet."""
    banks = len(re.findall(r"^module memory_", verilog, re.MULTILINE))
    changed, count = READ.subn(COLLIDING, verilog)
    assert count == banks > 5
    return changed


@pytest.mark.parametrize("name", and_other_kernels("tiny-4x4", "array-8x4", "array-5x3"))
def test_memory_collisions(name):
    config = CONFIGURATIONS[name]
    simulation = build(poisoned(emit(Accelerator(config))), "taylorvit")
    run(
        simulation,
        "verif.regression.test_sizes",
        testcase="jobs_equal_golden",
        parameters={"config": config.to_mapping(), "shapes": shapes_of(config)},
    )

"""pytest: builds that were not there before."""

import shutil
import time

import pytest

from taylorvit.simulation import build

from .increment import VERILOG


@pytest.fixture
def new_build():
    """new_build(): the design of `increment`, built by the first call and found by later ones."""
    verilog = VERILOG.replace("8'd1", f"8'd1 /* {time.time()} */")
    made = []

    def build_or_find():
        made.append(build(verilog, "increment", simulator="verilator", waves=False))
        assert made[0].seconds > 0
        return made[-1]

    yield build_or_find
    shutil.rmtree(made[0].directory)

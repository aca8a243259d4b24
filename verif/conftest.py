"""pytest: settle seed, simulator and cache for all tests and worker processes, and say the first two at the top."""

import os
import signal

import pytest

from taylorvit.simulation import ToolError, compilers
from taylorvit.simulation.places import CACHE_VARIABLE
from taylorvit.simulation.settings import selected_seed, selected_simulator, selected_waves
from verif import ROOT


def pytest_configure(config):
    # A shell has it ignored in what it runs in the background, and some tests interrupt commands.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.setdefault(CACHE_VARIABLE, str(ROOT / "build"))
    try:
        # A random seed is drawn once, here, so that worker processes inherit it.
        os.environ["SEED"] = str(selected_seed())
        if selected_simulator() == "icarus":
            compilers.icarus()
    except (ValueError, ToolError) as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config):
    waves = ", waveforms" if selected_waves() else ""
    return f"seed: {os.environ['SEED']}, simulator: {selected_simulator()}{waves}"

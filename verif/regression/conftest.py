"""pytest: the whole accelerator is simulated by Verilator only."""

import pytest

from taylorvit.simulation.settings import selected_simulator


@pytest.fixture(autouse=True)
def verilator_only():
    if selected_simulator() == "icarus":
        pytest.skip("the whole accelerator takes too long in Icarus: SIM=icarus runs the unit tests only")

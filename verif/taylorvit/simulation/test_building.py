"""Builds are made once, found again, and made anew where they are damaged."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cocotb_tools.config
import pytest

from taylorvit.simulation import SimulationError, ToolError, build, run
from verif import ROOT
from verif.boundary.processes import numbers_in, wait_until_ended

from . import increment
from .increment import LANES, VERILOG, simulation, vectors


def increments(built) -> bool:
    """Whether a simulation passes its bench."""
    result = run(built, increment.__name__, testcase="increments_every_lane", parameters=vectors())
    return result.compared == 40 * LANES


def test_build_is_made_once():
    assert simulation().directory == simulation().directory
    assert simulation().seconds == 0
    changed = build(VERILOG.replace("8'd1", "8'd2"), "increment")
    assert changed.directory != simulation().directory
    with pytest.raises(SimulationError, match="160 of 160 compared differ"):
        run(changed, increment.__name__, testcase="increments_every_lane", parameters=vectors())


def test_verilog_with_an_error_is_refused():
    with pytest.raises(ToolError, match=r"design\.v"):
        build("module broken(input clk); assign = ; endmodule", "broken")
    with pytest.raises(ValueError, match="top must be a module of the Verilog, not 'absent'"):
        build(VERILOG, "absent")
    with pytest.raises(ValueError, match="simulator must be one of verilator, icarus, not 'other'"):
        build(VERILOG, "increment", simulator="other")


def test_damaged_executable_is_built_anew(new_build):
    built = new_build()
    program = built.directory / "simulation"
    program.write_bytes(program.read_bytes()[: program.stat().st_size // 2])
    again = new_build()
    assert again.seconds > 0 and again.directory == built.directory
    assert increments(again)
    assert new_build().seconds == 0


def test_virtual_environment_may_move(tmp_path, monkeypatch, new_build):
    """The simulation was linked with cocotb's libraries in a folder that is gone."""
    old = tmp_path / "old"
    shutil.copytree(cocotb_tools.config.libs_dir, old)
    with monkeypatch.context() as patch:
        patch.setattr(cocotb_tools.config, "libs_dir", old)
        built = new_build()
    shutil.rmtree(old)
    assert increments(built)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_build_leaves_nothing(tmp_path, number):
    """A compiler that takes its time is ended, with what it has started; nothing half made stays."""
    compiler = tmp_path / "g++"
    compiler.write_text(f"""#!/bin/sh
case "$*" in
    *--version*) echo slow 1.0 ;;
    *) echo $$ >> {tmp_path}/numbers; sh -c 'echo $$ >> {tmp_path}/numbers; exec sleep 600'; true ;;
esac
""")
    compiler.chmod(0o755)
    script = """
import sys
from taylorvit.boundary.command import run_command
from verif.taylorvit.simulation import increment
sys.exit(run_command("name", increment.simulation))
"""
    cache = tmp_path / "cache"
    environment = os.environ | {"CXX": str(compiler), "TAYLORVIT_CACHE_DIR": str(cache), "SIM": "verilator"}
    builder = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    numbers = numbers_in(tmp_path / "numbers", count=2 * min(os.cpu_count(), 5))
    builder.send_signal(number)
    _output, errors = builder.communicate(timeout=300)
    assert (builder.returncode, errors) == (130, "name: error: interrupted\n")
    wait_until_ended(numbers)
    assert [path.name for path in Path(cache, "sim").iterdir()] == [".locks"]

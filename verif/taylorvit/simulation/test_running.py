"""Right benches pass; wrong, empty, crashing and hanging ones fail; what is around a run does not matter to it."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from taylorvit.simulation import (
    PATTERNS,
    SimulationError,
    build,
    run,
)
from verif import ROOT
from verif.boundary.processes import numbers_in, wait_until_ended

from . import increment
from .increment import LANES, VERILOG, simulation, vectors

BENCHES = increment.__name__


@pytest.mark.parametrize("output_pattern", PATTERNS)
@pytest.mark.parametrize("input_pattern", PATTERNS)
def test_right_bench_passes(input_pattern, output_pattern):
    result = run(
        simulation(),
        BENCHES,
        testcase="increments_every_lane",
        parameters=vectors() | {"input": input_pattern, "output": output_pattern},
    )
    assert result.tests == 1
    assert result.compared == 40 * LANES


def test_one_wrong_value_fails():
    given = vectors()
    given["expected"][17][2] ^= 1
    problem = r"incremented at index \[17, 2\]: got .* 1 of 160 compared differ"
    with pytest.raises(SimulationError, match=problem) as error:
        run(simulation(), BENCHES, testcase="increments_every_lane", parameters=given)
    assert "WAVES=1 SEED=1" in str(error.value)


def test_bench_that_compares_nothing_fails():
    with pytest.raises(SimulationError, match="the bench compared nothing"):
        run(simulation(), BENCHES, testcase="compares_nothing")


def test_bounded_wait_fails_and_names_what_did_not_come():
    with pytest.raises(SimulationError, match="o_valid did not come within 50 cycles") as error:
        run(simulation(), BENCHES, testcase="waits_in_vain")
    assert error.value.problem == "1 of 1 tests failed: waits_in_vain: o_valid did not come within 50 cycles"
    assert "o_valid did not come" in (error.value.directory / "log.txt").read_text()


def test_hanging_bench_is_stopped():
    with pytest.raises(SimulationError, match="stopped after 2 s"):
        run(simulation(), BENCHES, testcase="runs_for_ever", timeout_s=2)


def test_bench_whose_simulator_dies_fails():
    with pytest.raises(SimulationError, match="broke off with exit status 0, before its results were written"):
        run(simulation(), BENCHES, testcase="kills_its_simulator")


def test_unknown_testcase_fails():
    with pytest.raises(SimulationError, match=r"no test ran|broke off"):
        run(simulation(), BENCHES, testcase="increments_no_lane")


def test_unknown_module_fails():
    with pytest.raises(SimulationError, match="broke off"):
        run(simulation(), "verif.no_such_bench")


def test_same_seed_gives_the_same_run():
    first, second, other = (
        run(simulation(), BENCHES, testcase="records_random_numbers", seed=seed).measurements for seed in (5, 5, 6)
    )
    assert first == second
    assert first != other


def test_waveform_is_recorded():
    result = run(
        build(VERILOG, "increment", waves=True),
        BENCHES,
        testcase="increments_every_lane",
        parameters=vectors(),
    )
    assert "o_payload" in result.waves.read_text()


@pytest.mark.parametrize("value", ["-1", "one"])
def test_seed_must_be_a_number(monkeypatch, value):
    monkeypatch.setenv("SEED", value)
    with pytest.raises(ValueError, match=f"SEED must be a number or 'random', not '{value}'"):
        run(simulation(), BENCHES, testcase="records_random_numbers")


# Around a run


def test_equal_runs_at_once():
    with ThreadPoolExecutor(2) as pool:
        results = list(
            pool.map(lambda _number: run(simulation(), BENCHES, testcase="records_random_numbers", seed=9), range(2))
        )
    assert results[0].measurements == results[1].measurements


def test_directory_of_its_own(tmp_path):
    result = run(simulation(), BENCHES, testcase="records_random_numbers", directory=tmp_path)
    assert result.directory == tmp_path
    assert {"log.txt", "results.xml", "report.json"} <= {path.name for path in tmp_path.iterdir()}


def test_environment_of_other_uses(monkeypatch, tmp_path, new_build):
    """Everything that cocotb, Verilator, make and Python would listen to; the bench does not notice."""
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('found by its relative path')")
    for name, value in {
        "COCOTB_TEST_FILTER": "nothing", "COCOTB_TESTCASE": "nothing", "COCOTB_LOG_LEVEL": "BAD",
        "COCOTB_TOPLEVEL": "x", "COCOTB_PLUSARGS": "+x", "COCOTB_RESULTS_RELATIVE_TO": "/nowhere",
        "COCOTB_PDB_ON_EXCEPTION": "1", "GPI_EXTRA": "/nowhere/lib.so:f", "GPI_LOG_LEVEL": "BAD",
        "PYGPI_USERS": "nothing:nothing", "PYGPI_DEBUG": "1", "VERILATOR_ROOT": "/nowhere",
        "VERILATOR_SOLVER": "/nowhere", "MAKEFLAGS": "-n --jobserver-auth=3,4", "MAKELEVEL": "3",
        "PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2", "PYTHONSTARTUP": "/nowhere",
        "PYTHONPATH": f":relative:{ROOT}", "TOPLEVEL_LANG": "vhdl", "PYTHONINSPECT": "1",
        "LD_LIBRARY_PATH": "", "DEPENDENCIES_OUTPUT": "/nowhere/deps",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    result = run(new_build(), BENCHES, testcase="increments_every_lane", parameters=vectors())
    assert (result.tests, result.compared) == (1, 40 * LANES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sitecustomize.py"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_simulator_ends_with_whoever_started_it(tmp_path, number):
    simulation()
    script = f"""
import sys
from taylorvit.boundary.command import run_command
from taylorvit.simulation import run
from verif.taylorvit.simulation import increment
parameters = {{"numbers": {str(tmp_path / "numbers")!r}}}
sys.exit(run_command("name", lambda: run(increment.simulation(), increment.__name__, testcase="runs_for_ever",
                                         parameters=parameters)))
"""
    starter = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    numbers = numbers_in(tmp_path / "numbers", count=1)
    starter.send_signal(number)
    assert starter.wait(300) == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    wait_until_ended(numbers)

"""Run cocotb benches on a simulation, and judge what they leave.

A bench runs in a directory of its own, in which it leaves its log, its results, its parameters and, if asked, a
waveform. What cocotb reports is not taken on trust: see `run`. The simulator sees nothing of the user's environment
that is meant for other uses of cocotb or Python, and it ends when whoever started it ends, however that comes.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import cocotb_tools.config
import find_libpython

from taylorvit.boundary import programs
from taylorvit.boundary.errors import reason_of

from . import compilers
from .building import Build, hash_of
from .compare import REPORT_VARIABLE
from .compilers import ToolError
from .places import CACHE_VARIABLE, ROOT, alone, cache_folder, shown
from .settings import selected_seed

__all__ = ["RunResult", "SimulationError", "parameters", "run", "runs_folder"]

_log = logging.getLogger(__name__)

PARAMETERS_VARIABLE = "TAYLORVIT_BENCH_PARAMETERS"
LIBRARY_PATH = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"


class SimulationError(AssertionError):
    """A bench failed, or did not prove anything; the message says why, and how to run it again.

    Attributes:
        problem (str): what is wrong, in one line.
        directory (Path): where the run left its log.
    """

    def __init__(self, message: str, problem: str, directory: Path):
        super().__init__(message)
        self.problem = problem
        self.directory = directory


@dataclass(frozen=True)
class RunResult:
    """What a passing run left.

    Attributes:
        directory (Path): of the run.
        tests (int): cocotb tests that passed.
        compared (int): elements that were found equal.
        seed (int): of its random numbers.
        seconds (float): that it took.
        measurements (dict): figures that the bench recorded.
    """

    directory: Path
    tests: int
    compared: int
    seed: int
    seconds: float
    measurements: dict = field(default_factory=dict)

    @property
    def waves(self) -> Path | None:
        """The waveform, if one was recorded."""
        return next((path for path in sorted(self.directory.glob("waves.*"))), None)


def runs_folder() -> Path:
    """Where runs have their directories."""
    folder = cache_folder() / "runs"
    folder.mkdir(exist_ok=True)
    return folder


def run(
    simulation: Build,
    test_module: str,
    *,
    parameters: dict | None = None,
    seed: int | None = None,
    testcase: str | None = None,
    timeout_s: float = 300,
    directory: Path | None = None,
) -> RunResult:
    """Runs the cocotb tests of a module, or one of them.

    Args:
        simulation (Build): what they run on.
        test_module (str): dotted name of the module, usually `__name__`.
        parameters (dict): what the bench reads by `taylorvit.simulation.parameters()`: anything JSON can hold, and
            numpy arrays or torch tensors, which arrive as nested lists.
        seed (int): of its random numbers; what `SEED` says if left out.
        testcase (str): the one test; all of them if left out.
        timeout_s (float): seconds after which the simulation is killed.
        directory (Path): of the run. If left out, it is one below `runs_folder()` that the same run has every time:
            equal runs wait for each other, and the later one replaces what the earlier has left. Whoever reads files
            of a run gives it a directory of his own.

    Raises:
        SimulationError: a test failed; none ran; the simulator crashed or took too long; or nothing was compared, as
            counted by `taylorvit.simulation.compare`. The text has the end of the log and a command to run it again.
        ToolError: the simulation cannot be started.
    """
    __tracebackhide__ = True  # pytest shows the message, not this function
    seed = selected_seed() if seed is None else seed
    values = json.dumps(parameters or {}, default=_plain, sort_keys=True)
    name = ".".join(filter(None, [test_module.rpartition(".")[2], testcase]))
    job = _Job(simulation, test_module, testcase, values, seed, timeout_s, name)
    if directory is not None:
        return _run(job, directory)
    identity = hash_of(str(simulation.directory), test_module, testcase, values, seed)
    directory = runs_folder() / f"{name}-{identity}"
    with alone(directory):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        _log.info("bench %s, seed %s, in %s", name, seed, shown(directory))
        return _run(job, directory)


def parameters() -> dict:
    """Inside a bench: what the caller of `run` passed as `parameters`."""
    return json.loads(Path(os.environ[PARAMETERS_VARIABLE]).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class _Job:
    simulation: Build
    test_module: str
    testcase: str | None
    parameters: str
    seed: int
    timeout_s: float
    name: str


def _run(job: _Job, directory: Path) -> RunResult:
    __tracebackhide__ = True
    (directory / "parameters.json").write_text(job.parameters, encoding="utf-8")
    start = time.monotonic()
    status = _simulate(job, directory)
    seconds = time.monotonic() - start
    problem, tests, report = _judge(directory, status, job.timeout_s)
    if problem:
        raise SimulationError(_explain(problem, directory, job), problem, directory)
    return RunResult(directory, tests, report["compared"], job.seed, seconds, report["measurements"])


def _environment(job: _Job, directory: Path) -> dict[str, str]:
    library = find_libpython.find_libpython()
    if library is None:
        raise ToolError(
            f"cocotb needs Python as a shared library, which {sys.executable} does not have: "
            "install python3-dev, or build Python with --enable-shared"
        )
    # Found when it starts rather than linked by their paths: a virtual environment may be moved, or made anew.
    libraries = filter(None, [str(cocotb_tools.config.libs_dir), os.environ.get(LIBRARY_PATH)])
    special = {}
    if job.testcase is not None:
        special["COCOTB_TEST_FILTER"] = rf"\.{re.escape(job.testcase)}$"
    if job.simulation.simulator == "verilator":
        special["COCOTB_TRUST_INERTIAL_WRITES"] = "1"
    return (
        programs.environment()
        | special
        | {
            "COCOTB_TOPLEVEL": job.simulation.top,
            "COCOTB_TEST_MODULES": job.test_module,
            "COCOTB_RANDOM_SEED": str(job.seed),
            "COCOTB_RESULTS_FILE": str(directory / "results.xml"),
            "COCOTB_REWRITE_ASSERTION_FILES": "",  # would import pytest into every simulation
            "TOPLEVEL_LANG": "verilog",
            "GPI_USERS": f"{library};{cocotb_tools.config.pygpi_entry_point()}",
            "PYGPI_PYTHON_BIN": sys.executable,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *map(os.path.abspath, filter(None, sys.path))]),
            "PYTHONHASHSEED": "0",
            LIBRARY_PATH: os.pathsep.join(libraries),
            PARAMETERS_VARIABLE: str(directory / "parameters.json"),
            REPORT_VARIABLE: str(directory / "report.json"),
        }
    )


def _simulate(job: _Job, directory: Path) -> int | None:
    """Run the simulator with its output in log.txt; its exit status, or None if it had to be killed."""
    executable = str(job.simulation.directory / "simulation")
    if job.simulation.simulator == "verilator":
        command = [executable, *(["--trace", "--trace-file", "waves.vcd"] if job.simulation.waves else [])]
    else:
        command = [compilers.icarus()[1], "-m", cocotb_tools.config.lib_entry("vpi", "icarus"), executable]
    environment = _environment(job, directory)
    try:
        with (
            open(directory / "log.txt", "wb") as log,
            programs.started(
                command,
                cwd=directory,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            return process.wait(job.timeout_s)
    except subprocess.TimeoutExpired:
        return None
    except OSError as error:
        raise ToolError(
            f"{command[0]} could not be started: {reason_of(error)}; name a folder that programs may "
            f"be started from with {CACHE_VARIABLE}"
        ) from None


def _judge(directory: Path, status: int | None, timeout_s: float) -> tuple[str | None, int, dict]:
    """Look at what a run left: (what is wrong with it or None, number of tests, the bench's report)."""
    report = {"compared": 0, "measurements": {}}
    if status is None:
        return f"the simulation was stopped after {timeout_s} s", 0, report
    try:
        cases = list(ElementTree.parse(directory / "results.xml").getroot().iter("testcase"))
        if (directory / "report.json").exists():
            report = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    except (OSError, ElementTree.ParseError, json.JSONDecodeError):
        return f"the simulation broke off with exit status {status}, before its results were written", 0, report
    bad = [
        (case.get("name", ""), child.get("message", ""))
        for case in cases
        for child in case
        if child.tag in ("failure", "error")
    ]
    ran = sum(1 for case in cases if case.find("skipped") is None)
    if bad:
        names = ", ".join(name for name, _message in bad)
        return f"{len(bad)} of {ran} tests failed: {names}: {_first_line(bad[0][1])}", ran, report
    if ran == 0:
        return "no test ran", 0, report
    if status != 0:
        return f"the simulator ended with exit status {status}", ran, report
    if report["compared"] == 0:
        return "the bench compared nothing", ran, report
    return None, ran, report


def _first_line(message: str) -> str:
    return message.partition("\n")[0] or "without a message"


def _explain(problem: str, directory: Path, job: _Job) -> str:
    log = (directory / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    again = (
        f"make sim TESTS={shlex.quote(test)} WAVES=1 SEED={job.seed}"
        if test
        else f"WAVES=1 SEED={job.seed} and the same command"
    )
    return "\n".join(
        [
            f"bench {job.name}: {problem}",
            *(f"  | {line}" for line in log[-40:]),
            f"log: {shown(directory / 'log.txt')}",
            f"to run it again with waveforms: {again}",
        ]
    )


def _plain(value):
    """JSON of numpy arrays and numbers, and of torch tensors."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"parameters must be what JSON can hold or arrays, not {value!r}")


# Inside the simulator


def _end_with_the_starter() -> None:
    """Standard input is a pipe that nothing is written to: it ends when the process ends that has started this one."""
    os.read(0, 1)
    os._exit(1)


if PARAMETERS_VARIABLE in os.environ:
    threading.Thread(target=_end_with_the_starter, daemon=True).start()

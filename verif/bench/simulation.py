"""Build a simulation of generated Verilog, and run cocotb benches on it.

    from verif.bench import build, run
    result = run(build(verilog_text, "adder"), __name__, testcase="sums_are_exact", parameters={"width": 8})

**Build.** Verilator translates the Verilog to C++ (a few hundredths of a second), and the C++ compiler makes
an executable of it. Most of the compiler's time in a usual build goes into what does not depend on the design:
Verilator's own runtime, cocotb's main program, and reading their headers. These are compiled once for each set
of tools and flags, into `build/sim/runtime-<hash>`: object files, and a precompiled header. A design adds one
compilation (a large design one a processor) and the link.

    Verilog --verilator--> C++ --+                          +--> build/sim/<top>-<hash>/simulation
    runtime, main, header -------+-- once, runtime-<hash> --+

A build's directory is named by a hash of the Verilog, the options and the versions of the tools: the same
build is made once, whichever test asks for it. It is made under another name and renamed when complete, under
a file lock, so processes side by side (pytest-xdist) neither make it twice nor see half of it.

Only the ports of the top module are visible to the bench: making every signal visible, as cocotb's own runner
does, keeps Verilator from optimizing any of them.

**Run.** A bench runs in a directory of its own under `build/runs`, in which it leaves its log, its results, its
parameters and, if asked, a waveform. What cocotb reports is not taken on trust: see `run`.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import cocotb_tools.config
import find_libpython
from filelock import FileLock

from verif.bench import toolchain
from verif.bench.compare import REPORT_VARIABLE
from verif.bench.toolchain import ToolError

__all__ = ["Build", "RunResult", "SimulationError", "build", "once", "parameters", "run", "selected_seed",
           "selected_simulator"]

ROOT = Path(__file__).resolve().parents[2]
BUILDS = ROOT / "build" / "sim"
RUNS = ROOT / "build" / "runs"
SOURCES = Path(__file__).resolve().parent / "cpp"

PARAMETERS_VARIABLE = "TAYLORVIT_BENCH_PARAMETERS"
SIMULATORS = ("verilator", "icarus")
DEFAULT_SEED = 1
TIMESCALE = "1ns/1ps"

COCOTB_MAIN = "verilator"  # stem of cocotb's main program
RUNTIME_FILES = ("verilated", "verilated_dpi", "verilated_vpi", "verilated_threads")
# Warnings are the business of `verif.lint`; a simulation may also be of a block alone, or of a planted fault.
VERILATOR_OPTIONS = ("--cc", "--vpi", "--no-timing", "--prefix", "Vdesign", "--timescale", TIMESCALE, "-Wno-fatal",
                     "-Wno-lint", "-Wno-style", "--quiet")
COMPILER_FLAGS = ("-std=c++20", "-O1")
# Said in the source, not as a flag: a precompiled header is only for the flags that it was compiled with.
UNOPTIMIZED = '#pragma GCC optimize ("O0")\n'
# All generated files are compiled as one, since reading the design's headers again for each costs more than what is
# compiled in parallel gains; above this many bytes (a 16x16 array has 0.7 MB, 64x64 has 9.7 MB) as one a processor.
SINGLE_FILE_LIMIT = 1_500_000


class SimulationError(AssertionError):
    """A bench failed, or did not prove anything; the message says why, and how to run it again."""


@dataclass(frozen=True)
class Build:
    """A finished simulation executable. `seconds` is what making it took, 0 where it was there already."""

    directory: Path
    top: str
    simulator: str
    waves: bool
    seconds: float


@dataclass(frozen=True)
class RunResult:
    """What a passing run left: `tests` cocotb tests passed, `compared` elements were found equal."""

    directory: Path
    tests: int
    compared: int
    seed: int
    seconds: float
    measurements: dict = field(default_factory=dict)

    @property
    def log(self) -> str:
        return (self.directory / "log.txt").read_text(encoding="utf-8", errors="replace")

    @property
    def waves(self) -> Path | None:
        """The waveform, if one was recorded."""
        return next((path for path in sorted(self.directory.glob("waves.*"))), None)


def selected_simulator() -> str:
    """The simulator that `SIM` names: verilator unless it is set."""
    simulator = os.environ.get("SIM") or "verilator"
    if simulator not in SIMULATORS:
        raise ValueError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    return simulator


def selected_seed() -> int:
    """The seed that `SEED` names: 1 unless it is set, a new one for `SEED=random`."""
    text = os.environ.get("SEED") or str(DEFAULT_SEED)
    if text == "random":
        return random.SystemRandom().randrange(1 << 31)
    if not text.isdecimal():
        raise ValueError(f"SEED must be a number or 'random', not {text!r}")
    return int(text)


def selected_waves() -> bool:
    """Whether `WAVES` asks for waveforms."""
    return os.environ.get("WAVES", "0") not in ("", "0")


# Build


def build(verilog: str, top: str, *, simulator: str | None = None, waves: bool | None = None,
          no_inline: tuple[str, ...] = (), main: Path | None = None, optimized: bool = True) -> Build:
    """Make a simulation of the module `top` in the text `verilog`, or find the one made before.

    `simulator` is "verilator" or "icarus" and `waves` whether runs can record a waveform; by default the
    environment's `SIM` and `WAVES` say. `no_inline` names modules that Verilator is to keep apart instead of
    merging them into their parents, where it does not see by itself that they are too many. `main` is a C++ program
    that drives the model, Verilator's class `Vdesign`, instead of cocotb; such a build is not for `run`.
    Without `optimized` the C++ compiler does not optimize the model: for short runs of large netlists of gates.

    Raises `ToolError` if a tool is missing or refuses the Verilog, `ValueError` for an unknown simulator.
    """
    simulator = selected_simulator() if simulator is None else simulator
    waves = selected_waves() if waves is None else waves
    if simulator not in SIMULATORS:
        raise ValueError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    if f"module {top}" not in verilog:
        raise ValueError(f"top must be a module of the Verilog, not {top!r}")
    make = _make_verilator if simulator == "verilator" else _make_icarus
    options = {"top": top, "simulator": simulator, "waves": waves, "no_inline": sorted(no_inline),
               "flags": [*VERILATOR_OPTIONS, *COMPILER_FLAGS, SINGLE_FILE_LIMIT], "model": _model_sources()}
    if main is not None:
        if simulator != "verilator":
            raise ValueError(f"simulator must be verilator for a main program in C++, not {simulator!r}")
        options["main"] = main.read_text(encoding="utf-8")
    preamble = "" if optimized else UNOPTIMIZED
    if preamble:
        options["preamble"] = preamble
    directory = BUILDS / f"{top}-{_hash(verilog, options, toolchain.versions(simulator))}"
    seconds = once(directory, lambda unfinished: make(unfinished, verilog, top, waves, no_inline, main, preamble))
    return Build(directory, top, simulator, waves, seconds)


def once(directory: Path, make) -> float:
    """Have `make(path)` fill `directory` unless it is complete; returns the seconds that took."""
    if directory.is_dir():
        return 0.0
    with _lock(directory):
        if directory.is_dir():
            return 0.0
        start = time.monotonic()
        unfinished = directory.with_name(f"{directory.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        make(unfinished)
        unfinished.rename(directory)
        return time.monotonic() - start


def _lock(directory: Path) -> FileLock:
    """Held by the one process that makes `directory`, whose parent it creates."""
    locks = directory.parent / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / directory.name)


def _make_icarus(directory: Path, verilog: str, top: str, waves: bool, _no_inline: tuple[str, ...],
                 _main: None, _preamble: str) -> None:
    (directory / "design.v").write_text(verilog, encoding="utf-8")
    (directory / "options.f").write_text(f"+timescale+{TIMESCALE}\n", encoding="utf-8")
    command = [toolchain.icarus()[0], "-g2012", "-o", "simulation", "-f", "options.f", "-s", top, "design.v"]
    if waves:
        (directory / "dump.v").write_text("module dump_waves; initial begin $dumpfile(\"waves.vcd\"); "
                                          f"$dumpvars(0, {top}); end endmodule\n", encoding="utf-8")
        command += ["-s", "dump_waves", "dump.v"]
    toolchain.run_tool(command, cwd=directory)


def _make_verilator(directory: Path, verilog: str, top: str, waves: bool, no_inline: tuple[str, ...],
                    main: Path | None, preamble: str) -> None:
    runtime = _runtime(waves)
    (directory / "design.v").write_text(verilog, encoding="utf-8")
    rules = [f'public_flat_rw -module "{top}" -port "*"', *(f'no_inline -module "{name}"' for name in no_inline)]
    (directory / "design.vlt").write_text("\n".join(["`verilator_config", *rules, ""]), encoding="utf-8")
    toolchain.run_tool([toolchain.verilator(), *VERILATOR_OPTIONS, *(["--trace-vcd"] if waves else []),
                        "--top-module", top, "--Mdir", "cpp", "design.vlt", "design.v"],
                       cwd=directory, environment=toolchain.verilator_environment())
    sources = sorted((directory / "cpp").glob("*.cpp"))
    program = SOURCES / "model.cpp" if main is None else main
    sources.append(Path(shutil.copy(program, directory / "cpp" / program.name)))
    objects = _compile(_merge(sources, preamble), directory / "cpp", waves, header=runtime / "runtime.h")
    if main is None:
        libraries = cocotb_tools.config.libs_dir
        rest = [*sorted(runtime.glob("*.o")), f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-lcocotbvpi_verilator"]
    else:
        rest = [path for path in sorted(runtime.glob("*.o")) if path.stem != COCOTB_MAIN]
    toolchain.run_tool([toolchain.compiler(), "-o", str(directory / "simulation"), *objects, *map(str, rest),
                        "-pthread"])


def _merge(sources: list[Path], preamble: str) -> list[Path]:
    """Files that include the sources, in shares of about equal size: one, or for a large design one a processor."""
    sizes = {source: source.stat().st_size for source in sources}
    shares = [[] for _ in range(os.cpu_count() if sum(sizes.values()) > SINGLE_FILE_LIMIT else 1)]
    for source in sorted(sources, key=lambda source: (-sizes[source], source.name)):
        min(shares, key=lambda share: sum(sizes[other] for other in share)).append(source)
    merged = [sources[0].with_name(f"share_{number}.cpp") for number in range(len(shares))]
    for path, share in zip(merged, shares):
        path.write_text(preamble + "".join(f'#include "{source.name}"\n' for source in share), encoding="utf-8")
    return merged


def _runtime(waves: bool) -> Path:
    """What every Verilator build shares, compiled once: objects of runtime and main program, and a header."""
    options = {"waves": waves, "flags": [*COMPILER_FLAGS, *RUNTIME_FILES], "model": _model_sources()}
    directory = BUILDS / f"runtime-{_hash(options, toolchain.versions('verilator'))}"

    def make(unfinished: Path) -> None:
        include = toolchain.verilator_root() / "include"
        names = [*RUNTIME_FILES, *(["verilated_vcd_c"] if waves else [])]
        sources = [include / f"{name}.cpp" for name in names]
        sources.append(cocotb_tools.config.share_dir / "lib" / "verilator" / f"{COCOTB_MAIN}.cpp")
        _compile(sources, unfinished, waves)
        header = unfinished / "runtime.h"
        header.write_text('#include "verilated.h"\n#include "verilated_dpi.h"\n#include "verilated_vpi.h"\n',
                          encoding="utf-8")
        toolchain.run_tool([toolchain.compiler(), *_flags(waves), "-x", "c++-header", str(header),
                            "-o", f"{header}.gch"])

    once(directory, make)
    return directory


def _compile(sources: list[Path], output: Path, waves: bool, header: Path | None = None) -> list[str]:
    """Compile each source to an object in `output`, as many at once as there are processors."""
    objects = [str(output / f"{source.stem}.o") for source in sources]
    common = [toolchain.compiler(), *_flags(waves), *(["-include", str(header)] if header else [])]

    def compile_one(source: Path, target: str) -> None:
        toolchain.run_tool([*common, "-c", str(source), "-o", target])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, sources, objects))
    return objects


def _flags(waves: bool) -> list[str]:
    """The compiler's flags; the precompiled header can be used only where they are the same."""
    include = toolchain.verilator_root() / "include"
    features = {"VERILATOR": 1, "VM_COVERAGE": 0, "VM_SC": 0, "VM_TIMING": 0, "VM_TRACE": int(waves),
                "VM_TRACE_VCD": int(waves), "VM_TRACE_FST": 0, "VM_TRACE_SAIF": 0}
    return [*COMPILER_FLAGS, *(f"-D{name}={value}" for name, value in features.items()),
            f"-I{SOURCES}", f"-I{include}", f"-I{include / 'vltstd'}"]


def _model_sources() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(SOURCES.iterdir())]


def _hash(*parts) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


# Run


def run(simulation: Build, test_module: str, *, parameters: dict | None = None, seed: int | None = None,
        testcase: str | None = None, timeout_s: float = 300) -> RunResult:
    """Run the cocotb tests of `test_module` (a dotted name, usually `__name__`), or just the one `testcase`.

    The bench reads `parameters` by `verif.bench.parameters()`: anything JSON can hold, and numpy arrays or
    torch tensors, which arrive as nested lists. `seed` seeds its random numbers, by default as `SEED` says.

    Raises `SimulationError`, with the end of the log and a command to run again with waveforms, if
    a test failed; none ran; the simulator crashed; it ran longer than `timeout_s` seconds (it is killed);
    or nothing was compared, as counted by `verif.bench.compare`.
    """
    __tracebackhide__ = True  # pytest shows the message, not this function
    seed = selected_seed() if seed is None else seed
    values = json.dumps(parameters or {}, default=_plain, sort_keys=True)
    identity = _hash(str(simulation.directory), test_module, testcase, values, seed)
    name = ".".join(filter(None, [test_module.rpartition(".")[2], testcase]))
    directory = RUNS / f"{name}-{identity}"
    with _lock(directory):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        (directory / "parameters.json").write_text(values, encoding="utf-8")
        print(f"bench {name}, seed {seed}, in {directory.relative_to(ROOT)}")
        start = time.monotonic()
        status = _simulate(simulation, directory, _environment(simulation, test_module, testcase, seed, directory),
                           timeout_s)
        seconds = time.monotonic() - start
        problem, tests, report = _judge(directory, status, timeout_s)
        if problem:
            raise SimulationError(_explain(problem, directory, name, seed))
    return RunResult(directory, tests, report["compared"], seed, seconds, report["measurements"])


def parameters() -> dict:
    """Inside a bench: what the caller of `run` passed as `parameters`."""
    return json.loads(Path(os.environ[PARAMETERS_VARIABLE]).read_text(encoding="utf-8"))


def _environment(simulation: Build, test_module: str, testcase: str | None, seed: int,
                 directory: Path) -> dict[str, str]:
    library = find_libpython.find_libpython()
    if library is None:
        raise ToolError(f"cocotb needs Python as a shared library, which {sys.executable} does not have: "
                        "install python3-dev, or build Python with --enable-shared")
    environment = {
        **os.environ,
        "COCOTB_TOPLEVEL": simulation.top,
        "COCOTB_TEST_MODULES": test_module,
        "COCOTB_RANDOM_SEED": str(seed),
        "COCOTB_RESULTS_FILE": str(directory / "results.xml"),
        "COCOTB_REWRITE_ASSERTION_FILES": "",  # would import pytest into every simulation
        "TOPLEVEL_LANG": "verilog",
        "GPI_USERS": f"{library};{cocotb_tools.config.pygpi_entry_point()}",
        "PYGPI_PYTHON_BIN": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        "PYTHONHASHSEED": "0",
        PARAMETERS_VARIABLE: str(directory / "parameters.json"),
        REPORT_VARIABLE: str(directory / "report.json"),
    }
    if testcase is not None:
        environment["COCOTB_TEST_FILTER"] = rf"\.{re.escape(testcase)}$"
    if simulation.simulator == "verilator":
        environment["COCOTB_TRUST_INERTIAL_WRITES"] = "1"
    return environment


def _simulate(simulation: Build, directory: Path, environment: dict[str, str], timeout_s: float) -> int | None:
    """Run the simulator with its output in log.txt; its exit status, or None if it had to be killed."""
    executable = str(simulation.directory / "simulation")
    if simulation.simulator == "verilator":
        command = [executable, *(["--trace", "--trace-file", "waves.vcd"] if simulation.waves else [])]
    else:
        command = [toolchain.icarus()[1], "-m", cocotb_tools.config.lib_entry("vpi", "icarus"), executable]
    with open(directory / "log.txt", "wb") as log:
        process = subprocess.Popen(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _judge(directory: Path, status: int | None, timeout_s: float) -> tuple[str | None, int, dict]:
    """Look at what a run left: (what is wrong with it or None, number of tests, the bench's report)."""
    report = {"compared": 0, "measurements": {}}
    if status is None:
        return f"the simulation was stopped after {timeout_s} s", 0, report
    try:
        cases = list(ElementTree.parse(directory / "results.xml").getroot().iter("testcase"))
        if (directory / "report.json").exists():
            report = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    except (OSError, ElementTree.ParseError, json.JSONDecodeError) as error:
        return f"the simulation broke off with exit status {status} ({error})", 0, report
    bad = [case.get("name") for case in cases if {"failure", "error"} & {child.tag for child in case}]
    ran = sum(1 for case in cases if case.find("skipped") is None)
    if bad:
        return f"{len(bad)} of {ran} tests failed: {', '.join(bad)}", ran, report
    if ran == 0:
        return "no test ran", 0, report
    if status != 0:
        return f"the simulator ended with exit status {status}", ran, report
    if report["compared"] == 0:
        return "the bench compared nothing", ran, report
    return None, ran, report


def _explain(problem: str, directory: Path, name: str, seed: int) -> str:
    log = (directory / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    again = (f"make sim TESTS={shlex.quote(test)} WAVES=1 SEED={seed}" if test
             else f"WAVES=1 SEED={seed} and the same command")
    return "\n".join([f"bench {name}: {problem}", *(f"  | {line}" for line in log[-40:]),
                      f"log: {directory.relative_to(ROOT) / 'log.txt'}", f"to run it again with waveforms: {again}"])


def _plain(value):
    """JSON of numpy arrays and numbers, and of torch tensors."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"parameters must be what JSON can hold or arrays, not {value!r}")

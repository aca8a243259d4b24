"""A job through the generated Verilog of an accelerator, under Verilator.

    job --> operands.npz --> simulation, a process of its own --> z, counters
                             (streams in, streams out)

`taylorvit.jobs` reads and quantizes before it, compares and tabulates after it; between them is what this module does,
the accelerator's own streams and registers. A run has a folder of its own, so any number of them may go on at once,
equal ones too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from taylorvit.boundary.errors import CommandError
from taylorvit.fpga.driver import JobReport
from taylorvit.gen.verilog import emit
from taylorvit.golden.attention.job import Job
from taylorvit.jobs.golden import check_job
from taylorvit.jobs.judgement import Outcome
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.registers import events_in

from . import Build, RunResult, SimulationError, build, heads_bench
from . import run as run_bench
from .dsp_cells import with_dsp_models
from .places import shown
from .running import runs_folder

__all__ = ["build_accelerator", "simulate", "simulate_heads"]

WALL_TIME_LIMIT = 24 * 3600  # seconds; every wait inside the simulation is bounded in cycles
SEED = 1  # of a bench without random numbers: a SEED that the user has set for something else is not asked for


def simulate(
    config: AcceleratorConfig,
    job: Job,
    *,
    waveform: Path | None = None,
    on_built: Callable[[], None] = lambda: None,
    on_progress: Callable[[int], None] = lambda heads: None,
) -> Outcome:
    """Sends a job through the generated Verilog of an accelerator, under Verilator.

    Args:
        config (AcceleratorConfig): the accelerator.
        job (Job): operands and constants; heads beyond `max_heads` are further jobs.
        waveform (Path): a VCD of all signals is left there; none if left out.
        on_built (Callable): is called when the simulation is there.
        on_progress (Callable): is called now and then with the number of finished heads, from another thread.

    Returns:
        Outcome: what came out; `taylorvit.jobs.judge` compares it.

    Raises:
        TypeError: operands or constants are not integers.
        ValueError: the accelerator cannot take the job.
        CommandError: the simulation cannot be built (no C++ compiler, for example), broke off, or left wrong counters.
    """
    check_job(job, config)
    simulation = build_accelerator(config, waves=waveform is not None)
    on_built()
    try:
        z, result = simulate_heads(simulation, config, job, waveform=waveform, on_progress=on_progress)
    except SimulationError as error:
        log = shown(error.directory / "log.txt")
        raise CommandError(f"simulation of {config.name} failed: {error.problem}; its log is {log}") from None
    built = f"build {simulation.seconds:.1f} s" if simulation.seconds else "build cached"
    jobs = [
        JobReport(entry["heads"], entry["counters"], events_in(entry["events"]))
        for entry in result.measurements["jobs"]
    ]
    return Outcome(z, jobs, {"time": f"{built}, simulation {result.seconds:.1f} s"})


def build_accelerator(config: AcceleratorConfig, *, waves: bool = False, verilog: str | None = None) -> Build:
    """The simulation of an accelerator.

    Args:
        config (AcceleratorConfig): the accelerator.
        waves (bool): whether runs can record a waveform.
        verilog (str): its Verilog, where it has been emitted already.
    """
    accelerator = Accelerator(config)
    verilog = emit(accelerator) if verilog is None else verilog
    return build(with_dsp_models(verilog), accelerator.module_name, simulator="verilator", waves=waves)


def simulate_heads(
    simulation: Build,
    config: AcceleratorConfig,
    job: Job,
    *,
    waveform: Path | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[np.ndarray, RunResult]:
    """Send the job's heads through the simulated accelerator.

    Args:
        simulation (Build): of `build_accelerator`.
        config (AcceleratorConfig): the accelerator.
        job (Job): operands and constants.
        waveform (Path): for the waveform that a simulation with waves records; it is lost without one.
        on_progress (Callable): is called now and then with the number of finished heads, from another thread.

    Returns:
        What came out, (heads, tokens, head_dim) int64, and the run with its measurement `jobs`. Its folder is gone.

    Raises:
        SimulationError: a result did not come, or a counter was wrong. What the run has left stays in its folder.
    """
    # Waveforms are large: recorded where they go, so that they need not be copied.
    with _folder(runs_folder() if waveform is None else waveform.parent) as folder:
        finished = folder / "progress"
        operands = {name: getattr(job, name).astype(f"int{config.element_width}") for name in ("q", "k", "v")}
        np.savez(folder / "operands.npz", **operands)
        parameters = {
            "config": config.to_mapping(),
            "operands": str(folder / "operands.npz"),
            "constants": vars(job.constants),
            "progress": str(finished),
        }
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(finished, on_progress, stop), daemon=True)
        watcher.start()
        try:
            result = run_bench(
                simulation,
                heads_bench.__name__,
                testcase="heads_through_streams",
                seed=SEED,
                parameters=parameters,
                timeout_s=WALL_TIME_LIMIT,
                directory=folder,
            )
        finally:
            stop.set()
            watcher.join()
        on_progress(len(job.q))
        with np.load(folder / heads_bench.RESULT_FILE) as results:
            z = results["z"]
        if waveform is not None and result.waves is not None:
            os.replace(result.waves, waveform)
        return z, result


@contextlib.contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    """A folder for one run. It is removed, but for what there is to be looked at where a simulation failed."""
    folder = Path(tempfile.mkdtemp(prefix="simulate-", dir=parent)).absolute()
    try:
        yield folder
    except SimulationError:
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder)


# Progress


def _watch(path: Path, on_progress: Callable[[int], None], stop: threading.Event) -> None:
    while not stop.wait(0.2):
        # The bench may not have written the file yet, or be in the middle of it.
        with contextlib.suppress(OSError, ValueError):
            on_progress(int(path.read_text(encoding="utf-8")))

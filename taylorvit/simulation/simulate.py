"""A user's own tensors through the generated Verilog: `taylorvit simulate`.

    input.npz --> operands ----> operands.npz --> simulation, a process of its own --> z --> judgement
                                                  (streams in, streams out)

`taylorvit.jobs.operands` reads and quantizes, `taylorvit.jobs.judgement` compares and shows; between them is what this
module does, the accelerator's own streams and registers under Verilator. A run has a folder of its own, so any number
of them may go on at once, equal ones too.
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
from taylorvit.boundary.writing import check_output_file, check_output_folder
from taylorvit.gen.verilog import emit
from taylorvit.golden.arithmetic.quantizer import QuantizedJob
from taylorvit.jobs.judgement import Outcome, check_output, conclude, progress_bars
from taylorvit.jobs.operands import read_operands
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.registers import EVENTS

from . import Build, RunResult, SimulationError, build, heads_bench
from . import run as run_bench
from .dsp_cells import with_dsp_models
from .places import shown
from .running import runs_folder

__all__ = ["build_accelerator", "run", "simulate_heads"]

WALL_TIME_LIMIT = 24 * 3600  # seconds; every wait inside the simulation is bounded in cycles
SEED = 1  # of a bench without random numbers: a SEED that the user has set for something else is not asked for


def run(*, config: AcceleratorConfig, input: str | Path, output: str | Path | None = None, waves: bool = False) -> int:
    """Simulate the heads in the file `input` on the accelerator of `config`, print what came of it.

    Args:
        output: an .npz for the result and for all that it was computed from, see `taylorvit.jobs.judgement.conclude`.
        waves: leave a VCD of all signals, beside the output or in `build/simulate`, and print where.

    Returns:
        0 if every bit equals the integer golden, else 1.

    Raises:
        ValueError: the input or output file, in one line.
        CommandError: the simulation cannot be built (no C++ compiler, for example), broke off, or left wrong counters
            or events.
    """
    operands = read_operands(input, config)
    check_output(output, input)
    waveform = _waveform_file(config, output) if waves else None

    with progress_bars() as progress:
        building = progress.add_task(f"building the simulation of {config.name}", total=None)
        simulation = build_accelerator(config, waves=waves)
        progress.update(building, total=1, completed=1)
        running = progress.add_task("simulating heads", total=len(operands.job.q))
        try:
            z, result = simulate_heads(
                simulation,
                config,
                operands.job,
                waveform=waveform,
                on_progress=lambda done: progress.update(running, completed=done),
            )
        except SimulationError as error:
            log = shown(error.directory / "log.txt")
            raise CommandError(f"simulation of {config.name} failed: {error.problem}; its log is {log}") from None

    built = f"build {simulation.seconds:.1f} s" if simulation.seconds else "build cached"
    jobs = [entry | {"events": _event_names(entry["events"])} for entry in result.measurements["jobs"]]
    outcome = Outcome(z, jobs, {"time": f"{built}, simulation {result.seconds:.1f} s"})
    notes = () if waveform is None else (f"wrote {waveform}",)
    return conclude(outcome, operands, config, output=output, notes=notes)


def _event_names(register: int) -> list[str]:
    return [name for name, (bit, _description) in EVENTS.items() if register >> bit & 1]


def _waveform_file(config: AcceleratorConfig, output: str | Path | None) -> Path:
    """Where the waveform goes: a file that can be written, whose folder is there."""
    if output is not None and Path(output).suffix == ".npz":
        path = Path(output).with_suffix(".vcd")
    else:
        path = Path("build", "simulate", f"{config.name}.vcd")
        check_output_folder(path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
    check_output_file(path)
    return path


def build_accelerator(config: AcceleratorConfig, *, waves: bool = False, verilog: str | None = None) -> Build:
    """The simulation of the accelerator; `verilog` where it has been emitted already."""
    accelerator = Accelerator(config)
    verilog = emit(accelerator) if verilog is None else verilog
    return build(with_dsp_models(verilog), accelerator.module_name, simulator="verilator", waves=waves)


def simulate_heads(
    simulation: Build,
    config: AcceleratorConfig,
    job: QuantizedJob,
    *,
    waveform: Path | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[np.ndarray, RunResult]:
    """Send the job's heads through the simulated accelerator.

    Args:
        waveform: file for the waveform that a simulation with waves records; it is lost without one.
        on_progress: is called now and then with the number of finished heads, from another thread.

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
        parameters = {"config": config.to_mapping(), "operands": str(folder / "operands.npz"),
                      "constants": vars(job.constants), "progress": str(finished)}  # fmt: skip
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

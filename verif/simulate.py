"""A user's own tensors through the generated Verilog: `python -m gen simulate`.

    input.npz --> operands ----> operands.npz --> simulation, a process of its own --> z --> judgement
                                                  (streams in, streams out)

`verif.operands` reads and quantizes, `verif.judgement` compares and shows; between them is what this module does, the
accelerator's own streams and registers under Verilator.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import threading
from pathlib import Path

import numpy as np
from rich.console import Console

from boundary.command import console
from gen.verilog import emit
from golden.quantizer import QuantizedJob
from rtl.accelerator import Accelerator
from rtl.config import AcceleratorConfig
from rtl.registers import EVENTS
from verif import heads_bench
from verif.bench import Build, RunResult, SimulationError, build
from verif.bench import run as run_bench
from verif.bench.simulation import ROOT
from verif.judgement import Outcome, check_output, conclude, progress_bars
from verif.netlist.dsp_cells import with_dsp_models
from verif.operands import read_operands

__all__ = ["build_accelerator", "run", "simulate_heads"]

WORKPLACE = ROOT / "build" / "simulate"
WALL_TIME_LIMIT = 24 * 3600  # seconds; every wait inside the simulation is bounded in cycles


def run(*, config: AcceleratorConfig, input: str | Path, output: str | Path | None = None, waves: bool = False,
        screen: Console | None = None) -> int:
    """Simulate the heads in the file `input` on the accelerator of `config`, print what came of it.

    Args:
        output: an .npz for z (float64), z_int and z_exp as they came out of the hardware.
        waves: leave a VCD of all signals, and print where.

    Returns:
        0 if every bit equals the integer golden, else 1.

    Raises:
        ValueError: the input or output file, in one line.
        ToolError (a RuntimeError): no C++ compiler, no Verilator, or one that fails.
    """
    operands = read_operands(input, config)
    check_output(output)

    with progress_bars() as progress:
        building = progress.add_task(f"building the simulation of {config.name}", total=None)
        simulation = build_accelerator(config, waves=waves)
        progress.update(building, total=1, completed=1)
        running = progress.add_task("simulating heads", total=len(operands.job.q))
        try:
            z, result = simulate_heads(simulation, config, operands.job,
                                       lambda done: progress.update(running, completed=done))
        except SimulationError as error:
            print(error, file=sys.stderr)
            return 1

    built = f"build {simulation.seconds:.1f} s" if simulation.seconds else "build cached"
    jobs = [entry | {"events": _event_names(entry["events"])} for entry in result.measurements["jobs"]]
    outcome = Outcome(z, jobs, {"time": f"{built}, simulation {result.seconds:.1f} s"})
    waveform = () if result.waves is None else (f"waveform: {result.waves.relative_to(ROOT)}",)
    return conclude(outcome, operands, config, output=output, notes=waveform,
                    screen=console() if screen is None else screen)


def _event_names(register: int) -> list[str]:
    return [name for name, (bit, _description) in EVENTS.items() if register >> bit & 1]


def build_accelerator(config: AcceleratorConfig, *, waves: bool = False, verilog: str | None = None) -> Build:
    """The simulation of the accelerator; `verilog` where it has been emitted already."""
    verilog = emit(Accelerator(config)) if verilog is None else verilog
    return build(with_dsp_models(verilog), Accelerator.module_name, simulator="verilator", waves=waves)


def simulate_heads(simulation: Build, config: AcceleratorConfig, job: QuantizedJob,
                   on_progress=lambda done: None) -> tuple[np.ndarray, RunResult]:
    """Send the job's heads through the simulated accelerator.

    Args:
        on_progress: is called now and then with the number of finished heads, from another thread.

    Returns:
        What came out, (heads, tokens, head_dim) int64, and the run with its measurement `jobs`.

    Raises:
        SimulationError: a result did not come, or a counter was wrong.
    """
    constants = job.constants
    arrays = {"q": job.q, "k": job.k, "v": job.v, "shift_g": constants.shift_g, "shift_z": constants.shift_z,
              "c_v": constants.c_v, "c_d": constants.c_d}
    operands = WORKPLACE / f"{_content_hash(arrays)}.npz"
    WORKPLACE.mkdir(parents=True, exist_ok=True)
    if not operands.exists():
        unfinished = operands.with_suffix(f".{os.getpid()}.npz")
        np.savez(unfinished, **arrays)
        unfinished.rename(operands)
    finished = operands.with_name(f"{operands.stem}-{config.name}.progress")
    finished.write_text("0", encoding="utf-8")
    parameters = {"config": config.to_mapping(), "operands": str(operands), "progress": str(finished)}

    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(finished, on_progress, stop), daemon=True)
    watcher.start()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the bench's own announcement
            result = run_bench(simulation, heads_bench.__name__, testcase="heads_through_streams",
                               parameters=parameters, timeout_s=WALL_TIME_LIMIT)
        with np.load(result.directory / heads_bench.RESULT_FILE) as results:
            return results["z"], result
    finally:
        stop.set()
        watcher.join()
        on_progress(_heads_finished(finished))


# Progress


def _watch(path: Path, on_progress, stop: threading.Event) -> None:
    while not stop.wait(0.2):
        on_progress(_heads_finished(path))


def _heads_finished(path: Path) -> int:
    """The bench may be in the middle of writing the file."""
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0


def _content_hash(arrays: dict) -> str:
    digest = hashlib.sha256()
    for name, value in arrays.items():
        array = np.ascontiguousarray(value)
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:20]

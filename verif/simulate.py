"""A user's own tensors through the generated Verilog: `python -m gen simulate`.

    input.npz --> check --> quantize ----> operands.npz --> simulation, a process of its own --> z.npz
                                 |                          (streams in, streams out)              |
                                 '--> integer golden ------------------------------> compare <-----'

Float q, k, v are quantized by `golden.quantizer`; integers are taken as they are, with the exponents q_exp, k_exp and
v_exp (0 where they are missing). All heads share one set of registers. What is compared is what came out of
`m_axis_z`, with a model that knows nothing of the hardware.

Utilization, as printed, is the share of SA-General's multiplications that were useful: 2 n d^2 a head over
cycles x rows x columns. It counts everything from the start of the job to its end, the filling of the pipeline too.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import threading
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from gen.verilog import emit
from golden.float_attention import softmax_attention, taylor_attention
from golden.integer_attention import IntegerSteps, check_shapes, integer_taylor_attention
from golden.number_format import NumberFormat
from golden.quantizer import QuantizedJob, constants_for, dequantize, quantize_job, sqnr_db
from rtl.accelerator import Accelerator
from rtl.config import AcceleratorConfig
from rtl.registers import EVENTS
from verif import heads_bench
from verif.bench import Build, RunResult, SimulationError, build
from verif.bench import run as run_bench
from verif.bench.accelerator import format_of
from verif.bench.simulation import ROOT

__all__ = ["Operands", "build_accelerator", "read_operands", "run", "simulate_heads"]

WORKPLACE = ROOT / "build" / "simulate"
EXPONENTS = ("q_exp", "k_exp", "v_exp")
SHOWN_MISMATCHES = 5
WALL_TIME_LIMIT = 24 * 3600  # seconds; every wait inside the simulation is bounded in cycles


class Operands(NamedTuple):
    """One job, and the real values that it stands for: those of the file, before they were quantized."""

    job: QuantizedJob
    real: tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # q, k, v, each (heads, tokens, head_dim), float64
    quantized_here: bool


def run(*, config: AcceleratorConfig, input: str | Path, output: str | Path | None = None, waves: bool = False,
        console: Console | None = None) -> int:
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
    console = _console() if console is None else console
    operands = read_operands(input, config)
    if output is not None and not Path(output).resolve().parent.is_dir():
        raise ValueError(f"output must be in a folder that exists, not {str(output)!r}")
    heads = len(operands.job.q)

    with _progress() as progress:
        building = progress.add_task(f"building the simulation of {config.name}", total=None)
        simulation = build_accelerator(config, waves=waves)
        progress.update(building, total=1, completed=1)
        running = progress.add_task("simulating heads", total=heads)
        try:
            z, result = simulate_heads(simulation, config, operands.job,
                                       lambda done: progress.update(running, completed=done))
        except SimulationError as error:
            print(error, file=sys.stderr)
            return 1
        golden = integer_taylor_attention(*operands.job[:3], operands.job.constants, format_of(config))

    if output is not None:
        _save(Path(output), z, operands.job, config)
    problems = _mismatches(z, golden, operands.job) + _unexpected_events(result, golden)
    console.print(_table(config, operands, z, golden, simulation, result))
    if output is not None:
        console.print(f"wrote {output}", soft_wrap=True)
    if result.waves is not None:
        console.print(f"waveform: {result.waves.relative_to(ROOT)}", soft_wrap=True)
    for problem in problems:
        console.print(problem, style="red", soft_wrap=True)
    return 1 if problems else 0


def build_accelerator(config: AcceleratorConfig, *, waves: bool = False, verilog: str | None = None) -> Build:
    """The simulation of the accelerator; `verilog` where it has been emitted already."""
    verilog = emit(Accelerator(config)) if verilog is None else verilog
    return build(verilog, Accelerator.module_name, simulator="verilator", waves=waves)


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


# Input


def read_operands(path: str | Path, config: AcceleratorConfig) -> Operands:
    """The job in an .npz file, quantized and checked against the accelerator's limits.

    Raises:
        ValueError: with a text of one line that names the file, what is wrong in it, and the rule.
    """
    try:
        return _operands(_arrays(Path(path)), config)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from None


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """q, k, v, and the exponents that are there."""
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise ValueError("input must be an .npz file, not of another kind")
        with np.load(path, allow_pickle=False) as file:
            for name in ("q", "k", "v"):
                if name not in file:
                    raise ValueError(f"input must have the arrays q, k and v, not only {', '.join(sorted(file))}")
            return {name: np.asarray(file[name]) for name in ("q", "k", "v", *EXPONENTS) if name in file}
    except OSError as error:
        raise ValueError(f"input must be a readable file: {(error.strerror or str(error)).lower()}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"input must be an undamaged .npz file: {error}") from None


def _operands(arrays: dict[str, np.ndarray], config: AcceleratorConfig) -> Operands:
    q, k, v = (arrays[name] for name in ("q", "k", "v"))
    floating = [np.issubdtype(array.dtype, np.floating) for array in (q, k, v)]
    if any(floating) != all(floating):
        raise ValueError(f"q, k and v must be all floats or all integers, not {q.dtype}, {k.dtype} and {v.dtype}")
    check_shapes(q, k, v)
    _heads, tokens, head_dim = q.shape
    for name, value, limit in (("tokens", tokens, config.max_tokens), ("head_dim", head_dim, config.max_head_dim)):
        if value > limit:
            raise ValueError(f"{name} must be at most {limit} on {config.name}, not {value!r}")
    exponents = {name: _exponent(name, arrays[name]) for name in EXPONENTS if name in arrays}
    number_format = format_of(config)
    if all(floating):
        if exponents:
            raise ValueError(f"{next(iter(exponents))} must come with integers, not with {q.dtype}")
        job = quantize_job(q, k, v, number_format)
        return Operands(job, tuple(torch.from_numpy(array.astype(np.float64)) for array in (q, k, v)), True)
    job = _taken_as_they_are(q, k, v, exponents, number_format)
    real = (dequantize(array, exponent) for array, exponent in
            ((job.q, job.q_exp), (job.k, job.k_exp), (job.v, job.v_exp)))
    return Operands(job, tuple(torch.from_numpy(array) for array in real), False)


def _taken_as_they_are(q, k, v, exponents: dict[str, int], number_format: NumberFormat) -> QuantizedJob:
    scales = constants_for(q, k, v, number_format=number_format, **exponents)
    q, k, v = (array.astype(np.int64) for array in (q, k, v))
    return QuantizedJob(q, k, v, *(exponents.get(name, 0) for name in EXPONENTS), scales.z_exp, scales.constants)


def _exponent(name: str, array: np.ndarray) -> int:
    if array.size != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must be one integer, not {array.dtype} of shape {array.shape!r}")
    return int(array.item())


# Judgement


def _mismatches(z: np.ndarray, golden: IntegerSteps, job: QuantizedJob) -> list[str]:
    """Empty if Z equals the golden, else where it does not."""
    if z.shape != golden.z.shape:
        return [f"z must be of shape {golden.z.shape}, not {z.shape}"]
    places = np.argwhere(z != golden.z)
    if not len(places):
        return []
    lines = [f"{len(places):,} of {z.size:,} elements of z differ from the integer golden; the first of them:"]
    for head, token, feature in places[:SHOWN_MISMATCHES]:
        place = head, token, feature
        lines.append(f"  head {head}, token {token}, feature {feature}: got {z[place]}, expected {golden.z[place]} "
                     f"(t_n {golden.t_n[place]}, t_d {golden.t_d[head, token]}, shift_z {job.constants.shift_z})")
    return lines


def _unexpected_events(result: RunResult, golden: IntegerSteps) -> list[str]:
    """Events other than those that the job has to raise."""
    expected = {"DONE"} | ({"DENOMINATOR"} if golden.denominator_errors else set())
    raised = {name for job in result.measurements["jobs"] for name, (bit, _text) in EVENTS.items()
              if job["events"] >> bit & 1}
    if raised == expected:
        return []
    return [f"events must be {', '.join(sorted(expected))}, not {', '.join(sorted(raised)) or 'none'}"]


def _table(config: AcceleratorConfig, operands: Operands, z: np.ndarray, golden: IntegerSteps, simulation: Build,
           result: RunResult) -> Table:
    job = operands.job
    heads, tokens, head_dim = job.q.shape
    jobs = result.measurements["jobs"]
    total = {name: sum(entry["counters"][name] for entry in jobs) for name in jobs[0]["counters"]}
    cycles = total["CYCLES"]
    useful = heads * config.ideal_cycles(tokens, head_dim)
    mismatches = int(np.count_nonzero(z != golden.z)) if z.shape == golden.z.shape else z.size
    real_z = dequantize(z, job.z_exp)

    table = Table(title=f"{heads} heads of {tokens} tokens x {head_dim} features on {config.name}", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("operands", f"{'quantized to' if operands.quantized_here else 'integers of'} {config.data_width} bits"
                              f", q 2^{job.q_exp}, k 2^{job.k_exp}, v 2^{job.v_exp}, z 2^{job.z_exp}")
    table.add_row("cycles", f"{cycles:,} in all, {cycles / heads:,.1f} a head"
                            + (f", in {len(jobs)} jobs" if len(jobs) > 1 else ""))
    table.add_row("T_SA", f"{config.array_cycles(tokens, head_dim):,} cycles of array work a head")
    table.add_row("array busy", f"{total['ARRAY_BUSY'] / cycles:.1%} of cycles; waiting for input "
                                f"{total['STALL_INPUT'] / cycles:.1%}, for output {total['STALL_OUTPUT'] / cycles:.1%}")
    table.add_row("utilization", f"{useful / cycles:.1%} of {config.rows} x {config.columns} multiplications useful")
    table.add_row("mismatches", f"{mismatches} of {z.size:,} against the integer golden")
    if golden.denominator_errors:
        table.add_row("t_D <= 0", f"{golden.denominator_errors:,} rows, saturated as specified")
    table.add_row("SQNR", f"{_decibels(taylor_attention(*operands.real).z, real_z)} against Algorithm 1 in float64")
    table.add_row("", f"{_decibels(softmax_attention(*operands.real), real_z)} against softmax attention in float64")
    table.add_row("time", f"build {f'{simulation.seconds:.1f} s' if simulation.seconds else 'cached'}, "
                          f"simulation {result.seconds:.1f} s")
    return table


def _decibels(reference: torch.Tensor, z: np.ndarray) -> str:
    return f"{sqnr_db(reference.numpy(), z):.1f} dB"


def _save(path: Path, z: np.ndarray, job: QuantizedJob, config: AcceleratorConfig) -> None:
    integers = z.astype(f"int{config.element_width}")
    try:
        with path.open("wb") as file:
            np.savez(file, z=dequantize(z, job.z_exp), z_int=integers, z_exp=np.int64(job.z_exp))
    except OSError as error:
        raise ValueError(f"output must be a writable file, not {str(path)!r}: {error.strerror.lower()}") from None


# Progress


def _console() -> Console:
    """Standard output, without breaking lines where it is not a terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=120)


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                    TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal)


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

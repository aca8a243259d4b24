"""What an accelerator made of a user's tensors, simulated or on a board: compared, shown and saved.

    operands --> integer golden --> compare <-- z of the hardware
                                       |
                     table, problems, exit status, z.npz

What is compared is what came out of the hardware, with a model that knows nothing of it.

Utilization, as printed, is the share of SA-General's multiplications that were useful: 2 n d^2 a head over
cycles x rows x columns. It counts everything from the start of the job to its end, the filling of the pipeline and the
waiting for operands too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from taylorvit.boundary.command import console
from taylorvit.boundary.errors import CommandError
from taylorvit.boundary.writing import check_output_file, written_whole
from taylorvit.golden.arithmetic.quantizer import QuantizedJob, dequantize
from taylorvit.golden.attention.float_attention import softmax_attention, taylor_attention
from taylorvit.golden.attention.integer_attention import IntegerSteps, integer_taylor_attention
from taylorvit.golden.reports.sqnr import sqnr_db, sqnr_text
from taylorvit.rtl import __version__
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.host_view import HostView
from taylorvit.simulation.host import format_of

from .operands import Operands

__all__ = ["Outcome", "check_output", "conclude", "progress_bars"]

SHOWN_MISMATCHES = 5


@dataclass(frozen=True)
class Outcome:
    """What came out of an accelerator for one set of operands.

    Attributes:
        z: (heads, tokens, head_dim), integers.
        jobs: one mapping for each job that the heads were split into, with `heads`, `counters` (register name -> value)
            and `events` (the names of what is set in the register).
        remarks: further rows of the table, name -> text.
    """

    z: np.ndarray
    jobs: list[dict]
    remarks: dict[str, str] = field(default_factory=dict)


def check_output(output: str | Path | None, input: str | Path) -> None:
    """`FileError` if an .npz could not be written to `output`, or not beside `input`; before the work, not after it."""
    if output is not None:
        check_output_file(output, endings=(".npz",), inputs=(input,))


def conclude(
    outcome: Outcome,
    operands: Operands,
    config: AcceleratorConfig | HostView,
    *,
    output: str | Path | None,
    notes: tuple[str, ...] = (),
) -> int:
    """Save the result, compare it with the integer golden, and print what came of it.

    Args:
        output: an .npz for the result and for all that it was computed from; docs/numerics.md describes it.
        notes: lines below the table.

    Returns:
        0 if every bit equals the integer golden, else 1.

    Raises:
        ValueError: the output file, in one line.
        CommandError: every bit is right, and the events are not those of such a job.
    """
    golden = integer_taylor_attention(*operands.job[:3], operands.job.constants, format_of(config))
    if output is not None:
        with written_whole(output) as partial:
            _save(partial, outcome.z, operands.job, config)
    mismatches = _mismatches(outcome.z, golden, operands.job)
    screen = console()
    screen.print(_table(config, operands, outcome, golden))
    for line in (*([f"wrote {output}"] if output is not None else []), *notes):
        screen.print(line)
    for line in mismatches:
        screen.print(line, style="red")
    if mismatches:
        return 1
    _check_events(outcome.jobs, golden)
    return 0


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
        lines.append(
            f"  head {head}, token {token}, feature {feature}: got {z[place]}, expected {golden.z[place]} "
            f"(t_n {golden.t_n[place]}, t_d {golden.t_d[head, token]}, shift_z {job.constants.shift_z})"
        )
    return lines


def _check_events(jobs: list[dict], golden: IntegerSteps) -> None:
    """`CommandError` unless the events are those that the job has to raise."""
    expected = {"DONE"} | ({"DENOMINATOR"} if golden.denominator_errors else set())
    raised = {name for job in jobs for name in job["events"]}
    if raised != expected:
        raise CommandError(
            "every bit is right, but events must be "
            f"{', '.join(sorted(expected))}, not {', '.join(sorted(raised)) or 'none'}"
        )


def _table(config: AcceleratorConfig | HostView, operands: Operands, outcome: Outcome, golden: IntegerSteps) -> Table:
    job, z, jobs = operands.job, outcome.z, outcome.jobs
    heads, tokens, head_dim = job.q.shape
    mismatches = int(np.count_nonzero(z != golden.z)) if z.shape == golden.z.shape else z.size
    real_z = dequantize(z, job.z_exp - operands.real_exp)

    table = Table(title=f"{heads} heads of {tokens} tokens x {head_dim} features on {config.name}", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row(
        "operands",
        f"{'quantized to' if operands.quantized_here else 'integers of'} {config.data_width} bits"
        f", q 2^{job.q_exp}, k 2^{job.k_exp}, v 2^{job.v_exp}, z 2^{job.z_exp}",
    )
    constants = job.constants
    table.add_row(
        "registers",
        f"SHIFT_G {constants.shift_g}, SHIFT_Z {constants.shift_z}, C_V {constants.c_v:,}, C_D {constants.c_d:,}",
    )
    for name, text in _cycles(config, jobs, heads, tokens, head_dim).items():
        table.add_row(name, text)
    table.add_row("mismatches", f"{mismatches} of {z.size:,} against the integer golden")
    if golden.denominator_errors:
        table.add_row("t_D <= 0", f"{golden.denominator_errors:,} rows, saturated as specified")
    table.add_row("SQNR", f"{_decibels(taylor_attention(*operands.real).z, real_z)} against Algorithm 1 in float64")
    table.add_row("", f"{_decibels(softmax_attention(*operands.real), real_z)} against softmax attention in float64")
    for name, text in outcome.remarks.items():
        table.add_row(name, text)
    return table


def _cycles(config: AcceleratorConfig | HostView, jobs: list[dict], heads: int, tokens: int,
            head_dim: int) -> dict[str, str]:  # fmt: skip
    """What the counters say, name -> text."""
    array_work = {"T_SA": f"{config.array_cycles(tokens, head_dim):,} cycles of array work a head"}
    most = (1 << config.counter_width) - 1
    if any(entry["counters"]["CYCLES"] == most for entry in jobs):  # the largest of them
        return {"cycles": f"{most:,} at least: the counters of a job have {config.counter_width} bits"} | array_work
    total = {name: sum(entry["counters"][name] for entry in jobs) for name in jobs[0]["counters"]}
    cycles = total["CYCLES"]
    useful = heads * config.ideal_cycles(tokens, head_dim) / cycles
    return {
        "cycles": f"{cycles:,} in all, {cycles / heads:,.1f} a head"
                  + (f", in {len(jobs)} jobs" if len(jobs) > 1 else ""),
        **array_work,
        "array busy": f"{total['ARRAY_BUSY'] / cycles:.1%} of cycles; waiting for input "
                      f"{total['STALL_INPUT'] / cycles:.1%}, for output {total['STALL_OUTPUT'] / cycles:.1%}",
        "utilization": f"{useful:.1%} of {config.rows} x {config.columns} multiplications useful",
    }  # fmt: skip


def _decibels(reference: torch.Tensor, z: np.ndarray) -> str:
    return sqnr_text(sqnr_db(reference.numpy(), z))


def _save(path: Path, z: np.ndarray, job: QuantizedJob, config: AcceleratorConfig | HostView) -> None:
    constants = job.constants
    integers = {"q": job.q, "k": job.k, "v": job.v, "z_int": z}
    exponents = {"q_exp": job.q_exp, "k_exp": job.k_exp, "v_exp": job.v_exp, "z_exp": job.z_exp,
                 "shift_g": constants.shift_g, "shift_z": constants.shift_z}  # fmt: skip
    # The constants as text: their registers have up to 96 bits, more than any integer of numpy.
    texts = {"c_v": str(constants.c_v), "c_d": str(constants.c_d), "config": json.dumps(config.to_mapping()),
             "version": __version__}  # fmt: skip
    arrays: dict[str, Any] = {"z": dequantize(z, job.z_exp)}
    arrays |= {name: array.astype(f"int{config.element_width}") for name, array in integers.items()}
    arrays |= {name: np.array(value, dtype=np.int64) for name, value in exponents.items()}
    arrays |= {name: np.array(text) for name, text in texts.items()}
    with path.open("wb") as file:
        np.savez(file, **arrays)


# Screen


def progress_bars() -> Progress:
    """Bars for the stages of a run on standard error, if that is a terminal."""
    screen = console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )

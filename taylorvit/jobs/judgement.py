"""What an accelerator made of a user's tensors, simulated or on a board: compared and tabulated.

    operands --> integer golden --> compare <-- z of the hardware
                                       |
                              table, mismatches, events

What is compared is what came out of the hardware, with a model that knows nothing of it.

Utilization, as printed, is the share of SA-General's multiplications that were useful: 2 n d^2 a head over
cycles x rows x columns. It counts everything from the start of the job to its end, the filling of the pipeline and the
waiting for operands too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.table import Table

from taylorvit.fpga.driver import JobReport
from taylorvit.golden.arithmetic.quantizer import dequantize
from taylorvit.golden.attention.float_attention import softmax_attention
from taylorvit.golden.attention.job import Job
from taylorvit.golden.attention.kernels.kernel import IntegerKernel, Steps
from taylorvit.golden.reports.sqnr import sqnr_db, sqnr_text
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.host_view import HostView

from .golden import golden_kernel, golden_steps
from .operands import Operands

__all__ = ["Outcome", "Verdict", "judge"]

SHOWN_MISMATCHES = 5


@dataclass(frozen=True)
class Outcome:
    """What came out of an accelerator for one set of operands.

    Attributes:
        z (np.ndarray): integers (heads, tokens, head_dim).
        jobs (Sequence[JobReport]): one for each job that the heads were split into.
        remarks (dict[str, str]): further rows of the table, name -> text.
    """

    z: np.ndarray
    jobs: Sequence[JobReport]
    remarks: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Whether it is what it has to be.

    Attributes:
        table (Table): what there is to say of it, for a console of rich's.
        mismatches (list[str]): lines on what differs from the integer golden; none if every bit equals it.
        wrong_events (str): what is wrong with the events, in one line; empty if nothing is, or bits differ.
    """

    table: Table
    mismatches: list[str]
    wrong_events: str


def judge(outcome: Outcome, operands: Operands, config: AcceleratorConfig | HostView) -> Verdict:
    """Compares what came out of an accelerator with the integer golden, and tabulates it.

    Args:
        outcome (Outcome): what came out.
        operands (Operands): what went in.
        config (AcceleratorConfig | HostView): the accelerator.
    """
    golden = golden_steps(operands.job, config)
    mismatches = _mismatches(outcome.z, golden, operands.job, golden_kernel(config))
    table = _table(config, operands, outcome, golden)
    return Verdict(table, mismatches, "" if mismatches else _wrong_events(outcome.jobs, golden))


def _mismatches(z: np.ndarray, golden: Steps, job: Job, kernel: IntegerKernel) -> list[str]:
    """Empty if Z equals the golden, else where it does not."""
    if z.shape != golden.z.shape:
        return [f"z must be of shape {golden.z.shape}, not {z.shape}"]
    places = np.argwhere(z != golden.z)
    if not len(places):
        return []
    lines = [f"{len(places):,} of {z.size:,} elements of z differ from the integer golden; the first of them:"]
    shift_z = [job.registers[name] for name in ("SHIFT_Z",) if name in job.registers]
    for head, token, feature in places[:SHOWN_MISMATCHES]:
        place = head, token, feature
        terms = ", ".join(filter(None, [kernel.terms(golden, place), *(f"shift_z {value}" for value in shift_z)]))
        lines.append(
            f"  head {head}, token {token}, feature {feature}: got {z[place]}, expected {golden.z[place]}"
            + (f" ({terms})" if terms else "")
        )
    return lines


def _wrong_events(jobs: Sequence[JobReport], golden: Steps) -> str:
    """Empty if the events are those that the job has to raise."""
    expected = {"DONE"} | ({"DENOMINATOR"} if golden.denominator_errors else set())
    raised = {name for job in jobs for name in job.events}
    if raised == expected:
        return ""
    return (
        f"every bit is right, but events must be {', '.join(sorted(expected))}, not "
        f"{', '.join(sorted(raised)) or 'none'}"
    )


def _table(config: AcceleratorConfig | HostView, operands: Operands, outcome: Outcome, golden: Steps) -> Table:
    job, z, jobs = operands.job, outcome.z, outcome.jobs
    heads, tokens, head_dim = job.shape
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
    table.add_row("registers", ", ".join(f"{name} {value:,}" for name, value in job.registers.items()))
    for name, text in _cycles(config, jobs, heads, tokens, head_dim).items():
        table.add_row(name, text)
    table.add_row("mismatches", f"{mismatches} of {z.size:,} against the integer golden")
    if golden.denominator_errors:
        table.add_row("t_D <= 0", f"{golden.denominator_errors:,} rows, saturated as specified")
    kernel = golden_kernel(config)
    reference = _decibels(kernel.reference(*operands.real), real_z)
    table.add_row("SQNR", f"{reference} against {kernel.reference_name} in float64")
    if kernel.reference_name != "softmax attention":
        softmax = _decibels(softmax_attention(*operands.real), real_z)
        table.add_row("", f"{softmax} against softmax attention in float64")
    for name, text in outcome.remarks.items():
        table.add_row(name, text)
    return table


def _cycles(
    config: AcceleratorConfig | HostView, jobs: Sequence[JobReport], heads: int, tokens: int, head_dim: int
) -> dict[str, str]:
    """What the counters say, name -> text."""
    array_work = {"T_SA": f"{config.array_cycles(tokens, head_dim):,} cycles of array work a head"}
    most = (1 << config.counter_width) - 1
    if any(entry.counters["CYCLES"] == most for entry in jobs):  # the largest of them
        return {"cycles": f"{most:,} at least: the counters of a job have {config.counter_width} bits"} | array_work
    total = {name: sum(entry.counters[name] for entry in jobs) for name in jobs[0].counters}
    cycles = total["CYCLES"]
    useful = heads * config.ideal_cycles(tokens, head_dim) / cycles
    return {
        "cycles": f"{cycles:,} in all, {cycles / heads:,.1f} a head"
        + (f", in {len(jobs)} jobs" if len(jobs) > 1 else ""),
        **array_work,
        "array busy": f"{total['ARRAY_BUSY'] / cycles:.1%} of cycles; waiting for input "
        f"{total['STALL_INPUT'] / cycles:.1%}, for output {total['STALL_OUTPUT'] / cycles:.1%}",
        "utilization": f"{useful:.1%} of {config.rows} x {config.columns} multiplications useful",
    }


def _decibels(reference: np.ndarray, z: np.ndarray) -> str:
    return sqnr_text(sqnr_db(reference, z))

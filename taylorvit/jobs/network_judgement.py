"""What a network accelerator made of a user's images: compared with the integer model, and tabulated.

Utilization, as printed, is the share of SA-General's multiplications that were useful: the products of the network that
the tape asks for, over cycles x rows x columns. It counts everything, also waiting for the tape and filling the array.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from taylorvit.boundary.writing import written_whole
from taylorvit.rtl import __version__
from taylorvit.rtl.network.command import Kind
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation.network import NetworkRun

from .compiled_model import CompiledModel
from .images import Images
from .residual_trace import first_difference

__all__ = ["Golden", "NetworkVerdict", "cycles_back_to_back", "golden_logits", "judge_network", "save_logits"]

SHOWN_MISMATCHES = 5


@dataclass(frozen=True)
class Golden:
    """What the integer model says.

    Attributes:
        logits (np.ndarray): int64, (images, classes).
        denominator_errors (int): rows of attention whose denominator is not positive.
    """

    logits: np.ndarray
    denominator_errors: int


@dataclass(frozen=True)
class NetworkVerdict:
    """Whether what came out is what it has to be.

    Attributes:
        images (Table): a row for each image.
        summary (Table): cycles, utilization, mismatches.
        mismatches (list[str]): lines on what differs from the integer model; none if every logit equals it.
        wrong_events (str): what is wrong with the events, in one line; empty if nothing is.
    """

    images: Table
    summary: Table
    mismatches: list[str]
    wrong_events: str


def golden_logits(model: CompiledModel, images: Images) -> Golden:
    """Computes the logits of images by the integer model, some at a time."""
    logits, errors = [], 0
    for first in range(0, len(images.pixels), 16):
        of_some, wrong = model.vit.with_errors(images.pixels[first : first + 16].astype(np.int64))
        logits.append(of_some)
        errors += wrong
    return Golden(np.concatenate(logits), errors)


def judge_network(
    run: NetworkRun, model: CompiledModel, images: Images, golden: Golden, remarks: dict[str, str] | None = None
) -> NetworkVerdict:
    """Compares what came out of a network accelerator with the integer model, and tabulates it.

    Args:
        run (NetworkRun): what came out.
        model (CompiledModel): the model.
        images (Images): what went in.
        golden (Golden): of `golden_logits`.
        remarks (dict[str, str] | None): further rows of the summary.
    """
    mismatches = _mismatches(run, model, images, golden)
    traced = {}
    if run.writes is not None:
        difference, compared = first_difference(
            run.writes, model.tape, model.config, model.vit, images.pixels[: len(run.logits)]
        )
        traced["trace"] = f"{compared:,} elements of residual streams compared, 0 differ"
        if difference is not None:
            traced["trace"] = f"{compared:,} elements of residual streams compared, up to the first that differs"
            mismatches.append(str(difference))
    return NetworkVerdict(
        _image_table(run, model, images, golden),
        _summary(run, model, images, golden, traced | (remarks or {})),
        mismatches,
        "" if mismatches else _wrong_events(run, golden),
    )


def save_logits(path: str | Path, run: NetworkRun, model: CompiledModel, images: Images) -> None:
    """Writes logits and counters.

    Args:
        path (str | Path): an .npz: logits, image_cycles, names and labels of the images (-1 for what is not known);
            counters of each job and the configuration, as JSON texts.
        run (NetworkRun): what came out.
        model (CompiledModel): the model.
        images (Images): what went in.

    Raises:
        FileError: the file cannot be written.
    """
    arrays: dict[str, Any] = {
        "logits": run.logits,
        "image_cycles": np.array([-1 if cycles is None else cycles for cycles in run.image_cycles], dtype=np.int64),
        "names": np.array(images.names),
        "labels": np.array([-1 if label is None else label for label in images.labels], dtype=np.int64),
        "classes": np.array(model.classes),
        "counters": np.array(json.dumps(run.jobs)),
        "events": np.array(sorted(run.events)),
        "config": np.array(json.dumps(model.config.to_mapping())),
        "version": np.array(__version__),
    }
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def _differing(run: NetworkRun, golden: Golden) -> np.ndarray:
    """The places of logits that differ, or that did not come: (image, class)."""
    got = np.full_like(golden.logits, 1 << 40)
    got[: len(run.logits)] = run.logits
    return np.argwhere(got != golden.logits)


def _mismatches(run: NetworkRun, model: CompiledModel, images: Images, golden: Golden) -> list[str]:
    if len(run.logits) < len(golden.logits):
        events = sorted(run.events - {"DONE"})
        damaged = any(event.startswith("TAPE_") or event == "COMMAND" for event in events)
        return [
            f"logits of {_counted(len(golden.logits))} must come, and those of {len(run.logits)} came: the job ended "
            f"with the events {', '.join(events) or 'none'}" + "; compile the model again" * damaged
        ]
    places = _differing(run, golden)
    if not len(places):
        return []
    lines = [f"{len(places):,} of {golden.logits.size:,} logits differ from the integer model; the first of them:"]
    for image, index in places[:SHOWN_MISMATCHES]:
        lines.append(
            f"  {images.names[image]}, class {model.classes[index]}: got {run.logits[image, index]}, expected "
            f"{golden.logits[image, index]}"
        )
    return lines


def _counted(images: int) -> str:
    return "1 image" if images == 1 else f"{images} images"


def _wrong_events(run: NetworkRun, golden: Golden) -> str:
    """Empty if the events are those that the job has to raise."""
    allowed = {"DONE", "DENOMINATOR"} if golden.denominator_errors else {"DONE"}
    if "DONE" in run.events and run.events <= allowed:
        return ""
    return (
        f"every logit is right, but events must be {', '.join(sorted(allowed))}, not "
        f"{', '.join(sorted(run.events)) or 'none'}"
    )


def _image_table(run: NetworkRun, model: CompiledModel, images: Images, golden: Golden) -> Table:
    table = Table(title=f"{_counted(len(images.names))} through {model.name} on {model.config.name}")
    for heading in ("image", "class", "margin", "label", "cycles", "mismatches"):
        table.add_column(heading, justify="left" if heading in ("image", "class") else "right", overflow="fold")
    wrong = np.bincount(_differing(run, golden)[:, 0], minlength=len(images.names))
    real = model.vit.real("logits", run.logits)
    for index, (logits, cycles) in enumerate(zip(real, run.image_cycles)):
        label = images.labels[index]
        best = np.sort(logits)[::-1]
        table.add_row(
            images.names[index],
            model.classes[int(logits.argmax())],
            f"{best[0] - best[1]:.2f}" if len(best) > 1 else "",
            "" if label is None else model.classes[label],
            "" if cycles is None else f"{cycles:,}",
            f"{wrong[index]} of {len(logits)}",
        )
    return table


def _summary(run: NetworkRun, model: CompiledModel, images: Images, golden: Golden, remarks: dict[str, str]) -> Table:
    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in _cycles(run, model).items():
        table.add_row(name, text)
    table.add_row("mismatches", f"{len(_differing(run, golden)):,} of {golden.logits.size:,} logits")
    labelled = [(int(logits.argmax()), label) for logits, label in zip(run.logits, images.labels) if label is not None]
    if labelled:
        right = sum(found == label for found, label in labelled)
        table.add_row("right", f"{right} of {len(labelled)} images with a label, {right / len(labelled):.1%}")
    if golden.denominator_errors:
        table.add_row("denominators", f"{golden.denominator_errors:,} rows of attention saturated, as specified")
    for name, text in remarks.items():
        table.add_row(name, text)
    return table


def _cycles(run: NetworkRun, model: CompiledModel) -> dict[str, str]:
    """What the counters say, name -> text."""
    config, images = model.config, len(run.image_cycles)
    total = {name: sum(job[name] for job in run.jobs) for name in run.jobs[0]}
    if config.counters == "none":
        return {}
    cycles = total["CYCLES"]
    if not images or any(job["CYCLES"] == (1 << config.counter_width) - 1 for job in run.jobs):
        return {"cycles": f"{cycles:,} at least"}
    each = cycles_back_to_back(run)
    return {
        "cycles": f"{cycles:,} in all; {run.image_cycles[0]:,} for the first image"
        + (f", {each:,.1f} for each that follows" if images > 1 else ""),
        **(_where_they_went(total, cycles) if config.counters == "all" else {}),
        "utilization": f"{useful_share(model, each):.1%} of {config.rows} x {config.columns} multiplications useful"
        + (", images back to back" if images > 1 else ""),
    }


def _where_they_went(total: dict[str, int], cycles: int) -> dict[str, str]:
    """The cycles by part of the network, and what the array did in them."""
    kinds = ((kind.name.lower().replace("_", " "), total[f"CYCLES_{kind.name}"]) for kind in Kind)
    waiting = {name: total[f"STALL_{name.upper()}"] / cycles for name in ("tape", "image", "data", "output")}
    return {
        "by kind": ", ".join(f"{name} {count / cycles:.1%}" for name, count in kinds if count),
        "array busy": f"{total['ARRAY_BUSY'] / cycles:.1%} of cycles; waiting for "
        + ", ".join(f"{name} {share:.1%}" for name, share in waiting.items()),
    }


def cycles_back_to_back(run: NetworkRun) -> float:
    """Cycles of an image behind another one, on average; of the only image if there is one, or no other is known.

    Args:
        run (NetworkRun): what came out, of one image at least.
    """
    known = [cycles for cycles in run.image_cycles[1:] or run.image_cycles[:1] if cycles is not None]
    return sum(known) / len(known)


def useful_share(model: CompiledModel, cycles: float) -> float:
    """The share of SA-General's multiplications that are products of the network, in so many cycles of an image."""
    from taylorvit.compiler.plan import plan_of

    config: NetworkConfig = model.config
    products = sum(step.macs for step in plan_of(model.vit.shape, config, model.vit.kernels))
    return products / (cycles * config.rows * config.columns)

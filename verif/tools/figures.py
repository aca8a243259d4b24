"""What both benchmarks do: measure the emission of Verilog, write a report and say what it misses."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

from rich.console import Console

from taylorvit.boundary.writing import written_whole
from taylorvit.gen.generate import top
from taylorvit.gen.verilog import emit
from taylorvit.rtl import __version__
from taylorvit.simulation import compilers

__all__ = ["console", "environment", "measure_emission", "missed_by_emission", "show_end", "write_report"]

EMISSIONS = 3


def measure_emission(config) -> dict:
    """Seconds from a configuration to its Verilog, each the least of a few runs, and the text's size."""
    elapsed, processor = [], []
    for _ in range(EMISSIONS):
        before = os.times()
        verilog = emit(top(config))
        after = os.times()
        elapsed.append(after.elapsed - before.elapsed)
        processor.append(sum(after[:4]) - sum(before[:4]))  # user and system, of this process and its children
    return {
        "preset": config.name,
        "seconds": round(min(elapsed), 2),
        "processor_seconds": round(min(processor), 2),
        "bytes": len(verilog.encode()),
    }


def missed_by_emission(emission: dict, *, seconds: float, size: int) -> list[str]:
    """What takes too long or is too large, one line each: seconds of processor time, and bytes."""
    missed = []
    if emission["processor_seconds"] >= seconds:
        missed.append(
            f"{emission['preset']}: emission must take under {seconds} s of processor time, "
            f"not {emission['processor_seconds']} s"
        )
    if emission["bytes"] >= size:
        missed.append(f"{emission['preset']}: Verilog must be under {size:,} bytes, not {emission['bytes']:,}")
    return missed


def environment() -> dict:
    """What the figures of a report depend on besides the code."""
    return {
        "generator": __version__,
        "tools": compilers.versions("verilator"),
        "machine": {"processor": platform.machine(), "processors": os.cpu_count(), "python": platform.python_version()},
    }


def write_report(path: Path | None, report: dict) -> None:
    """Writes a report as JSON, if it is wanted."""
    if path is not None:
        with written_whole(path) as partial:
            partial.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def console() -> Console:
    """Where tables are printed, wide enough for them."""
    terminal = Console(highlight=False)
    return terminal if terminal.is_terminal else Console(highlight=False, width=150)


def show_end(shown: Console, report: dict) -> None:
    """Prints the emission and what is missed."""
    emission = report["emission"]
    shown.print(
        f"emission of {emission['preset']}: {emission['seconds']} s ({emission['processor_seconds']} s of "
        f"processor time), {emission['bytes']:,} bytes of Verilog"
    )
    for line in report["missed"]:
        shown.print(f"missed: {line}", style="red", soft_wrap=True)

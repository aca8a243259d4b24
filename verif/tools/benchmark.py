"""How fast: cycles a head of some presets, emission of the largest, speed of its simulation (`make bench`).

    python -m verif.tools.benchmark [-o build/bench.json] [--preset NAME ...]

Twelve heads of DeiT's size (197 tokens, 64 features), captured from a trained ViT, go back to back through the stream
ports of each accelerator, the streams kept full. The figures:

    cycles a head   sustained while the streams are full: the heads from the second on, less the last three, by
                    whose time the sources have run dry. (The last head would flatter: no next G comes between.)
    T_SA            cycles of array work a head, `AcceleratorConfig.array_cycles`: no schedule can do better on this
                    array
    ideal           products of the attention / (R C): every PE of SA-General multiplies something useful in every cycle
    utilization     ideal / cycles a head
    emission        seconds from the configuration to the Verilog text, the fastest of three, and its bytes. The limit
                    is on processor time: what else the machine does is not the generator's
    simulation      simulated clock cycles a second, with the bench's own work

What comes out of the hardware is compared with the integer golden: a wrong result is no result. Exit status 1 if one
is wrong or a target is missed, 2 if there is nothing to measure or a simulation breaks off.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from taylorvit.boundary.writing import check_output_file
from taylorvit.gen.presets import load_preset, preset_names
from taylorvit.golden import workloads
from taylorvit.jobs import golden_steps, quantize
from taylorvit.rtl.config import AcceleratorConfig, ConfigError
from taylorvit.simulation import SimulationError, ToolError
from taylorvit.simulation.simulate import build_accelerator, simulate_heads

from .figures import console, environment, measure_emission, missed_by_emission, show_end, write_report

__all__ = ["main", "measure", "missed_targets"]

PRESETS = ("edge-16x8", "edge-16x16", "edge-16x16-softmax", "paper-64x64")
LARGEST = "paper-64x64"
WORKLOAD = "photos_deit_tiny"
HEADS = 12
TAIL = 3  # heads at the end of a job during which no more operands arrive

RATIO_LIMIT = 1.03  # of T_SA
EMISSION_LIMIT = 10.0  # seconds of processor time
SIZE_LIMIT = 1 << 20  # bytes


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m verif.tools.benchmark", description="speed of the accelerator")
    parser.add_argument("-o", "--output", type=Path, help="write the figures there as JSON, too")
    parser.add_argument(
        "--preset",
        action="append",
        metavar="NAME",
        help=f"instead of {', '.join(PRESETS)}; may be given more than once; one of {', '.join(preset_names())}",
    )
    options = parser.parse_args(arguments)
    progress = Console(stderr=True, highlight=False)
    try:
        if options.output is not None:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            check_output_file(options.output, endings=(".json",))
        configs = [load_preset(name) for name in options.preset or PRESETS]
        q, k, v = captured_heads(HEADS)
        with progress.status(f"emitting {LARGEST}"):
            emission = measure_emission(load_preset(LARGEST))
        rows = []
        for config in configs:
            with progress.status(f"building and simulating {config.name}"):
                rows.append(measure(config, q, k, v))
    except (ConfigError, ToolError, ValueError) as error:
        print(f"benchmark: error: {error}", file=sys.stderr)
        return 2
    except SimulationError as error:
        print(error, file=sys.stderr)
        return 2

    report = {
        **environment(),
        "workload": {"name": WORKLOAD, "heads": HEADS, "tokens": q.shape[1], "head_dim": q.shape[2]},
        "emission": emission,
        "accelerators": rows,
        "missed": missed_targets(emission, rows),
    }
    write_report(options.output, report)
    _print(report)
    return 1 if report["missed"] else 0


def captured_heads(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """q, k, v of `count` heads: the captured ones, from the first again when they are all used up."""
    workload = workloads.load(WORKLOAD)
    heads = np.arange(count) % len(workload.q)
    return workload.q[heads], workload.k[heads], workload.v[heads]


def measure(config: AcceleratorConfig, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> dict:
    """Run one job of float heads, each operand (heads, tokens, head_dim), more than `TAIL` + 1 heads.

    Raises:
        ToolError: the simulation cannot be built. SimulationError: it broke off.
    """
    heads, tokens, head_dim = q.shape
    if heads < TAIL + 2:
        raise ValueError(f"heads must be at least {TAIL + 2} for a sustained rate, not {heads!r}")
    job = quantize(q, k, v, config)
    simulation = build_accelerator(config)
    z, result = simulate_heads(simulation, config, job)
    golden = golden_steps(job, config)
    (entry,) = result.measurements["jobs"]
    sustained = (entry["head_cycles"][-1 - TAIL] - entry["head_cycles"][0]) / (heads - 1 - TAIL)
    array_cycles, ideal = config.array_cycles(tokens, head_dim), config.ideal_cycles(tokens, head_dim)
    return {
        "preset": config.name,
        "rows": config.rows,
        "columns": config.columns,
        "cycles_a_head": round(sustained, 2),
        "array_cycles": array_cycles,
        "ratio": round(sustained / array_cycles, 4),
        "ideal_cycles": round(ideal, 2),
        "utilization": round(ideal / sustained, 4),
        "first_head_cycles": entry["head_cycles"][0],
        "job_cycles": entry["counters"]["CYCLES"],
        "compared": z.size,
        "mismatches": int(np.count_nonzero(z != golden.z)),
        "build_seconds": round(simulation.seconds, 1) or None,  # None: built before
        "simulation_seconds": round(entry["seconds"], 2),
        "simulated_cycles_a_second": round(entry["counters"]["CYCLES"] / entry["seconds"]),
    }


def missed_targets(emission: dict, rows: list[dict]) -> list[str]:
    """What is wrong or slower than it has to be, one line each."""
    missed = []
    for row in rows:
        if row["mismatches"]:
            missed.append(f"{row['preset']}: {row['mismatches']} of {row['compared']} elements differ from the golden")
        if row["ratio"] > RATIO_LIMIT:
            missed.append(f"{row['preset']}: cycles a head must be at most {RATIO_LIMIT} T_SA, not {row['ratio']}")
    return missed + missed_by_emission(emission, seconds=EMISSION_LIMIT, size=SIZE_LIMIT)


def _print(report: dict) -> None:
    workload = report["workload"]
    table = Table(
        title=f"{workload['heads']} heads back to back, {workload['tokens']} tokens x "
        f"{workload['head_dim']} features, captured ({workload['name']})"
    )
    for heading in (
        "preset",
        "cycles a head",
        "T_SA",
        "cycles / T_SA",
        "ideal",
        "utilization",
        "first head",
        "mismatches",
        "build",
        "simulated cycles/s",
    ):
        table.add_column(heading, justify="left" if heading == "preset" else "right")
    for row in report["accelerators"]:
        table.add_row(
            row["preset"],
            f"{row['cycles_a_head']:,.1f}",
            f"{row['array_cycles']:,}",
            f"{row['ratio']:.4f}",
            f"{row['ideal_cycles']:,.1f}",
            f"{row['utilization']:.1%}",
            f"{row['first_head_cycles']:,}",
            f"{row['mismatches']} of {row['compared']:,}",
            f"{row['build_seconds']} s" if row["build_seconds"] else "cached",
            f"{row['simulated_cycles_a_second']:,}",
        )
    shown = console()
    shown.print(table)
    show_end(shown, report)


if __name__ == "__main__":
    sys.exit(main())

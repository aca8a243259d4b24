"""How fast: whole networks through the network accelerator's presets (`make bench`).

    python -m verif.tools.network_benchmark [-o build/network_bench.json] [--case NAME ...]

Two images go back to back through the ports of each accelerator, driven from C++. The tape lies in a memory of so many
bytes a cycle, 20 cycles behind its address. The figures:

    cycles an image   of the second image: from the last logit of the first to its own
    nominal           products of the network / (cycles R C): what an array would have to do that skips nothing
    useful            products that the array does / (cycles R C). They are fewer: in the last layer nobody reads other
                      tokens than the prefix tokens, so their queries, projection and MLP are not computed
    emission          as in `verif.tools.benchmark`, of the largest preset
    simulation        simulated clock cycles a second

DeiT-Tiny has random weights, which change no cycle; the model of MNIST is the one that comes with the package. Logits
are compared with the integer model: a wrong result is no result. Exit status 1 if one is wrong or a target is missed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from taylorvit.boundary.writing import check_output_file
from taylorvit.compiler import compile_network
from taylorvit.gen.presets import load_preset
from taylorvit.golden.network.integer_vit import IntegerVit, load_integer_vit
from taylorvit.golden.network.vit import SHAPES, VitShape
from taylorvit.golden.reports.op_counts import linear_operations
from taylorvit.jobs.patches import image_beats
from taylorvit.simulation import ToolError
from taylorvit.simulation.network import NetworkJob, TapeMemory, build_network, simulate_network
from verif.golden.network.random_models import random_model

from .figures import console, environment, measure_emission, missed_by_emission, show_end, write_report

__all__ = ["CASES", "Case", "main", "measure", "missed_targets"]

MODELS = Path(__file__).resolve().parents[2] / "taylorvit" / "models"
LARGEST = "vit-64x64"
LATENCY = 20  # cycles of the memory
IMAGES = 2

EMISSION_LIMIT = 15.0  # seconds of processor time
SIZE_LIMIT = 1_500_000  # bytes


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network on an accelerator.

    Attributes:
        network (str): "mnist5k", the model that comes with the package, or a shape of `SHAPES`, with random weights.
        preset (str): the accelerator.
        bytes_per_cycle (float): of the memory that holds the tape.
        limit (int): cycles an image that it may take.
        kernel (str): attention of all layers of random weights.
    """

    network: str
    preset: str
    bytes_per_cycle: float
    limit: int
    kernel: str = "taylor"

    @property
    def name(self) -> str:
        """What the command line calls it."""
        attention = "" if self.kernel == "taylor" else f"-{self.kernel}"
        return f"{self.network}{attention}@{self.preset}"


CASES = (
    Case(network="mnist5k", preset="vit-16x16", bytes_per_cycle=16, limit=50_000),
    Case(network="deit_tiny", preset="vit-16x16", bytes_per_cycle=2, limit=4_520_000),
    Case(network="deit_tiny", preset="vit-16x8", bytes_per_cycle=1, limit=9_030_000),
    Case(network="deit_tiny", preset="vit-64x64", bytes_per_cycle=32, limit=307_000),
    Case(network="deit_tiny", preset="vit-16x16-mixed", bytes_per_cycle=2, limit=5_050_000, kernel="softmax"),
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(prog="python -m verif.tools.network_benchmark", description="speed of networks")
    parser.add_argument("-o", "--output", type=Path, help="write the figures there as JSON, too")
    parser.add_argument("--case", action="append", choices=names, help="instead of all; may be given more than once")
    options = parser.parse_args(arguments)
    progress = Console(stderr=True, highlight=False)
    try:
        if options.output is not None:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            check_output_file(options.output, endings=(".json",))
        with progress.status(f"emitting {LARGEST}"):
            emission = measure_emission(load_preset(LARGEST))
        rows = []
        for case in CASES:
            if case.name in (options.case or names):
                with progress.status(f"building and simulating {case.name}"):
                    rows.append(measure(case))
    except (ToolError, ValueError) as error:
        print(f"network_benchmark: error: {error}", file=sys.stderr)
        return 2
    report = {
        **environment(),
        "emission": emission,
        "networks": rows,
        "missed": missed_targets(emission, rows),
    }
    write_report(options.output, report)
    _print(report)
    return 1 if report["missed"] else 0


def model_of(case: Case) -> IntegerVit:
    """The model of a case."""
    if case.network in SHAPES:
        return random_model(SHAPES[case.network], 1, kernels=case.kernel)
    return load_integer_vit(MODELS / f"{case.network}.safetensors")


def measure(case: Case, images: int = IMAGES) -> dict:
    """Run some images of random pixels back to back.

    Raises:
        ToolError: the simulation cannot be built.
    """
    config, vit = load_preset(case.preset), model_of(case)
    network = compile_network(vit, config)
    shape = vit.shape
    pixels = np.random.default_rng(1).integers(
        0, 256, (images, shape.channels, shape.image_size, shape.image_size), dtype=np.uint8
    )
    simulation = build_network(config)
    run = simulate_network(
        simulation,
        NetworkJob(
            tape=network.tape,
            beats=image_beats(pixels, shape, config.image_lanes),
            patches=network.patches,
            patch_pixels=network.patch_pixels,
            classes=shape.classes,
            memory=TapeMemory(bytes_per_cycle=case.bytes_per_cycle, latency=LATENCY),
        ),
    )
    golden = vit(pixels)
    if run.logits.shape != golden.shape:
        raise ValueError(f"logits of {case.name} must be of shape {golden.shape!r}, not {run.logits.shape!r}")
    cycles = run.image_cycles[-1]
    products = sum(part.step.macs for part in network.parts)
    array = config.rows * config.columns
    return {
        "case": case.name,
        "bytes_per_cycle": case.bytes_per_cycle,
        "cycles": cycles,
        "limit": case.limit,
        "first_image_cycles": run.image_cycles[0],
        "nominal": round(nominal_products(shape, case.kernel) / (cycles * array), 4),
        "useful": round(products / (cycles * array), 4),
        "tape_bytes": len(network.tape),
        "compared": golden.size,
        "mismatches": int(np.count_nonzero(run.logits != golden)),
        "build_seconds": round(simulation.build.seconds, 1) or None,  # None: built before
        "simulation_seconds": round(run.seconds, 2),
        "simulated_cycles_a_second": round(run.cycles / run.seconds),
    }


def nominal_products(shape: VitShape, kernel: str = "taylor") -> int:
    """Products of a network in which every token goes through every layer, with the two products of its attention."""
    layer = sum(count.multiplications for count in linear_operations(shape).values())
    layer += 2 * shape.tokens * shape.width * (shape.tokens if kernel == "softmax" else shape.head_dim)
    patches = shape.tokens - shape.extra_tokens
    embedding = patches * shape.channels * shape.patch_size**2 * shape.width
    return embedding + shape.depth * layer + shape.extra_tokens * shape.width * shape.classes


def missed_targets(emission: dict, rows: list[dict]) -> list[str]:
    """What is wrong or slower than it has to be, one line each."""
    missed = []
    for row in rows:
        if row["mismatches"]:
            missed.append(f"{row['case']}: {row['mismatches']} of {row['compared']} logits differ from the golden")
        if row["cycles"] > row["limit"]:
            missed.append(f"{row['case']}: an image must take at most {row['limit']:,} cycles, not {row['cycles']:,}")
    return missed + missed_by_emission(emission, seconds=EMISSION_LIMIT, size=SIZE_LIMIT)


def _print(report: dict) -> None:
    table = Table(title=f"images back to back, whole networks, memory {LATENCY} cycles behind its address")
    for heading in (
        "network@preset", "bytes a cycle", "cycles an image", "at most", "nominal", "useful", "mismatches", "build",
        "simulation", "simulated cycles/s",
    ):  # fmt: skip
        table.add_column(heading, justify="left" if heading == "network@preset" else "right")
    for row in report["networks"]:
        table.add_row(
            row["case"],
            f"{row['bytes_per_cycle']:g}",
            f"{row['cycles']:,}",
            f"{row['limit']:,}",
            f"{row['nominal']:.1%}",
            f"{row['useful']:.1%}",
            f"{row['mismatches']} of {row['compared']:,}",
            f"{row['build_seconds']} s" if row["build_seconds"] else "cached",
            f"{row['simulation_seconds']} s",
            f"{row['simulated_cycles_a_second']:,}",
        )
    shown = console()
    shown.print(table)
    show_end(shown, report)


if __name__ == "__main__":
    sys.exit(main())

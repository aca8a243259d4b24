"""One layer of a network as a picture, from a real run: `python -m verif.tools.network_timing_diagram`.

An image goes through the simulated network accelerator with the tape of a small random model; the control signals of
the engine are sampled at every clock edge, and what was active when is drawn into `docs/network_schedule.svg`. Upper
part: a whole layer, product by product. Below: the cycles around a LayerNorm, and those around products of attention,
with single passes.

Nothing is drawn that was not sampled, and the run counts only if its logits are those of the integer model.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from taylorvit.boundary.errors import CommandError
from taylorvit.boundary.writing import check_output_file, written_whole
from taylorvit.compiler import CompiledNetwork, compile_network
from taylorvit.compiler.fitting import format_of
from taylorvit.gen.presets import load_preset
from taylorvit.golden.network.vit import VitShape
from taylorvit.jobs.patches import image_beats
from taylorvit.rtl.network.bundles import LoadKind
from taylorvit.rtl.network.command import Opcode
from taylorvit.simulation.network import NetworkJob, build_network, simulate_network
from verif import ROOT
from verif.golden.network.random_models import random_model, random_pixels

from .timing_drawing import Panel, draw
from .waveform import Trace, read_vcd

__all__ = ["Work", "main", "work_of"]

PRESET = "vit-tiny-4x4"
SHAPE = VitShape(image_size=8, patch_size=2, channels=1, classes=10, depth=2, width=30, heads=3, mlp_ratio=1)
SEED = 1
LAYER = 0

ENGINE = "engine."
STREAM, LOADER = f"{ENGINE}streamer.", f"{ENGINE}tile_loader."
# Rows and columns are in groups of two.
FIRST_COLUMN, LAST_COLUMN = f"{ENGINE}columns_0.column_0.", f"{ENGINE}columns_2.column_1."
FIRST_ROW, LAST_ROW = f"{ENGINE}rows_0.row_0.", f"{ENGINE}rows_2.row_1."
DIVIDE = f"{ENGINE}kernel_center.division_scheduler.divide__"
ROOT_DONE = f"{ENGINE}norm_statistics.root.done"
NORM = f"{ENGINE}norm_scheduler.norm__valid"
START = "host_side.control_status.start"
WAITS = {"data": f"{STREAM}stall_data", "tape": f"{STREAM}stall_tape"}


class WrongResult(CommandError):
    """A run that the integer model disagrees with."""

    status = 1


class Work(NamedTuple):
    """Cycles that a product takes somewhere, from `start` up to, not including, `stop`.

    Attributes:
        start (int): the first cycle.
        stop (int): the cycle behind the last one.
        product (int): number of the product on the tape; -1 if it is none's.
        name (str): the product's, or what else stands in the bar.
        number (int): pass of the product, from 1; 0 where passes are not told apart.
    """

    start: int
    stop: int
    product: int = -1
    name: str = ""
    number: int = 0

    @property
    def style(self) -> str:
        """A colour for each head, and one for what belongs to none; what the kernel computes is pale."""
        head = self.name[1:] if self.name[:1] in set("kvqgz") and self.name[1:].isdigit() else ""
        colour = f"h{head}" if head else {"proj": "h3", "fc1": "h4", "fc2": "h3"}.get(self.name, "idle")
        return f"{colour} QG" if head and self.name[0] in "gz" else colour

    @property
    def label(self) -> str:
        """The product, and the pass if it is known."""
        return self.name + (f", pass {self.number}" if self.number else "")


# From signals to work


def work_of(
    active: np.ndarray, product: np.ndarray, names: list[str], begins: np.ndarray | None = None, gap: int = 0
) -> list[Work]:
    """Active cycles by product.

    Args:
        active (np.ndarray): 1 in the cycles that count.
        product (np.ndarray): number of the product of each cycle.
        names (list[str]): names of the products.
        begins (np.ndarray | None): 1 where a pass begins; passes are told apart.
        gap (int): pauses of so many cycles within a product are bridged.
    """
    found: list[Work] = []
    for cycle in np.flatnonzero(active).tolist():
        number, last = int(product[cycle]), found[-1] if found else None
        same = last is not None and last.product == number
        is_pass = begins is not None and bool(begins[cycle])
        if last is not None and same and not is_pass and cycle - last.stop <= gap:
            found[-1] = last._replace(stop=cycle + 1)
        else:
            passes = 0 if begins is None else (last.number if last is not None and same else 0) + int(is_pass)
            found.append(Work(cycle, cycle + 1, number, names[number], passes))
    return found


def _unwrapped(sequence: np.ndarray, bits: int = 5) -> np.ndarray:
    """Numbers of products, of which only the lowest bits were sampled; -1 before the first one."""
    steps = np.diff(sequence.astype(np.int64), prepend=(1 << bits) - 1) & ((1 << bits) - 1)
    return np.cumsum(steps) - 1


def _behind(finish: np.ndarray) -> np.ndarray:
    """The product of each cycle where the last cycle of every product is known."""
    return np.cumsum(finish) - finish


def _runs(active: np.ndarray, name: str, gap: int = 0) -> list[Work]:
    return work_of(active, np.zeros(len(active), dtype=np.int64), [name], gap=gap)


def _signals() -> list[str]:
    return [
        *WAITS.values(),
        *(f"{LOADER}{name}" for name in ("product_number", "load_control__valid", "load_control__kind")),
        *(
            f"{row}control_in__{name}"
            for row in (FIRST_ROW, LAST_ROW)
            for name in ("swap", "result__valid", "result__finish")
        ),
        *(
            f"{column}result_in__{name}"
            for column in (FIRST_COLUMN, LAST_COLUMN)
            for name in ("valid", "last", "finish")
        ),
        f"{DIVIDE}start",
        f"{DIVIDE}mean",
        ROOT_DONE,
        NORM,
        START,
    ]


def _lanes(trace: Trace, names: list[str], rows: int) -> tuple[dict[str, list[Work]], dict[str, list[Work]]]:
    """Lanes of the upper part, and of the lower parts."""
    control = f"{FIRST_ROW}control_in__"
    array = work_of(trace[f"{control}result__valid"], _behind(trace[f"{control}result__finish"]), names)
    # What is loaded is in a register behind what the loader decides.
    loading = np.roll(_unwrapped(trace[f"{LOADER}product_number"]), 1)
    valid, kind = trace[f"{LOADER}load_control__valid"], trace[f"{LOADER}load_control__kind"]
    of_tile = valid & (kind <= LoadKind.KERNEL_1)
    tiles = work_of(of_tile, loading, names, _every(of_tile, rows))
    constants = work_of(valid & (kind == LoadKind.CONSTANT), loading, names)
    norm_constants = _runs(valid & (kind == LoadKind.NORM_CONSTANT), "LN")

    def of_row(row: str) -> list[Work]:
        product = _behind(trace[f"{row}control_in__result__finish"])
        return work_of(trace[f"{row}control_in__result__valid"], product, names, trace[f"{row}control_in__swap"])

    def totals(column: str) -> list[Work]:
        product = _behind(trace[f"{column}result_in__valid"] & trace[f"{column}result_in__finish"])
        return work_of(trace[f"{column}result_in__valid"] & trace[f"{column}result_in__last"], product, names)

    start, mean = trace[f"{DIVIDE}start"], trace[f"{DIVIDE}mean"]
    waits = [work for name, signal in WAITS.items() for work in _runs(trace[signal], name)]
    shared = {
        "array waits": waits,
        "sums for LN": _runs(trace[ROOT_DONE], "1 / root", gap=rows),
        "LayerNorm": _runs(trace[NORM], "LN", gap=rows),
        "divide: k_mean": _runs(start & mean, "", gap=rows),
        "divide: Z": _runs(start & (1 - mean), "Z", gap=rows),
    }
    columns = {"totals, column 0": totals(FIRST_COLUMN), "totals, column 3": totals(LAST_COLUMN)}
    upper = {"LayerNorm": shared["LayerNorm"], "array": array, "array waits": waits} | {
        "totals": columns["totals, column 0"],
        "divide: k_mean": shared["divide: k_mean"],
        "divide: Z": shared["divide: Z"],
    }
    lower = {
        "LN constants": norm_constants,
        "tile moves in": tiles,
        "constants": constants,
        "array row 0": of_row(FIRST_ROW),
        "array row 3": of_row(LAST_ROW),
        **columns,
        **{name: shared[name] for name in ("sums for LN", "LayerNorm", "divide: k_mean", "divide: Z", "array waits")},
    }
    return upper, lower


def _every(active: np.ndarray, count: int) -> np.ndarray:
    """1 in the first of every `count` active cycles."""
    return active & (np.cumsum(active) % count == 1)


def _within(lanes: dict[str, list[Work]], window: tuple[int, int]) -> dict[str, list[Work]]:
    """The lanes in which something is active within a window."""
    return {
        name: works
        for name, works in lanes.items()
        if any(work.start < window[1] and work.stop > window[0] for work in works)
    }


# Running


def _compiled() -> CompiledNetwork:
    config = load_preset(PRESET)
    return compile_network(random_model(SHAPE, SEED, number_format=format_of(config)), config)


def _record(compiled: CompiledNetwork) -> Trace:
    """A run of one image, from the cycle in which its job starts.

    Raises:
        WrongResult: its logits are not those of the integer model.
        CommandError: the simulation broke off.
    """
    config, vit = compiled.config, compiled.vit
    pixels = random_pixels(SHAPE, SEED)
    job = NetworkJob(
        tape=compiled.tape,
        beats=image_beats(pixels, SHAPE, config.image_lanes),
        patches=compiled.patches,
        patch_pixels=compiled.patch_pixels,
        classes=SHAPE.classes,
    )
    simulation = build_network(config, waves=True)
    with tempfile.TemporaryDirectory() as folder:
        waveform = Path(folder) / "waves.vcd"
        outcome = simulate_network(simulation, job, waveform=waveform)
        if not np.array_equal(outcome.logits, vit(pixels)):
            raise WrongResult("run must give the logits of the integer model to be drawn: see `taylorvit simulate`")
        trace = read_vcd(waveform, simulation.build.top, _signals())
    return trace.from_cycle(int(np.flatnonzero(trace[START])[0]))


def _short(name: str) -> str:
    """The name of a product without its layer: k0, v0, ..., proj, fc1, fc2."""
    return name.rpartition(".")[2].replace("[", "").replace("]", "")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m verif.tools.network_timing_diagram", description="draws the schedule of a layer of a network"
    )
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "network_schedule.svg")
    options = parser.parse_args(arguments)
    try:
        check_output_file(options.output, endings=(".svg",))
        compiled = _compiled()
        trace = _record(compiled)
    except (CommandError, ValueError) as error:
        print(f"network_timing_diagram: error: {error}", file=sys.stderr)
        return getattr(error, "status", 2)
    steps = [part.step for part in compiled.parts if part.step.opcode == Opcode.PRODUCT]
    names = [_short(step.name) for step in steps]
    text = _drawing(trace, names, [step.layer == LAYER for step in steps], compiled)
    with written_whole(options.output) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"wrote {options.output}, {len(text):,} bytes")
    return 0


def _drawing(trace: Trace, names: list[str], drawn: list[bool], compiled: CompiledNetwork) -> str:
    """The picture of the products that are drawn."""
    config = compiled.config
    upper, lower = _lanes(trace, names, config.rows)
    array = [work for work in upper["array"] if work.product >= 0 and drawn[work.product]]
    first_norm = max(work.start for work in lower["LN constants"] if work.start < array[0].start)
    window = (first_norm - 70, array[-1].stop + 10)
    mlp = next(work.start for work in array if work.name == "fc1")
    middle = next(work.start for work in array if work.name == "g0")
    norm, attention = (mlp - 130, mlp + 60), (middle - 50, middle + 140)
    title = (
        f"A layer of {SHAPE.tokens} tokens x {SHAPE.width} features, {SHAPE.heads} heads of {SHAPE.head_dim}, on "
        f"{config.name}, sampled from a simulation"
    )
    return draw(
        [
            Panel(title, upper, window),
            Panel("LayerNorm: the array waits for the last product's totals, then for the first tiles",
                  _within(lower, norm), norm),
            Panel("Attention: a tile for each pass; constants behind the last tile of an output tile",
                  _within(lower, attention), attention),
        ],
        "array",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

"""The schedule as a picture, from a real run: `python -m verif.tools.timing_diagram` writes `docs/schedule.svg`.

A few heads of random tensors go through the simulated accelerator; a waveform (VCD) is recorded, the control signals
of the schedulers and streams are sampled at every clock edge, and what was active when is drawn. Upper part: the whole
job. Lower part: the cycles around one change of products, to see tiles, passes and skew.

Nothing is drawn that was not sampled, and the run counts only if its results equal the integer golden.
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
from taylorvit.gen.presets import load_preset
from taylorvit.jobs import golden_steps, quantize
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import SimulationError
from taylorvit.simulation.simulate import build_accelerator, simulate_heads
from verif import ROOT

from .timing_drawing import Panel, draw
from .waveform import Trace, read_vcd

__all__ = ["Span", "main", "spans_of_packets", "spans_of_products"]

PRESET = "tiny-4x4"
HEADS, TOKENS, HEAD_DIM = 5, 40, 16
SEED = 1

STREAMS = {"K in": "s_axis_k", "V in": "s_axis_v", "Q in": "s_axis_q", "Z out": "m_axis_z"}


class WrongResult(CommandError):
    """A run that the golden disagrees with."""

    status = 1


class Span(NamedTuple):
    """Something active from cycle `start` up to, not including, `stop`."""

    start: int
    stop: int
    head: int
    product: str = ""  # "G" or "QG", where it belongs to one
    number: int = 0  # pass within its product, from 1; 0 where passes are not told apart

    @property
    def style(self) -> str:
        """A colour for each head."""
        return f"h{self.head % 5} {self.product}"

    @property
    def label(self) -> str:
        """Its head, product and pass, as far as they are known."""
        return f"{self.product} {self.head}".strip() + (f", pass {self.number}" if self.number else "")


# From signals to spans


def spans_of_packets(active: np.ndarray, ends: np.ndarray, gap: int) -> list[Span]:
    """Active cycles, numbered by the packet (head) that they belong to; pauses up to `gap` cycles are bridged."""
    spans: list[Span] = []
    head = 0
    for cycle in np.flatnonzero(active).tolist():
        if spans and spans[-1].head == head and cycle - spans[-1].stop <= gap:
            spans[-1] = spans[-1]._replace(stop=cycle + 1)
        else:
            spans.append(Span(cycle, cycle + 1, head))
        head += int(ends[cycle])
    return spans


def spans_of_products(
    active: np.ndarray, phase: np.ndarray, product_end: np.ndarray, pass_start: np.ndarray | None = None
) -> list[Span]:
    """Active cycles by product (phase 0 is G, 1 is Q G) and head; by pass as well, where `pass_start` is given."""
    spans: list[Span] = []
    heads, passes = [0, 0], 0
    ended = True
    for cycle in np.flatnonzero(active).tolist():
        kind = int(phase[cycle])
        begins = ended or (pass_start is not None and pass_start[cycle])
        if begins or cycle != spans[-1].stop:
            if pass_start is not None:
                passes = 1 if ended else passes + int(begins)
            spans.append(Span(cycle, cycle + 1, heads[kind], ("G", "QG")[kind], passes))
        else:
            spans[-1] = spans[-1]._replace(stop=cycle + 1)
        ended = bool(product_end[cycle])
        heads[kind] += ended
    return spans


def _signals(config: AcceleratorConfig) -> list[str]:
    rows, columns = (0, config.rows - 1), (0, config.columns - 1)
    return [
        *(f"{stream}_{name}" for stream in STREAMS.values() for name in ("tvalid", "tready", "tlast")),
        "control_status.start",
        *(f"pass_scheduler.{name}" for name in (
            "load", "load_control__phase", "load_control__release", "array_busy", "stream_control__phase",
            "stream_control__swap", "stream_control__accumulate__head_end")),
        "division_scheduler.divide__start", "division_scheduler.divide__mean",
        *(f"operand_row_{row}.control_in__{name}" for row in rows
          for name in ("phase", "swap", "accumulate__valid", "accumulate__head_end")),
        *(f"column_{column}.accumulate_in__{name}" for column in columns for name in ("valid", "phase", "head_end")),
    ]  # fmt: skip


def _overview(trace: Trace, gap: int) -> dict[str, list[Span]]:
    """Lanes of the whole job."""

    def stream(prefix: str) -> list[Span]:
        beats = trace[f"{prefix}_tvalid"] & trace[f"{prefix}_tready"]
        return spans_of_packets(beats, beats & trace[f"{prefix}_tlast"], gap)

    start, mean = trace["division_scheduler.divide__start"], trace["division_scheduler.divide__mean"]
    rows, tiles = start & (1 - mean), -(-HEAD_DIM // _preset().columns)
    scheduler = "pass_scheduler.stream_control"
    array = spans_of_products(
        trace["pass_scheduler.array_busy"], trace[f"{scheduler}__phase"], trace[f"{scheduler}__accumulate__head_end"]
    )
    return {
        **{name: stream(prefix) for name, prefix in STREAMS.items() if name != "Z out"},
        "divide: k_mean": spans_of_packets(start & mean, _every(start & mean, tiles), gap),
        "array": array,
        "divide: Z": spans_of_packets(rows, _every(rows, tiles * TOKENS), gap),
        "Z out": stream(STREAMS["Z out"]),
    }


def _every(active: np.ndarray, count: int) -> np.ndarray:
    """1 in every `count`-th active cycle."""
    return active & (np.cumsum(active) % count == 0)


def _detail(trace: Trace, config: AcceleratorConfig) -> dict[str, list[Span]]:
    """Lanes of the lower part, all passes apart."""
    # The array's `load` is one cycle later than the control of the same row of the tile.
    load = np.roll(trace["pass_scheduler.load"], -1)
    tile_start = load & (np.cumsum(load) % config.rows == 1)
    lanes = {
        "tile moves in": spans_of_products(
            load, trace["pass_scheduler.load_control__phase"], trace["pass_scheduler.load_control__release"], tile_start
        )
    }
    for row in (0, config.rows - 1):
        control = f"operand_row_{row}.control_in"
        lanes[f"array row {row}"] = spans_of_products(
            trace[f"{control}__accumulate__valid"],
            trace[f"{control}__phase"],
            trace[f"{control}__accumulate__head_end"],
            trace[f"{control}__swap"],
        )
    for column in (0, config.columns - 1):
        control = f"column_{column}.accumulate_in"
        lanes[f"sums, column {column}"] = spans_of_products(
            trace[f"{control}__valid"], trace[f"{control}__phase"], trace[f"{control}__head_end"]
        )
    return lanes


# Running


def _preset() -> AcceleratorConfig:
    return load_preset(PRESET)


def _record(config: AcceleratorConfig) -> Trace:
    """A run of a few heads, from the cycle in which the job starts.

    Raises:
        WrongResult: what came out is not what the golden computes.
        SimulationError: it broke off.
    """
    q, k, v = np.random.default_rng(SEED).standard_normal((3, HEADS, TOKENS, HEAD_DIM))
    job = quantize(q, k, v, config)
    simulation = build_accelerator(config, waves=True)
    with tempfile.TemporaryDirectory() as folder:
        waveform = Path(folder) / "waves.vcd"
        z, _result = simulate_heads(simulation, config, job, waveform=waveform)
        golden = golden_steps(job, config)
        if not np.array_equal(z, golden.z):
            raise WrongResult("run must equal the integer golden to be drawn, and does not: see `taylorvit simulate`")
        trace = read_vcd(waveform, simulation.top, _signals(config))
    return trace.from_cycle(int(np.flatnonzero(trace["control_status.start"])[0]))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m verif.tools.timing_diagram", description="draws the schedule of a run"
    )
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "schedule.svg")
    options = parser.parse_args(arguments)
    try:
        check_output_file(options.output, endings=(".svg",))
        config = _preset()
        trace = _record(config)
    except (CommandError, ValueError) as error:
        print(f"timing_diagram: error: {error}", file=sys.stderr)
        return getattr(error, "status", 2)
    except SimulationError as error:
        print(error, file=sys.stderr)
        return 2
    overview, detail = _overview(trace, gap=config.rows + config.columns), _detail(trace, config)
    # Where the array changes from a G to the Q G of the head before.
    change = next(span.start for span in overview["array"] if span.product == "QG" and span.head == 1)
    title = (
        f"{HEADS} heads of {TOKENS} tokens x {HEAD_DIM} features on {config.name}, sampled from a simulation: "
        f"T_SA = {config.array_cycles(TOKENS, HEAD_DIM):,} cycles a head"
    )
    end = max(span.stop for spans in overview.values() for span in spans)
    text = draw(
        [
            Panel(title, overview, (0, end)),
            Panel(
                "Around one change of products: tiles move in while the pass before them streams",
                detail,
                (change - 60, change + 60),
            ),
        ],
        "array",
    )
    with written_whole(options.output) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"wrote {options.output}, {len(text):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

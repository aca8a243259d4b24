"""Baselines: the figures that a board's bitstream had, to compare a new build with.

A baseline is a file, `fpga/baselines/NAME.json`, where NAME is that of the board, or BOARD-NETWORK: each figure with
its tolerance, and what it was measured with.
"""

import json
from pathlib import Path

from taylorvit.boundary.errors import CommandError
from taylorvit.boundary.reading import read_json
from taylorvit.boundary.writing import written_whole
from taylorvit.fpga.families import RESOURCES

__all__ = [
    "BaselineError",
    "baseline_file",
    "check_baseline",
    "compare",
    "make_baseline",
    "read_baseline",
    "write_baseline",
]

_FOLDER = Path(__file__).resolve().parents[1] / "baselines"
#: Figure -> how much of it, as a share, it may be off in a new baseline. Fmax may be higher by any amount.
_TOLERANCES = {"lut": 0.05, "ff": 0.05, "dsp": 0.0, "block_ram": 0.0, "fmax_mhz": 0.10}

#: What a baseline must have, to be compared with.
_BASELINE = {
    "config": str,
    "core_clock_mhz": float,
    "figures": {name: {"value": float, "tolerance": float} for name in _TOLERANCES},
}


class BaselineError(CommandError):
    """A build that differs from its board's baseline, or a board that has none."""

    status = 1


def baseline_file(name):
    """Where the baseline of a bitstream is, or would be.

    Args:
        name (str): what the bitstream is called.

    Returns:
        Path: the file.
    """
    return _FOLDER / f"{name}.json"


def read_baseline(path):
    """Reads a baseline.

    Args:
        path (Path): the file.

    Returns:
        dict: the baseline.

    Raises:
        BaselineError: there is no such file.
        FileError: the file holds none.
    """
    if not path.is_file():
        raise BaselineError(f"cannot compare with a baseline: there is no {path}; make it with --write-baseline")
    return read_json(path, what="the baseline of a board", schema=_BASELINE)


def make_baseline(report):
    """The baseline that the report of a build makes.

    Args:
        report (dict): the report.

    Returns:
        dict: configuration, core clock, each figure with its tolerance, and versions of the tools.
    """
    return {
        "config": report["config"]["name"],
        "core_clock_mhz": report["core_clock_mhz"],
        "figures": {name: {"value": value, "tolerance": _TOLERANCES[name]} for name, value in _figures(report).items()},
        "tools": report["tools"],
    }


def compare(report, baseline):
    """Compares the report of a build with a baseline.

    Args:
        report (dict): the report.
        baseline (dict): the baseline.

    Returns:
        list[str]: a line for each figure that is out of its tolerance.

    Raises:
        BaselineError: the baseline is that of another configuration or core clock.
    """
    for key, mine in (("config", report["config"]["name"]), ("core_clock_mhz", report["core_clock_mhz"])):
        if baseline[key] != mine:
            raise BaselineError(f"{key} of the build must be that of the baseline, {baseline[key]!r}, not {mine!r}")
    differences = []
    for name, value in _figures(report).items():
        expected, tolerance = baseline["figures"][name]["value"], baseline["figures"][name]["tolerance"]
        low = expected * (1 - tolerance)
        high = float("inf") if name == "fmax_mhz" else expected * (1 + tolerance)
        if not low <= value <= high:
            differences.append(f"{name} is {value:,}, and was {expected:,} (tolerance {tolerance:.0%})")
    return differences


def write_baseline(path, report):
    """Makes the report of a build a baseline.

    Args:
        path (Path): the file; its folder is there.
        report (dict): the report.
    """
    with written_whole(path) as partial:
        partial.write_text(json.dumps(make_baseline(report), indent=2) + "\n", encoding="utf-8")


def check_baseline(path, report):
    """Compares the report of a build with a baseline.

    Args:
        path (Path): the file of the baseline.
        report (dict): the report.

    Raises:
        BaselineError: there is none, or they differ; the text says in what.
    """
    differences = compare(report, read_baseline(path))
    if differences:
        raise BaselineError(f"build must agree with {path}: {'; '.join(differences)}")


def _figures(report):
    figures = {kind: report["resources"][kind]["used"] for kind in RESOURCES}
    return figures | {"fmax_mhz": min(clock["fmax_mhz"] for clock in report["clocks"].values())}

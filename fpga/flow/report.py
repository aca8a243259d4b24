"""Figures of a build: report.json, its table, and the comparison with a board's baseline.

The names in report.json are stable:

    board, title, device, config, build_id    what was built
    seed, core_clock_mhz, timing_met
    resources    lut, ff, dsp, block_ram: each {used, available}
    clocks       name -> {fmax_mhz, constraint_mhz}
    critical_path    {clock, delay_ns, source, sink, hops}: instances by path; hops: [{instance, logic_ns, routing_ns}]
    blocks       name -> {lut, ff, dsp, block_ram}: the parts of the design (`fpga.flow.placement.BLOCKS`)
    modules      path -> {instances, lut, ff, dsp, block_ram}: each module without those in it
    seconds      stage -> wall seconds
    tools        name -> version
    notes        what limits these figures
"""

import json
import re
from pathlib import Path

from rich.table import Table

from taylorvit.boundary.errors import CommandError
from taylorvit.boundary.reading import read_json
from taylorvit.fpga.families import RESOURCES

from . import floorplan

__all__ = ["BaselineError", "baseline_file", "compare", "make_baseline", "make_report",
           "read_baseline", "read_report", "report_table", "summary_table"]  # fmt: skip

_BASELINES = Path(__file__).resolve().parents[1] / "baselines"
#: Figure -> how far, as a share, it may be off in a new baseline. Fmax may be higher by any amount.
_TOLERANCES = {"lut": 0.05, "ff": 0.05, "dsp": 0.0, "block_ram": 0.0, "fmax_mhz": 0.10}

#: What a report and a baseline must have, to be shown and compared.
_REPORT = {
    "board": str, "title": str, "config": {"name": str, "rows": int, "columns": int},
    "core_clock_mhz": float, "timing_met": bool,
    "resources": {kind: {"used": int, "available": int} for kind in RESOURCES},
    "clocks": {str: {"fmax_mhz": float, "constraint_mhz": float}},
    "critical_path": (None, {"delay_ns": float, "hops": [{"instance": str}]}),
    "blocks": {str: dict.fromkeys(RESOURCES, int)}, "seconds": {str: float}, "tools": {str: str}, "notes": [str],
}  # fmt: skip
_BASELINE = {
    "config": str, "core_clock_mhz": float,
    "figures": {name: {"value": float, "tolerance": float} for name in _TOLERANCES},
}  # fmt: skip


class BaselineError(CommandError):
    """A build that differs from its board's baseline, or a board that has none."""

    status = 1


def make_report(build):
    """The report of a placed `fpga.flow.build.Build`, as a dictionary."""
    timing = json.loads((build.directory / "timing.json").read_text(encoding="utf-8"))
    placed, family = build.directory / "placed.json", build.board.family
    blocks = floorplan.resources(placed, family=family)
    available = floorplan.available_sites(timing, family=family)
    margin = 1 + build.margin_percent / 100  # nextpnr was asked for so much more than is wanted
    clocks = {
        _clock_name(name): {
            "fmax_mhz": round(clock["achieved"], 2), "constraint_mhz": round(clock["constraint"] / margin, 2)
        }
        for name, clock in timing["fmax"].items()
    }  # fmt: skip
    notes = [build.board.family.note] if build.board.family.note else []
    return {
        "board": build.board.name,
        "title": build.board.title,
        "device": build.board.device,
        "config": build.top.config.to_mapping(),
        "build_id": f"{build.top.host_link.build_id:#010x}",
        "seed": build.seed,
        "core_clock_mhz": build.top.clock_hz / 1e6,
        "timing_met": bool(clocks) and all(each["fmax_mhz"] >= each["constraint_mhz"] for each in clocks.values()),
        "resources": {
            name: {"used": sum(block[name] for block in blocks.values()), "available": available[name]}
            for name in RESOURCES
        },
        "clocks": clocks,
        "critical_path": _critical_path(timing),
        "blocks": blocks,
        "modules": floorplan.modules(placed, family=family),
        "seconds": build.seconds(),
        "tools": build.toolchain.versions,
        "notes": notes,
    }


def _clock_name(net):
    """ "core" for the clock that everything runs on, whichever of its names in the hierarchy a tool has chosen."""
    net = re.sub(r"^\$\w+\$", "", net)  # what nextpnr puts in front of a global net's
    return "core" if re.match(r"clk|clock", net.rpartition(".")[2]) else net


def _instance(cell):
    """The instance that a cell of the flattened design came from; the cell's own name at the top."""
    return cell.rpartition(".")[0] or "board_top"


def _critical_path(timing):
    """The slowest path from register to register of one clock, or None if there is none."""
    candidates = [path for path in timing["critical_paths"] if path["from"] == path["to"] != "<async>"]
    if not candidates:
        return None
    slowest = max(candidates, key=lambda path: sum(hop["delay"] for hop in path["path"]))
    steps = slowest["path"]
    hops: list[dict] = []
    for step in steps:
        # A routing step ends at a cell, any other is within one.
        instance = _instance(step["to"]["cell"])
        if not hops or hops[-1]["instance"] != instance:
            hops.append({"instance": instance, "logic_ns": 0.0, "routing_ns": 0.0})
        hops[-1]["routing_ns" if step["type"] == "routing" else "logic_ns"] += step["delay"]
    for hop in hops:
        hop |= {"logic_ns": round(hop["logic_ns"], 3), "routing_ns": round(hop["routing_ns"], 3)}
    return {
        "clock": _clock_name(slowest["from"].partition(" ")[2]),
        "delay_ns": round(sum(step["delay"] for step in steps), 3),
        "source": _instance(steps[0]["from"]["cell"]),
        "sink": _instance(steps[-1]["to"]["cell"]),
        "hops": hops,
    }


def read_report(path):
    """The report in a file; `FileError` if it is none."""
    return read_json(path, what="the report of a build", schema=_REPORT)


def report_table(report):
    """The report as tables and lines for a console."""
    resources = Table(title=f"{report['title']}, {report['config']['name']}")
    for heading in ("block", *RESOURCES.values()):
        resources.add_column(heading, justify="left" if heading == "block" else "right")
    for name, block in report["blocks"].items():
        resources.add_row(name, *(f"{block[kind]:,}" for kind in RESOURCES))
    resources.add_section()
    used, available = ({kind: report["resources"][kind][column] for kind in RESOURCES}
                       for column in ("used", "available"))  # fmt: skip
    resources.add_row("all", *(f"{used[kind]:,}" for kind in RESOURCES))
    resources.add_row("device", *(f"{available[kind]:,}" for kind in RESOURCES))
    shares = (f"{used[kind] / available[kind]:.0%}" if available[kind] else "" for kind in RESOURCES)
    resources.add_row("share", *shares)

    lines = []
    for name, clock in report["clocks"].items():
        verdict = "met" if clock["fmax_mhz"] >= clock["constraint_mhz"] else "NOT MET"
        lines.append(f"clock {name}: {clock['fmax_mhz']:.1f} MHz, {clock['constraint_mhz']:.1f} MHz wanted: {verdict}")
    path = report["critical_path"]
    if path:
        hops = " -> ".join(hop["instance"] for hop in path["hops"])
        lines.append(f"critical path, {path['delay_ns']:.2f} ns: {hops}")
    seconds = report["seconds"]
    lines.append("seconds: " + ", ".join(f"{name.replace('_', ' ')} {value:.0f}" for name, value in seconds.items()))
    return resources, [*lines, *report["notes"]]


def summary_table(reports):
    """The reports of several builds as one table."""
    table = Table(title="Bitstreams")
    for heading in ("board", "preset", "PEs", "core clock", "Fmax", *RESOURCES.values(), "seconds"):
        table.add_column(heading, justify="left" if heading in ("board", "preset") else "right")
    for report in reports:
        table.add_row(*_summary_row(report))
    return table


def _summary_row(report):
    config, resources = report["config"], report["resources"]
    fmax = min((clock["fmax_mhz"] for clock in report["clocks"].values()), default=0.0)
    return (
        report["board"],
        config["name"],
        f"{config['rows']} x {config['columns']} + {config['rows']}",
        f"{report['core_clock_mhz']:.4g} MHz",
        f"{fmax:.1f} MHz",
        *(f"{each['used']:,} ({each['used'] / max(1, each['available']):.0%})" for each in resources.values()),
        f"{sum(report['seconds'].values()):.0f}",
    )


# Baselines


def baseline_file(board_name):
    """Where a board's baseline is."""
    return _BASELINES / f"{board_name}.json"


def read_baseline(path):
    """The baseline in a file; `FileError` if it is none."""
    return read_json(path, what="the baseline of a board", schema=_BASELINE)


def _figures(report):
    figures = {kind: report["resources"][kind]["used"] for kind in RESOURCES}
    return figures | {"fmax_mhz": min(clock["fmax_mhz"] for clock in report["clocks"].values())}


def make_baseline(report):
    """The baseline that a report would be: figure -> value and tolerance, and what it was measured with."""
    return {
        "config": report["config"]["name"],
        "core_clock_mhz": report["core_clock_mhz"],
        "figures": {name: {"value": value, "tolerance": _TOLERANCES[name]} for name, value in _figures(report).items()},
        "tools": report["tools"],
    }


def compare(report, baseline):
    """What of a report is outside of a baseline, a line each; none if it agrees.

    Raises `BaselineError` if the baseline is of another configuration or clock.
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

"""The report of a build, report.json: its figures.

The names in it are stable:

    board, title, device, config, build_id    what was built
    seed, core_clock_mhz, timing_met
    resources    lut, ff, dsp, block_ram: each {used, available}
    clocks       name -> {fmax_mhz, constraint_mhz}
    critical_path    {clock, delay_ns, source, sink, hops}: instances by path; hops: [{instance, logic_ns, routing_ns}]
    blocks       name -> {lut, ff, dsp, block_ram}: the parts of the design (`BLOCKS` and `NETWORK_BLOCKS` of
                 `fpga.flow.placement`)
    modules      path -> {instances, lut, ff, dsp, block_ram}: each module, without those in it
    seconds      stage -> wall seconds
    tools        name -> version
    notes        what limits these figures
"""

import json
import re

from taylorvit.boundary.reading import read_json
from taylorvit.fpga.families import RESOURCES

from . import floorplan

__all__ = ["make_report", "read_report"]

#: What a report must have, to be shown and compared.
_REPORT = {
    "board": str,
    "title": str,
    "config": {"name": str, "rows": int, "columns": int},
    "core_clock_mhz": float,
    "timing_met": bool,
    "resources": {kind: {"used": int, "available": int} for kind in RESOURCES},
    "clocks": {str: {"fmax_mhz": float, "constraint_mhz": float}},
    "critical_path": (None, {"delay_ns": float, "hops": [{"instance": str}]}),
    "blocks": {str: dict.fromkeys(RESOURCES, int)},
    "seconds": {str: float},
    "tools": {str: str},
    "notes": [str],
}


def make_report(build):
    """The report of a placed build.

    Args:
        build (fpga.flow.build.Build): a build whose stage "place_and_route" is done.

    Returns:
        dict: the report.
    """
    timing = json.loads((build.directory / "timing.json").read_text(encoding="utf-8"))
    placed, family = build.directory / "placed.json", build.board.family
    blocks = floorplan.resources(placed, family=family, accelerator=build.top.config.accelerator)
    available = floorplan.available_sites(timing, family=family)
    margin = 1 + build.margin_percent / 100  # nextpnr was asked for so much more than is wanted
    clocks = {
        _clock_name(name): {
            "fmax_mhz": round(clock["achieved"], 2),
            "constraint_mhz": round(clock["constraint"] / margin, 2),
        }
        for name, clock in timing["fmax"].items()
    }
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
    """A clock's name: core for the core clock, whose net has a name of any level of the hierarchy; else the net's."""
    net = re.sub(r"^\$\w+\$", "", net)  # the prefix that nextpnr gives to a global net
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
    """Reads a report.

    Args:
        path (Path): the file.

    Returns:
        dict: the report.

    Raises:
        FileError: the file holds none.
    """
    return read_json(path, what="the report of a build", schema=_REPORT)

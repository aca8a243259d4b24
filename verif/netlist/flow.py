"""From generated Verilog to its netlists: Yosys, then nextpnr, each run once for the same input and tools.

What a tool makes lies in `netlist/<name>-<hash>` of the cache folder, with its log. The hash is of what goes in:
Verilog or netlist, options, versions.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from taylorvit.fpga.flow.toolchain import find_toolchain, find_yosys, run_tool
from taylorvit.gen.verilog import emit
from taylorvit.rtl.common.block import Block
from taylorvit.simulation.places import cache_folder, once

from .cell_models import CellModels
from .netlist import Netlist, read_netlist, restore_constant_ports

__all__ = ["STAGES", "Step", "make_netlist", "route", "synthesize"]

STAGES = ("post-synthesis", "post-route")


@dataclass(frozen=True)
class Step:
    """What a tool has made: the netlist, and how long that took, 0 seconds where it was there already."""

    netlist: Path
    seconds: float


def synthesize(verilog: str, top: str, models: CellModels) -> Step:
    """The netlist of the module `top`, of the cells of a family, as a build synthesizes it.

    Raises `FpgaToolError` if Yosys refuses it.

    By way of RTLIL, as in `fpga.flow.build`: Yosys would go back to the Verilog where a vendor's cell is instantiated.
    """
    yosys = find_yosys()
    script = "read_verilog design.v; write_rtlil design.il; design -reset; read_rtlil design.il; " + "; ".join(
        [*models.family.synthesis(top, models.part), "flatten", "clean", "write_json netlist.json"]
    )

    def make(directory: Path) -> None:
        (directory / "design.v").write_text(verilog, encoding="utf-8")
        run_tool(yosys, ["-q", "-p", script], directory=directory, log=directory / "log.txt")

    return _step(f"{models.name}-synthesized", make, verilog, script, yosys.version)


def route(synthesized: Path, models: CellModels) -> Step:
    """The netlist after place and route of what `synthesize` made, on the family's device for a design without a board.

    Raises `FpgaToolError` if nextpnr fails, `ValueError` if the family has no such device.
    """
    if models.options is None:
        raise ValueError(f"family must have a device to route a design without a board for, not {models.name!r}")
    nextpnr = find_toolchain(models.family).nextpnr
    netlist = synthesized.read_text(encoding="utf-8")
    arguments = ["--json", "synthesized.json", "--write", "netlist.json", *models.options]
    arguments += ["-q", "--timing-allow-fail", "--no-tmdriv", "--seed", "1"]  # where cells lie makes no difference

    def make(directory: Path) -> None:
        (directory / "synthesized.json").write_text(netlist, encoding="utf-8")
        run_tool(nextpnr, arguments, directory=directory, log=directory / "log.txt")

    return _step(f"{models.name}-routed", make, netlist, arguments, nextpnr.version)


def make_netlist(design: Block, models: CellModels, stage: str) -> Netlist:
    """The netlist of a design after the stage, one of `STAGES`."""
    if stage not in STAGES:
        raise ValueError(f"stage must be one of {', '.join(STAGES)}, not {stage!r}")
    path = synthesize(emit(design), design.module_name, models).netlist
    synthesized = read_netlist(path)
    if stage == "post-synthesis":
        return synthesized
    routed = read_netlist(route(path, models).netlist)
    restore_constant_ports(routed, synthesized)
    return routed


def _step(name: str, make, *inputs) -> Step:
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:20]
    directory = cache_folder() / "netlist" / f"{name}-{digest}"
    return Step(directory / "netlist.json", once(directory, make))

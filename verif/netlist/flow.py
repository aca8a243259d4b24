"""From generated Verilog to its netlists: Yosys, then nextpnr, each run once for the same input and tools.

What a tool makes lies in `build/netlist/<name>-<hash>`, with its log. The hash is of what goes in: Verilog or netlist,
options, versions.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from fpga.toolchain import find_toolchain, find_yosys, run_tool
from verif.bench.simulation import ROOT, once
from verif.netlist.families import Family

__all__ = ["Step", "route", "synthesize"]

STEPS = ROOT / "build" / "netlist"


@dataclass(frozen=True)
class Step:
    """What a tool has made: the netlist, and how long that took, 0 seconds where it was there already."""

    netlist: Path
    seconds: float


def synthesize(verilog: str, top: str, family: Family) -> Step:
    """The netlist of the module `top`, of the cells of a family. Raises `ToolError` if Yosys refuses it."""
    yosys = find_yosys()
    script = f"read_verilog design.v; {family.synthesis.format(top=top, output='netlist.json')}"

    def make(directory: Path) -> None:
        (directory / "design.v").write_text(verilog, encoding="utf-8")
        run_tool(yosys, ["-q", "-p", script], directory=directory, log=directory / "log.txt")

    return _step(f"{family.name}-synthesized", make, verilog, script, yosys.version)


def route(synthesized: Path, family: Family, *, options: tuple[str, ...] | None = None,
          files: dict[str, str] | None = None) -> Step:
    """The netlist after place and route of what `synthesize` made, out of context unless `options` say otherwise.

    `files` are written beside the netlist first: name -> text. Raises `ToolError` if nextpnr fails.
    """
    nextpnr = find_toolchain(family.name).nextpnr
    netlist = synthesized.read_bytes()
    given = family.options if options is None else options
    arguments = [option.format(netlist="synthesized.json", output="netlist.json") for option in given]
    arguments += ["-q", "--write", "netlist.json", "--timing-allow-fail", "--seed", "1"]

    def make(directory: Path) -> None:
        (directory / "synthesized.json").write_bytes(netlist)
        for name, text in (files or {}).items():
            (directory / name).write_text(text, encoding="utf-8")
        run_tool(nextpnr, arguments, directory=directory, log=directory / "log.txt")

    return _step(f"{family.name}-routed", make, netlist.decode(), arguments, files, nextpnr.version)


def _step(name: str, make, *inputs) -> Step:
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:20]
    directory = STEPS / f"{name}-{digest}"
    return Step(directory / "netlist.json", once(directory, make))

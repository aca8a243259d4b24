"""From a board and a configuration to a bitstream.

    emit -> synthesize -> place and route -> report -> pack
     .v       netlist       placed design    figures   bitstream

A build has a folder of its own, `build/fpga/BOARD/HASH`, named by a hash of everything that it depends on: the
Verilog, the constraints, the commands, the rules for sites and the versions of the tools. So what is there is right: a
finished build is used again, and one that was interrupted goes on with the first stage that is missing. A stage writes
its files under names that end in `.partial` and renames them when it is done; last comes a marker, `STAGE.json`, which
says that it is finished, how long it took and what its files are like: where one is lost or damaged, the stage is done
again. A lock keeps a second process that asks for the same build waiting until it is there.

Two things end a build with a `BuildError`: a large buffer that did not become block RAM (found after synthesis, before
the long part), and timing that is not met. In the second case figures and picture are there to be looked at, but no
bitstream.
"""

import hashlib
import inspect
import json
import os
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from taylorvit.boundary.errors import CommandError
from taylorvit.boundary.manifest import are_as_described, described
from taylorvit.fpga.families import FAMILIES
from taylorvit.fpga.families.constraints import constraints
from taylorvit.fpga.top import BoardTop
from taylorvit.gen.verilog import emit, instances
from taylorvit.rtl.common.memory_bank import MemoryBank

from . import floorplan
from .report import make_report, read_report
from .toolchain import Toolchain, find_toolchain, get_ready, run_tool

__all__ = ["STAGES", "Build", "BuildError", "Finished", "prepare"]

STAGES = ("emit", "synthesize", "place_and_route", "report", "pack")

#: Buffers of at least so many bits have to become block RAM; smaller ones may be distributed over LUTs.
_LARGE_BUFFER = 4096


class BuildError(CommandError):
    """A build that ran, and whose result must not be used; the message says why."""

    status = 1


@dataclass(frozen=True)
class Finished:
    """What a build left: the bitstream, the report as in report.json, and whether all of it was there already."""

    bitstream: Path
    report: dict
    reused: bool


def prepare(board, config, *, seed=1, margin_percent=0, root=Path("build"), toolchain=None):
    """The `Build` of an accelerator for a board: what is to be done, nothing of it done yet.

    Parameters
    ----------
    board: `fpga.board.Board`, with the core clock wanted.
    config: the accelerator's configuration.
    seed: of place and route.
    margin_percent: how much faster than wanted nextpnr is asked to make the core clock. Its router goes by estimates
        until the last wire has its place.
    root: folder in which builds are made, `root/fpga/BOARD/HASH`.
    toolchain: the tools; those that `fpga.flow.toolchain.find_toolchain` finds if left out.

    Raises `ToolError` if a tool is missing, `ValueError` if board, clock or link cannot be built so.
    """
    toolchain = find_toolchain(board.family) if toolchain is None else toolchain
    return Build(board, BoardTop(board, config), seed, margin_percent, Path(root), toolchain)


class Build:
    """One build. `run` does it; `directory` is where.

    Attributes
    ----------
    board, top, seed, margin_percent, toolchain: what is built, with what.
    directory: the folder of this build and of no other.
    bitstream, report_file, picture: files that it leaves there.
    """

    def __init__(self, board, top, seed, margin_percent, root, toolchain: Toolchain):
        self.board = board
        self.top = top
        self.seed = seed
        self.margin_percent = margin_percent
        self.toolchain = toolchain
        self.family = FAMILIES[board.family]
        self.verilog = emit(top)
        self.directory = root / "fpga" / board.name / self.hash
        self.bitstream = self.directory / f"{board.name}.{self.family.bitstream}"
        self.report_file = self.directory / "report.json"
        self.picture = self.directory / "floorplan.svg"

    @cached_property
    def hash(self):
        """Twelve hexadecimal digits of everything that the result depends on."""
        inputs = {
            "verilog": self.verilog,
            "constraints": constraints(self.board, self.margin_percent),
            "synthesis": self._synthesis_script(),
            "sites": inspect.getsource(sys.modules[self.family.sites.__module__]) if self.family.sites else "",
            "place_and_route": self._place_and_route_arguments(),
            "pack": self._pack_arguments(),
            "tools": self.toolchain.versions,
        }
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:12]

    def run(self, progress=None):
        """Does what is still to be done; returns `Finished`.

        `progress(stage, event)` is called with event "start", "done" or "reused" for each of `STAGES`. Raises
        `BuildError` or `fpga.flow.toolchain.ToolError`; what is finished stays, and the next run goes on from there.
        """
        from filelock import FileLock

        progress = progress or (lambda _stage, _event: None)
        self.directory.mkdir(parents=True, exist_ok=True)
        with FileLock(self.directory / ".lock"):
            return self._run_stages(progress)

    def _run_stages(self, progress):
        reused = True
        for stage in STAGES:
            if self._read_marker(stage):
                progress(stage, "reused")
            else:
                reused = False
                progress(stage, "start")
                self._do(stage)
                progress(stage, "done")
            if stage == "report":
                self._require_timing()
        return Finished(self.bitstream, self.report(), reused)

    def report(self):
        """The figures of a build whose stage "report" is done, as in report.json."""
        return read_report(self.report_file)

    def seconds(self):
        """Stage -> wall seconds that it took, of those that are done."""
        markers = {stage: self._read_marker(stage) for stage in STAGES}
        return {stage: marker["seconds"] for stage, marker in markers.items() if marker}

    # Stages

    def _marker(self, stage):
        return self.directory / ("reported.json" if stage == "report" else f"{stage}.json")

    def _read_marker(self, stage):
        """What is known of a stage that is done, an empty dictionary if it is not, or not any more."""
        try:
            marker = json.loads(self._marker(stage).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        done = isinstance(marker, dict) and "seconds" in marker
        return marker if done and are_as_described(self.directory, marker.get("files")) else {}

    def _do(self, stage):
        tools = self.toolchain
        needed = {"synthesize": tools.yosys, "place_and_route": tools.nextpnr, "pack": tools.pack}
        if stage in needed:
            get_ready(needed[stage])
        begin = time.perf_counter()
        names = getattr(self, f"_{stage}")()
        seconds = round(time.perf_counter() - begin, 2)
        files = described(self.directory, (self.directory / name for name in names))
        self._write(self._marker(stage).name, json.dumps({"seconds": seconds, "files": files}) + "\n")

    # Each returns the names of the files that others read.

    def _emit(self):
        return [
            self._write("board_top.v", self.verilog),
            self._write(f"board_top.{self.family.constraints}", constraints(self.board, self.margin_percent)),
            self._write("synthesis.ys", self._synthesis_script()),
        ]

    def _synthesis_script(self):
        # By way of RTLIL: Yosys would go back to the Verilog of modules that are flattened by then, when it finds out
        # late, in its timing library, what an instantiated cell of the vendor is like.
        return "\n".join([
            "read_verilog board_top.v",
            "write_rtlil board_top.il",
            "design -reset",
            "read_rtlil board_top.il",
            *self.family.synthesis(self.board),
            "flatten",
            "clean",
            "write_json netlist.json.partial",
            "tee -o statistics.json.partial stat -json",
            "",
        ])  # fmt: skip

    def _synthesize(self):
        # Yosys keeps a log of its own: some builds of it lose what they print.
        names = self._run(self.toolchain.yosys, ["-q", "-l", "synthesis.log", "-s", "synthesis.ys"], "synthesis.out",
                          ["netlist.json", "statistics.json"])  # fmt: skip
        netlist = json.loads((self.directory / "netlist.json").read_text(encoding="utf-8"))
        cells = netlist["modules"]["board_top"]["cells"]
        block_rams = [name for name, cell in cells.items() if cell["type"] in self.family.block_ram]
        self._require_block_ram(block_rams)
        if self.family.sites is not None:
            prefix = "accelerator."
            names = [name.removeprefix(prefix) for name in block_rams if name.startswith(prefix)]
            for name, site in self.family.sites(self.top.config, self.board.device, names).items():
                cells[prefix + name]["attributes"]["BEL"] = site
            self._write("netlist.json", json.dumps(netlist))
        return names

    def _place_and_route_arguments(self):
        frequency = f"{self.top.clock_hz / 1e6 * (1 + self.margin_percent / 100):.6g}"
        family = self.family
        routed = [family.routed_option, f"{family.routed}.partial"] if family.routed_option else []
        # Timing is judged by `_require_timing`, so that a build that fails it has its figures.
        return [
            *family.place_and_route(self.board, f"board_top.{family.constraints}"),
            *self.board.place_and_route,
            "--json", "netlist.json", "--write", "placed.json.partial", *routed, "--report", "timing.json.partial",
            "--freq", frequency, "--seed", str(self.seed), "--timing-allow-fail", "--quiet",
            "--log", "place_and_route.log",
        ]  # fmt: skip

    def _place_and_route(self):
        routed = [self.family.routed] if self.family.routed_option else []
        return self._run(self.toolchain.nextpnr, self._place_and_route_arguments(), "place_and_route.out",
                         ["placed.json", "timing.json", *routed])  # fmt: skip

    def _report(self):
        floorplan.draw(
            self.directory / "placed.json",
            self.directory / "floorplan.svg.partial",
            title=f"{self.board.title}: {self.top.config.rows} x {self.top.config.columns} PEs "
            f"at {self.top.clock_hz / 1e6:.6g} MHz",
            family=self.board.family,
            report=self.directory / "timing.json",
        )
        os.replace(self.directory / "floorplan.svg.partial", self.picture)
        report = self._write(self.report_file.name, json.dumps(make_report(self), indent=2) + "\n")
        return [self.picture.name, report]

    def _pack_arguments(self):
        return self.family.pack(self.board, self.family.routed, f"bitstream.{self.family.bitstream}.partial")

    def _pack(self):
        self._run(self.toolchain.pack, self._pack_arguments(), "pack.log", [])
        os.replace(self.directory / f"bitstream.{self.family.bitstream}.partial", self.bitstream)
        return [self.bitstream.name]

    def _run(self, tool, arguments, log, results):
        """Runs a tool that writes `results` under partial names; returns their names."""
        run_tool(tool, arguments, directory=self.directory, log=self.directory / log)
        for name in results:
            os.replace(self.directory / f"{name}.partial", self.directory / name)
        return results

    def _write(self, name, text):
        """Writes a file, whole or not at all; returns its name."""
        partial = self.directory / f"{name}.partial"
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, self.directory / name)
        return name

    # Checks

    def _require_block_ram(self, block_rams):
        """Raises `BuildError` if a large buffer has none of the cells `block_rams`, their names in the netlist."""
        used = {name.rpartition(".memory")[0] for name in block_rams}
        missing = [
            f"{path} ({block.depth} x {block.width})"
            for path, block in instances(self.top)
            if isinstance(block, MemoryBank) and block.depth * block.width >= _LARGE_BUFFER and path not in used
        ]
        if missing:
            raise BuildError(f"buffers must become block RAM, and these did not: {', '.join(missing)}")

    def _require_timing(self):
        report = self.report()
        if not report["timing_met"]:
            slow = [
                f"{name} reaches {clock['fmax_mhz']:.1f} of {clock['constraint_mhz']:.1f} MHz"
                for name, clock in report["clocks"].items()
                if clock["fmax_mhz"] < clock["constraint_mhz"]
            ]
            raise BuildError(
                f"timing must be met, and is not: {', '.join(slow)}; choose another --seed or a lower --freq "
                f"({self.report_file} has the critical path)"
            )

"""From a board and a configuration to a bitstream.

    emit -> synthesize -> place and route -> report -> pack
     .v       netlist       placed design    figures   bitstream

A build has a folder of its own, `build/fpga/NAME/HASH`, where NAME is that of the board, and for a network accelerator
BOARD-NETWORK. HASH is one of everything that the build depends on: the Verilog, the constraints, the commands, the
sites chosen before placement and the versions of the tools. So what is in the folder is right: a finished build is used
again, and an interrupted one continues with the first stage that is missing. A stage writes its files under names that
end in `.partial` and renames them when it is done. Last it writes a marker, `STAGE.json`, which states how long the
stage took and what its files are like; where one of them is lost or damaged, the stage runs again. A lock makes a
second process that asks for the same build wait for the first.

Three things end a build with a `BuildError`: a large buffer that did not become block RAM, which is found after
synthesis, before the long part; a router that makes no progress any more (`fpga.flow.router_progress`), which is ended
and leaves its log; and timing that is not met. In the last case figures and picture are there, but no bitstream.
"""

import hashlib
import json
import os
import time
from dataclasses import dataclass
from functools import cached_property, partial
from math import ceil
from pathlib import Path

from taylorvit.boundary.errors import CommandError
from taylorvit.boundary.manifest import are_as_described, described
from taylorvit.fpga.top import board_top
from taylorvit.gen.verilog import emit, instances
from taylorvit.rtl.array.multiplier import FORMS
from taylorvit.rtl.common.loading import load
from taylorvit.rtl.common.memory_bank import MemoryBank

from . import floorplan
from .constraints import constraints
from .report import make_report, read_report
from .router_progress import RouterLog, why_stuck
from .toolchain import Toolchain, find_toolchain, get_ready, run_tool

__all__ = ["STAGES", "Build", "BuildError", "Finished", "prepare"]

STAGES = ("emit", "synthesize", "place_and_route", "report", "pack")

#: Buffers of at least so many bits must become block RAM; smaller ones may be distributed over LUTs.
_LARGE_BUFFER = 4096
#: Bits of a block RAM, roughly, of any family.
_BLOCK_RAM = 16384
#: In the names of cells, which `Family.sites` counts from here.
_ACCELERATOR = "accelerator."
#: Where nextpnr says what it does.
_ROUTER_LOG = "place_and_route.log"


class BuildError(CommandError):
    """A build that ran, and whose result must not be used; the message says why."""

    status = 1


@dataclass(frozen=True)
class Finished:
    """What a build left.

    Attributes:
        bitstream (Path): the bitstream.
        report (dict): its figures, as in report.json.
        reused (bool): whether all of it was there already.
    """

    bitstream: Path
    report: dict
    reused: bool


def prepare(board, config, *, tape=None, name=None, seed=1, margin_percent=0, root=Path("build"), toolchain=None):
    """Checks what is to be built, and finds the tools. Nothing is emitted or written yet.

    Args:
        board (Board): the board, with the core clock wanted.
        config (AcceleratorConfig | NetworkConfig): the accelerator's configuration.
        tape (bytes | None): of a network accelerator, what its memory on the chip contains at power-up; None for
            nothing.
        name (str | None): what the bitstream is called; None for the name of the board.
        seed (int): of place and route, 1 to `fpga.board.LARGEST_SEED`.
        margin_percent (int): how much faster than wanted nextpnr is asked to make the core clock, in per cent, or
            negative for slower: its router works with estimates until the last wire is routed, and takes wires apart
            over and over where the placer's estimate does not reach what is asked for.
        root (Path): folder for builds; this one is `root/fpga/NAME/HASH`.
        toolchain (Toolchain | None): the tools; None for those that `find_toolchain` finds.

    Returns:
        Build: the build.

    Raises:
        FpgaToolError: a tool is missing.
        ValueError: board, clock, link and configuration do not go together.
    """
    toolchain = find_toolchain(board.family) if toolchain is None else toolchain
    return Build(board, board_top(board, config, tape), name or board.name, seed, margin_percent, Path(root), toolchain)


class Build:
    """One build: `run` does it, `directory` is where.

    The Verilog, which takes seconds, is emitted when something first depends on it: `directory`, for example, since the
    hash in its name covers the Verilog.

    Attributes:
        board (Board): the board.
        top (CommonTop): the top level of its bitstream.
        name (str): what the bitstream is called.
        seed (int): of place and route.
        margin_percent (int): how much faster than wanted nextpnr is asked to make the core clock, in per cent; negative
            for slower.
        toolchain (Toolchain): the tools.
    """

    def __init__(self, board, top, name, seed, margin_percent, root, toolchain: Toolchain):
        self.board = board
        self.top = top
        self.name = name
        self.seed = seed
        self.margin_percent = margin_percent
        self.toolchain = toolchain
        self._root = root
        self._emission_seconds = 0.0

    @cached_property
    def verilog(self):
        """The Verilog of the whole board."""
        begin = time.perf_counter()
        text = emit(self.top)
        self._emission_seconds = time.perf_counter() - begin
        return text

    @cached_property
    def hash(self):
        """Twelve hexadecimal digits of everything that the result depends on."""
        inputs = {
            "verilog": self.verilog,
            "constraints": self._constraints(),
            "synthesis": self._synthesis_script(),
            "sites": [
                self._sites(self._expected(buffers), self._products())
                for buffers in (self._large_buffers(), self._buffers())
            ],
            "place_and_route": self._place_and_route_arguments(),
            "pack": self._pack_arguments(),
            "tools": self.toolchain.versions,
        }
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:12]

    @cached_property
    def directory(self):
        """The folder of this build, and of no other."""
        return self._root / "fpga" / self.name / self.hash

    @property
    def bitstream(self):
        """The bitstream that it leaves."""
        return self.directory / f"{self.name}.{self.board.family.bitstream_suffix}"

    @property
    def report_file(self):
        """The figures that it leaves."""
        return self.directory / "report.json"

    @property
    def picture(self):
        """The floorplan that it leaves."""
        return self.directory / "floorplan.svg"

    def run(self, progress=None):
        """Does what is not done yet. What is finished stays, and the next run goes on from there.

        Args:
            progress (Callable[[str, str], None] | None): is called with each of `STAGES` and an event: "start", then
                "done", or "reused". Between the first two, the event may be how far the stage is, in a few words.
                "emit" starts always, since the Verilog names the folder, and so says what was done before.

        Returns:
            Finished: the result.

        Raises:
            BuildError: the result must not be used.
            FpgaToolError: a tool failed.
        """
        from filelock import FileLock

        progress = progress or (lambda _stage, _event: None)
        progress("emit", "start")
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
                self._get_ready(stage)
                if stage != "emit":
                    progress(stage, "start")
                self._do(stage, partial(progress, stage))
                progress(stage, "done")
            if stage == "report":
                self._require_timing()
        return Finished(self.bitstream, self.report(), reused)

    def report(self):
        """Reads the figures of a build whose stage "report" is done.

        Returns:
            dict: the figures, as in report.json.

        Raises:
            FileError: they are not there, or damaged.
        """
        return read_report(self.report_file)

    def seconds(self):
        """How long the stages took that are done.

        Returns:
            dict[str, float]: stage -> wall seconds; those of "emit" with the emission of the Verilog.
        """
        markers = {stage: self._read_marker(stage) for stage in STAGES}
        return {stage: marker["seconds"] for stage, marker in markers.items() if marker}

    # Stages

    def _marker(self, stage):
        return self.directory / ("reported.json" if stage == "report" else f"{stage}.json")

    def _read_marker(self, stage):
        """What is known of a stage that is done; an empty dictionary if it is not, or not any more."""
        try:
            marker = json.loads(self._marker(stage).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        done = isinstance(marker, dict) and "seconds" in marker
        return marker if done and are_as_described(self.directory, marker.get("files")) else {}

    def _get_ready(self, stage):
        tools = self.toolchain
        needed = {"synthesize": tools.yosys, "place_and_route": tools.nextpnr, "pack": tools.pack}
        if stage in needed:
            get_ready(needed[stage])

    def _do(self, stage, tell):
        begin = time.perf_counter()
        names = self._place_and_route(tell) if stage == "place_and_route" else getattr(self, f"_{stage}")()
        seconds = time.perf_counter() - begin + (self._emission_seconds if stage == "emit" else 0)
        files = described(self.directory, (self.directory / name for name in names))
        self._write(self._marker(stage).name, json.dumps({"seconds": round(seconds, 2), "files": files}) + "\n")

    # Each returns the names of the files that others read.

    def _emit(self):
        return [
            self._write("board_top.v", self.verilog),
            self._write(self._constraint_file, self._constraints()),
            self._write("synthesis.ys", self._synthesis_script()),
        ]

    @property
    def _constraint_file(self):
        return f"board_top.{self.board.family.constraints_suffix}"

    def _constraints(self):
        return constraints(self.board, self.margin_percent, sdram="sdram_dq" in self.top.pads)

    def _synthesis_script(self):
        # The Verilog goes through RTLIL: otherwise Yosys would return to the Verilog of modules that are flattened by
        # then, when its timing library tells it, late, what an instantiated cell of the vendor is like.
        return "\n".join(
            [
                "read_verilog board_top.v",
                "write_rtlil board_top.il",
                "design -reset",
                "read_rtlil board_top.il",
                *self.board.family.synthesis("board_top", self.board.part, self.board.synthesis),
                "flatten",
                "clean",
                "write_json netlist.json.partial",
                "tee -o statistics.json.partial stat -json",
                "",
            ]
        )

    def _synthesize(self):
        # Yosys keeps a log of its own, since some builds of it lose what they print.
        names = self._run(
            self.toolchain.yosys,
            ["-q", "-l", "synthesis.log", "-s", "synthesis.ys"],
            "synthesis.out",
            ["netlist.json", "statistics.json"],
        )
        netlist = json.loads((self.directory / "netlist.json").read_text(encoding="utf-8"))
        cells = netlist["modules"]["board_top"]["cells"]
        block_rams = [name for name, cell in cells.items() if cell["type"] in self.board.family.block_ram]
        self._require_block_ram(block_rams)
        if self.board.family.sites is not None:
            products = [name for name in self._products() if name in cells]
            for name, site in self._sites(block_rams, products).items():
                cells[name]["attributes"]["BEL"] = site
            self._write("netlist.json", json.dumps(netlist))
        return names

    def _sites(self, block_rams, products):
        """Cell -> site, for the cells whose sites the family chooses, of these block RAMs and products."""
        if self.board.family.sites is None:
            return {}
        below = (
            [name.removeprefix(_ACCELERATOR) for name in cells if name.startswith(_ACCELERATOR)]
            for cells in (block_rams, products)
        )
        sites = self.board.family.sites(self.top.config, self.board.device, *below)
        return {f"{_ACCELERATOR}{name}": site for name, site in sites.items()}

    def _expected(self, buffers):
        """Names of block RAM cells as synthesis may give them, for the hash: their sites stand for the family's rule.

        Which cells there really are follows from what else is hashed: those of the large buffers at least, and of all
        at most.
        """
        return [
            f"{path}.memory.0.{part}"
            for path, block in buffers
            for part in range(ceil(block.depth * block.width / _BLOCK_RAM))
        ]

    def _place_and_route_arguments(self):
        frequency = f"{self.top.clock_hz / 1e6 * (1 + self.margin_percent / 100):.6g}"
        family = self.board.family
        routed = [family.routed_option, f"{family.routed}.partial"] if family.routed_option else []
        # Whether timing is met is judged by `_require_timing`, so that a build that fails has its figures.
        return [
            *family.place_and_route(self.board.part, self._constraint_file),
            *self.board.place_and_route,
            "--json", "netlist.json", "--write", "placed.json.partial", *routed, "--report", "timing.json.partial",
            "--freq", frequency, "--seed", str(self.seed), "--timing-allow-fail", "--quiet",
            "--log", _ROUTER_LOG,
        ]  # fmt: skip

    def _place_and_route(self, tell):
        log = self.directory / _ROUTER_LOG
        log.unlink(missing_ok=True)  # that of a run that was ended says nothing of this one
        router = RouterLog(log)

        def watch():
            if router.read_on():
                tell(router.state)
                if why := why_stuck(router.conflicts):
                    raise BuildError(
                        f"cannot route: the router makes no progress: {why}; choose another --seed, a lower --freq or "
                        f"a smaller configuration ({log} has all passes)"
                    )

        family = self.board.family
        routed = [family.routed] if family.routed_option else []
        return self._run(
            self.toolchain.nextpnr,
            self._place_and_route_arguments(),
            "place_and_route.out",
            ["placed.json", "timing.json", *routed],
            watch,
        )

    def _report(self):
        floorplan.draw(
            self.directory / "placed.json",
            self.directory / "floorplan.svg.partial",
            title=f"{self.board.title}: {self.top.config.rows} x {self.top.config.columns} PEs "
            f"at {self.top.clock_hz / 1e6:.6g} MHz",
            family=self.board.family,
            report=self.directory / "timing.json",
            accelerator=self.top.config.accelerator,
        )
        os.replace(self.directory / "floorplan.svg.partial", self.picture)
        report = self._write(self.report_file.name, json.dumps(make_report(self), indent=2) + "\n")
        return [self.picture.name, report]

    @property
    def _unpublished_bitstream(self):
        return f"bitstream.{self.board.family.bitstream_suffix}.partial"

    def _pack_arguments(self):
        return self.board.family.pack(self.board.part, self.board.family.routed, self._unpublished_bitstream)

    def _pack(self):
        self._run(self.toolchain.pack, self._pack_arguments(), "pack.log", [])
        os.replace(self.directory / self._unpublished_bitstream, self.bitstream)
        return [self.bitstream.name]

    def _run(self, tool, arguments, log, results, watch=lambda: None):
        """Runs a tool that writes `results` under partial names; returns their names."""
        run_tool(tool, arguments, directory=self.directory, log=self.directory / log, watch=watch)
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

    def _buffers(self):
        """(path, `MemoryBank`) of each buffer that may become block RAM."""
        for path, block in instances(self.top):
            if isinstance(block, MemoryBank) and block.kind in ("auto", "block", "split"):
                yield path, block

    def _products(self):
        """Names of the multipliers that are instantiated as cells, besides the array's."""
        product = FORMS[self.top.config.multiplier].product
        found = instances(self.top) if product else []
        return [f"{path}.dsp" for path, block in found if isinstance(block, load(product))]

    def _large_buffers(self):
        """Those that must."""
        return [(path, block) for path, block in self._buffers() if block.depth * block.width >= _LARGE_BUFFER]

    def _require_block_ram(self, block_rams):
        """Raises `BuildError` if a large buffer has none of the cells `block_rams`, their names in the netlist."""
        used = {name.rpartition(".memory")[0] for name in block_rams}
        missing = [
            f"{path} ({block.depth} x {block.width})" for path, block in self._large_buffers() if path not in used
        ]
        if missing:
            raise BuildError(
                f"cannot place and route: these buffers did not become block RAM: {', '.join(missing)}; "
                f"{self.directory / 'synthesis.log'} has what Yosys made of them"
            )

    def _require_timing(self):
        report = self.report()
        if not report["timing_met"]:
            slow = [
                f"{name} reaches {clock['fmax_mhz']:.1f} of {clock['constraint_mhz']:.1f} MHz"
                for name, clock in report["clocks"].items()
                if clock["fmax_mhz"] < clock["constraint_mhz"]
            ]
            raise BuildError(
                f"cannot pack a bitstream: timing is not met: {', '.join(slow)}; choose another --seed or a lower "
                f"--freq ({self.report_file} has the critical path)"
            )

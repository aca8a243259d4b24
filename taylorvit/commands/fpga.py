"""The command line, `taylorvit`: boards, build, load, run, report.

Exit status: 0 done, 1 a build whose result must not be used (timing, buffers, baseline) or a run whose bits differ, 2 a
request that cannot be carried out, with one line that says why.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import time
from pathlib import Path

from rich.live import Live
from rich.table import Table
from rich.text import Text

from taylorvit.boundary.command import (
    CommandError,
    complain,
    console,
    needs,
    parse,
    real_number,
    run_command,
    whole_number,
)
from taylorvit.boundary.writing import check_output_file, check_output_folder, written_whole
from taylorvit.fpga.board import LARGEST_SEED, board_names, load_board, load_board_file
from taylorvit.fpga.families import FAMILIES
from taylorvit.fpga.families.clocking import core_clock
from taylorvit.fpga.flow.build import STAGES, prepare
from taylorvit.fpga.flow.report import (
    SUMMARY_COLUMNS,
    BaselineError,
    baseline_file,
    compare,
    make_baseline,
    read_baseline,
    read_report,
    report_table,
    summary_row,
)
from taylorvit.gen.presets import load_file, load_preset, preset_names

from . import c_job
from . import run as board_run

__all__ = ["main"]

NAMES = ("boards", "build", "load", "run", "c-job", "report")
_PROGRAM = "taylorvit"


def main(argv=None):
    """Runs the command line `argv` (`sys.argv` if left out); returns the exit status."""

    def body():
        arguments = parse(_parser(), argv)
        return arguments.command(arguments)

    return run_command(_PROGRAM, body, interrupted="interrupted; the stages that are done will be used again")


def _parser():
    parser = argparse.ArgumentParser(prog="taylorvit", description="TaylorViT on FPGA boards.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    boards = commands.add_parser("boards", help="list the boards and what is built for each")
    boards.set_defaults(command=_boards)

    build = commands.add_parser(
        "build",
        help="make a bitstream",
        description="Makes a bitstream, or finds the one made before. Exit status 1 if timing is not met, a buffer did "
        "not become block RAM, or --check finds a difference.",
    )
    _add_board(build, "--board", required=True, several=True)
    choice = build.add_mutually_exclusive_group()
    choice.add_argument("--preset", metavar="NAME", help="of the board (default: its first), or of the generator")
    choice.add_argument("--config", metavar="FILE.toml", type=Path, help="a configuration of your own")
    build.add_argument("--freq", metavar="MHZ", type=real_number(1, 1000, "MHz"),
                       help="core clock (default: the preset's)")  # fmt: skip
    build.add_argument("--seed", metavar="N", type=whole_number(1, LARGEST_SEED),
                       help="seed of place and route (default: the preset's)")  # fmt: skip
    build.add_argument("-o", "--output", metavar="DIR", type=Path, default=Path("build"), help="default: build")
    build.add_argument("--check", action="store_true", help="compare with the board's baseline")
    build.add_argument("--write-baseline", action="store_true", help="make this build the board's baseline")
    build.set_defaults(command=_build)

    load = commands.add_parser("load", help="load a finished bitstream into a board")
    _add_board(load, "--board", required=True)
    load.add_argument("bitstream", nargs="?", type=Path, help="file (default: the newest build of the board)")
    load.set_defaults(command=_load)

    run = commands.add_parser("run", help="run your own Q, K, V on a board, or on a simulated one")
    board_run.add_arguments(run)
    run.set_defaults(command=board_run.run)

    job = commands.add_parser("c-job", help="write your own Q, K, V as C source for the bare-metal example")
    c_job.add_arguments(job)
    job.set_defaults(command=c_job.run)

    report = commands.add_parser("report", help="show the report of a build")
    report.add_argument("directory", metavar="DIR", type=Path, help="folder of a build, with report.json")
    report.set_defaults(command=_report)
    return parser


def _add_board(parser, option, *, required, several=False):
    parser.add_argument(
        option, metavar="BOARD", required=required, action="append" if several else "store",
        help=f"one of {', '.join(board_names())}, or a TOML file" + ("; may be given several times" if several else ""),
    )  # fmt: skip


def _board(name):
    return load_board_file(name) if name.endswith(".toml") else load_board(name)


def _boards(_arguments):
    table = Table(title="Boards")
    for heading in ("board", "device", "preset", "array", "PEs", "core clock", "tokens", "head dim", "buffers", "link"):
        table.add_column(heading, justify="left" if heading in ("board", "device", "preset", "link") else "right")
    for name in board_names():
        board = load_board(name)
        for index, (preset_name, preset) in enumerate(board.presets.items()):
            config = preset.config
            clock = core_clock(board.with_core_hz(preset.core_hz))
            table.add_row(
                name if index == 0 else "",
                f"{board.device} {board.speed}".strip() if index == 0 else "",
                preset_name,
                f"{config.rows} x {config.columns} + {config.rows} x 1",
                f"{config.processing_elements:,}",
                f"{float(clock.hz) / 1e6:.4g} MHz",
                str(config.max_tokens),
                str(config.max_head_dim),
                f"{sum(config.buffer_bytes.values()):,} bytes",
                f"UART {board.baud / 1e6:g} Mbaud" if index == 0 else "",
            )
    console().print(table)


# build


@needs("fpga")
def _build(arguments):
    check_output_folder(arguments.output)
    import filelock  # noqa: F401 - is missed now, and not when there is something to lock

    screen = console()
    reports, failures = [], []
    for name, chosen in {name: _choose(_board(name), arguments) for name in arguments.board}.items():
        try:
            reports.append(_build_one(screen, chosen, arguments))
        except CommandError as error:
            if len(arguments.board) == 1:
                raise
            failures.append(f"{name}: {error}")
            complain(_PROGRAM, CommandError(failures[-1]))
    if len(arguments.board) > 1:
        table = Table(title="Bitstreams")
        for heading in SUMMARY_COLUMNS:
            table.add_column(heading, justify="left" if heading in ("board", "preset") else "right")
        for report in reports:
            table.add_row(*summary_row(report))
        screen.print(table)
        for failure in failures:
            screen.print(f"FAILED  {failure.splitlines()[0]}")
    return 1 if failures else 0


def _choose(board, arguments):
    """(board with its core clock, configuration, seed, margin in per cent) of a request."""
    preset = board.preset()
    config = preset.config
    if arguments.config is not None:
        config = load_file(arguments.config)
    elif arguments.preset in board.presets:
        preset = board.preset(arguments.preset)
        config = preset.config
    elif arguments.preset is not None:
        if arguments.preset not in preset_names():
            known = ", ".join([*board.presets, *preset_names()])
            raise ValueError(f"preset must be one of {known}, not {arguments.preset!r}")
        config = load_preset(arguments.preset)
    core_hz = preset.core_hz if arguments.freq is None else round(arguments.freq * 1e6)
    seed = preset.seed if arguments.seed is None else arguments.seed
    return board.with_core_hz(core_hz), config, seed, preset.margin_percent


def _build_one(screen, chosen, arguments):
    board, config, seed, margin = chosen
    if arguments.write_baseline:
        baseline_file(board.name).parent.mkdir(exist_ok=True)
        check_output_file(baseline_file(board.name))
    elif arguments.check:
        _baseline(board)
    build = prepare(board, config, seed=seed, margin_percent=margin, root=arguments.output)
    for why in build.toolchain.refused:
        screen.print(f"not used: {why}")
    screen.print(f"{board.title}, {config.name}: {build.directory}")
    with _Progress(screen) as progress:
        finished = build.run(progress)
    if finished.reused:
        screen.print("nothing has changed: this build was there already")
    table, lines = report_table(finished.report)
    screen.print(table)
    screen.print("\n".join(lines))
    screen.print(f"wrote  {finished.bitstream}\nwrote  {build.picture}\nwrote  {build.report_file}")
    if arguments.write_baseline:
        path = baseline_file(board.name)
        with written_whole(path) as partial:
            partial.write_text(json.dumps(make_baseline(finished.report), indent=2) + "\n", encoding="utf-8")
        screen.print(f"wrote  {path}")
    if arguments.check:
        _check(screen, board, finished.report)
    return finished.report


def _baseline(board):
    path = baseline_file(board.name)
    if not path.is_file():
        raise BaselineError(f"baseline must be there to compare with, and {path} is not: make it with --write-baseline")
    return read_baseline(path)


def _check(screen, board, report):
    path = baseline_file(board.name)
    differences = compare(report, _baseline(board))
    if differences:
        raise BaselineError(f"build must agree with {path}: {'; '.join(differences)}")
    screen.print(f"agrees with {path}")


class _Progress:
    """The stages of a build with their times: a living display on a terminal, a line a stage elsewhere."""

    def __init__(self, screen):
        self._console = screen
        self._began = {}
        self._lines = {}
        self._live = Live(console=screen, get_renderable=self._render, refresh_per_second=4)

    def __enter__(self):
        if self._console.is_terminal:
            self._live.__enter__()
        return self

    def __exit__(self, *exception):
        if self._console.is_terminal:
            self._live.__exit__(*exception)

    def __call__(self, stage, event):
        if event == "start":
            self._began[stage] = time.perf_counter()
            return
        name = stage.replace("_", " ")
        taken = "was done before" if event == "reused" else f"{time.perf_counter() - self._began.pop(stage):7.1f} s"
        self._lines[stage] = f"  {name:16} {taken}"
        if not self._console.is_terminal:
            self._console.print(self._lines[stage])

    def _render(self):
        lines = list(self._lines.values())
        for stage, began in self._began.items():
            name = stage.replace("_", " ")
            lines.append(f"  {name:16} {time.perf_counter() - began:7.1f} s ...")
        lines += [f"  {stage.replace('_', ' ')}" for stage in STAGES if stage not in self._lines | self._began]
        return Text("\n".join(lines))


# load, report


def _load(arguments):
    board = _board(arguments.board)
    bitstream = arguments.bitstream
    if bitstream is None:
        pattern = f"fpga/{board.name}/*/{board.name}.{FAMILIES[board.family].bitstream}"
        found = sorted(Path("build").glob(pattern), key=lambda path: path.stat().st_mtime)
        if not found:
            raise ValueError(f"bitstream of {board.name} must be built first: taylorvit build --board {board.name}")
        bitstream = found[-1]
    elif not bitstream.is_file():
        raise ValueError(f"bitstream must be a file, not {str(bitstream)!r}")
    command = [word.replace("{bitstream}", str(bitstream)) for word in board.loader]
    print(shlex.join(command))
    if shutil.which(command[0]) is None:
        raise CommandError(f"{command[0]} was not found on PATH: install it, and type the line above")
    return 1 if subprocess.run(command, check=False).returncode else 0


def _report(arguments):
    table, lines = report_table(read_report(arguments.directory / "report.json"))
    screen = console()
    screen.print(table)
    screen.print("\n".join(lines))

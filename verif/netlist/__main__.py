"""A netlist beside its RTL, from the command line: `python -m verif.netlist --family ecp5 --stage post-route`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from taylorvit.fpga.board import board_names
from taylorvit.fpga.flow.build import BuildError
from taylorvit.fpga.flow.toolchain import FpgaToolError
from taylorvit.gen.generate import top as top_of
from taylorvit.gen.presets import Configuration, load_file, load_preset, of_kind, preset_names
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import RunResult, SimulationError, ToolError, run

from . import bench
from .cell_models import CELL_MODELS
from .designs import ACCELERATORS, LEAN_NETWORK, LEAN_NETWORKS, NETWORKS, ON_BOARDS, SHAPES
from .flow import STAGES, make_netlist
from .netlist import Netlist
from .pair import build_pair
from .routed_board import board_with_fast_link, routed_board, run_board

__all__ = ["jobs_of", "main"]

LEAN_IMAGES = 3
MOST_TOKENS = 40
DESCRIPTION = """\
Makes the netlist of an accelerator, or with --board that of a whole board, simulates it with jobs of its sizes, and
compares every result with the golden model's and every port with the RTL's. The exit status is 1 if anything differs,
2 if it cannot be made."""
TIME_LIMIT = 3600  # seconds of simulation


def jobs_of(config: AcceleratorConfig) -> list[tuple[int, int, int]]:
    """Shapes (heads, tokens, head dimension) that use all features and several tiles of tokens, and an odd one."""
    heads = min(2, config.max_heads)
    tokens = min(config.max_tokens, max(MOST_TOKENS, 2 * config.rows + 1))
    return [(heads, tokens, config.max_head_dim), (heads, (tokens + 1) // 2, (config.max_head_dim + 1) // 2)]


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 if the netlist gives the golden's results and the RTL's outputs, 1 if not, 2 if there is none."""
    parser = argparse.ArgumentParser(prog="python -m verif.netlist", description=DESCRIPTION)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--family", choices=CELL_MODELS, help="the accelerator alone, for a device of the family")
    what.add_argument("--board", choices=board_names(), help="the whole board after routing, driven through its pins")
    parser.add_argument("--stage", choices=STAGES, help=f"by default {STAGES[0]}; a board's is {STAGES[1]}")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--preset", choices=preset_names(), help="a preset of the generator")
    which.add_argument(
        "--config", type=Path, metavar="FILE", help="a configuration, TOML; by default the small one of the tests"
    )
    which.add_argument("--network", action="store_true", help="the small network accelerator of the tests, for ECP5")
    options = parser.parse_args(arguments)
    if options.board and options.stage == STAGES[0]:
        parser.error(f"stage of a board must be {STAGES[1]}, not {STAGES[0]!r}")
    if options.network and options.family != "ecp5":
        parser.error(f"family must be ecp5 with --network, not {options.family!r}")
    console = Console(width=120)
    try:
        return _check_board(options, console) if options.board else _check_accelerator(options, console)
    except SimulationError as error:
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 1
    except (ValueError, ToolError, FpgaToolError, BuildError) as error:
        console.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        return 2


def _check_accelerator(options: argparse.Namespace, console: Console) -> int:
    models = CELL_MODELS[options.family]
    stage = options.stage or STAGES[0]
    config = _configuration(options, ACCELERATORS[models.name])
    design = top_of(config)
    if isinstance(config, AcceleratorConfig):
        shapes = jobs_of(config) if options.config or options.preset else SHAPES[models.name]
        jobs = ", ".join(f"{heads} x {tokens} x {head_dim}" for heads, tokens, head_dim in shapes)
        testcase, work = "accelerator_equals_golden_and_rtl", {"shapes": shapes}
    else:
        networks, images = (LEAN_NETWORKS, LEAN_IMAGES) if config == LEAN_NETWORK else (NETWORKS, 1)
        jobs = f"{len(networks)} random networks, images of each: {images}"
        testcase, work = "network_equals_golden_and_rtl", {"networks": networks, "images": images}
    netlist = _timed(console, f"{stage} netlist", lambda: make_netlist(design, models, stage))
    simulation = _timed(console, "simulation built", lambda: build_pair(design, netlist, models))
    result = _timed(console, "simulation run", lambda: run(
        simulation, bench.__name__, testcase=testcase, timeout_s=TIME_LIMIT,
        parameters={"config": config.to_mapping(), **work},
    ))  # fmt: skip
    return _show(console, f"{config.name}, {models.name} {stage}", netlist, jobs, result)


def _check_board(options: argparse.Namespace, console: Console) -> int:
    board = board_with_fast_link(options.board)
    config = of_kind(_configuration(options, ON_BOARDS[board.family.name]), AcceleratorConfig, "netlist of a board")
    top, netlist = _timed(console, f"{STAGES[1]} netlist", lambda: routed_board(board, config))
    result = _timed(console, "simulation", lambda: run_board(top, netlist))
    jobs = "captured tensors, twice, over the UART"
    return _show(console, f"{config.name} on {board.name}, {STAGES[1]}", netlist, jobs, result)


def _configuration(options: argparse.Namespace, default: AcceleratorConfig) -> Configuration:
    if options.network:
        return LEAN_NETWORK
    if options.config:
        return load_file(options.config)
    return load_preset(options.preset) if options.preset else default


def _timed(console: Console, what: str, make):
    begin = time.monotonic()
    with console.status(what):
        made = make()
    console.print(f"{what}: {time.monotonic() - begin:.1f} s", highlight=False)
    return made


def _show(console: Console, title: str, netlist: Netlist, jobs: str, result: RunResult) -> int:
    table = Table(title=title, show_header=False)
    table.add_row("cells", ", ".join(f"{count:,} {name}" for name, count in netlist.cell_types().most_common()))
    table.add_row("jobs", jobs)
    table.add_row("beside the golden model", f"{result.compared:,} values compared, 0 differ")
    table.add_row("beside the RTL", "every output in every cycle, 0 differ")
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A netlist beside its RTL, from the command line: `python -m verif.netlist --family ecp5 --stage post-route`.

Makes the netlist of an accelerator, simulates it with jobs of its sizes, and compares every result with the golden
model's and every port with the RTL's. The exit status is 1 if anything differs, 2 if it cannot be made.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fpga.toolchain import ToolError as FpgaToolError
from gen.presets import load_file, load_preset, preset_names
from rtl.accelerator import Accelerator
from rtl.config import AcceleratorConfig
from verif.bench import SimulationError, ToolError, run
from verif.netlist import bench
from verif.netlist.configurations import ACCELERATORS, SHAPES
from verif.netlist.families import FAMILIES
from verif.netlist.flow import STAGES, make_netlist
from verif.netlist.netlist import NetlistError
from verif.netlist.pair import build_pair

__all__ = ["jobs_of", "main"]

MOST_TOKENS = 40
TIME_LIMIT = 3600  # seconds of simulation


def jobs_of(config: AcceleratorConfig) -> list[tuple[int, int, int]]:
    """Shapes (heads, tokens, head dimension) that use all features and several tiles of tokens, and an odd one."""
    heads = min(2, config.max_heads)
    tokens = min(config.max_tokens, max(MOST_TOKENS, 2 * config.rows + 1))
    return [(heads, tokens, config.max_head_dim), (heads, (tokens + 1) // 2, (config.max_head_dim + 1) // 2)]


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 if the netlist gives the golden's results and the RTL's outputs, 1 if not, 2 if there is none."""
    parser = argparse.ArgumentParser(prog="python -m verif.netlist", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--family", choices=FAMILIES, required=True)
    parser.add_argument("--stage", choices=STAGES, default="post-synthesis")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--preset", choices=preset_names(), help="a preset of the generator")
    which.add_argument("--config", type=Path, metavar="FILE", help="a configuration, TOML; by default the small one "
                       "of the tests")  # fmt: skip
    options = parser.parse_args(arguments)
    console = Console(width=120)
    try:
        return _check(options, console)
    except SimulationError as error:
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 1
    except (ValueError, ToolError, FpgaToolError, NetlistError) as error:
        console.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        return 2


def _check(options: argparse.Namespace, console: Console) -> int:
    family = FAMILIES[options.family]
    if options.config or options.preset:
        config = load_file(options.config) if options.config else load_preset(options.preset)
        shapes = jobs_of(config)
    else:
        config, shapes = ACCELERATORS[family.name], SHAPES[family.name]
    design = Accelerator(config)
    seconds = {}

    def timed(stage: str, make):
        begin = time.monotonic()
        with console.status(f"{config.name}: {stage}"):
            made = make()
        seconds[stage] = time.monotonic() - begin
        console.print(f"{stage}: {seconds[stage]:.1f} s", highlight=False)
        return made

    netlist = timed(f"{options.stage} netlist", lambda: make_netlist(design, family, options.stage))
    cells = ", ".join(f"{count:,} {name}" for name, count in netlist.cell_types().most_common())
    simulation = timed("simulation built", lambda: build_pair(design, netlist, family))
    result = timed("simulation run", lambda: run(
        simulation, bench.__name__, testcase="accelerator_equals_golden_and_rtl", timeout_s=TIME_LIMIT,
        parameters={"config": config.to_mapping(), "shapes": shapes},
    ))  # fmt: skip

    table = Table(title=f"{config.name}, {family.name} {options.stage}", show_header=False)
    table.add_row("cells", cells)
    table.add_row("jobs", ", ".join(f"{heads} x {tokens} x {head_dim}" for heads, tokens, head_dim in shapes))
    table.add_row("compared", f"{result.compared:,} values with the golden model's, 0 differ")
    table.add_row("beside the RTL", "every output in every cycle, 0 differ")
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Two readers of the generated Verilog besides the simulator: `python -m verif.tools.lint`.

Every preset is generated, linted by Verilator with all of its warnings and no other option, and read by Yosys, which
checks the hierarchy and that no signal has several drivers or none. Every warning is an error; what is as intended is
waived in the Verilog itself, beside its line (`gen.verilog_writer.waivers`).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from taylorvit.boundary import programs
from taylorvit.gen.generate import top
from taylorvit.gen.presets import load_preset, preset_names
from taylorvit.gen.verilog import emit
from taylorvit.simulation import compilers
from taylorvit.simulation.dsp_cells import dsp_model_files
from verif import ROOT

from .yosys import run_yosys

__all__ = ["Warning", "main", "read_with_yosys", "verilator_warnings", "write_verilog"]

MOST_SHOWN = 20  # warnings of a preset

# A loop that fills a memory at power-up. Yosys unrolls it, in a time that grows with the square of its words; more of
# them would show nothing that these do not.
FILL = re.compile(r"(?<=initial )for \((\w+) = (\d+); \1 < (\d+); ")
MOST_FILLED = 256


@dataclass(frozen=True)
class Warning:
    """One line of Verilator: `rule` is its name without the dash, `text` what follows the place."""

    rule: str
    place: str
    text: str

    def __str__(self):
        return f"{self.rule} at {self.place}: {self.text}"


def verilator_warnings(directory: Path, top: str = "taylorvit") -> list[Warning]:
    """What Verilator warns of in `top`.v there.

    DSP cells that it instantiates have their models. Raises `ToolError` if Verilator does not get to its end.
    """
    models = [argument for file in _models(directory, top) for argument in ("-v", str(file))]
    command = [compilers.verilator(), "--lint-only", "-Wall", "-Wno-fatal", f"{top}.v", *models]
    output = compilers.run_tool(command, cwd=directory, environment=compilers.verilator_environment())
    found = re.findall(r"^%Warning-(\w+): (\S+:\d+:\d+): (.*)$", output, re.MULTILINE)
    count = len(re.findall(r"^%Warning", output, re.MULTILINE))
    if count != len(found):
        raise compilers.ToolError(f"of {count} warnings of Verilator, {len(found)} were understood:\n{output}")
    return [Warning(*fields) for fields in found if fields[1].startswith(f"{top}.v:")]


def read_with_yosys(directory: Path, top: str = "taylorvit") -> str:
    """Has Yosys read and check `top`.v there; what it complains of, or nothing.

    Memories have all of their words, of which at most `MOST_FILLED` get their value at power-up from a loop.
    """
    verilog = (directory / f"{top}.v").read_text(encoding="utf-8")
    short = FILL.sub(_shorter, verilog)
    (directory / f"{top}_yosys.v").write_text(short, encoding="utf-8")
    files = " ".join([f"{top}_yosys.v", *map(str, _models(directory, top))])
    script = f"read_verilog {files}; hierarchy -check -top {top}; proc; check -assert"
    _succeeded, complaints = run_yosys(directory, "-q", "-p", script)
    return complaints


def _shorter(loop):
    index, first, end = loop.groups()
    return f"for ({index} = {first}; {index} < {min(int(end), int(first) + MOST_FILLED)}; "


def _models(directory, top):
    return dsp_model_files((directory / f"{top}.v").read_text(encoding="utf-8"))


def write_verilog(preset: str) -> Path:
    """Generates a preset's Verilog; the file, which is named after its top."""
    component = top(load_preset(preset))
    path = ROOT / "build" / "lint" / preset / f"{component.module_name}.v"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(emit(component), encoding="utf-8")
    return path


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 if both readers accept every preset, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m verif.tools.lint", description="Two readers of the generated Verilog besides the simulator."
    )
    parser.add_argument("presets", nargs="*", metavar="PRESET", help="presets to read; all of them if none is named")
    options = parser.parse_args(arguments)
    unknown = set(options.presets) - set(preset_names())
    if unknown:
        parser.error(f"preset must be one of {', '.join(preset_names())}, not {sorted(unknown)[0]!r}")
    names = options.presets or preset_names()
    console = Console(width=120)
    table = Table(title="Verilator -Wall and Yosys on the generated Verilog")
    for heading in ("preset", "bytes", "modules", "warnings", "Yosys"):
        table.add_column(heading, justify="left" if heading in ("preset", "Yosys") else "right")

    paths = {name: write_verilog(name) for name in names}
    largest_first = sorted(names, key=lambda name: paths[name].stat().st_size, reverse=True)
    readings = [(name, reader) for name in largest_first for reader in (verilator_warnings, read_with_yosys)]

    def read(reading):
        name, reader = reading
        return reader(paths[name].parent, paths[name].stem)

    found = dict(zip(readings, programs.at_once(read, readings, jobs=os.cpu_count() or 1)))
    problems = []
    for name, path in paths.items():
        warnings, complaints = found[name, verilator_warnings], found[name, read_with_yosys]
        problems += [f"{name}: {warning}" for warning in warnings[:MOST_SHOWN]]
        problems += [f"{name}: Yosys: {complaints}"] if complaints else []
        verilog = path.read_text(encoding="utf-8")
        modules = len(re.findall(r"^module ", verilog, re.MULTILINE))
        verdict = "complains" if complaints else "accepts"
        table.add_row(name, f"{len(verilog):,}", str(modules), str(len(warnings)), verdict)
    console.print(table)
    for problem in problems:
        console.print(problem, markup=False, highlight=False, soft_wrap=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

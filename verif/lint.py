"""Two readers of the generated Verilog besides the simulator: `python -m verif.lint`.

Every preset is generated, linted by Verilator with all of its warnings, and read by Yosys, which checks the hierarchy
and that no signal has several drivers or none. Warnings that are as intended are waived one by one in `lint.vlt`,
each with its reason, and every other one is an error.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gen.presets import load_preset, preset_names
from gen.verilog import emit
from rtl.accelerator import Accelerator
from verif.bench import toolchain
from verif.yosys import run_yosys

__all__ = ["Waiver", "Warning", "main", "read_with_yosys", "verilator_warnings", "waivers", "write_verilog"]

ROOT = Path(__file__).resolve().parents[1]
WAIVERS = Path(__file__).with_name("lint.vlt")
MOST_SHOWN = 20  # warnings of a preset
YOSYS_SCRIPT = "read_verilog taylorvit.v; hierarchy -check -top taylorvit; proc; check -assert"


@dataclass(frozen=True)
class Warning:
    """One line of Verilator: `rule` is its name without the dash, `text` what follows the place."""

    rule: str
    place: str
    text: str

    def __str__(self):
        return f"{self.rule} at {self.place}: {self.text}"


@dataclass(frozen=True)
class Waiver:
    """One `lint_off` line: warnings of `rule` whose text matches `pattern`, with * for any text."""

    rule: str
    pattern: str

    def covers(self, warning: Warning) -> bool:
        """Whether it waives this warning, as Verilator understands it."""
        literal = self.pattern.replace("[", "[[]")  # brackets stand for themselves, unlike in fnmatch
        return warning.rule == self.rule and fnmatchcase(warning.text, literal)


def waivers(text: str) -> list[Waiver]:
    """The waivers in the text of a Verilator configuration file.

    Raises `ValueError` for a line that waives without naming rule and message: such a line waives too much.
    """
    found = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("//") or line == "`verilator_config":
            continue
        match = re.fullmatch(r'lint_off -rule (\w+) -file "\S+" -match "([^"]*[^"*][^"]*)"', line)
        if match is None:
            raise ValueError(f'line must be lint_off -rule RULE -file "FILE" -match "TEXT", not {line!r}')
        found.append(Waiver(*match.groups()))
    return found


def verilator_warnings(directory: Path, waived: Path | None = None) -> list[Warning]:
    """What Verilator warns of in `taylorvit.v` there, but for the waivers in the file `waived`.

    Raises `ToolError` if it does not get to its end.
    """
    command = [toolchain.verilator(), "--lint-only", "-Wall", "-Wno-fatal", "--top-module", "taylorvit"]
    files = [*([str(waived)] if waived else []), "taylorvit.v"]
    output = toolchain.run_tool([*command, *files], cwd=directory, environment=toolchain.verilator_environment())
    found = re.findall(r"^%Warning-(\w+): (\S+:\d+:\d+): (.*)$", output, re.MULTILINE)
    count = len(re.findall(r"^%Warning", output, re.MULTILINE))
    if count != len(found):
        raise toolchain.ToolError(f"of {count} warnings of Verilator, {len(found)} were understood:\n{output}")
    return [Warning(*fields) for fields in found]


def read_with_yosys(directory: Path) -> str:
    """Has Yosys read and check `taylorvit.v` there; what it complains of, or nothing."""
    _succeeded, complaints = run_yosys(directory, "-q", "-p", YOSYS_SCRIPT)
    return complaints


def write_verilog(preset: str) -> Path:
    """Generates a preset's `taylorvit.v`; the folder that it is in."""
    directory = ROOT / "build" / "lint" / preset
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "taylorvit.v").write_text(emit(Accelerator(load_preset(preset))), encoding="utf-8")
    return directory


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 if both readers accept every preset, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m verif.lint", description="Two readers of the generated Verilog besides the simulator."
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

    problems = []
    for name in names:
        directory = write_verilog(name)
        warnings, complaints = verilator_warnings(directory, WAIVERS), read_with_yosys(directory)
        problems += [f"{name}: {warning}" for warning in warnings[:MOST_SHOWN]]
        problems += [f"{name}: Yosys: {complaints}"] if complaints else []
        verilog = (directory / "taylorvit.v").read_text(encoding="utf-8")
        modules = len(re.findall(r"^module ", verilog, re.MULTILINE))
        verdict = "complains" if complaints else "accepts"
        table.add_row(name, f"{len(verilog):,}", str(modules), str(len(warnings)), verdict)
    console.print(table)
    for problem in problems:
        console.print(problem, markup=False, highlight=False, soft_wrap=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

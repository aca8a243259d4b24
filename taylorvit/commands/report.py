"""`taylorvit report`: the report of a build."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import console
from taylorvit.fpga.flow.report import read_report
from taylorvit.fpga.flow.report_tables import report_table

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("directory", metavar="DIR", type=Path, help="folder of a build, which holds report.json")


def run(arguments: Namespace) -> None:
    """Carries out the command."""
    file = arguments.directory / "report.json"
    if not file.exists() and (builds := list(arguments.directory.glob("*/report.json"))):
        newest = max(builds, key=lambda path: path.stat().st_mtime).parent
        raise ValueError(
            f"DIR must be the folder of a build, not {str(arguments.directory)!r}; the newest below it is {newest}"
        )
    table, lines = report_table(read_report(file))
    screen = console()
    screen.print(table)
    screen.print("\n".join(lines))

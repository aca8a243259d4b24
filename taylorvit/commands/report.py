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
    table, lines = report_table(read_report(arguments.directory / "report.json"))
    screen = console()
    screen.print(table)
    screen.print("\n".join(lines))

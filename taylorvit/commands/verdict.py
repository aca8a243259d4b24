"""How jobs are shown: their progress, and the verdict."""

from __future__ import annotations

from pathlib import Path

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from taylorvit.boundary.command import CommandError, console
from taylorvit.boundary.writing import check_output_file
from taylorvit.jobs.judgement import Verdict

__all__ = ["check_result_file", "progress_bars", "show_verdict", "transfer_bars"]


def check_result_file(output: Path | None, input: Path) -> None:
    """Raises `FileError` if a result could not be written there, or not beside its input; nothing for None."""
    if output is not None:
        check_output_file(output, endings=(".npz",), inputs=(input,))


def progress_bars() -> Progress:
    """Bars for the stages of a run on standard error, if that is a terminal."""
    return _bars(MofNCompleteColumn(), TimeElapsedColumn())


def transfer_bars() -> Progress:
    """A bar for bytes on a line, with their number a second and the time that is left; likewise."""
    return _bars(DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())


def _bars(*columns: ProgressColumn) -> Progress:
    screen = console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *columns,
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )


def show_verdict(verdict: Verdict, *written: Path | None) -> int:
    """Prints a verdict, and which files were written.

    Returns:
        The exit status: 0 if every bit equals the integer golden, else 1.

    Raises:
        CommandError: every bit is right, and the events are not those of such a job.
    """
    screen = console()
    screen.print(verdict.table)
    for path in written:
        if path is not None:
            screen.print(f"wrote {path}")
    for line in verdict.mismatches:
        screen.print(line, style="red")
    if verdict.wrong_events:
        raise CommandError(verdict.wrong_events)
    return 1 if verdict.mismatches else 0

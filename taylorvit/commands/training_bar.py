"""The progress of a training, on the console."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from taylorvit.boundary.screen import Screen

__all__ = ["TrainingBar", "is_first_process", "training_bar"]


class TrainingBar:
    """What a training, and a quantization before it, tell of themselves; nothing is shown before they do."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def on_step(self, step: str) -> None:
        """Shows a step of a quantization."""
        self._show(f"quantizing {step}", None, 0)

    def progress(self, done: int, epochs: int, text: str) -> None:
        """Shows how many epochs are done, of how many, and what goes on."""
        self._show(text, epochs, done)

    def _show(self, text: str, total: int | None, done: int) -> None:
        if self._task is None:
            self._task = self._bars.add_task(text)
            self._bars.start()
        self._bars.update(self._task, description=text, total=total, completed=done)


def is_first_process() -> bool:
    """Whether this process is the one of those that torchrun has started that prints."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def training_bar(screen: Screen) -> Iterator[TrainingBar]:
    """A bar for a `with` statement; other processes than the first show none."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=screen, disable=not is_first_process())
    try:
        yield TrainingBar(bars)
    finally:
        if bars.live.is_started:
            bars.stop()

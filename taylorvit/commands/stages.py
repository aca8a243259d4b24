"""The stages of a build with their times: a living display on a terminal, a line a stage elsewhere."""

import time

from rich.live import Live
from rich.text import Text

from taylorvit.boundary.screen import Screen
from taylorvit.fpga.flow.build import STAGES

__all__ = ["Stages"]


class Stages:
    """For a `with` statement, and to be called with each stage of `fpga.flow.build.STAGES` and what happens to it.

    Args:
        screen (Screen): where they are shown.
    """

    def __init__(self, screen: Screen) -> None:
        self._console = screen
        self._began: dict[str, float] = {}
        self._notes: dict[str, str] = {}
        self._lines: dict[str, str] = {}
        self._live = Live(console=screen, get_renderable=self._render, refresh_per_second=4)

    def __enter__(self):
        if self._console.is_terminal:
            self._live.__enter__()
        return self

    def __exit__(self, *exception):
        if self._console.is_terminal:
            self._live.__exit__(*exception)

    def __call__(self, stage: str, event: str) -> None:
        """Shows that a stage was "start"ed, is "done", or is "reused"; on a terminal also how far it is."""
        if event == "start":
            self._began[stage] = time.perf_counter()
        elif event in ("done", "reused"):
            self._finish(stage, event)
        else:
            self._notes[stage] = event

    def _finish(self, stage: str, event: str) -> None:
        name = stage.replace("_", " ")
        began = self._began.pop(stage, 0.0)
        taken = "was done before" if event == "reused" else f"{time.perf_counter() - began:7.1f} s"
        self._lines[stage] = f"  {name:16} {taken}"
        if not self._console.is_terminal:
            self._console.print(self._lines[stage])

    def _render(self):
        lines = list(self._lines.values())
        for stage, began in self._began.items():
            name = stage.replace("_", " ")
            line = f"  {name:16} {time.perf_counter() - began:7.1f} s ... {self._notes.get(stage, '')}"
            lines.append(line.rstrip())
        lines += [f"  {stage.replace('_', ' ')}" for stage in STAGES if stage not in self._lines | self._began]
        return Text("\n".join(lines))

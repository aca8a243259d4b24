"""The screens of all commands: text as it is, without markup, and nothing is broken that goes to a file or a pipe."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.status import Status
from rich.text import Text

__all__ = ["Screen"]


class Screen(Console):
    """A console of rich's for standard output or error.

    Args:
        stderr (bool): whether it is standard error.
    """

    def __init__(self, *, stderr: bool) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)
        if not self.is_terminal:
            self._width = 10_000  # as long as tables and lines may be

    def print(self, *objects, **options) -> None:
        """Prints texts and whatever else rich can show."""
        # The terminal breaks text, so that a path can be copied; tables are fitted to its width.
        if all(isinstance(each, str) for each in objects):
            options.setdefault("soft_wrap", True)
        super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Lets the error of the pipe pass."""
        raise  # the pipe's error: `run_command` knows what to do

    def status(self, status: RenderableType, **options) -> Status:
        """A line that says what goes on, as long as it does."""
        return _Status(_as_it_is(status), console=self, **options)


class _Status(Status):
    def update(self, status: RenderableType | None = None, **options) -> None:
        super().update(_as_it_is(status), **options)


def _as_it_is(text):
    return Text(text) if isinstance(text, str) else text

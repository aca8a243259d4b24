"""The folder of a training: for one training at a time, and without half a file for whoever looks into it."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from taylorvit.boundary.writing import written_whole

from .curves import draw_curves

__all__ = ["METRICS", "TrainingError", "only_training_in", "write_metrics"]

#: What is kept of each epoch.
METRICS = ("epoch", "learning_rate", "training_loss", "test_loss", "test_accuracy", "seconds")

_LOCK = ".lock"


class TrainingError(ValueError):
    """A training that cannot begin or go on; says why."""


@contextmanager
def only_training_in(folder: Path) -> Iterator[None]:
    """While this lasts, no other process trains there. The lock of a process that was killed is none.

    A folder that did not exist is made, and goes again if nothing comes into it. One process can ask several times.

    Raises `TrainingError` if there is a training under way, or this is no folder to write to.
    """
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.resolve() / _LOCK, is_singleton=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise TrainingError(f"{folder} must have one training at a time, and another one is under way there") from None
    except (OSError, NotImplementedError) as error:  # the latter is of file systems without locks
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise TrainingError(f"{folder} must be a folder to write to: {reason}") from None
    try:
        yield
    finally:
        if [path.name for path in folder.iterdir()] == [_LOCK]:
            with suppress(OSError):
                (folder / _LOCK).unlink()
                if new:
                    folder.rmdir()
        lock.release()


def write_metrics(folder: Path, metrics: list[dict], *, title: str) -> None:
    """Writes metrics.csv, a row of `METRICS` an epoch, and curves.png; `FileError` if that is not possible."""
    text = io.StringIO()
    writer = csv.DictWriter(text, METRICS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(metrics)
    with written_whole(folder / "metrics.csv") as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")
    with written_whole(folder / "curves.png") as partial:
        draw_curves(partial, metrics, title=title)

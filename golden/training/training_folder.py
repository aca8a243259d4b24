"""The folder of a training: one training at a time writes to it, and a reader never sees half a file."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from taylorvit.boundary.writing import written_whole

from .curves import draw_curves

__all__ = ["METRICS", "TrainingError", "only_training_in", "write_metrics"]

#: What is recorded of each epoch.
METRICS = ("epoch", "learning_rate", "training_loss", "test_loss", "test_accuracy", "seconds")

_LOCK = ".lock"


class TrainingError(ValueError):
    """A training cannot begin or go on; the text says why."""


@contextmanager
def only_training_in(folder: Path) -> Iterator[None]:
    """Locks a folder against trainings of other processes, as long as the context lasts.

    A process that is killed leaves no lock behind. A folder that does not exist is made, and removed again if it stays
    empty. A process can lock a folder several times.

    Args:
        folder (Path): folder of the training.

    Raises:
        TrainingError: another training is running there, or the folder cannot be written to.
    """
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.resolve() / _LOCK, is_singleton=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise TrainingError(
            f"cannot train in {folder}: another training is running there; choose another folder, or wait until it ends"
        ) from None
    except (OSError, NotImplementedError) as error:  # the latter on file systems without locks
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
    """Writes metrics.csv and curves.png.

    Args:
        folder (Path): folder of the training.
        metrics (list[dict]): a row of `METRICS` for each epoch.
        title (str): heading of the picture.

    Raises:
        FileError: a file cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, METRICS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(metrics)
    with written_whole(folder / "metrics.csv") as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")
    with written_whole(folder / "curves.png") as partial:
        draw_curves(partial, metrics, title=title)

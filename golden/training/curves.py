"""The curves of a training: loss and accuracy by epoch."""

from pathlib import Path

__all__ = ["draw_curves"]


def draw_curves(path: str | Path, metrics: list[dict], *, title: str) -> None:
    """Draws loss and accuracy by epoch.

    Args:
        path (str | Path): the PNG to write.
        metrics (list[dict]): a row of `golden.training.training_folder.METRICS` for each epoch.
        title (str): heading of the picture.
    """
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in metrics]
    figure = Figure(figsize=(7, 5))
    loss, accuracy = figure.subplots(2, 1, sharex=True)
    for name, label in (("training_loss", "training (augmented)"), ("test_loss", "held out")):
        loss.plot(epochs, [row[name] for row in metrics], label=label, marker=".")
    loss.set_ylabel("cross-entropy")
    loss.legend()
    accuracy.plot(epochs, [100 * row["test_accuracy"] for row in metrics], color="C1", marker=".")
    accuracy.set_ylabel("held out, % right")
    accuracy.set_xlabel("epoch")
    figure.suptitle(title, parse_math=False)
    figure.savefig(path, dpi=100)

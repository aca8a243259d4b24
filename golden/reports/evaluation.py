"""Accuracy of float and integer models on held-out images.

    results = [evaluate_file(path) for path in paths]
    console.print(accuracy_table(results))
    draw_accuracies("accuracies.png", summarize(results))

Files that differ only in their seeds are one row, with mean and standard deviation. Who knows the cycles of a network
gives them as a function, since they are those of an accelerator: the table then has them, and the picture is accuracy
against cycles.
"""

import math
import statistics
from collections.abc import Callable, Iterable
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.table import Table

from taylorvit.boundary.writing import written_whole
from taylorvit.golden.attention.by_layer import text_of
from taylorvit.golden.checkpoints.checkpoint import Checkpoint, load
from taylorvit.golden.network.integer_vit import IntegerVit, from_checkpoint, to_pixels
from taylorvit.golden.network.program import KERNEL_OF_ATTENTION, kernels_of
from taylorvit.golden.network.vit import VitShape
from taylorvit.golden.training.images import Dataset
from taylorvit.golden.training.loading import check_sizes, evaluate, load_images, model_of, recipe_of
from taylorvit.golden.training.recipe import Recipe

__all__ = ["Accuracy", "Cycles", "Evaluated", "accuracy_table", "draw_accuracies", "evaluate_file", "summarize"]

#: Cycles of an image, from the sizes of a network and the attention kernel of each of its layers.
Cycles = Callable[[VitShape, tuple[str, ...]], int]

_BATCH = 100  # images


class Evaluated(NamedTuple):
    """The result of one file on the held-out images of its data set.

    Attributes:
        path (Path): the file.
        data (str): name of the data set.
        recipe (Recipe): recipe of the training.
        integer (bool): whether it is an integer model.
        accuracy (float): share of the images that are recognized.
        images (int): number of held-out images.
        denominator_errors (int): rows of attention whose denominator is not positive; 0 for a float model.
        kernels (tuple[str, ...] | None): attention kernel of each layer, as it is computed; None if no kernel computes
            an attention of a float model.
        cycles (int | None): cycles of an image, if they are asked for.
    """

    path: Path
    data: str
    recipe: Recipe
    integer: bool
    accuracy: float
    images: int
    denominator_errors: int
    kernels: tuple[str, ...] | None = None
    cycles: int | None = None


class Accuracy(NamedTuple):
    """The results of files that differ only in their seeds.

    Attributes:
        data (str): name of the data set.
        attention (str): attention of the training, and what the training began with.
        integer (bool): whether these are integer models.
        accuracies (tuple[float, ...]): share of recognized images for each seed.
        kernels (tuple[str, ...] | None): attention kernel of each layer, as in `Evaluated`.
        cycles (int | None): cycles of an image, if they are asked for.
    """

    data: str
    attention: str
    integer: bool
    accuracies: tuple[float, ...]
    kernels: tuple[str, ...] | None = None
    cycles: int | None = None

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return statistics.fmean(self.accuracies)

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds; 0 for a single one."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0


def evaluate_file(
    path: str | Path,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    recipe: Recipe | None = None,
    data: str | None = None,
    cycles: Cycles | None = None,
) -> Evaluated:
    """Measures the accuracy of a trained or an integer model on the held-out images of its data set.

    Args:
        path (str | Path): the checkpoint.
        progress (Callable[[int, int], None]): called with the number of images done and the number of all.
        recipe (Recipe | None): recipe of published weights, as `recipe_of` takes it.
        data (str | None): other images, as `recipe_of` takes them.
        cycles (Cycles | None): the cycles of an image; they are not asked for if left out.

    Raises:
        ValueError: the file is not a model for these images, or its scores are not finite; or cycles are asked for, and
            no kernel computes one of its attentions.
    """
    checkpoint = load(path)
    recipe = recipe_of(checkpoint, recipe=recipe, data=data)
    dataset = load_images(recipe.data, recipe.model.vit_shape.image_size)
    check_sizes(recipe.model.vit_shape, dataset)
    _check_classes(checkpoint, dataset)
    vit = from_checkpoint(checkpoint) if checkpoint.description.get("kind") == "integer vit" else None
    kernels = vit.kernels if vit is not None else _kernels_of(recipe)
    of_image = None
    if cycles is not None:
        of_image = cycles(recipe.model.vit_shape, kernels or kernels_of(recipe.model.attentions))
    errors = 0
    if vit is not None:
        accuracy, errors = _evaluate_integer(vit, dataset, progress)
    else:
        accuracy, loss = evaluate(model_of(checkpoint, model=recipe.model), dataset.testing, dataset)
        if math.isnan(loss):
            raise ValueError(f"{path} must give scores that are finite, and does not: weights are too large")
    images = len(dataset.testing)
    return Evaluated(Path(path), dataset.name, recipe, vit is not None, accuracy, images, errors, kernels, of_image)


def _kernels_of(recipe: Recipe) -> tuple[str, ...] | None:
    """The kernels that compute the attentions of a training, if all have one."""
    names = recipe.model.attentions
    return kernels_of(names) if all(name in KERNEL_OF_ATTENTION for name in names) else None


def _check_classes(checkpoint: Checkpoint, dataset: Dataset) -> None:
    """The same number of classes is not enough: what a model calls class 3 must be class 3 of the images."""
    known = checkpoint.description.get("data", {}).get("classes")
    if checkpoint.published is not None and set(checkpoint.published.classes or ()) == set(dataset.classes):
        known = checkpoint.published.classes  # others may name them otherwise than their folders
    if known is not None and list(known) != list(dataset.classes):
        wanted, found = next(pair for pair in zip_longest(known, dataset.classes) if pair[0] != pair[1])
        raise ValueError(
            f"classes of {dataset.name} must be those of {checkpoint.path}, in their order: {wanted!r}, not {found!r}"
        )


def _evaluate_integer(vit: IntegerVit, dataset: Dataset, progress) -> tuple[float, int]:
    correct = errors = 0
    images = len(dataset.testing)
    for begin in range(0, images, _BATCH):
        batch, labels = dataset.testing[list(range(begin, min(begin + _BATCH, images)))]
        logits, of_batch = vit.with_errors(to_pixels(batch))
        correct += int((logits.argmax(axis=1) == labels.numpy()).sum())
        errors += of_batch
        progress(begin + len(batch), images)
    return correct / images, errors


def summarize(results: Iterable[Evaluated]) -> list[Accuracy]:
    """Makes one row of all files that differ only in their seeds, in the order in which they come."""
    groups: dict[tuple, list[Evaluated]] = {}
    for result in results:
        groups.setdefault((_but_for_seed(result.recipe), result.integer, result.kernels), []).append(result)
    rows = []
    for alike in groups.values():
        first, accuracies = alike[0], tuple(each.accuracy for each in alike)
        attention = _training(first.recipe)
        if first.kernels is not None and first.kernels != _kernels_of(first.recipe):
            attention += f", quantized as {text_of(first.kernels)}"
        rows.append(Accuracy(first.data, attention, first.integer, accuracies, first.kernels, first.cycles))
    return rows


def _training(recipe: Recipe) -> str:
    """A training in a few words."""
    begun = ", from weights" if recipe.model.weights else ""
    return text_of(recipe.model.attentions) + (", rounded" if recipe.model.rounding else begun)


def _but_for_seed(recipe: Recipe) -> str:
    """A recipe without its seed, and without the files that it begins from, which may belong to a seed."""
    exclude = {"model": {"weights", "rounding"}, "training": {"seed"}}
    return _training(recipe) + recipe.model_dump_json(exclude=exclude)


def accuracy_table(results: Iterable[Evaluated]) -> Table:
    """Tabulates results: a row for the files that differ only in their seeds, with mean and standard deviation."""
    results = list(results)
    rows = summarize(results)
    timed = any(row.cycles is not None for row in rows)
    table = Table(title=", ".join({f"{result.images} held-out images of {result.data}": None for result in results}))
    for heading in ("images", "trained with", "arithmetic"):
        table.add_column(heading)
    for heading in ("seeds", "recognized", "std. dev.", *(["cycles"] if timed else [])):
        table.add_column(heading, justify="right")
    for row in rows:
        arithmetic = "integers" if row.integer else "float"
        spread = f"{row.spread:.2%}" if len(row.accuracies) > 1 else ""
        cycles = [f"{row.cycles:,}"] if row.cycles is not None else []
        table.add_row(row.data, row.attention, arithmetic, str(len(row.accuracies)), f"{row.mean:.2%}", spread, *cycles)
    return table


def draw_accuracies(path: str | Path, rows: list[Accuracy]) -> None:
    """Draws a point for each seed: by rows, with a line for each mean; or, if the cycles are known, against these.

    Args:
        path (str | Path): the picture; its ending says of which kind.
        rows (list[Accuracy]): what `summarize` gives.
    """
    from matplotlib.figure import Figure

    timed = [row for row in rows if row.cycles is not None]
    figure = Figure(figsize=(7, 4.5) if timed else (1.5 + 1.3 * len(rows), 4), layout="constrained")
    axes = figure.subplots()
    if timed:
        _draw_curves(axes, timed)
    else:
        _draw_rows(axes, rows)
    axes.set_ylabel("held-out images recognized, %")
    axes.set_title(", ".join(dict.fromkeys(row.data for row in rows)), parse_math=False)
    axes.grid(axis="y", alpha=0.4)
    with written_whole(path) as partial:
        figure.savefig(partial, dpi=100)


def _draw_rows(axes, rows: list[Accuracy]) -> None:
    for place, row in enumerate(rows):
        values = 100 * np.array(row.accuracies)
        axes.plot([place] * len(values), values, "o", color="C1" if row.integer else "C0", alpha=0.6)
        axes.hlines(values.mean(), place - 0.3, place + 0.3, color="black")
    labels = [f"{row.attention.replace(', ', chr(10))}\n{'integer' if row.integer else 'float'}" for row in rows]
    axes.set_xticks(range(len(rows)), labels)


def _draw_curves(axes, rows: list[Accuracy]) -> None:
    """A curve for each arithmetic, and above it how many layers have softmax attention."""
    for integer, label, color in ((False, "float", "C0"), (True, "integers", "C1")):
        curve = sorted((row for row in rows if row.integer == integer), key=lambda row: row.cycles or 0)
        if curve:
            axes.plot([row.cycles for row in curve], [100 * row.mean for row in curve], color=color, label=label)
        for row in curve:
            axes.plot([row.cycles] * len(row.accuracies), 100 * np.array(row.accuracies), "o", color=color, alpha=0.5)
    axes.set_xlabel("cycles an image")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.legend()
    counts = {row.cycles: row.kernels.count("softmax") for row in rows if row.kernels is not None}
    above = axes.secondary_xaxis("top")
    above.set_xticks(list(counts), [str(count) for count in counts.values()])
    above.set_xlabel("layers with softmax attention")

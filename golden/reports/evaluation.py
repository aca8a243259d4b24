"""What trained and quantized models are worth: accuracy on held-out images, and the error of each layer in integers."""

import copy
import math
import statistics
from collections.abc import Callable, Iterable
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from taylorvit.boundary.writing import written_whole
from taylorvit.golden.checkpoints.checkpoint import Checkpoint, load
from taylorvit.golden.network.integer_vit import IntegerVit, from_checkpoint, to_pixels
from taylorvit.golden.network.vit import VisionTransformer
from taylorvit.golden.network.vit_quantizer import float_steps
from taylorvit.golden.training.images import Dataset
from taylorvit.golden.training.loading import check_sizes, evaluate, load_images, model_of, recipe_of
from taylorvit.golden.training.recipe import Recipe

from .sqnr import Power, decibels, power_of, total_power

__all__ = ["Accuracy", "Evaluated", "draw_accuracies", "evaluate_file", "layer_sqnr", "summarize"]

_BATCH = 100
_BATCH_OF_STEPS = 16  # of a DeiT-Tiny, all steps of one image have some 100 MB

# Steps whose error is told for each layer: what goes from one to the next, and what attention is made of.
_STEPS_SHOWN = ("q", "k", "v", "z", "hidden", "gelu")


class Evaluated(NamedTuple):
    """One file on the held-out images of its data set."""

    path: Path
    data: str
    recipe: Recipe  # of the training
    integer: bool
    accuracy: float
    images: int
    denominator_errors: int  # rows of attention whose denominator was not positive; integer models only


class Accuracy(NamedTuple):
    """Files that differ in their seeds alone."""

    data: str
    attention: str  # of the training, and what it began with
    integer: bool
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return statistics.fmean(self.accuracies)

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds; 0 of a single one."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0


def evaluate_file(
    path: str | Path,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    recipe: Recipe | None = None,
    data: str | None = None,
) -> Evaluated:
    """The accuracy of a trained model or an integer one, on the held-out images of its data set.

    Args:
        progress: told how many images are done, and of how many.
        recipe, data: of weights of others, and other images, as `recipe_of` takes them.

    Raises `ValueError` if the file is no model for these images, or its scores are no numbers.
    """
    checkpoint = load(path)
    recipe = recipe_of(checkpoint, recipe=recipe, data=data)
    dataset = load_images(recipe.data, recipe.model.vit_shape.image_size)
    check_sizes(recipe.model.vit_shape, dataset)
    _check_classes(checkpoint, dataset)
    integer = checkpoint.description.get("kind") == "integer vit"
    errors = 0
    if integer:
        accuracy, errors = _evaluate_integer(from_checkpoint(checkpoint), dataset, progress)
    else:
        accuracy, loss = evaluate(model_of(checkpoint, model=recipe.model), dataset.testing, dataset)
        if math.isnan(loss):
            raise ValueError(f"{path} must give scores that are finite, and does not: weights are too large")
    return Evaluated(Path(path), dataset.name, recipe, integer, accuracy, len(dataset.testing), errors)


def _check_classes(checkpoint: Checkpoint, dataset: Dataset) -> None:
    """The same number of classes is not enough: what a model calls class 3 must be class 3 of the images."""
    known = checkpoint.description.get("data", {}).get("classes")
    if checkpoint.published is not None and set(checkpoint.published.classes or ()) == set(dataset.classes):
        known = checkpoint.published.classes  # others may name them otherwise than their folders
    if known is not None and list(known) != list(dataset.classes):
        wanted, found = next(pair for pair in zip_longest(known, dataset.classes) if pair[0] != pair[1])
        raise ValueError(f"classes of {dataset.name} must be those of {checkpoint.path}, in their order: "
                         f"{wanted!r}, not {found!r}")  # fmt: skip


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


def layer_sqnr(
    model: VisionTransformer, vit: IntegerVit, images: torch.Tensor, *, mean: Iterable[float], std: Iterable[float]
) -> dict[str, float]:
    """Step -> signal to quantization noise in dB of an integer model against the float one it was made from.

    Args:
        images: (images, channels, size, size), 0 to 1.
    """
    mean, std = (torch.tensor(tuple(each), dtype=torch.float64).view(-1, 1, 1) for each in (mean, std))
    in_double = copy.deepcopy(model).double().eval()
    signals: dict[str, list[Power]] = {}  # of each batch
    noises: dict[str, list[Power]] = {}
    for batch in images.split(_BATCH_OF_STEPS):
        pixels = to_pixels(batch)
        with torch.no_grad():
            wanted = float_steps(in_double, (torch.from_numpy(pixels).double() / 255 - mean) / std)
        steps = vit.steps(pixels)
        for name, value in wanted.items():
            if name.startswith("residual.") or name == "logits" or name.rpartition(".")[2] in _STEPS_SHOWN:
                signals.setdefault(name, []).append(power_of(value.numpy()))
                noises.setdefault(name, []).append(power_of(value.numpy() - vit.real(name, steps[name])))
    return {name: decibels(total_power(signals[name]), total_power(noises[name])) for name in signals}


def summarize(results: Iterable[Evaluated]) -> list[Accuracy]:
    """One row for all files that differ in their seeds alone, in the order in which they came."""
    groups: dict[tuple, list[Evaluated]] = {}
    for result in results:
        groups.setdefault((_but_for_seed(result.recipe), result.integer), []).append(result)
    rows = []
    for alike in groups.values():
        first, accuracies = alike[0], tuple(each.accuracy for each in alike)
        rows.append(Accuracy(first.data, _training(first.recipe), first.integer, accuracies))
    return rows


def _training(recipe: Recipe) -> str:
    """In few words."""
    begun = ", from weights" if recipe.model.weights else ""
    return recipe.model.attention + (", rounded" if recipe.model.rounding else begun)


def _but_for_seed(recipe: Recipe) -> str:
    """A recipe without its seed, and without the files that it begins from, which can be those of a seed."""
    exclude = {"model": {"weights", "rounding"}, "training": {"seed"}}
    return _training(recipe) + recipe.model_dump_json(exclude=exclude)


def draw_accuracies(path: str | Path, rows: list[Accuracy]) -> None:
    """Draws a picture, of the kind that the ending says: a point for each seed, a line for each mean."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + 1.3 * len(rows), 4), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        values = 100 * np.array(row.accuracies)
        axes.plot([place] * len(values), values, "o", color="C1" if row.integer else "C0", alpha=0.6)
        axes.hlines(values.mean(), place - 0.3, place + 0.3, color="black")
    labels = [f"{row.attention.replace(', ', chr(10))}\n{'integer' if row.integer else 'float'}" for row in rows]
    axes.set_xticks(range(len(rows)), labels)
    axes.set_ylabel("held-out images recognized, %")
    axes.set_title(", ".join(dict.fromkeys(row.data for row in rows)), parse_math=False)
    axes.grid(axis="y", alpha=0.4)
    with written_whole(path) as partial:
        figure.savefig(partial, dpi=100)

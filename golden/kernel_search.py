"""Chooses the attention kernel of each layer: the cheapest choice that loses no more than a bound.

    vit = search_kernels(calibration, own, candidates, quantize=..., cost=..., bound=bound, tried=trials.append)
    console.print(trial_table(trials, bound))

What is lost is counted against the integer model whose layers all have the attention of the training: recognized
calibration images, in points, or the SQNR of the logits, in dB, against the float model with its own attention.

The search is greedy. Each layer is changed alone in floating point, which shows how much it minds; then the layers are
changed one after another, those first that mind least for each cycle that they save. A change stays if the integer
model with it is within the bound. Before a choice is quantized it is tried in floating point: what is outside of the
bound there is not quantized. With L layers there are at most L + 2 quantizations. Nothing is random.

The golden model knows no hardware: whoever calls this says what a choice costs.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from rich.table import Table

from taylorvit.golden.attention.by_layer import text_of
from taylorvit.golden.network.float_steps import float_result
from taylorvit.golden.network.integer_vit import IntegerVit, to_pixels
from taylorvit.golden.network.operations import PIXELS
from taylorvit.golden.network.program import compute, network_of
from taylorvit.golden.network.vit import VisionTransformer
from taylorvit.golden.reports.sqnr import sqnr_db, sqnr_text

__all__ = ["Bound", "Calibration", "Trial", "search_kernels", "trial_table"]

_BATCH = 32  # images

Kernels = tuple[str, ...]


class Bound(NamedTuple):
    """The most that may be lost.

    Attributes:
        value (float): at least 0.
        unit (str): "%", points of recognized images, or "dB", of the SQNR of the logits.
    """

    value: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> Bound:
        """Reads "0.5%" or "1dB"; `ValueError` for any other text."""
        found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+) ?(%|dB)", text, re.ASCII)
        if found is None:
            raise ValueError(f"largest loss must be points or decibels, for example 0.5% or 1dB, not {text!r}")
        return cls(float(found[1]), found[2])


class Calibration(NamedTuple):
    """The images on which choices are measured.

    Attributes:
        model (VisionTransformer): the float model, with the attention of its training.
        images (torch.Tensor): (images, channels, size, size), values of 0 to 1.
        labels (torch.Tensor): class of each image.
        mean (Sequence[float]): mean of each channel of the images.
        std (Sequence[float]): standard deviation of each channel.
    """

    model: VisionTransformer
    images: torch.Tensor
    labels: torch.Tensor
    mean: Sequence[float]
    std: Sequence[float]


class Trial(NamedTuple):
    """A choice that was tried.

    Attributes:
        kernels (tuple[str, ...]): attention kernel of each layer.
        integers (bool): whether an integer model was made, or the float model computed alone.
        cost (float): what the choice costs; NaN for the kernels of the training if a layer may not have them.
        recognized (float): share of the images that are recognized.
        sqnr (float): of the logits in dB, against the float model with its own attention.
        verdict (str): "reference", "alone" for a layer that was changed alone, "kept", or "too much lost".
    """

    kernels: Kernels
    integers: bool
    cost: float
    recognized: float
    sqnr: float
    verdict: str


def search_kernels(
    calibration: Calibration,
    own: Kernels,
    candidates: Sequence[Sequence[str]],
    *,
    quantize: Callable[[Kernels], IntegerVit],
    cost: Callable[[Kernels], float],
    bound: Bound,
    tried: Callable[[Trial], None] = lambda _trial: None,
    progress: Callable[[str], None] = lambda _step: None,
) -> IntegerVit:
    """Searches the cheapest kernels within a bound, and makes the integer model that has them.

    Args:
        calibration (Calibration): what is measured.
        own (tuple[str, ...]): the kernels of the training.
        candidates (Sequence[Sequence[str]]): the kernels that each layer may have, at least one.
        quantize (Callable[[tuple[str, ...]], IntegerVit]): makes the integer model of a choice.
        cost (Callable[[tuple[str, ...]], float]): what a choice costs, for example in cycles.
        bound (Bound): the most that may be lost.
        tried (Callable[[Trial], None]): called with each choice that was tried.
        progress (Callable[[str], None]): called with what is tried next.

    Raises:
        ValueError: even the choice that is nearest to the training loses more.
    """
    possible = all(kernel in may for kernel, may in zip(own, candidates, strict=True))
    costs = _Costs(cost, {} if possible else {own: math.nan})
    search = _Search(calibration, own, quantize, costs, bound, tried, progress)
    # A layer that may not have its own kernel has another one from the beginning.
    start = tuple(kernel if kernel in may else may[0] for kernel, may in zip(own, candidates, strict=True))
    best = search.reference if start == own else search.integers(start)
    if best is None:
        raise ValueError(
            f"largest loss must be at least {search.loss(search.last):.2f}{bound.unit} for any choice, not "
            f"{bound.value:g}{bound.unit}: so much is lost with {text_of(start)}, which is nearest to the training"
        )
    kernels = start
    for layer, kernel in search.changes(start, candidates):
        changed = (*kernels[:layer], kernel, *kernels[layer + 1 :])
        if search.float_is_within(changed) and (vit := search.integers(changed)) is not None:
            kernels, best = changed, vit
    return best


class _Costs:
    """The costs of choices, each counted once."""

    def __init__(self, cost: Callable[[Kernels], float], known: dict[Kernels, float]) -> None:
        self.cost, self.known = cost, known

    def __getitem__(self, kernels: Kernels) -> float:
        if kernels not in self.known:
            self.known[kernels] = self.cost(kernels)
        return self.known[kernels]


class _Search:
    """What was measured so far."""

    def __init__(
        self,
        calibration: Calibration,
        own: Kernels,
        quantize: Callable[[Kernels], IntegerVit],
        costs: _Costs,
        bound: Bound,
        tried: Callable[[Trial], None],
        progress: Callable[[str], None],
    ) -> None:
        self.quantize, self.costs, self.bound, self.tried, self.progress = quantize, costs, bound, tried, progress
        self.labels = calibration.labels.numpy()
        self.pixels = to_pixels(calibration.images)
        self.model = copy.deepcopy(calibration.model).double().eval()
        mean, std = (torch.tensor(each, dtype=torch.float64).view(-1, 1, 1) for each in calibration[3:])
        self.inputs = (torch.from_numpy(self.pixels).double() / 255 - mean) / std
        self.wanted = self._float_logits(own)
        progress(f"integers with {text_of(own)}")
        self.reference = quantize(own)
        self.first = self.last = self._measured(own, self._integer_logits(self.reference), integers=True)
        self._tell(self.first, "reference")

    def integers(self, kernels: Kernels) -> IntegerVit | None:
        """The integer model of a choice, or None if it loses too much."""
        self.progress(f"integers with {text_of(kernels)}")
        vit = self.quantize(kernels)
        self.last = trial = self._measured(kernels, self._integer_logits(vit), integers=True)
        within = self._is_within(trial)
        self._tell(trial, "kept" if within else "too much lost")
        return vit if within else None

    def float_is_within(self, kernels: Kernels) -> bool:
        """Whether a choice is within the bound in floating point."""
        self.progress(f"floating point with {text_of(kernels)}")
        trial = self._measured(kernels, self._float_logits(kernels), integers=False)
        if self._is_within(trial):
            return True
        self._tell(trial, "too much lost")
        return False

    def changes(self, start: Kernels, candidates: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
        """(layer, kernel) of the changes that save something, those first that cost the least noise for it."""
        changes = []
        before = self.costs[start]
        for layer, may in enumerate(candidates):
            for kernel in may:
                changed = (*start[:layer], kernel, *start[layer + 1 :])
                saved = before - self.costs[changed]
                if kernel != start[layer] and saved > 0:
                    self.progress(f"layer {layer} with {kernel} alone")
                    logits = self._float_logits(changed)
                    noise = float(((logits - self.wanted) ** 2).sum())
                    changes.append((noise / saved, layer, kernel))
                    self._tell(self._measured(changed, logits, integers=False), "alone")
        return [(layer, kernel) for _noise, layer, kernel in sorted(changes)]

    def loss(self, trial: Trial) -> float:
        """What a choice loses against the integer model of the training's kernels, in the unit of the bound."""
        if self.bound.unit == "%":
            return 100 * (self.first.recognized - trial.recognized)
        return 0.0 if self.first.sqnr == trial.sqnr else self.first.sqnr - trial.sqnr

    def _measured(self, kernels: Kernels, logits: np.ndarray, *, integers: bool) -> Trial:
        recognized = float((logits.argmax(axis=1) == self.labels).mean())
        return Trial(kernels, integers, self.costs[kernels], recognized, sqnr_db(self.wanted, logits), "")

    def _tell(self, trial: Trial, verdict: str) -> None:
        self.tried(trial._replace(verdict=verdict))

    def _is_within(self, trial: Trial) -> bool:
        return self.loss(trial) <= self.bound.value

    def _integer_logits(self, vit: IntegerVit) -> np.ndarray:
        return np.concatenate([vit.real("logits", vit(part)) for part in self._parts(self.pixels)])

    def _float_logits(self, kernels: Kernels) -> np.ndarray:
        program = network_of(self.model.shape, kernels=kernels)
        with torch.no_grad():
            parts = [
                compute(program, {PIXELS: part}, lambda operation, steps: float_result(self.model, operation, steps))
                for part in self._parts(self.inputs)
            ]
        return torch.cat(parts).numpy()

    @staticmethod
    def _parts(images):
        return [images[begin : begin + _BATCH] for begin in range(0, len(images), _BATCH)]


def trial_table(trials: Sequence[Trial], bound: Bound, *, unit: str = "cycles") -> Table:
    """Tabulates what was tried.

    Args:
        trials (Sequence[Trial]): of `search_kernels`.
        bound (Bound): the most that may be lost.
        unit (str): of the costs.
    """
    table = Table(title=f"Attention by layer, at most {bound.value:g}{bound.unit} lost")
    for heading in ("attention", "arithmetic"):
        table.add_column(heading)
    for heading in (unit, "recognized", "SQNR of logits"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for trial in trials:
        table.add_row(
            text_of(trial.kernels),
            "integers" if trial.integers else "float",
            "" if math.isnan(trial.cost) else f"{trial.cost:,.0f}",
            f"{trial.recognized:.2%}",
            sqnr_text(trial.sqnr),
            trial.verdict,
        )
    return table

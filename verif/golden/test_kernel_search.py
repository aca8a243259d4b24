"""The search for kernels keeps what saves and loses no more than the bound, and tells all that it tried."""

import math
import re

import numpy as np
import pytest
import torch

from taylorvit.golden.kernel_search import Bound, Calibration, search_kernels, trial_table
from taylorvit.golden.network.integer_vit import to_pixels
from taylorvit.golden.reports.sqnr import sqnr_db
from verif.golden.network.test_quantize import IMAGES, MEAN, SHAPE, STD, float_model, normalized, quantized

LABELS = torch.tensor([0, 1, 2, 3, 4, 0])
BOTH = ("taylor", "softmax")
SOFTMAX, TAYLOR = ("softmax",) * 3, ("taylor",) * 3


def model_of_three():
    """A model whose second layer minds most: large queries there."""
    model = float_model("softmax", depth=3)
    for layer, scale in enumerate((1.0, 4.0, 0.5)):
        model.blocks[layer].attn.qkv.weight[: SHAPE.width] *= scale
    return model


MODEL = model_of_three()
INTEGERS = {}


def quantize(kernels):
    """Each choice once for all tests."""
    if kernels not in INTEGERS:
        INTEGERS[kernels] = quantized(MODEL, attention=kernels)
    return INTEGERS[kernels]


def cost(kernels):
    return 100 + sum(10 if kernel == "softmax" else 3 for kernel in kernels)


def searched(bound, *, own=SOFTMAX, candidates=(BOTH,) * 3, cost=cost, labels=LABELS):
    trials = []
    calibration = Calibration(MODEL, IMAGES, labels, MEAN, STD)
    vit = search_kernels(
        calibration, own, candidates, quantize=quantize, cost=cost, bound=Bound.parse(bound), tried=trials.append
    )
    return vit, trials


def sqnr_of(kernels):
    """Of the logits, against the float model as it was trained."""
    vit = quantize(kernels)
    return sqnr_db(MODEL(normalized(IMAGES)).numpy(), vit.real("logits", vit(to_pixels(IMAGES))))


def test_without_a_limit_all_becomes_cheap():
    vit, trials = searched("1000dB")
    assert vit.kernels == TAYLOR and vit is quantize(TAYLOR)
    first, *alone = trials[:4]
    assert (first.kernels, first.integers, first.verdict, first.cost) == (SOFTMAX, True, "reference", 130)
    assert [trial.kernels.index("taylor") for trial in alone] == [0, 1, 2]
    assert all((trial.verdict, trial.integers, trial.cost) == ("alone", False, 123) for trial in alone)
    assert [trial.verdict for trial in trials[4:]] == ["kept"] * 3
    # Those layers first that mind least.
    order = sorted(range(3), key=lambda layer: -alone[layer].sqnr)
    kept = [trial.kernels for trial in trials if trial.verdict == "kept"]
    assert [[kernels[layer] for layer in order].count("taylor") for kernels in kept] == [1, 2, 3]
    assert all(kernels[order[place]] == "taylor" for place, kernels in enumerate(kept)) and order[-1] == 1
    for trial in trials:
        if trial.integers:
            assert trial.sqnr == pytest.approx(sqnr_of(trial.kernels), abs=1e-6)


def test_nothing_more_than_the_bound_is_lost():
    losses = {
        layers: sqnr_of(SOFTMAX) - sqnr_of(tuple("taylor" if layer in layers else "softmax" for layer in range(3)))
        for layers in ((2,), (0, 2), (0, 1, 2))
    }
    for layers, loss in losses.items():
        vit, trials = searched(f"{loss + 0.01:.4f}dB")
        assert sqnr_of(SOFTMAX) - sqnr_of(vit.kernels) <= loss + 0.01
        assert vit.kernels.count("taylor") >= len(layers)
        assert all(trial.cost >= cost(vit.kernels) for trial in trials if trial.verdict == "kept")
    vit, trials = searched("0.01dB")
    assert vit is quantize(SOFTMAX)
    assert not any(trial.verdict == "kept" for trial in trials)
    # What floating point loses already is not quantized.
    lost = [trial for trial in trials if trial.verdict == "too much lost" and not trial.integers]
    made = [trial.kernels for trial in trials if trial.integers]
    assert lost and not any(trial.kernels in made for trial in lost)


def test_what_saves_nothing_is_not_tried():
    vit, trials = searched("1000dB", cost=lambda kernels: cost(SOFTMAX))
    assert vit is quantize(SOFTMAX) and [trial.verdict for trial in trials] == ["reference"]
    # The last layer alone does.
    vit, trials = searched("1000dB", cost=lambda kernels: 10 if kernels[2] == "softmax" else 9)
    assert vit.kernels == ("softmax", "softmax", "taylor")


def test_softmax_may_be_the_cheaper_one():
    vit, _trials = searched("1000dB", own=TAYLOR, cost=lambda kernels: -cost(kernels))
    assert vit.kernels == SOFTMAX


def test_layers_that_may_not_change():
    vit, trials = searched("1000dB", candidates=(BOTH, ("softmax",), BOTH))
    assert vit.kernels == ("taylor", "softmax", "taylor") and len(trials) == 1 + 2 + 2


def test_kernels_that_are_not_there():
    """Layers have another one from the beginning, and the reference costs nothing that could be told."""
    vit, trials = searched("1000dB", candidates=(("taylor",), BOTH, BOTH))
    assert vit.kernels == TAYLOR
    assert math.isnan(trials[0].cost) and trials[1].kernels == ("taylor", "softmax", "softmax")
    assert trials[1].verdict == "kept" and trials[1].cost == 123
    lost = sqnr_of(SOFTMAX) - sqnr_of(TAYLOR)
    text = (
        f"largest loss must be at least {lost:.2f}dB for any choice, not 0.01dB: so much is lost with taylor, "
        "which is nearest to the training"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        searched("0.01dB", candidates=(("taylor",),) * 3)


def test_bounds_of_recognized_images():
    """Labels are what softmax recognizes: each image that a choice does not is lost."""
    logits = MODEL(normalized(IMAGES)).numpy()
    labels = torch.from_numpy(logits.argmax(axis=1))
    trials = searched("0%", labels=labels)[1]
    assert trials[0].recognized == np.mean(quantize(SOFTMAX)(to_pixels(IMAGES)).argmax(axis=1) == labels.numpy())
    assert all(trial.recognized >= trials[0].recognized for trial in trials if trial.verdict == "kept")
    assert searched("100%", labels=labels)[0].kernels == TAYLOR
    wrong = (labels + 1) % 5
    assert searched("0%", labels=wrong)[0].kernels == TAYLOR  # nothing can be lost


def test_the_same_every_time():
    one, other = searched("3dB"), searched("3dB")
    assert one[0] is other[0] and one[1] == other[1]


def test_the_table_has_all_that_was_tried():
    _vit, trials = searched("1000dB", candidates=(("taylor",), BOTH, BOTH))
    table = trial_table(trials, Bound.parse("1000dB"))
    assert table.title == "Attention by layer, at most 1000dB lost" and len(table.rows) == len(trials)
    cells = {column.header: list(column.cells) for column in table.columns}
    assert cells["attention"][:2] == ["softmax", "taylor in 0; softmax in 1-2"]
    assert cells["cycles"][:2] == ["", "123"] and cells["arithmetic"][:3] == ["integers", "integers", "float"]


@pytest.mark.parametrize("text, bound", [
    ("1dB", (1, "dB")), ("0.5%", (0.5, "%")), ("2 dB", (2, "dB")), (".25%", (0.25, "%")), ("0%", (0, "%")),
])  # fmt: skip
def test_bounds(text, bound):
    assert Bound.parse(text) == bound


@pytest.mark.parametrize("text", ["1", "-1dB", "1db", "dB", "1e3dB", "nan%", "", "1%%"])
def test_texts_that_are_no_bound(text):
    with pytest.raises(ValueError, match=f"^largest loss must be points or decibels, .*, not {re.escape(repr(text))}$"):
        Bound.parse(text)

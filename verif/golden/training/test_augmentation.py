"""Augmentation changes images as it is told, never the sum of their labels, and the same way for the same seed."""

import random

import numpy as np
import pytest
import torch

from taylorvit.golden.training.augmentation import Augment
from taylorvit.golden.training.recipe import Augmentation

CLASSES = 3
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 2])
ONE_HOT = torch.eye(CLASSES)[LABELS]

OPERATIONS = [
    {"rotation": 12}, {"shift": 0.2}, {"scale": 0.2}, {"shear": 8}, {"elastic": 0.3}, {"flip": 1.0}, {"erasing": 1.0},
    {"rand_augment": 0.5}, {"rand_augment": 9}, {"rand_augment": 29.9},
    {"rotation": 180, "shift": 1.0, "scale": 0.9, "shear": 89, "elastic": 5.0, "flip": 0.5, "erasing": 0.5},
]  # fmt: skip
MIXES = [{"mixup": 0.8}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0}]


def images(channels=1, size=8):
    return torch.rand(len(LABELS), channels, size, size, generator=torch.Generator().manual_seed(0))


def augmented(settings, batch, *, seed=0, label_smoothing=0.0):
    torch.manual_seed(seed)
    return Augment(Augmentation(**settings), classes=CLASSES, label_smoothing=label_smoothing)(batch, LABELS)


def test_off_changes_nothing():
    batch = images()
    out, shares = augmented({}, batch)
    assert torch.equal(out, images()) and torch.equal(shares, ONE_HOT)
    out, shares = augmented({}, batch, label_smoothing=0.3)
    torch.testing.assert_close(shares, ONE_HOT * 0.7 + 0.1)
    assert torch.equal(out, images())


@pytest.mark.parametrize("settings", OPERATIONS, ids=str)
@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 40)])
def test_operations_change_images_alone(settings, channels, size):
    if "rand_augment" in settings:  # for colour alone
        channels = 3
    batch = images(channels, size)
    changed = 0
    for seed in range(20):
        out, shares = augmented(settings, batch, seed=seed)
        assert out.shape == batch.shape and out.dtype == batch.dtype
        assert bool(torch.isfinite(out).all()) and float(out.min()) > -1e-5 and float(out.max()) < 1 + 1e-5
        assert torch.equal(shares, ONE_HOT)
        changed += int((out - batch).abs().amax(dim=(1, 2, 3)).gt(1e-3).sum())
    assert changed > 0.5 * 20 * len(batch)  # each image for itself; a few by too little to see
    assert torch.equal(batch, images(channels, size))


def test_flip_is_a_mirror():
    out, _ = augmented({"flip": 1.0}, images(3, 9))
    assert torch.equal(out, images(3, 9).flip(3))


def test_shift_stays_in_its_limits():
    batch = torch.zeros(len(LABELS), 1, 21, 21)
    batch[:, :, 10, 10] = 1.0
    for place in torch.meshgrid(torch.arange(21.0), torch.arange(21.0), indexing="ij"):
        distances = []
        for seed in range(20):
            out, _ = augmented({"shift": 0.2}, batch, seed=seed)
            distances += ((out * place).sum(dim=(1, 2, 3)) / out.sum(dim=(1, 2, 3)) - 10).tolist()
        assert 3 < max(distances) <= 4.3 and -4.3 <= min(distances) < -3


@pytest.mark.parametrize("settings", MIXES, ids=str)
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_mixing_keeps_the_sum_of_shares(settings, label_smoothing):
    fewest = 1.0
    for seed in range(50):
        out, shares = augmented(settings, images(3), seed=seed, label_smoothing=label_smoothing)
        assert out.shape == images(3).shape and 0 <= float(out.min()) and float(out.max()) <= 1
        assert bool((shares >= 0).all())
        torch.testing.assert_close(shares.sum(dim=1), torch.ones(len(LABELS)))
        fewest = min(fewest, float(shares.amax(dim=1).min()))
    assert fewest < 0.6


def test_mixup_mixes_images_as_it_mixes_labels():
    batch = images()
    out, shares = augmented({"mixup": 0.8}, batch, seed=3)
    first = float(shares[0, 0])  # the first is of class 0, the last of class 2
    assert 0.01 < first < 0.99
    torch.testing.assert_close(out, first * batch + (1 - first) * batch.flip(0))
    torch.testing.assert_close(shares, first * ONE_HOT + (1 - first) * ONE_HOT.flip(0))


def test_cutmix_has_the_share_of_pixels_that_it_says():
    batch = images(1, 20)
    areas = []
    for seed in range(20):
        out, shares = augmented({"cutmix": 1.0}, batch, seed=seed)
        other = (out != batch)[0, 0]
        assert torch.equal(out[0, 0][other], batch[-1, 0][other])
        rows, columns = other.any(dim=1).sum(), other.any(dim=0).sum()
        assert int(other.sum()) == int(rows * columns)  # one rectangle
        areas.append(float(other.float().mean()))
        torch.testing.assert_close(shares, (1 - areas[-1]) * ONE_HOT + areas[-1] * ONE_HOT.flip(0))
    assert min(areas) < 0.2 and max(areas) > 0.8


def test_both_mixes_take_turns():
    batch = images()
    cut = set()
    for seed in range(10):
        out, _ = augmented({"mixup": 0.8, "cutmix": 1.0}, batch, seed=seed)
        cut.add(bool(((out == batch) | (out == batch.flip(0))).all()))
    assert cut == {True, False}


@pytest.mark.parametrize("settings", [*OPERATIONS, *MIXES], ids=str)
def test_same_seed_same_result(settings):
    batch = images(3, 16)
    first, first_shares = augmented(settings, batch, seed=5)
    random.seed(1)
    np.random.seed(1)
    again, again_shares = augmented(settings, batch, seed=5)
    assert torch.equal(first, again) and torch.equal(first_shares, again_shares)
    if settings != {"flip": 1.0}:
        assert not torch.equal(first, augmented(settings, batch, seed=6)[0])


def test_one_image():
    for settings in MIXES:
        torch.manual_seed(0)
        out, shares = Augment(Augmentation(**settings), classes=CLASSES)(images()[:1], LABELS[:1])
        torch.testing.assert_close(out, images()[:1])
        torch.testing.assert_close(shares, ONE_HOT[:1])

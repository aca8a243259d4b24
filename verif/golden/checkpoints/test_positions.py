"""Positions of another resolution are those of Pillow's cubic filter, an implementation of others."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from taylorvit.golden.checkpoints.checkpoint import Checkpoint, CheckpointError, load_weights
from taylorvit.golden.checkpoints.positions import resampled_positions
from taylorvit.golden.network.vit import VisionTransformer, VitShape


@pytest.mark.parametrize("extra", [1, 2])
@pytest.mark.parametrize(("side", "new_side"), [(7, 12), (12, 7), (14, 24), (24, 14), (5, 6), (1, 3), (3, 1)])
def test_they_are_those_of_pillow(side, new_side, extra):
    torch.manual_seed(0)
    positions = torch.randn(1, extra + side * side, 3)
    resampled = resampled_positions(positions, extra + new_side**2, extra)
    assert resampled.shape == (1, extra + new_side**2, 3) and resampled.dtype == torch.float32
    assert torch.equal(resampled[:, :extra], positions[:, :extra])
    for feature in range(3):
        grid = Image.fromarray(positions[0, extra:, feature].reshape(side, side).numpy())
        expected = np.asarray(grid.resize((new_side, new_side), Image.Resampling.BICUBIC))
        found = resampled[0, extra:, feature].reshape(new_side, new_side).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_those_of_the_same_size_stay():
    positions = torch.randn(1, 10, 3)
    assert resampled_positions(positions, 10, 1) is positions


def test_types_stay():
    assert resampled_positions(torch.randn(1, 10, 3).half(), 17, 1).dtype == torch.float16


@pytest.mark.parametrize(("tokens", "extra"), [(9, 1), (1, 1), (2, 2), (10, 2)])
def test_what_is_no_square_is_refused(tokens, extra):
    text = f"pos_embed must be of {extra} tokens and a square of patches, not of {tokens} tokens"
    with pytest.raises(ValueError, match=f"^{text}$"):
        resampled_positions(torch.zeros(1, tokens, 3), 16 + extra, extra)


def shape(image_size, **changes):
    sizes = {"patch_size": 4, "channels": 1, "classes": 3, "depth": 1, "width": 12, "heads": 3}
    return VitShape(image_size=image_size, **sizes | changes)


def test_weights_for_images_of_another_size(tmp_path):
    small, large = (VisionTransformer(shape(size)) for size in (12, 20))
    checkpoint = Checkpoint(tmp_path / "a.pth", small.state_dict(), {})
    text = r"pos_embed of shape \(1, 10, 12\) for \(1, 26, 12\); resample_positions = true under \[model\] makes it fit"
    with pytest.raises(CheckpointError, match=text):
        load_weights(large, checkpoint)
    load_weights(large, checkpoint, resample_positions=True)
    assert torch.equal(large.pos_embed, resampled_positions(small.pos_embed, 26, 1))
    assert torch.equal(large.cls_token, small.cls_token) and torch.equal(large.head.weight, small.head.weight)


def test_only_positions_are_resampled(tmp_path):
    weights = VisionTransformer(shape(12)).state_dict()
    for changed, other, text in (
        ({}, shape(20, patch_size=2), "it has patch_embed.proj.weight of shape"),
        ({"pos_embed": torch.zeros(1, 9, 12)}, shape(20), "a.pth: pos_embed must be of 1 tokens and a square of patch"),
        ({"pos_embed": torch.zeros(1, 10, 5)}, shape(20), re.escape("pos_embed of shape (1, 10, 5) for (1, 26, 12)")),
        ({"pos_embed": torch.zeros(10)}, shape(20), re.escape("pos_embed of shape (10,) for (1, 26, 12)")),
    ):
        checkpoint = Checkpoint(tmp_path / "a.pth", weights | changed, {})
        with pytest.raises(CheckpointError, match=text):
            load_weights(VisionTransformer(other), checkpoint, resample_positions=True)

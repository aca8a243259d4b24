"""Learned positions of another resolution: a model for 224 x 224 pixels from one for 384 x 384, and the other way."""

import math

import torch
from torch.nn import functional

__all__ = ["resampled_positions"]


def resampled_positions(positions: torch.Tensor, tokens: int, extra_tokens: int) -> torch.Tensor:
    """Positions (1, any, width) for so many tokens, by cubic interpolation of the square of patches, as timm does.

    Those of the extra tokens in front, class and distillation, stay as they are. Where there are fewer patches than
    before, what is between them is averaged (antialiasing).

    Raises `ValueError` if the patches are no square.
    """
    if positions.shape[1] == tokens:
        return positions
    patches = positions.shape[1] - extra_tokens
    side, new_side = math.isqrt(max(patches, 0)), math.isqrt(tokens - extra_tokens)
    if side * side != patches or not patches:
        raise ValueError(f"pos_embed must be of {extra_tokens} tokens and a square of patches, not of "
                         f"{positions.shape[1]} tokens")  # fmt: skip
    extra, grid = positions[:, :extra_tokens], positions[:, extra_tokens:]
    grid = grid.float().unflatten(1, (side, side)).permute(0, 3, 1, 2)  # (1, width, side, side)
    grid = functional.interpolate(grid, size=(new_side, new_side), mode="bicubic", antialias=True, align_corners=False)
    grid = grid.flatten(2).transpose(1, 2)  # (1, patches, width)
    return torch.cat([extra, grid.to(positions.dtype)], dim=1)

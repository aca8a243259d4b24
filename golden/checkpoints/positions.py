"""Learned positions for another resolution: for 224 x 224 pixels from those for 384 x 384, and the other way round."""

import math

import torch
from torch.nn import functional

__all__ = ["resampled_positions"]


def resampled_positions(positions: torch.Tensor, tokens: int, extra_tokens: int) -> torch.Tensor:
    """Interpolates positions to another number of tokens, cubically over the square of patches, as timm does.

    Positions of the prefix tokens stay as they are. Where there are fewer patches than before, the interpolation
    averages (antialiasing).

    Args:
        positions (torch.Tensor): learned positions, (1, tokens before, width).
        tokens (int): tokens of the result, prefix tokens included.
        extra_tokens (int): prefix tokens.

    Raises:
        ValueError: the patches of the positions do not form a square.
    """
    if positions.shape[1] == tokens:
        return positions
    patches = positions.shape[1] - extra_tokens
    side, new_side = math.isqrt(max(patches, 0)), math.isqrt(tokens - extra_tokens)
    if side * side != patches or not patches:
        raise ValueError(
            f"pos_embed must be of {extra_tokens} tokens and a square of patches, not of {positions.shape[1]} tokens"
        )
    extra, grid = positions[:, :extra_tokens], positions[:, extra_tokens:]
    grid = grid.float().unflatten(1, (side, side)).permute(0, 3, 1, 2)  # (1, width, side, side)
    grid = functional.interpolate(grid, size=(new_side, new_side), mode="bicubic", antialias=True, align_corners=False)
    grid = grid.flatten(2).transpose(1, 2)  # (1, patches, width)
    return torch.cat([extra, grid.to(positions.dtype)], dim=1)

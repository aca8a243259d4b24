"""Lattice iCE40."""

from .family import ICE40

__all__ = ["ICE40"]

"""Lattice ECP5."""

from .family import ECP5

__all__ = ["ECP5"]
